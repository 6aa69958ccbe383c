"""Zero-shot classifiers on tasks that nothing was trained on (Sileo & Moens 2022, section 5.6, table 5).

    python training/zero_shot.py --held-out demo/office_nli demo/shop_reviews     # demo tasks: about ten minutes
    python training/zero_shot.py --preset small --tasks all --held-out glue       # table 5
    python training/zero_shot.py --preset small --tasks all --held-out groups --folds 5 --methods mean ridge_aspects
    python training/zero_shot.py --resume runs/zero_shot-1

Tasks are held out of training, and with them the training rows of others that hold a text or sentence of their
evaluation splits. Labels are shared by canonical name. A held-out task is described by its type, number of fields, size
and unlabelled training texts; its classes are answered by the label rows of the tasks that were trained.

majority          the most frequent class of its training rows, which only labels tell
supervised        full fine-tuning on its training rows, 3 epochs: what labels would give
same_type_full    full fine-tuning on all tasks of its type
mean              z is the mean of all tasks' z
same_type_mean    z is the mean of the z of the tasks of its type
ridge_aspects     z by ridge regression from aspects (eq. 3)
ridge_textemb     z by ridge regression from TextEmb
aware_aspects     z_i + W phi_i in training, phi the aspects; a training of its own
aware_textemb     the same with TextEmb; a training of its own

With --held-out groups every group of tasks is held out once, in --folds folds of whole groups. A task of which a class
has no trained row cannot be answered, and is named. What is done stays done when the run is stopped.

Exit codes: 0 done; 1 an error, told in one line; 2 wrong usage; 128 + n stopped by signal n
(130: Ctrl-C).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from sklearn.metrics import confusion_matrix

from metaeval_datasets import get_task
from metaeval_hub import ConditionalAdapterModel, TaskEmbeddings
from metaeval_hub.analysis.distance_from_start import check_start_cosines
from metaeval_hub.model.zero_shot import By
from metaeval_hub.report.zero_shot import glue_table, group_table
from metaeval_hub.results.run_results import read_runs
from metaeval_hub.results.terminal import show_table
from metaeval_training.atomic_files import read_object
from metaeval_training.commands import single_task
from metaeval_training.commands.held_out import HeldOut, describe, score
from metaeval_training.commands.multitask_job import data_cache, row_choice, run_job
from metaeval_training.config import CommandLine, ConfigError, TrainConfig
from metaeval_training.data.encoding import TaskData, encode_task
from metaeval_training.data.rows import expand_tasks, load_tasks
from metaeval_training.engine.evaluation import scores
from metaeval_training.runs import per_task as baselines
from metaeval_training.runs.folder import RunFolder
from metaeval_training.runs.per_task import Job, Script
from metaeval_training.runs.results import task_row

Method = Literal[
    "majority", "supervised", "same_type_full", "mean", "same_type_mean", "ridge_aspects", "ridge_textemb",
    "aware_aspects", "aware_textemb",
]  # fmt: skip
METHODS: tuple[Method, ...] = get_args(Method)
GROUPS = "groups"  # the value of --held-out that holds every group out once
EXPERIMENT = "zero_shot"
FULL_LR = single_task.RATES["full"]
HEAD_RATIO = 10.0  # of the classifier's learning rate, as training/single_task.py has it
# Settings that say what is trained are this script's own business.
SETTINGS = tuple(
    entry.name
    for entry in fields(TrainConfig)
    if entry.name
    not in ("held_out", "push_to_hub", "private", "conditioning_vectors", "task_features", "share_labels", "text_emb")
)


class StoppedError(Exception):
    """A training under this run did not finish; holds its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Fold:
    """What is held out at a time.

    Attributes:
        name: of its folder.
        held_out: task names.
        trained: task names.
    """

    name: str
    held_out: tuple[str, ...]
    trained: tuple[str, ...]


