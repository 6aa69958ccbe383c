"""Finish a trained multitask run: write and show its model, card, results and task map, and push it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from metaeval_datasets import get_task
from metaeval_hub import ConditionalAdapterModel, TaskEmbeddings
from metaeval_hub.analysis.plots import draw_map
from metaeval_hub.analysis.projection import project
from metaeval_training.atomic_files import sync_tree
from metaeval_training.config import TrainConfig
from metaeval_training.runs.folder import RunFolder, command_line
from metaeval_training.runs.lifecycle import DONE, NOT_PUSHED, Session
from metaeval_training.runs.prepare import Prepared
from metaeval_training.runs.provenance import git_state, versions
from metaeval_training.runs.pushing import push_run
from metaeval_training.runs.reporter import Reporter, duration, results_table
from metaeval_training.runs.results import Scores, card_results, start_cosines, summarise


@dataclass(frozen=True)
class Trained:
    """The outcome of training.

    Attributes:
        scores: task -> split -> scores.
        start: task embeddings before training; None for a method without z.
        steps: of the run.
        examples: trained on, over all processes.
        seconds: "data", "training", "evaluation" and "this_process".
        processes: that trained together.
        device: name of the device of the main process.
    """

    scores: Mapping[str, Mapping[str, Scores]]
    start: TaskEmbeddings | None
    steps: int
    examples: int
    seconds: dict[str, float]
    processes: int
    device: str


def finish(config: TrainConfig, run: RunFolder, prepared: Prepared, trained: Trained, reporter: Reporter) -> None:
    """Write the model, the task embeddings, the map and the results; show the results and their paths."""
    model = prepared.model.eval()
    cosines = None if trained.start is None else start_cosines(trained.start, model.task_embeddings)
    results = {
        **summarise(prepared.tasks, trained.scores, cosines),
        "skipped": prepared.skipped,
        "steps": trained.steps,
        "examples": trained.examples,
        "seconds": trained.seconds,
        "examples_per_second": trained.examples / max(trained.seconds["training"], 1e-9),
        "processes": trained.processes,
        "threads": torch.get_num_threads(),
        "device": trained.device,
        "encoder": model.base.to_dict(),
        "parameters": model.trained_numbers(),
        "seed": config.seed,
        "config": config.to_dict(),
        "versions": versions(),
        "git": git_state(),
    }
    if prepared.features is not None:  # set on the model, so that they are pushed with it
        model.features = replace(prepared.features, cosine_with_start=cosines)
    model.save_pretrained(run.model, results=card_results(results))
    drawn = False
    if trained.start is not None:
        model.task_embeddings.save(run.task_embeddings)
        drawn = draw_task_map(model, run, config)
    sync_tree(run.model)
    run.write_json(run.results, results)  # last, because a run with results counts as finished
    reporter.console.print(results_table(results))
    _show_paths(run, trained.start is not None, drawn, results, reporter)


def draw_task_map(model: ConditionalAdapterModel, run: RunFolder, config: TrainConfig) -> bool:
    """Draw a map of the task embeddings if there are at least three tasks; return whether it was drawn."""
    embeddings = model.task_embeddings
    if len(embeddings) < 3 or config.dim_z < 2:
        return False
    name = run.path.name.replace("$", r"\$")  # otherwise matplotlib reads a formula
    draw_map(
        project(embeddings, "pca", config.seed),
        embeddings.names,
        {name: get_task(name).type.value for name in embeddings.names},
        run.task_map,
        title=f"Task embeddings of {name}: PCA of z ({len(embeddings)} tasks, seed {config.seed})",
    )
    return True


def _show_paths(run: RunFolder, has_z: bool, drawn: bool, results: dict[str, Any], reporter: Reporter) -> None:
    written = {
        "model": run.model,
        **({"task embeddings": run.task_embeddings} if has_z else {}),
        "results": run.results,
        **({"task map": run.task_map} if drawn else {}),
        "checkpoints": run.checkpoints,
    }
    for name, path in written.items():
        reporter.line(f"{name:16} {path}")
    seconds = results["seconds"]
    reporter.line(
        f"{results['steps']:,} steps in {duration(seconds['training'])} "
        f"({results['examples_per_second']:.0f} examples/s), data {duration(seconds['data'])}, "
        f"evaluation {duration(seconds['evaluation'])}"
    )


def push(session: Session, run: RunFolder, config: TrainConfig) -> int:
    """Push a finished run and return the exit code."""
    if push_run(run, config, session.reporter):
        return DONE
    command = f"{session.resume_command(run)} {command_line('--push-to-hub', config.push_to_hub)}"
    session.reporter.line(f"the run is complete in {run.path}; push it later with: {command}")
    return NOT_PUSHED
