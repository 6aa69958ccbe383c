"""One training job from settings to results: what training/multitask.py runs, section after section."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import transformers
from accelerate import Accelerator
from accelerate.utils import broadcast
from numpy.typing import NDArray
from safetensors import SafetensorError

from metaeval_datasets import UnknownTaskError, get_task
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig, TaskEmbeddings
from metaeval_hub.analysis.plots import draw_map
from metaeval_hub.analysis.projection import project
from metaeval_hub.model.core import Role
from metaeval_hub.task_data.origins import TaskOrigin
from metaeval_hub.task_data.task_features import TaskFeatures
from metaeval_training.atomic_files import DamagedFileError, member, read_object, sync_tree
from metaeval_training.config import CommandLine, ConfigError, TrainConfig, check_resume, flag
from metaeval_training.data.cache import DataCache, default_folder
from metaeval_training.data.encoding import TaskData, encode_tasks
from metaeval_training.data.rows import DataError, RowChoice, TaskRows, expand_tasks, load_tasks, texts
from metaeval_training.data.sampling import BatchPlan, MixedPlan, OneTaskPlan, count_batches, task_probabilities
from metaeval_training.engine.checkpoint import newest_checkpoint, remove_parts
from metaeval_training.engine.evaluation import start_cosines, summarise
from metaeval_training.engine.loop import Interrupted, Progress, StopRequest, Trainer, TrainingError
from metaeval_training.runs.folder import (
    RunError,
    RunFolder,
    available_cores,
    check_output_dir,
    command_line,
    find_run,
    git_state,
    new_run,
    unfinished_run,
    versions,
)
from metaeval_training.runs.lock import locked, owner
from metaeval_training.runs.process import (
    LAUNCHED,
    asked_threads,
    exit_code,
    handle_signals,
    launcher_gone,
    steady_output,
    stop_at_once,
)
from metaeval_training.runs.pushing import CheckpointPusher, prepare_pushing, push_run
from metaeval_training.runs.reporter import Reporter, duration, results_table
from metaeval_training.runs.results import card_results, mean
from metaeval_training.runs.tracking import Tracking, check_tracker
from metaeval_training.vectors.encoder_features import open_encoder
from metaeval_training.vectors.task_features import measure_tasks, read_vectors, text_embeddings

ASPECTS = "aspects"  # the value of --task-features that is no folder
DONE, FAILED, NOT_PUSHED = 0, 1, 3  # exit codes; 2 is wrong usage, 128 + n a stop by signal n


def run_job(command: CommandLine) -> int:
    """Train as the command line asks; returns the exit code. What goes wrong is told in a line, not in a trace."""
    with steady_output(), handle_signals(stop_at_once), ExitStack() as held:
        try:
            return _run_job(command, Reporter(main=is_main()), held)
        except KeyboardInterrupt as stopped:  # once more, while the first one was being told
            return exit_code(stopped)


def is_main() -> bool:
    """Whether this is the process that writes, as far as that is known before the processes have found each other."""
    return os.environ.get("RANK", "0") == "0"


def _run_job(command: CommandLine, reporter: Reporter, held: ExitStack) -> int:
    run: RunFolder | None = None
    try:
        config, run = open_run(command)
        if is_main() and run is None:
            check_output_dir(Path(config.output_dir))  # before minutes are spent on the data
        elif is_main() and run is not None and not run.has_results:
            held.enter_context(locked(run.path, reporter.warn))
        if run and run.has_results:
            reporter.line(f"{run.path} is finished; its results are in {run.results}")
            return push(run, config, reporter) if "push_to_hub" in command.flags else DONE
        accelerator = start_accelerator(config)
        check_tracker(config)
        if config.push_to_hub:
            prepare_pushing(config, reporter)
        reporter.line(describe_machine(config, accelerator))
        material = prepare(config, accelerator, reporter)
        run = run or make_run(config, accelerator, reporter, held)
        return train_and_report(config, run, material, accelerator, reporter, command.resume is not None)
    except Interrupted as interrupted:
        name = signal.Signals(interrupted.signal).name
        cause = "the end of its launcher" if launcher_gone() else name
        reporter.warn(f"stopped by {cause} after step {interrupted.step}; a checkpoint was written. Go on with:")
        reporter.line(f"  {resume_command(run)}")
        return exit_code(interrupted)
    except KeyboardInterrupt as stopped:
        reporter.warn("interrupted")
        if run:
            reporter.line(f"go on with: {resume_command(run)}")
        return exit_code(stopped)
    except (ConfigError, RunError, DataError, TrainingError, DamagedFileError) as error:
        reporter.error(str(error))
        return FAILED
    except (OSError, SafetensorError) as error:
        reporter.error(f"{type(error).__name__}: {error}")
        if run:
            reporter.line(f"what was written is in {run.path}; go on with: {resume_command(run)}")
        return FAILED


def resume_command(run: RunFolder | None) -> str:
    """The command that goes on with a run, for a shell: launched as this process was."""
    launcher = ["accelerate", "launch"] if LAUNCHED else ["python"]
    local = os.environ.get("LOCAL_WORLD_SIZE", "1")
    if local != "1" and local == os.environ.get("WORLD_SIZE"):
        launcher = ["torchrun", "--standalone", "--nproc_per_node", local]
    # not sys.argv: training/zero_shot.py runs this job, too
    script = Path(os.path.relpath(Path(__file__).parents[2] / "multitask.py"))
    return command_line(*launcher, script, "--resume", *([run.path] if run else []))


def open_run(command: CommandLine) -> tuple[TrainConfig, RunFolder | None]:
    """The settings, and the folder of the run where it exists already.

    Raises:
        RunError, ConfigError: there is no such run, or its settings differ from the flags.
    """
    if command.resume is None:
        return command.config, None
    run, stored = find_run(command.resume, Path(command.config.output_dir), command.config.name)
    return check_resume(stored, command.flags), run


def start_accelerator(config: TrainConfig) -> Accelerator:
    """Set up processes, threads, precision and reproducible arithmetic.

    Raises:
        RunError: the launcher was asked for several processes and started one.
        ConfigError: the batch is smaller than the number of processes, or the device lacks the precision.
    """
    asked_for_several = "ACCELERATE_MIXED_PRECISION" in os.environ and "MASTER_PORT" in os.environ
    if asked_for_several and not {"WORLD_SIZE", "RANK", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE"} & os.environ.keys():
        raise RunError(
            "`accelerate launch` was asked for several processes and started one, as it does without several GPUs; "
            "start them with: torchrun --standalone --nproc_per_node N training/multitask.py ..."
        )
    # Without cpu=True processes on a CPU would not find each other, and each would train by itself.
    try:
        accelerator = Accelerator(mixed_precision=config.mixed_precision, cpu=default_device_type() == "cpu")
    except ValueError as error:  # the device does not have this precision
        raise ConfigError(f"--mixed-precision {config.mixed_precision}: {error}") from error
    expected = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != expected:
        raise RunError(f"the launcher started {expected} processes, and {accelerator.num_processes} take part")
    if config.batch_size < accelerator.num_processes:
        raise ConfigError(
            f"--batch-size {config.batch_size} is over all processes together; there are {accelerator.num_processes}"
        )
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(config.threads or asked_threads() or max(available_cores() // local, 1))
    set_arithmetic(config, accelerator.device.type)
    if accelerator.device.type == "cpu":
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    transformers.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    logging.getLogger("metaeval_datasets").setLevel(logging.ERROR)  # what it warns of is in each task's report
    return accelerator


def set_arithmetic(config: TrainConfig, device_type: str) -> None:
    """Choose how matrices are multiplied, for this process.

    On a CPU, anything but the highest precision lets torch multiply by oneDNN, which is faster for products of whole
    batches and slower for the small ones within fused attention: there attention is made of whole products, too.
    """
    torch.set_float32_matmul_precision(config.matmul_precision)
    exact = config.matmul_precision == "highest" and config.mixed_precision == "no"
    torch.backends.cuda.enable_flash_sdp(device_type != "cpu" or exact)  # despite its name this is of CPUs, too


def describe_machine(config: TrainConfig, accelerator: Accelerator) -> str:
    """One line: processes, device, threads, precision."""
    count, threads = accelerator.num_processes, torch.get_num_threads()
    return (
        f"{count} process{'es' * (count > 1)} on {accelerator.device.type}, "
        f"{threads} thread{'s' * (threads > 1)}{' each' * (count > 1)}, precision {describe_precision(config)}"
        + ("" if config.matmul_precision == "highest" else f", products of {config.matmul_precision} precision")
    )


def make_run(config: TrainConfig, accelerator: Accelerator, reporter: Reporter, held: ExitStack) -> RunFolder:
    """Make the folder of a new run on the main process, and tell all processes where it is; ``held`` gets its lock."""
    output_dir = Path(config.output_dir)
    number = torch.zeros(1, dtype=torch.int64, device=accelerator.device)
    if accelerator.is_main_process:
        before = unfinished_run(output_dir, config.name)
        if before and not owner(before.path):
            reporter.line(f"{before.path} is unfinished; to go on with it: {resume_command(before)}")
        run = new_run(output_dir, config.name)
        held.enter_context(locked(run.path, reporter.warn))
        run.write_json(run.config, config.to_dict())
        number[0] = int(run.path.name.rsplit("-", 1)[1])
    if accelerator.num_processes > 1:
        number = broadcast(number)
    return RunFolder(output_dir / f"{config.name}-{int(number)}")


def describe_precision(config: TrainConfig) -> str:
    """Name the number format: "fp32", "bf16" or "fp16"."""
    return "fp32" if config.mixed_precision == "no" else config.mixed_precision


@dataclass(frozen=True)
class Material:
    """What a run trains on: encoded tasks, why tasks were left out, the untrained model; and the seconds it took."""

    tasks: list[TaskData]
    skipped: dict[str, str]
    model: ConditionalAdapterModel
    features: TaskFeatures | None
    seconds: float


def prepare(config: TrainConfig, accelerator: Accelerator, reporter: Reporter) -> Material:
    """Load the tasks, make the model, tokenise.

    Raises:
        DataError, ConfigError: tasks or the encoder cannot be had.
    """
    started = time.monotonic()
    cache = data_cache(config)
    rows, skipped = load_rows(config, accelerator, reporter, cache)
    waits = config.task_features == ASPECTS  # the model is made of what its encoder's words say of the texts
    model = None if waits else make_model(config, rows, vectors=given_vectors(config, rows))
    encoder = open_encoder(config, texts(rows)) if model is None else None
    tokenizer = model.tokenizer if model is not None else encoder.tokenizer  # type: ignore[union-attr]
    module = model.encoder if model is not None else encoder.module  # type: ignore[union-attr]
    with accelerator.local_main_process_first(), reporter.progress("tokenising", len(rows)) as display:
        done = iter(range(len(rows)))
        tasks = encode_tasks(
            rows, tokenizer, config.max_length, cache, on_task=lambda name: display.update(next(done), name)
        )
        words = module.get_input_embeddings().weight.detach().float().cpu().numpy()
        features = measure_tasks(rows, tasks, words, tokenizer, cache)
        if features is not None and config.text_emb:
            features = replace(features, texts=text_embeddings(tasks, module, tokenizer))
    if model is None:
        if features is None:
            raise ConfigError(f"--task-features {ASPECTS} compares tasks, and there is one: {rows[0].name}")
        vectors = dict(zip([task.name for task in rows], features.code(), strict=True))
        model = make_model(config, rows, vectors=vectors)
    if cache.problem:
        reporter.warn(
            f"nothing could be kept for other runs in {cache.folder}: {cache.problem}; "
            f"{flag('cache_dir')} names another folder"
        )
    return Material(tasks, skipped, model, features, time.monotonic() - started)


def train_and_report(
    config: TrainConfig,
    run: RunFolder,
    material: Material,
    accelerator: Accelerator,
    reporter: Reporter,
    resumed: bool,
) -> int:
    """Train, evaluate, save, show, push; returns the exit code.

    Raises:
        Interrupted, RunError, TrainingError: as the parts raise them.
    """
    started = time.monotonic()
    model = material.model
    start = model.task_embeddings if model.config.has_task_embeddings else None  # z0
    if accelerator.is_main_process:
        facts = {
            **describe_data(material.tasks, material.skipped, model), "processes": accelerator.num_processes,
            "threads": torch.get_num_threads(),
        }  # fmt: skip
        check_or_write_data(run, facts, resumed, reporter)
        if start is not None:
            start.save(run.start_embeddings)
    plan = make_plan(config, material.tasks)
    reporter.line(f"run {run.path}: {describe_job(config, material.tasks, material.skipped, plan, model)}")
    pushing: AbstractContextManager[CheckpointPusher | None] = nullcontext()
    if config.push_every_checkpoint and accelerator.is_main_process:
        pushing = CheckpointPusher(config.push_to_hub, config.private, run.waiting, reporter.line)
    with pushing as pusher:
        trained = train(config, run, material, plan, accelerator, reporter, resumed, pusher)
        if not accelerator.is_main_process:
            return DONE
        report(config, run, material, trained, start, accelerator, reporter, time.monotonic() - started)
    return push(run, config, reporter) if config.push_to_hub else DONE


@dataclass(frozen=True)
class Trained:
    """What training came to: how far it went, scores by task and split, and how long scoring took."""

    progress: Progress
    found: dict[str, dict[str, dict[str, float]]]
    evaluation_seconds: float


def train(
    config: TrainConfig,
    run: RunFolder,
    material: Material,
    plan: BatchPlan,
    accelerator: Accelerator,
    reporter: Reporter,
    resumed: bool,
    pusher: CheckpointPusher | None,
) -> Trained:
    """Train from the start or from the newest checkpoint, and score the model."""
    tasks, model = material.tasks, material.model
    model.to(accelerator.device)

    def on_checkpoint(step: int) -> None:
        if pusher is not None:
            pusher.push(model, step)

    with StopRequest() as stop, Tracking(accelerator, reporter) as tracking:
        trainer = Trainer(
            model, tasks, plan, config, run, accelerator, reporter, stop, tracking.log, on_checkpoint
        )  # fmt: skip
        if resumed:
            go_on(trainer, run, accelerator, reporter)
        tracking.start(config, run, trainer.progress.step)
        trainer.fit()
        began = time.monotonic()
        with reporter.progress("evaluating", len(tasks)) as display:

            def on_task(done: int) -> None:
                if stop.signal:
                    raise Interrupted(stop.signal, trainer.progress.step)
                display.update(done)

            found = trainer.evaluate(("validation", "test"), on_task)
        for split in ("validation", "test"):
            accuracy = mean(scores[split]["accuracy"] for scores in found.values() if split in scores)
            if accuracy is not None:
                tracking.log({f"{split}/accuracy": accuracy}, trainer.progress.step)
    return Trained(trainer.progress, found, time.monotonic() - began)


def report(
    config: TrainConfig,
    run: RunFolder,
    material: Material,
    trained: Trained,
    start: TaskEmbeddings | None,
    accelerator: Accelerator,
    reporter: Reporter,
    seconds: float,
) -> None:
    """Write the model, the task embeddings, the map and the results, and show them.

    ``start`` are the task embeddings before training, None where the method has none; ``seconds`` is what training and
    evaluation took this process.
    """
    model, progress = material.model.eval(), trained.progress
    cosines = None if start is None else start_cosines(start, model.task_embeddings)
    results = {
        **summarise(material.tasks, trained.found, cosines),
        "skipped": material.skipped,
        "steps": progress.step,
        "examples": progress.examples,
        "seconds": {
            "data": material.seconds, "training": progress.seconds, "evaluation": trained.evaluation_seconds,
            "this_process": material.seconds + seconds,
        },
        "examples_per_second": progress.examples / max(progress.seconds, 1e-9),
        "processes": accelerator.num_processes,
        "threads": torch.get_num_threads(),
        "device": device_name(accelerator.device),
        "encoder": model.base.to_dict(),
        "parameters": model.trained_numbers(),
        "seed": config.seed,
        "config": config.to_dict(),
        "versions": versions(),
        "git": git_state(),
    }  # fmt: skip
    if material.features is not None:  # set on the model, so that they are pushed with it
        model.features = replace(material.features, cosine_with_start=cosines)
    model.save_pretrained(run.model, results=card_results(results))
    drawn = False
    if start is not None:
        model.task_embeddings.save(run.task_embeddings)
        drawn = draw_task_map(model, run, config)
    sync_tree(run.model)
    run.write_json(run.results, results)  # last: it says that the run is finished
    reporter.console.print(results_table(results))
    report_paths(run, start is not None, drawn, results, reporter)


def push(run: RunFolder, config: TrainConfig, reporter: Reporter) -> int:
    """Push a finished run; returns the exit code."""
    if push_run(run, config, reporter):
        return DONE
    command = f"{resume_command(run)} {command_line('--push-to-hub', config.push_to_hub)}"
    reporter.line(f"the run is complete in {run.path}; push it later with: {command}")
    return NOT_PUSHED


def data_cache(config: TrainConfig) -> DataCache:
    """Where the run finds and keeps tokens."""
    return DataCache(Path(config.cache_dir) if config.cache_dir else default_folder())


def row_choice(config: TrainConfig) -> RowChoice:
    """The rows that the settings ask for."""
    return RowChoice(config.edition, config.max_train_rows, config.max_eval_rows, config.rows_seed)


def load_rows(
    config: TrainConfig, accelerator: Accelerator, reporter: Reporter, cache: DataCache
) -> tuple[list[TaskRows], dict[str, str]]:
    """Load the tasks, on one process of each machine first, so that the others find them in the cache."""
    try:
        held_out = expand_tasks(config.held_out)
        names = [name for name in expand_tasks(config.tasks) if name not in held_out]
    except UnknownTaskError as error:
        raise ConfigError(f"--tasks, --held-out: {error}") from error
    if not names:
        raise ConfigError("--held-out leaves none of the --tasks")
    with accelerator.local_main_process_first(), reporter.progress("loading tasks", len(names)) as display:
        done = iter(range(len(names)))
        tasks, skipped = load_tasks(
            names,
            row_choice(config),
            decontaminate=config.decontaminate,
            held_out=held_out,
            skip_unavailable=config.skip_unavailable,
            cache=cache,
            on_task=lambda name: display.update(next(done), name),
            on_split=lambda task, split: display.update(len(names), f"comparing texts: {task} {split}"),
        )
    for name, reason in skipped.items():
        reporter.warn(f"left out {name}: {shorten(reason)}")
    notes = (
        ("have rows from another source than their first", [task for task in tasks if task.origin["passed_over"]]),
        ("lack a part that their source should have", [task for task in tasks if task.origin["missing"]]),
    )
    for note, concerned in notes:
        if concerned:
            reporter.line(
                f"{len(concerned)} tasks {note} (see data.json): {shorten(', '.join(t.name for t in concerned))}"
            )
    dropped = {task.name: task.left_out for task in tasks if task.left_out}
    if dropped:
        most = sorted(dropped, key=lambda name: -dropped[name])
        told = ", ".join(f"{name} {dropped[name]:,}" for name in most)
        what = "whole texts" if config.decontaminate == "whole" else "texts or sentences"
        reporter.line(
            f"left out {sum(dropped.values()):,} training rows of {len(dropped)} tasks, whose {what} are in evaluation "
            f"splits (see data.json): {shorten(told)}"
        )
    return tasks, skipped


def shorten(text: str, most: int = 150) -> str:
    """One line of at most so many characters; data.json and results.json keep the whole text."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 3] + "..."


