"""Classify tasks that no model was trained on (Sileo & Moens 2022, section 5.6, table 5).

    python training/zero_shot.py --held-out demo/office_nli demo/shop_reviews     # demo tasks: about ten minutes
    python training/zero_shot.py --preset small --tasks all --held-out glue       # table 5
    python training/zero_shot.py --preset small --tasks all --held-out groups --folds 5 --methods mean ridge_aspects
    python training/zero_shot.py --resume runs/zero_shot-1

The held-out tasks are not trained on, nor are training rows of other tasks that contain a text or sentence of their
evaluation splits. Classes with the same canonical name share a label vector. A held-out task is described by its type,
number of text fields, size and unlabelled training texts, and classified with the label vectors of the trained tasks.

majority          the most frequent class of its training rows (uses their labels)
supervised        full fine-tuning on its training rows for 3 epochs (uses their labels): an upper reference
same_type_full    full fine-tuning on all trained tasks of its type
mean              z is the mean of all trained tasks' z
same_type_mean    z is the mean over the trained tasks of its type
ridge_aspects     z predicted from aspects by ridge regression (eq. 3)
ridge_textemb     z predicted from TextEmb by ridge regression
aware_aspects     trained with z_i + W phi_i, where phi are the aspects; needs a training of its own
aware_textemb     the same with TextEmb; needs a training of its own

--held-out groups holds out each group of tasks once, in --folds folds of whole groups. A task cannot be answered if one
of its classes has no trained label vector; such tasks are listed. A stopped run keeps its finished answers.

Exit codes: 0 done; 1 an error, reported in one line; 2 wrong usage; 128 + n stopped by signal n (130: Ctrl-C).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from metaeval_datasets import get_task
from metaeval_datasets.metric.scores import count_pairs
from metaeval_hub import ConditionalAdapterModel, TaskEmbeddings
from metaeval_hub.analysis.distance_from_start import check_start_cosines
from metaeval_hub.model.zero_shot import By
from metaeval_hub.report.zero_shot import glue_table, group_table
from metaeval_hub.results.run_results import RESULTS, read_results, read_runs
from metaeval_hub.results.schema import ZERO_SHOT, Details, RunFacts, SplitScores, TaskResult
from metaeval_hub.results.terminal import show_table
from metaeval_training.commands import single_task
from metaeval_training.commands.answers import HeldOutAnswer, Unanswered, answer_to_json, parse_answer, separate
from metaeval_training.commands.folds import GROUPS, Fold, make_folds
from metaeval_training.commands.held_out import HeldOut, describe, score
from metaeval_training.commands.learning_rates import RATES
from metaeval_training.commands.multitask_run import run_multitask
from metaeval_training.config import ConfigError, TrainConfig
from metaeval_training.data.cache import data_cache
from metaeval_training.data.encoding import TaskData, encode_task
from metaeval_training.data.rows import load_tasks, row_choice
from metaeval_training.engine.evaluation import split_scores
from metaeval_training.flags import CommandLine
from metaeval_training.runs import per_task
from metaeval_training.runs.folder import RunFolder
from metaeval_training.runs.lifecycle import DONE, FAILED
from metaeval_training.runs.new_model import check_model
from metaeval_training.runs.per_task import Job, Script
from metaeval_training.runs.results import predict_majority, task_result

Method = Literal[
    "majority", "supervised", "same_type_full", "mean", "same_type_mean", "ridge_aspects", "ridge_textemb",
    "aware_aspects", "aware_textemb",
]  # fmt: skip
METHODS: tuple[Method, ...] = get_args(Method)
FULL_LR = RATES["full"]
HEAD_RATIO = 10.0  # learning rate of the classifier relative to the encoder's, as in training/single_task.py
# This script chooses these settings itself. Held-out tasks have no private part, so none is trained.
CHOSEN_HERE = (
    "held_out", "push_to_hub", "private", "conditioning_vectors", "task_features", "share_labels", "text_emb",
    "private_rank", "private_epochs", "private_lr",
)  # fmt: skip
SETTINGS = tuple(entry.name for entry in fields(TrainConfig) if entry.name not in CHOSEN_HERE)


class StoppedError(Exception):
    """A training of this run did not finish.

    Attributes:
        code: its exit code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


# --- Trainings ---