def make_folds(names: Sequence[str], held_out: Sequence[str], folds: int) -> list[Fold]:
    """The folds of an experiment.

    Args:
        names: all tasks.
        held_out: tasks and groups that make one fold; or "groups", for every group once.
        folds: how many the groups are dealt into, the largest first, each to the fold that has the fewest tasks; 0: a
            fold for each group.

    Raises:
        ConfigError: nothing would be held out, or nothing be left to train on.
    """
    if list(held_out) != [GROUPS]:
        chosen = expand_tasks(held_out)
        dealt = {"held_out": [name for name in names if name in chosen]}
        if not dealt["held_out"]:
            raise ConfigError(f"--held-out {' '.join(held_out)}: none of these is among the tasks")
    else:
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(name.split("/", 1)[0], []).append(name)
        if len(groups) < 2:
            raise ConfigError(f"--held-out groups: all tasks are of one group, {', '.join(groups)}; name tasks instead")
        dealt = groups
        if folds:
            dealt = {f"fold{number + 1}": [] for number in range(min(folds, len(groups)))}
            for tasks in sorted(groups.values(), key=lambda tasks: (-len(tasks), tasks)):
                min(dealt.values(), key=len).extend(tasks)
    made = []
    for fold, tasks in dealt.items():
        held = tuple(name for name in names if name in tasks)
        made.append(Fold(fold, held, tuple(name for name in names if name not in held)))
    if any(not fold.trained for fold in made):
        raise ConfigError("--held-out leaves no task to train on")
    return made


# --- Trainings ---


def train(job: Job, fold: Fold, kind: str, **changes: Any) -> Path:
    """A finished training of a fold: of before, gone on with, or new; returns its folder.

    Args:
        job: the run.
        fold: its tasks are trained on, unless ``changes`` say otherwise.
        kind: names the training.
        changes: settings that differ from those of the run.

    Raises:
        StoppedError: it did not finish; what went wrong was told.
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
    code = run_job(CommandLine(replace(job.config, **settings), {}, None if run is None else str(run.path)))
    finished = sorted(folder.glob(f"{kind}-*/results.json"))
    if code or not finished:
        raise StoppedError(code or baselines.FAILED)
    return finished[-1].parent


def open_model(job: Job, folder: Path) -> ConditionalAdapterModel:
    """The model of a training, on the run's device."""
    return ConditionalAdapterModel.from_pretrained(folder / "model").to(job.accelerator.device)


# --- Answers ---


def score_task(job: Job, model: ConditionalAdapterModel, task: HeldOut, name: str) -> dict[str, Any]:
    """The row of results.json of a task that was added to a model under ``name``."""
    data = encode_task(task.rows, model.tokenizer, job.config.max_length)
    return make_row(data, score(job, model, data, name, ("validation", "test")))