def make_model(
    config: TrainConfig,
    rows: Sequence[TaskRows],
    vocabulary: Iterable[str] | None = None,
    vectors: Mapping[str, NDArray[np.floating]] | None = None,
) -> ConditionalAdapterModel:
    """The untrained model for these tasks.

    Args:
        config: of the run.
        rows: the tasks.
        vocabulary: texts whose words the tokenizer of "tiny" is to know; default: those of the tasks.
        vectors: task -> vector that z is made of, alone or beside what is learned, as the settings say.

    Raises:
        ConfigError: the encoder cannot be had, or does not take the settings.
    """
    options: dict[str, Any] = {"revision": config.encoder_revision} if config.encoder_revision else {}
    if config.encoder == "tiny":
        options["vocabulary"] = texts(rows) if vocabulary is None else vocabulary
    try:
        return ConditionalAdapterModel.create(
            config.encoder,
            labels={task.name: task.labels for task in rows},
            config=ConditionalConfig(
                conditioning=config.conditioning,
                adapter_size=config.adapter_size,
                dim_z=config.dim_z,
                pooling=config.pooling,
                max_length=config.max_length,
                encoder_dropout=config.encoder_dropout,
                embeddings_per_task=config.embeddings_per_task,
                z_from="features" if config.conditioning_vectors else "both" if config.task_features else "table",
            ),
            fields={task.name: len(task.text_columns) for task in rows},
            origins={task.name: TaskOrigin.of_report(task.origin) for task in rows},
            task_features=vectors,
            label_vectors={task.name: canonical_labels(task) for task in rows} if config.share_labels else None,
            seed=config.seed,
            **options,
        )
    except (ValueError, ImportError, OSError) as error:
        raise ConfigError(f"--encoder {config.encoder}: {error}") from error


