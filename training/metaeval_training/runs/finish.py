"""Finish a trained multitask run: write and show its model, card, results and task map, and push it."""

from __future__ import annotations

from dataclasses import replace

from metaeval_hub.results.schema import RunFacts
from metaeval_training.config import TrainConfig
from metaeval_training.runs.continued import stored_model
from metaeval_training.runs.folder import RunFolder, command_line
from metaeval_training.runs.lifecycle import DONE, NOT_PUSHED, Session
from metaeval_training.runs.prepared import Prepared, Trained
from metaeval_training.runs.provenance import describe_results
from metaeval_training.runs.pushing import push_run
from metaeval_training.runs.reporter import Reporter, duration, results_table
from metaeval_training.runs.results import start_cosines, summarise
from metaeval_training.runs.write_model import write_model


def finish(config: TrainConfig, run: RunFolder, prepared: Prepared, trained: Trained, reporter: Reporter) -> None:
    """Write the model, the task embeddings, the map and the results; show the results and their paths."""
    model = prepared.model.eval()
    cosines = None if trained.start is None else start_cosines(trained.start, model.task_embeddings)
    tasks = summarise(prepared.tasks, trained.scores, cosines, trained.finished)
    facts = RunFacts(
        steps=trained.steps,
        parameters={str(role): size for role, size in model.trained_numbers().items()},
        projection_ratio=model.conditioning.projection_ratio() if model.config.has_task_embeddings else None,
        seed=config.seed,
    )
    results = describe_results(
        tasks, facts, config.to_dict(), trained.device, prepared.skipped, encoder=model.base.to_dict(),
        timing=trained.timing, examples=trained.examples, processes=trained.processes,
    )  # fmt: skip
    features = prepared.features and replace(prepared.features, cosine_with_start=cosines)
    stored, features = stored_model(config, model, features)
    write_model(stored, run, tasks, features, config.seed)
    run.write_json(run.results, results)  # last, because a run with results counts as finished
    reporter.console.print(results_table(tasks))
    _show_paths(run, reporter)
    _show_speed(trained, reporter)


def _show_paths(run: RunFolder, reporter: Reporter) -> None:
    written = {
        "model": run.model,
        "task embeddings": run.task_embeddings,
        "results": run.results,
        "task map": run.task_map,
        "checkpoints": run.checkpoints,
    }
    for name, path in written.items():
        if path.exists():
            reporter.line(f"{name:16} {path}")


def _show_speed(trained: Trained, reporter: Reporter) -> None:
    timing = trained.timing
    reporter.line(
        f"{trained.steps:,} steps in {duration(timing.training)} "
        f"({timing.examples_per_second(trained.examples):.0f} examples/s), data {duration(timing.data)}, "
        f"evaluation {duration(timing.evaluation)}"
    )


def push(session: Session, run: RunFolder, config: TrainConfig) -> int:
    """Push a finished run and return the exit code."""
    if push_run(run, config, session.reporter):
        return DONE
    command = f"{session.resume_command(run)} {command_line('--push-to-hub', config.push_to_hub)}"
    session.reporter.line(f"the run is complete in {run.path}; push it later with: {command}")
    return NOT_PUSHED
