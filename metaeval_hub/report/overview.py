"""The section that lists the runs of the report and how they differ from the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metaeval_hub.report.deviations import deviations
from metaeval_hub.report.document import Block, Section, Shown
from metaeval_hub.report.inputs import Inputs
from metaeval_hub.report.paper_tables import title_of
from metaeval_hub.results import paper
from metaeval_hub.results.encoder_sources import labelled_sources, seen_tasks
from metaeval_hub.results.schema import RunResult, Setting
from metaeval_hub.results.tables import Column, Table
from metaeval_hub.results.task_marks import SEEN_MARK


def overview(inputs: Inputs, places: Sequence[str]) -> Section:
    """Return the section that lists the runs and how they differ from the paper's."""
    records = []
    for key, run in inputs.runs:
        results = run.tasks.values()
        cosines = [result.cos_z_z0 for result in results if result.cos_z_z0 is not None]
        records.append(
            {
                "method": title_of(key),
                **_run_record(run, places),
                "tasks": len(run.tasks),
                "train_rows": sum(result.rows["train"].kept for result in results if "train" in result.rows),
                "trained": _trained(run),
                "projection_ratio": run.facts.projection_ratio,
                "start_cosine": sum(cosines) / len(cosines) if cosines else None,
                "minutes": None if run.facts.seconds is None else run.facts.seconds / 60,
            }
        )
    experiments = [next(iter(each.values())) for each in inputs.zero_shot.values() if each]
    experiments += [each[0] for each in inputs.few_shot.values() if each]
    for run in experiments:
        shared = {**_run_record(run, places), "run": run.path.parent.parent.name}
        records.append({"method": str(run.facts.experiment).replace("_", "-"), **shared})
    columns = (
        *(Column("method", "method"), Column("run", "run"), Column("encoder", "encoder")),
        *(Column("tasks", "tasks", "count"), Column("train_rows", "training rows", "count")),
        *(
            Column("trained", "trained with"),
            Column("seed", "seed", "count"),
            Column("projection_ratio", "|W phi| / |z|", "number"),
            Column("start_cosine", "cos(z, z0)", "number"),
        ),
        *(Column("minutes", "minutes", "minutes"), Column("commit", "commit")),
    )
    notes = (
        "|W phi| / |z|: length of the features' part of a features-aware z, relative to the learned part. cos(z, z0): "
        "mean cosine of z with its random start; near 1, z has learned nothing. Minutes: time of training and "
        "evaluation; machines may differ between runs. Rows and minutes of zero-shot and few-shot runs are in "
        "their folders.",
        *_analysed(inputs),
    )
    table = Table("Runs of this report", columns, tuple(records), notes, {"runs": list(places)})
    blocks: list[Block] = [Shown("runs", table)] if records else []
    blocks.append("\n".join(f"- {line}" for line in differences(inputs)))
    blocks.append(Shown("deviations", deviations()))
    return Section("What was run, and how it differs from the paper", tuple(blocks))


def _run_record(run: RunResult, places: Sequence[str]) -> dict[str, Any]:
    """Return the values that the records of all runs have; the name includes the folder that contains several runs."""
    folder = run.path.parent
    within = any(Path(place) == folder for place in places)
    return {
        "run": folder.name if within else f"{folder.parent.name}/{folder.name}",
        "encoder": run.facts.encoder,
        "seed": run.facts.seed,
        "commit": (run.facts.commit or "")[:10],
    }