def given_vectors(config: TrainConfig, rows: Sequence[TaskRows]) -> Mapping[str, NDArray[np.float32]] | None:
    """The vectors of the tasks that the settings name a folder of; None where they name none.

    Raises:
        ConfigError: they cannot be read, or a task has none.
    """
    for name in ("conditioning_vectors", "task_features"):
        folder = getattr(config, name)
        if folder and folder != ASPECTS:
            return read_vectors(folder, [task.name for task in rows], flag(name))
    return None


def canonical_labels(task: TaskRows) -> tuple[str, ...]:
    """The names that the classes of a task share with those of other tasks."""
    return get_task(task.name).edition(task.edition).canonical


def describe_data(tasks: Sequence[TaskData], skipped: dict[str, str], model: ConditionalAdapterModel) -> dict[str, Any]:
    """What a run stands on: its tasks with the digests of their rows, and the encoder."""
    return {
        "tasks": {
            task.name: {
                "labels": list(task.labels),
                "rows": {
                    split: {"kept": len(task.splits[split]), "available": available}
                    for split, available in task.available.items()
                },
                "left_out": task.left_out,
                "digests": {split: rows.digest() for split, rows in task.splits.items()},
            }
            for task in tasks
        },
        "origins": {task.name: task.origin for task in tasks},
        "skipped": skipped,
        "encoder": model.base.to_dict(),
        "versions": versions(),
        "git": git_state(),
    }