def train(job: Job, fold: Fold, kind: str, **changes: Any) -> Path:
    """Return the folder of a finished training of a fold; start or resume the training if necessary.

    Args:
        job: the run.
        fold: whose tasks are trained on, unless ``changes`` contains others.
        kind: name of the training.
        changes: settings that differ from those of the run.

    Raises:
        StoppedError: it did not finish; the reason was reported.
    """
    folder = job.run.path / "train" / fold.name
    before = sorted(folder.glob(f"{kind}-*/config.json"))
    run = RunFolder(before[-1].parent) if before else None
    if run is not None and run.has_results:
        return run.path
    settings: dict[str, Any] = {
        "tasks": fold.trained, "held_out": fold.held_out, "share_labels": True, "name": kind, "output_dir": str(folder),
        **changes,
    }  # fmt: skip
    job.reporter.line(f"fold {fold.name}: training {kind} on {len(settings['tasks'])} tasks")
    code = run_multitask(CommandLine(replace(job.config, **settings), {}, None if run is None else str(run.path)))
    finished = sorted(folder.glob(f"{kind}-*/{RESULTS}"))
    if code or not finished:
        raise StoppedError(code or FAILED)
    return finished[-1].parent


def open_model(job: Job, folder: Path) -> ConditionalAdapterModel:
    """Load the model of a training onto the run's device."""
    return ConditionalAdapterModel.from_pretrained(folder / "model").to(job.accelerator.device)


# --- Answers ---


def score_task(job: Job, model: ConditionalAdapterModel, task: HeldOut, name: str) -> TaskResult:
    """Return the task result of a task that was added to a model under ``name``."""
    data = encode_task(task.rows, model.tokenizer, job.config.max_length)
    return make_result(data, score(job, model, data, name, ("validation", "test")))


def make_result(data: TaskData, found: Mapping[str, SplitScores]) -> TaskResult:
    """Return the task result for scores by split."""
    labels = {split: rows.labels for split, rows in data.splits.items()}
    return task_result(labels, data.available, data.origin, len(data.labels), found)


def answer_all(
    job: Job, model: ConditionalAdapterModel, tasks: Sequence[HeldOut], add: Callable[[str, HeldOut], Any]
) -> dict[str, HeldOutAnswer]:
    """Add each task to a model, score it and remove it; a task with untrained classes gets the reason instead.

    Args:
        job: the run.
        model: trained without these tasks.
        tasks: held out.
        add: adds a task to the model under a name; may return the prediction of its z.
    """
    shared = set(model.heads.shared)
    answers: dict[str, HeldOutAnswer] = {}
    for task in tasks:
        untrained = sorted(set(task.labels.values()) - shared)
        if untrained:
            answers[task.rows.name] = Unanswered(f"no trained label vector for {', '.join(untrained)}")
            continue
        name = f"held_out/{task.rows.name}"
        predicted = add(name, task)
        result = score_task(job, model, task, name)
        if predicted is not None:
            nearest = tuple((other, round(cosine, 4)) for other, cosine in predicted.nearest)
            result = replace(result, more=Details(nearest=nearest, explained=predicted.explained))
        answers[task.rows.name] = result
        model.remove_task(name)
    return answers


def by_z(job: Job, folder: Path, tasks: Sequence[HeldOut], by: By | None) -> dict[str, HeldOutAnswer]:
    """Answer with a model with z: with a predicted z, or for None with the mean of all tasks' z."""
    model = open_model(job, folder)

    def add(name: str, task: HeldOut) -> Any:
        if by is not None:
            return model.zero_shot(name, task.description, task.labels, by=by).evidence
        rows, mean = tuple(task.labels.values()), model.task_embeddings.centroids().values.mean(axis=0)
        model.add_task(name, task.rows.labels, mean, label_vectors=rows, fields=task.description.fields)
        return None

    return answer_all(job, model, tasks, add)


def by_type(job: Job, fold: Fold, tasks: Sequence[HeldOut]) -> dict[str, HeldOutAnswer]:
    """Answer with models that were fine-tuned on the tasks of one type."""
    answers: dict[str, HeldOutAnswer] = {}
    for kind in sorted({task.description.type for task in tasks}):
        chosen = [task for task in tasks if task.description.type == kind]
        trained = tuple(name for name in fold.trained if get_task(name).type.value == kind)
        if not trained:
            answers |= {task.rows.name: Unanswered(f"no other task is of type {kind}") for task in chosen}
            continue
        lr = job.options["full_lr"]
        folder = train(
            job, fold, f"full-{kind}", tasks=trained, conditioning="full", adapter_lr=lr, head_lr=lr * HEAD_RATIO,
            embeddings_per_task=1, layer_norm=False, dim_table=0,
        )  # fmt: skip
        model = open_model(job, folder)

        def add(name: str, task: HeldOut, model: ConditionalAdapterModel = model) -> None:
            rows = tuple(task.labels.values())
            model.add_task(name, task.rows.labels, label_vectors=rows, fields=task.description.fields)

        answers |= answer_all(job, model, chosen, add)
    return answers