def make_row(data: TaskData, found: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """The row of results.json of one task."""
    labels = {split: rows.labels for split, rows in data.splits.items()}
    return task_row(labels, data.available, data.origin, len(data.labels), found)


def answer_all(
    job: Job, model: ConditionalAdapterModel, tasks: Sequence[HeldOut], add: Callable[[str, HeldOut], Any]
) -> dict[str, Any]:
    """Add each task to a model, score it and take it away again; a task with untrained classes gets the reason.

    Args:
        job: the run.
        model: trained without these tasks.
        tasks: held out.
        add: adds a task to the model under a name; may return what the prediction stands on.
    """
    shared = set(model.heads.shared)
    answers: dict[str, Any] = {}
    for task in tasks:
        untrained = sorted(set(task.labels.values()) - shared)
        if untrained:
            answers[task.rows.name] = {"unanswered": f"no trained label row for {', '.join(untrained)}"}
            continue
        name = f"held_out/{task.rows.name}"
        guess = add(name, task)
        answers[task.rows.name] = score_task(job, model, task, name)
        if guess is not None:
            nearest = [[other, round(cosine, 4)] for other, cosine in guess.nearest]
            answers[task.rows.name] |= {"nearest": nearest, "explained": guess.explained}
        model.remove_task(name)
    return answers


def by_z(job: Job, folder: Path, tasks: Sequence[HeldOut], by: By | None) -> dict[str, Any]:
    """Answers of a model with z: by a prediction of z, or (None) by the mean of all tasks' z."""
    model = open_model(job, folder)

    def add(name: str, task: HeldOut) -> Any:
        if by is not None:
            return model.zero_shot(name, task.description, task.labels, by=by).guess
        rows, mean = tuple(task.labels.values()), model.task_embeddings.centroids().values.mean(axis=0)
        model.add_task(name, task.rows.labels, mean, label_rows=rows, fields=task.description.fields)
        return None

    return answer_all(job, model, tasks, add)


def by_type(job: Job, fold: Fold, tasks: Sequence[HeldOut]) -> dict[str, Any]:
    """Answers of models that were fine-tuned on the tasks of one type."""
    answers: dict[str, Any] = {}
    for kind in sorted({task.description.type for task in tasks}):
        chosen = [task for task in tasks if task.description.type == kind]
        trained = tuple(name for name in fold.trained if get_task(name).type.value == kind)
        if not trained:
            answers |= {task.rows.name: {"unanswered": f"no other task is of type {kind}"} for task in chosen}
            continue
        lr = job.options["full_lr"]
        folder = train(
            job, fold, f"full-{kind}", tasks=trained, conditioning="full", adapter_lr=lr, head_lr=lr * HEAD_RATIO,
            embeddings_per_task=1,
        )  # fmt: skip
        model = open_model(job, folder)

        def add(name: str, task: HeldOut, model: ConditionalAdapterModel = model) -> None:
            rows = tuple(task.labels.values())
            model.add_task(name, task.rows.labels, label_rows=rows, fields=task.description.fields)

        answers |= answer_all(job, model, chosen, add)
    return answers


def by_majority(job: Job, tasks: Sequence[HeldOut]) -> dict[str, Any]:
    """Answers of the most frequent class of the training rows."""
    answers = {}
    for task in tasks:
        found: dict[str, dict[str, float]] = {}
        train_labels = np.asarray(task.rows.splits["train"]["label"][:])
        splits = {split: np.asarray(task.rows.splits[split]["label"][:]) for split in task.rows.splits}
        for split in ("validation", "test"):
            if split in splits:
                guess = np.full(len(splits[split]), np.bincount(train_labels).argmax())
                found[split] = scores(confusion_matrix(splits[split], guess, labels=range(len(task.rows.labels))))
        answers[task.rows.name] = task_row(splits, task.rows.available, task.rows.origin, len(task.rows.labels), found)
    return answers


def supervised(job: Job, tasks: Sequence[HeldOut]) -> dict[str, Any]:
    """Answers of one fine-tuned model a task, as training/single_task.py trains them."""
    options = {**single_task.SCRIPT.options, "head_ratio": HEAD_RATIO}
    config = replace(job.config, epochs=3.0, steps=0, batch_size=single_task.BATCH_SIZE, embeddings_per_task=1)
    vocabulary = list(baselines.all_texts(job.config)) if job.config.encoder == "tiny" else None
    answers: dict[str, Any] = {}
    for task in tasks:
        name = task.rows.name
        with job.reporter.progress(f"supervised {name}", 1) as display:
            result = single_task.train_one(
                replace(job, config=config, options=options), task.rows, "full", job.options["full_lr"], vocabulary,
                lambda note, display=display: display.update(0, note),  # type: ignore[misc]
            )  # fmt: skip
        answers[name] = result["row"] if "row" in result else {"unanswered": result["failed"]}
    return answers


def answer(job: Job, fold: Fold, method: Method, tasks: Sequence[HeldOut]) -> dict[str, Any]:
    """Answers of one method on the held-out tasks of a fold: task -> row, or why there is none.

    Raises:
        StoppedError: a training did not finish.
    """
    if method == "majority":
        return by_majority(job, tasks)
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
    """A finished training with TextEmb beside the learned z; the vectors are those that the first training measured."""
    features = open_model(job, table).features
    assert features is not None  # noqa: S101 - the first training was asked for both
    assert features.texts is not None  # noqa: S101
    vectors = TaskEmbeddings(features.names, features.texts).save(job.run.path / "train" / fold.name / "textemb")
    return train(job, fold, "aware-textemb", task_features=str(vectors), text_emb=True)


# --- The run ---


def work(job: Job) -> int:
    """Answer all held-out tasks by all methods, write and show the results; returns the exit code."""
    names = baselines.task_names(job.config)
    folds = make_folds(names, job.options["held_out"], job.options["folds"])
    methods: list[Method] = job.options["methods"]
    found: dict[str, dict[str, Any]] = {method: {} for method in methods}
    skipped: dict[str, str] = {}
    for fold in folds:
        tasks, failed = hold_out(job, fold)
        skipped |= failed
        for method in methods:
            file = job.run.path / "answers" / fold.name / f"{method}.json"
            stored = job.run.read_sealed(file)
            if stored is None:
                try:
                    stored = answer(job, fold, method, tasks)
                except StoppedError as stopped:
                    job.reporter.line(f"go on with: {baselines.resume_command(job.run)}")
                    return stopped.code
                file.parent.mkdir(parents=True, exist_ok=True)
                job.run.write_sealed(file, stored)
                job.reporter.line(f"fold {fold.name}: {method} answered {_told(stored)}")
            found[method] |= stored
    write(job, folds, found, skipped)
    return baselines.DONE


def hold_out(job: Job, fold: Fold) -> tuple[list[HeldOut], dict[str, str]]:
    """The held-out tasks of a fold that can be loaded and scored, and why others cannot."""
    config = job.config
    rows, failed = load_tasks(
        fold.held_out, row_choice(config), skip_unavailable=config.skip_unavailable, cache=data_cache(config)
    )
    unscored = {task.name: "neither a validation nor a test split" for task in rows if len(task.splits) < 2}
    return [describe(task) for task in rows if task.name not in unscored], {**failed, **unscored}


def _told(answers: Mapping[str, Any]) -> str:
    scored = [row["test"]["accuracy"] for row in answers.values() if row.get("test")]
    mean = f", mean test accuracy {100 * np.mean(scored):.1f}" if scored else ""
    return f"{len(scored)} of {len(answers)} tasks{mean}"


def write(job: Job, folds: Sequence[Fold], found: Mapping[str, Mapping[str, Any]], skipped: Mapping[str, str]) -> None:
    """Write a results.json for each method, and show the table."""
    held_out = {name for fold in folds for name in fold.held_out}
    kind = "glue" if all(name.startswith("glue/") for name in held_out) else GROUPS
    notes = notes_of(job, folds)
    for method, answers in found.items():
        rows = {name: {**row, "seconds": 0.0} for name, row in answers.items() if "unanswered" not in row}
        unanswered = {name: row["unanswered"] for name, row in answers.items() if "unanswered" in row}
        facts = {
            "experiment": EXPERIMENT, "held_out": kind, "notes": notes, "unanswered": unanswered,
            "folds": {fold.name: list(fold.held_out) for fold in folds},
        }  # fmt: skip
        (job.run.path / method).mkdir(exist_ok=True)
        baselines.write_results(job, method, rows, skipped, facts)
    runs = {run.label: run for run in read_runs(job.run.path, "") if run.tasks}
    methods = {str(run.facts.method): run for run in runs.values()}
    job.reporter.line()
    if methods:
        show_table(job.reporter.console, (glue_table if kind == "glue" else group_table)(methods))
    job.reporter.line(f"results  {job.run.path}/*/{job.run.results.name}; beside the paper's: metaeval report")


def notes_of(job: Job, folds: Sequence[Fold]) -> list[str]:
    """What a reader has to know of the trainings: rows left out, and z that has not moved."""
    notes = [
        "Training rows that hold a text of the held-out tasks' evaluation splits were "
        + ("kept." if job.config.decontaminate == "no" else f"left out ({job.config.decontaminate}).")
    ]
    for fold in folds:
        for file in sorted((job.run.path / "train" / fold.name).glob("*/results.json")):
            cosines = [row["cos_z_z0"] for row in read_object(file)["tasks"].values()]
            if None not in cosines:
                warning = check_start_cosines(np.array(cosines), f"{fold.name}/{file.parent.name}", force=True)
                notes += [warning] if warning else []
    return notes


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that are no settings."""
    parser.add_argument(
        "--held-out", nargs="+", metavar="TASK", default=argparse.SUPPRESS,
        help=f"tasks and groups held out together (default: glue), or {GROUPS}: every group once",
    )  # fmt: skip
    parser.add_argument(
        "--folds", type=int, metavar="N", default=argparse.SUPPRESS,
        help="folds that the groups are dealt into; 0: one for each (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=argparse.SUPPRESS, help="what answers (default: all)"
    )
    parser.add_argument(
        "--full-lr", type=float, metavar="RATE", default=argparse.SUPPRESS,
        help=f"learning rate of full fine-tuning (default: {FULL_LR:g}; docs/recipe.md has the best one for MiniLM)",
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
    __doc__,
    SETTINGS,
    {"name": "zero_shot", "decontaminate": "sentences"},
    {"held_out": ["glue"], "folds": 0, "methods": list(METHODS), "full_lr": FULL_LR},
    add_options,
    check,
)


def main(argv: list[str] | None = None) -> int:
    """Parse, train, answer, report; returns the exit code."""
    return baselines.launch(baselines.parse(SCRIPT, argv), work)