def check_or_write_data(run: RunFolder, facts: dict[str, Any], resumed: bool, reporter: Reporter) -> None:
    """Store what the run stands on; for a resumed run, check that it is the same as when it was started.

    Other versions of libraries or of this code, or another number of processes, are told: the run then goes on, and
    may end with other bits.

    Raises:
        RunError: tasks or rows are others than when the run was started, or the encoder is.
        DamagedFileError: what was stored is damaged.
    """
    if not (resumed and run.data.exists()):
        run.write_json(run.data, facts)
        return
    before = read_object(run.data)
    for name in ("tasks", "encoder", "versions", "git"):
        member(before, name, dict, run.data)
    names = before["tasks"].keys() | facts["tasks"].keys()
    changed = sorted(name for name in names if before["tasks"].get(name) != facts["tasks"].get(name))
    if changed:
        raise RunError(
            f"{run.path} cannot go on: {len(changed)} tasks have other rows or labels than when it was started, or are "
            f"missing: {', '.join(changed[:5])}{', ...' * (len(changed) > 5)}. Start a new run"
        )
    if before["encoder"].get("sha256") != facts["encoder"]["sha256"]:
        raise RunError(
            f"{run.path} cannot go on: the encoder {facts['encoder']['id']} has other weights than when it was started "
            f"(revision {before['encoder'].get('revision')} then, {facts['encoder']['revision']} now). Start a new run"
        )
    counts = ("processes", "threads")
    then, now = (
        {**f["versions"], "commit": f["git"].get("commit"), **{name: f[name] for name in counts if name in f}}
        for f in (before, facts)
    )
    moved = [f"{name} {then[name]} then, {now[name]} now" for name in now if then.get(name, now[name]) != now[name]]
    if moved:
        reporter.warn(f"the run was started otherwise, and may end with other bits: {'; '.join(moved)}")