def _trained(run: RunResult) -> str | None:
    """Describe the training settings of a method in a few words; return None if it was not trained by gradients."""
    config = run.facts.settings
    if not config.get("batch_size"):
        return None
    rates: set[Setting] = {result.rate for result in run.tasks.values() if result.rate is not None}
    rates = rates or {config.get("adapter_lr")}
    units = config.get("adapter_size") if _has_units(run) else None
    words = [f"{units} units"] if units else []
    words += [f"rate {rate:g}" for rate in rates if isinstance(rate, (int, float)) and len(rates) == 1]
    words.append(f"batches of {config['batch_size']}")
    words.append(f"{config['steps']} steps" if config.get("steps") else _passes(config.get("epochs", 0)))
    if config.get("private_rank"):
        words.append(f"private parts of rank {config['private_rank']}: {_passes(config.get('private_epochs', 0))}")
    return ", ".join([*words, "refitted classifiers"] if config.get("refit") else words)


def _passes(count: Setting) -> str:
    return f"{count:g} pass{'es' * (count != 1)}"


def _has_units(run: RunResult) -> bool:
    """Return whether a run trained adapters."""
    return "full" not in (run.facts.method, run.facts.settings.get("conditioning"))


def _analysed(inputs: Inputs) -> list[str]:
    """Return a sentence that lists the runs in the analyses of z, unless all runs are in them."""
    chosen = [*inputs.single, *inputs.several]
    others = [run.name for run in inputs.embedded if run not in chosen]
    if not others:
        return []
    return [
        f"Figures 3 to 5 and tables 2 to 4 analyse {', '.join(run.name for run in chosen)}. They leave out "
        f"{', '.join(others)}, because the method, settings or tasks differ or another run has the same seed."
    ]


def differences(inputs: Inputs) -> list[str]:
    """Return sentences on how the setup of the runs differs from the paper's."""
    runs = [run for _, run in inputs.runs]
    lines = [
        *_supervision(inputs),
        f"The paper's numbers are for RoBERTa-base on all of its 101 tasks ({paper.CITATION}, section 5.1: 128 tokens, "
        "at most 30,000 training rows per task, one epoch multitask and three single-task).",
    ]
    encoders = sorted({run.facts.encoder for run in runs if run.facts.encoder})
    counts = sorted({len(run.tasks) for run in runs})
    if runs:
        lines.append(f"Ours: encoder {', '.join(encoders) or 'unknown'}; {_span(counts)} tasks per run.")
    for key, words in (
        ("max_train_rows", "at most {} training rows per task"),
        ("max_eval_rows", "at most {} rows of validation and of test"),
        ("max_length", "{} tokens"),
        ("edition", "the {} edition of the tasks"),
    ):
        found = sorted({str(value) for run in runs if (value := run.facts.settings.get(key)) not in (None, 0)})
        if found:
            lines.append(f"Ours: {words.format(' or '.join(found))}.")
    if inputs.partial:
        lines.append(
            f"The sources of {len(inputs.partial)} tasks had fewer rows than the full task, so their splits differ "
            "from the official ones; the table of accuracies by task shows what is missing."
        )
    if inputs.left_out:
        listed = ", ".join(f"{name} ({why})" for name, why in sorted(inputs.left_out.items()))
        lines.append(f"Left out: {listed}.")
    return lines


def _supervision(inputs: Inputs) -> list[str]:
    """Return a sentence for each encoder that was trained on labelled data of tasks."""
    runs = [run for _, run in inputs.runs]
    runs += [run for methods in inputs.zero_shot.values() for run in methods.values()]
    runs += [run for each in inputs.few_shot.values() for run in each]
    lines = []
    for encoder in dict.fromkeys(run.facts.encoder for run in runs):
        if not (sources := labelled_sources(encoder)):
            continue
        names = ", ".join(f"{source.name} ({source.use})" for source in sources)
        tasks = ", ".join(sorted(seen_tasks([encoder])))
        lines.append(
            f"The encoder {encoder} has seen supervision: it was trained on labelled pairs of {names}. Zero-shot and "
            f"few-shot results on {tasks} are therefore not clean, and the encoder is not of the paper's kind, which "
            f"is trained without labels. Tables mark these tasks with {SEEN_MARK} and also show means without them."
        )
    return lines


def _span(counts: Sequence[int]) -> str:
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
