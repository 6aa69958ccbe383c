"""The section that checks the paper's claims in our runs: each claim with our difference and its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from metaeval_hub.report import zero_shot
from metaeval_hub.report.document import Section, Shown
from metaeval_hub.report.inputs import Inputs
from metaeval_hub.report.paper_tables import TITLES
from metaeval_hub.results import paper
from metaeval_hub.results.comparison import Comparison, compare
from metaeval_hub.results.intervals import INTERVALS, mean_interval
from metaeval_hub.results.schema import RunResult
from metaeval_hub.results.tables import Column, Table

# (better, worse) of table 1
ORDER = (
    ("pilault", "full"), ("pilault", "mahabadi"), ("pilault", "adapter"), ("full", "adapter"), ("pilault", "textemb"),
    ("pilault", "fisher"),
)  # fmt: skip
ZERO_SHOT = (
    ("aware_aspects", "same_type_full"), ("ridge_aspects", "same_type_mean"), ("ridge_aspects", "majority"),
)  # fmt: skip


def claims(inputs: Inputs, compared: Comparison | Exception | None, tables: Mapping[str, Table]) -> Section:
    """Return the section with the claims that our runs can check.

    Args:
        inputs: inputs of the report.
        compared: comparison of the runs of table 1; an error or None if there is none.
        tables: stem -> table of the report.
    """
    records = [*_of_table_1(inputs, compared), *_of_stability(tables), *_of_probing(tables), *_of_zero_shot(inputs)]
    columns = (
        *(Column("claim", "claim"), Column("paper", "paper", "points"), Column("ours", "ours", "points")),
        *(
            Column("interval", "95 % interval"),
            Column("p", "p", "p"),
            Column("count", "over"),
            Column("verdict", "verdict"),
        ),
    )
    notes = (
        f"Differences in percentage points of accuracy or rate, paired by task. Intervals: {INTERVALS}; they do not "
        "cover other seeds, sizes or encoders.",
        "A claim with an interval holds if the whole interval is above 0, and fails if it is below 0. A claim with a p "
        "holds if p is at most 0.05 and our difference is above 0. Otherwise the claim is not settled.",
        f"The {len(records)} claims are not corrected for multiple tests: one in twenty would hold or fail by chance.",
    )
    table = Table("The paper's claims in these runs", columns, tuple(records), notes)
    nothing = "These runs cannot check any of the paper's claims."
    return Section("Where the paper's claims hold", (Shown("claims", table),) if records else (nothing,))


def _of_table_1(inputs: Inputs, compared: Comparison | Exception | None) -> list[dict[str, Any]]:
    records = []
    for better, worse in ORDER:
        if isinstance(compared, Comparison) and {better, worse} <= set(compared.labels):
            runs = [replace(run, label=key) for key in (better, worse) for run in inputs.compared[key]]
            tasks = list(compared.tasks)
            (summary,) = (each for each in compare(_on(runs, tasks), reference=worse).summaries if each.label == better)
            claim = f"{TITLES[better]} above {TITLES[worse]}"
            of_paper = paper.TABLE_1[better] - paper.TABLE_1[worse]
            ours = float(summary.difference or 0.0)
            records.append(_record(claim, of_paper, ours, summary.difference_interval, f"{len(tasks)} tasks"))
    return records


def _on(runs: Sequence[RunResult], tasks: Sequence[str]) -> list[RunResult]:
    """Restrict runs to the given tasks."""
    return [replace(run, tasks={task: run.tasks[task] for task in tasks}) for run in runs]


def _of_zero_shot(inputs: Inputs) -> list[dict[str, Any]]:
    """Return the zero-shot claims, over the same tasks as the averages of the zero-shot tables."""
    records = []
    for held_out, methods in inputs.zero_shot.items():
        is_glue = held_out == "glue"
        tasks = zero_shot.answered(methods, paper.GLUE if is_glue else None)
        for better, worse in ZERO_SHOT:
            if not tasks or not {better, worse} <= set(methods):
                continue
            both = [[zero_shot.accuracy(methods[key], task) for task in tasks] for key in (better, worse)]
            ours = [own - other for own, other in zip(*both, strict=True) if own is not None and other is not None]
            known = [zero_shot.paper_average(key, tasks) if is_glue else None for key in (better, worse)]
            of_paper = None if None in known else known[0] - known[1]  # type: ignore[operator]
            where = "on GLUE" if is_glue else "on every group"
            claim = f"zero-shot {where}: {zero_shot.TITLES[better]} above {zero_shot.TITLES[worse]}"
            records.append(_record(claim, of_paper, sum(ours) / len(ours), mean_interval(ours), f"{len(tasks)} tasks"))
    return records


def _record(
    claim: str, of_paper: float | None, ours: float, interval: tuple[float, float] | None, count: str
) -> dict[str, Any]:
    verdict = "not settled"
    if interval is not None and interval[0] > 0:
        verdict = "holds"
    elif interval is not None and interval[1] < 0:
        verdict = "fails"
    shown = None if interval is None else f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}"
    return {"claim": claim, "paper": of_paper, "ours": ours, "interval": shown, "count": count, "verdict": verdict}


def _of_stability(tables: Mapping[str, Table]) -> list[dict[str, Any]]:
    """Return the claims that stability is above its chance level."""
    records = []
    for stem, text in (("table2", "stability within a run"), ("table3", "stability across runs")):
        if stem in tables:
            facts = tables[stem].facts
            gains = [rate - facts["chance"] for rate in facts["rates"].values()]
            claim = f"{text} above chance"
            records.append(_record(claim, None, sum(gains) / len(gains), mean_interval(gains), f"{len(gains)} tasks"))
    return records


def _of_probing(tables: Mapping[str, Table]) -> list[dict[str, Any]]:
    """Return the claims on probes, by permutation tests, also with each group of tasks left out as a whole."""
    if "table4" not in tables:
        return []
    records = []
    of_ours = {each["features"]: each for each in tables["table4"].records if each["source"] == "ours"}
    across = {each["features"]: each for each in tables["table4_groups"].records} if "table4_groups" in tables else {}
    for features, aspect, text in (
        ("latent z", "task_type", "z predicts the task type"),
        ("latent z", "domain_cluster", "z predicts the domain"),
        ("TextEmb", "domain_cluster", "TextEmb predicts the domain"),
        ("Fisher", "task_type", "Fisher predicts the task type"),
    ):
        record = of_ours.get(features)
        if record is None or record.get(f"{aspect}_p") is None:
            continue
        of_paper = paper.TABLE_4[features][aspect] - paper.TABLE_4["majority"][aspect]
        ours = record[aspect] - of_ours["majority"][aspect]
        count = len(tables["table4"].facts["tasks"])
        claim = f"{text}: accuracy above the majority class"
        records.append(_tested(claim, of_paper, ours, record[f"{aspect}_p"], count))
        if aspect in (left_out := across.get(features, {})):
            ours = left_out[aspect] - left_out[f"{aspect}_chance"]
            count = tables["table4_groups"].facts["counted"][aspect]
            claim = f"{text} of left-out groups: accuracy above chance"
            records.append(_tested(claim, None, ours, left_out[f"{aspect}_p"], count))
    return records


def _tested(claim: str, of_paper: float | None, ours: float, p_value: float, tasks: int) -> dict[str, Any]:
    """Return the record of a claim that a permutation test decides."""
    verdict = "holds" if p_value <= 0.05 and ours > 0 else "not settled"
    return {
        "claim": claim,
        "paper": of_paper,
        "ours": ours,
        "p": p_value,
        "count": f"{tasks} tasks",
        "verdict": verdict,
    }