def make_plan(config: TrainConfig, tasks: Sequence[TaskData]) -> BatchPlan:
    """The batches of the run. An epoch has the steps that one pass over each task would need."""
    rows = [len(task.train) for task in tasks]
    if config.step == "mixed":
        an_epoch = count_batches(sum(rows), config.batch_size)
    else:
        an_epoch = sum(count_batches(count, config.batch_size) for count in rows)
    plan = MixedPlan if config.step == "mixed" else OneTaskPlan
    return plan(
        [task.name for task in tasks],
        [task.train.lengths for task in tasks],
        task_probabilities(rows, config.sampling, config.temperature),
        steps=config.steps or max(round(config.epochs * an_epoch), 1),
        seed=config.seed,
        batch_size=config.batch_size,
        bucket_batches=config.bucket_batches,
    )


def describe_job(
    config: TrainConfig,
    tasks: Sequence[TaskData],
    skipped: dict[str, str],
    plan: BatchPlan,
    model: ConditionalAdapterModel,
) -> str:
    """One line: tasks, rows, steps, sizes."""
    kept = sum(len(task.train) for task in tasks)
    available = sum(task.available["train"] for task in tasks)
    left_out = f" ({len(skipped)} left out)" if skipped else ""
    of_all = "" if kept == available else f" of {available:,}"
    sizes = model.trained_numbers()
    names: dict[Role, str] = {
        "adapter": "the encoder" if config.conditioning == "full" else "adapters", "map": "maps of z",
        "projection": "the projection", "task_embedding": "z", "head": "heads",
    }  # fmt: skip
    return (
        f"{len(tasks)} tasks{left_out}, {kept:,}{of_all} training rows, {len(plan):,} steps of {config.batch_size}; "
        f"encoder {config.encoder}, trained numbers: "
        + ", ".join(f"{size:,} in {names[role]}" for role, size in sizes.items() if size)
    )