def by_majority(tasks: Sequence[HeldOut]) -> dict[str, HeldOutAnswer]:
    """Answer with the most frequent class of the training rows."""
    answers: dict[str, HeldOutAnswer] = {}
    for task in tasks:
        found: dict[str, SplitScores] = {}
        train_labels = np.asarray(task.rows.splits["train"]["label"][:])
        splits = {split: np.asarray(task.rows.splits[split]["label"][:]) for split in task.rows.splits}
        for split in ("validation", "test"):
            if split in splits:
                predicted = predict_majority(train_labels, len(splits[split]))
                found[split] = split_scores(count_pairs(splits[split], predicted, len(task.rows.labels)))
        answers[task.rows.name] = task_result(
            splits, task.rows.available, task.rows.origin, len(task.rows.labels), found
        )
    return answers


def supervised(job: Job, tasks: Sequence[HeldOut]) -> dict[str, HeldOutAnswer]:
    """Answer with one fine-tuned model per task, as training/single_task.py trains them."""
    options = {**single_task.SCRIPT.options, "head_ratio": HEAD_RATIO}
    config = replace(job.config, epochs=3.0, steps=0, batch_size=single_task.BATCH_SIZE, embeddings_per_task=1)
    vocabulary = list(per_task.all_texts(job.config)) if job.config.encoder == "tiny" else None
    answers: dict[str, HeldOutAnswer] = {}
    for task in tasks:
        name = task.rows.name
        with job.reporter.progress(f"supervised {name}", 1) as display:
            tried = single_task.train_one(
                replace(job, config=config, options=options), task.rows, "full", job.options["full_lr"], vocabulary,
                lambda note, display=display: display.update(0, note),  # type: ignore[misc]
            )  # fmt: skip
        answers[name] = Unanswered(tried.failed) if tried.result is None else tried.result
    return answers


def answer(job: Job, fold: Fold, method: Method, tasks: Sequence[HeldOut]) -> dict[str, HeldOutAnswer]:
    """Answer the held-out tasks of a fold with one method: task -> task result, or the reason why there is none.

    Raises:
        StoppedError: a training did not finish.
    """
    if method == "majority":
        return by_majority(tasks)
    if method == "supervised":
        return supervised(job, tasks)
    if method == "same_type_full":
        return by_type(job, fold, tasks)
    wants_texts = any("textemb" in other for other in job.options["methods"])
    if method == "aware_aspects":
        return by_z(job, train(job, fold, "aware-aspects", task_features="aspects"), tasks, "aspects")
    table = train(job, fold, "table", text_emb=wants_texts)
    if method == "aware_textemb":
        return by_z(job, train_on_texts(job, fold, table), tasks, "texts")
    ways: dict[Method, By | None] = {
        "mean": None, "same_type_mean": "type", "ridge_aspects": "aspects", "ridge_textemb": "texts",
    }  # fmt: skip
    return by_z(job, table, tasks, ways[method])


def train_on_texts(job: Job, fold: Fold, table: Path) -> Path:
    """Return a finished training with TextEmb added to the learned z; the first training computed the vectors."""
    features = open_model(job, table).features
    assert features is not None  # noqa: S101 - the first training computes both
    assert features.texts is not None  # noqa: S101
    vectors = TaskEmbeddings(features.names, features.texts).save(job.run.path / "train" / fold.name / "textemb")
    return train(job, fold, "aware-textemb", task_features=str(vectors), text_emb=True)


# --- The run ---


def work(job: Job) -> int:
    """Answer all held-out tasks with all methods, write and show the results; return the exit code."""
    folds = make_folds(per_task.task_names(job.config), job.options["held_out"], job.options["folds"])
    check_model(job.config)
    methods: list[Method] = job.options["methods"]
    found: dict[str, dict[str, HeldOutAnswer]] = {method: {} for method in methods}
    skipped: dict[str, str] = {}
    for fold in folds:
        tasks, failed = hold_out(job, fold)
        skipped |= failed
        for method in methods:
            try:
                found[method] |= stored_or_new(job, fold, method, tasks)
            except StoppedError as stopped:
                job.reporter.line(f"resume with: {job.session.resume_command()}")
                return stopped.code
    write(job, folds, found, skipped)
    return DONE


def stored_or_new(job: Job, fold: Fold, method: Method, tasks: Sequence[HeldOut]) -> dict[str, HeldOutAnswer]:
    """Return the stored answers of a method to the tasks of a fold; compute and store them if there are none.

    Raises:
        StoppedError: a training did not finish.
    """
    file = job.run.path / "answers" / fold.name / f"{method}.json"
    stored = job.run.read_sealed(file)
    if stored is not None:
        return {name: parse_answer(values) for name, values in stored.items()}
    answers = answer(job, fold, method, tasks)
    file.parent.mkdir(parents=True, exist_ok=True)
    job.run.write_sealed(file, {name: answer_to_json(each) for name, each in answers.items()})
    job.reporter.line(f"fold {fold.name}: {method} answered {_summary(answers)}")
    return answers


