"""What was run: the runs of the report, and what differs from the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metaeval_hub.report.document import Block, Section, Shown
from metaeval_hub.report.inputs import Inputs
from metaeval_hub.report.paper_tables import title_of
from metaeval_hub.results import paper
from metaeval_hub.results.schema import RunResult, Setting
from metaeval_hub.results.tables import Column, Table


def overview(inputs: Inputs, places: Sequence[str]) -> Section:
    """The runs, and what differs from the paper's."""
    rows = []
    for key, run in inputs.runs:
        cosines = [row.cos_z_z0 for row in run.tasks.values() if row.cos_z_z0 is not None]
        rows.append(
            {
                "method": title_of(key),
                **_run_row(run, places),
                "tasks": len(run.tasks),
                "train_rows": sum(row.rows["train"].kept for row in run.tasks.values() if "train" in row.rows),
                "trained": _trained(run),
                "moved": sum(cosines) / len(cosines) if cosines else None,
                "minutes": None if run.facts.seconds is None else run.facts.seconds / 60,
            }
        )
    experiments = [next(iter(each.values())) for each in inputs.zero_shot.values() if each]
    experiments += [each[0] for each in inputs.few_shot.values() if each]
    for run in experiments:
        row = {**_run_row(run, places), "run": run.path.parent.parent.name}
        rows.append({"method": str(run.facts.experiment).replace("_", "-"), **row})
    columns = (
        *(Column("method", "method"), Column("run", "run"), Column("encoder", "encoder")),
        *(Column("tasks", "tasks", "count"), Column("train_rows", "training rows", "count")),
        *(Column("trained", "trained with"), Column("seed", "seed", "count"), Column("moved", "cos(z, z0)", "number")),
        *(Column("minutes", "minutes", "minutes"), Column("commit", "commit")),
    )
    notes = (
        "cos(z, z0): mean cosine of z with its random start; near 1, z holds nothing. Minutes: of training and "
        "evaluation, on whatever machine a run was made. Rows and minutes of zero-shot and few-shot runs are in their "
        "folders.",
        *_analysed(inputs),
    )
    table = Table("Runs of this report", columns, tuple(rows), notes, {"runs": list(places)})
    blocks: list[Block] = [Shown("runs", table)] if rows else []
    blocks.append("\n".join(f"- {line}" for line in differences(inputs)))
    return Section("What was run, and how it differs from the paper", tuple(blocks))


def _run_row(run: RunResult, places: Sequence[str]) -> dict[str, Any]:
    """What is said of every run: its folder, below the one that was given where it is one of several in there."""
    folder = run.path.parent
    within = any(Path(place) == folder for place in places)
    return {
        "run": folder.name if within else f"{folder.parent.name}/{folder.name}",
        "encoder": run.facts.encoder,
        "seed": run.facts.seed,
        "commit": (run.facts.commit or "")[:10],
    }


def _trained(run: RunResult) -> str | None:
    """What a method was trained with, a few words; None where nothing was trained by gradients."""
    config = run.facts.settings
    if not config.get("batch_size"):
        return None
    rates: set[Setting] = {row.rate for row in run.tasks.values() if row.rate is not None}
    rates = rates or {config.get("adapter_lr")}
    units = config.get("adapter_size") if _has_units(run) else None
    words = [f"{units} units"] if units else []
    words += [f"rate {rate:g}" for rate in rates if isinstance(rate, (int, float)) and len(rates) == 1]
    words.append(f"batches of {config['batch_size']}")
    words.append(f"{config['steps']} steps" if config.get("steps") else f"{config.get('epochs', 0):g} passes")
    return ", ".join(words)


def _has_units(run: RunResult) -> bool:
    """Whether a run trained adapters."""
    return "full" not in (run.facts.method, run.facts.settings.get("conditioning"))


def _analysed(inputs: Inputs) -> list[str]:
    """Which runs the analyses of z are of, where they are not of all."""
    chosen = [*inputs.single, *inputs.several]
    others = [run.name for run in inputs.embedded if run not in chosen]
    if not others:
        return []
    return [
        f"Figures 3 to 5 and tables 2 to 4 are of {', '.join(run.name for run in chosen)}; not of {', '.join(others)}, "
        "whose method, settings or tasks are others, or whose seed another run has."
    ]


def differences(inputs: Inputs) -> list[str]:
    """What a reader has to keep in mind when the paper's numbers stand beside ours, a sentence each."""
    runs = [run for _, run in inputs.runs]
    lines = [
        f"The paper's figures are for RoBERTa-base on its 101 tasks, whole ({paper.CITATION}, section 5.1: 128 tokens, "
        "at most 30,000 training rows a task, one epoch multitask and three single-task)."
    ]
    encoders = sorted({run.facts.encoder for run in runs if run.facts.encoder})
    counts = sorted({len(run.tasks) for run in runs})
    if runs:
        lines.append(f"Ours: encoder {', '.join(encoders) or 'unknown'}; {_span(counts)} tasks a run.")
    for key, words in (
        ("max_train_rows", "at most {} training rows a task"),
        ("max_eval_rows", "at most {} rows of validation and of test"),
        ("max_length", "{} tokens"),
        ("edition", "the {} edition of the tasks"),
    ):
        found = sorted({str(value) for run in runs if (value := run.facts.settings.get(key)) not in (None, 0)})
        if found:
            lines.append(f"Ours: {words.format(' or '.join(found))}.")
    if inputs.partial:
        lines.append(
            f"Of {len(inputs.partial)} tasks the source here had fewer rows than the whole task has, so that their "
            "splits are not the task's own; the table of accuracies by task says what they lack."
        )
    if inputs.left_out:
        listed = ", ".join(f"{name} ({why})" for name, why in sorted(inputs.left_out.items()))
        lines.append(f"Left out: {listed}.")
    return lines


def _span(counts: Sequence[int]) -> str:
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