def go_on(trainer: Trainer, run: RunFolder, accelerator: Accelerator, reporter: Reporter) -> None:
    """Put a stopped run back to its newest whole checkpoint; without one it starts again."""
    checkpoint, torn = newest_checkpoint(run.checkpoints)
    for message in torn:
        reporter.warn(f"torn checkpoint passed over: {message}")
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        for part in remove_parts(run.checkpoints):
            reporter.warn(f"removed {part}: a checkpoint that was being written when the run was killed")
    if checkpoint:
        trainer.resume(checkpoint)  # before anything of the run is changed: it may refuse
    if accelerator.is_main_process:
        run.cut_metrics(checkpoint.step if checkpoint else 0)
    if checkpoint:
        reporter.line(f"going on after step {checkpoint.step}")
    else:
        reporter.line("no whole checkpoint: starting again from step 0")


def draw_task_map(model: ConditionalAdapterModel, run: RunFolder, config: TrainConfig) -> bool:
    """Draw the task embeddings as a map, where there are enough tasks; returns whether it was drawn."""
    embeddings = model.task_embeddings
    if len(embeddings) < 3 or config.dim_z < 2:
        return False
    name = run.path.name.replace("$", r"\$")  # else matplotlib reads a formula
    draw_map(
        project(embeddings, "pca", config.seed),
        embeddings.names,
        {name: get_task(name).type.value for name in embeddings.names},
        run.task_map,
        title=f"Task embeddings of {name}: PCA of z ({len(embeddings)} tasks, seed {config.seed})",
    )
    return True


def report_paths(run: RunFolder, has_z: bool, drawn: bool, results: dict[str, Any], reporter: Reporter) -> None:
    """Say what was written where, and how long it took."""
    written = [("model", run.model)]
    if has_z:
        written.append(("task embeddings", run.task_embeddings))
    written.append(("results", run.results))
    if drawn:
        written.append(("task map", run.task_map))
    written.append(("checkpoints", run.checkpoints))
    for what, path in written:
        reporter.line(f"{what:16} {path}")
    seconds = results["seconds"]
    reporter.line(
        f"{results['steps']:,} steps in {duration(seconds['training'])} "
        f"({results['examples_per_second']:.0f} examples/s), data {duration(seconds['data'])}, "
        f"evaluation {duration(seconds['evaluation'])}"
    )


def default_device_type() -> str:
    """Say what torch computes on here: "cuda", "mps", ..., or "cpu" where there is no accelerator."""
    found = torch.accelerator.current_accelerator() if hasattr(torch, "accelerator") else None  # torch 2.6 and later
    return found.type if found is not None else "cuda" if torch.cuda.is_available() else "cpu"


def device_name(device: torch.device) -> str:
    """Name the device: "cpu", or the model of the accelerator."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