def hold_out(job: Job, fold: Fold) -> tuple[list[HeldOut], dict[str, str]]:
    """Return the held-out tasks of a fold that can be loaded and scored, and the reasons for the others."""
    config = job.config
    rows, failed = load_tasks(
        fold.held_out, row_choice(config), skip_unavailable=config.skip_unavailable, cache=data_cache(config)
    )
    unscored = {task.name: "neither a validation nor a test split" for task in rows if len(task.splits) < 2}
    return [describe(task) for task in rows if task.name not in unscored], {**failed, **unscored}


def _summary(answers: Mapping[str, HeldOutAnswer]) -> str:
    scored = [result.test.accuracy for result in separate(answers)[0].values() if result.test is not None]
    mean = f", mean test accuracy {100 * np.mean(scored):.1f}" if scored else ""
    return f"{len(scored)} of {len(answers)} tasks{mean}"


def write(
    job: Job,
    folds: Sequence[Fold],
    found: Mapping[str, Mapping[str, HeldOutAnswer]],
    skipped: Mapping[str, str],
) -> None:
    """Write a results.json for each method, and show the table."""
    held_out = {name for fold in folds for name in fold.held_out}
    kind = "glue" if all(name.startswith("glue/") for name in held_out) else GROUPS
    notes = tuple(notes_of(job, folds))
    for method, answers in found.items():
        results, unanswered = separate(answers)
        facts = RunFacts(experiment=ZERO_SHOT, held_out=kind, notes=notes, unanswered=unanswered)
        (job.run.path / method).mkdir(exist_ok=True)
        # the time of an answer is not measured: methods share trainings
        tasks = {name: replace(result, seconds=0.0) for name, result in results.items()}
        per_task.write_results(
            job, method, tasks, skipped, facts, folds={fold.name: list(fold.held_out) for fold in folds}
        )
    runs = {run.label: run for run in read_runs(job.run.path, "") if run.tasks}
    methods = {str(run.facts.method): run for run in runs.values()}
    job.reporter.line()
    if methods:
        show_table(job.reporter.console, (glue_table if kind == "glue" else group_table)(methods))
    job.reporter.line(f"results  {job.run.path}/*/{job.run.results.name}; next to the paper's results: metaeval report")


def notes_of(job: Job, folds: Sequence[Fold]) -> list[str]:
    """Return notes for readers of the results: about removed rows, and about z that stayed near its start."""
    notes = [
        "Training rows that contain a text of the held-out tasks' evaluation splits were "
        + ("kept." if job.config.decontaminate == "no" else f"removed ({job.config.decontaminate}).")
    ]
    for fold in folds:
        for file in sorted((job.run.path / "train" / fold.name).glob(f"*/{RESULTS}")):
            name = f"{fold.name}/{file.parent.name}"
            cosines = [task.cos_z_z0 for task in read_results(file, name).tasks.values()]
            if None not in cosines:
                warning = check_start_cosines(np.array(cosines), name, force=True)
                notes += [warning] if warning else []
    return notes


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that are not settings of TrainConfig."""
    parser.add_argument(
        "--held-out", nargs="+", metavar="TASK", default=argparse.SUPPRESS,
        help=f"tasks and groups to hold out together (default: glue), or {GROUPS}: each group once",
    )  # fmt: skip
    parser.add_argument(
        "--folds", type=int, metavar="N", default=argparse.SUPPRESS,
        help="number of folds for --held-out groups; 0: one per group (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=argparse.SUPPRESS, help="methods to compare (default: all)"
    )
    parser.add_argument(
        "--full-lr", type=float, metavar="RATE", default=argparse.SUPPRESS,
        help=f"learning rate of full fine-tuning (default: {FULL_LR:g}; see docs/recipe.md for MiniLM)",
    )  # fmt: skip


def check(options: Mapping[str, Any]) -> None:
    """Check what argparse cannot.

    Raises:
        ConfigError: an option is out of range.
    """
    if options["folds"] < 0:
        raise ConfigError(f"--folds must be at least 0, got {options['folds']}")
    if not 0 < options["full_lr"] < float("inf"):
        raise ConfigError(f"--full-lr must be above 0, got {options['full_lr']}")


SCRIPT = Script(
    "zero-shot",
    __doc__,
    SETTINGS,
    {"name": "zero_shot", "decontaminate": "sentences"},
    {"held_out": ["glue"], "folds": 0, "methods": list(METHODS), "full_lr": FULL_LR},
    add_options,
    check,
)


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, train, answer and report; return the exit code."""
    return per_task.launch(per_task.parse(SCRIPT, argv), work)
