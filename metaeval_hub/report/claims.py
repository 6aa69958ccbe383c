"""The section that checks the paper's claims in our runs: each claim with our difference, its interval and its p."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from metaeval_hub.report import zero_shot
from metaeval_hub.report.document import Section, Shown
from metaeval_hub.report.inputs import Inputs
from metaeval_hub.report.paper_tables import TITLES
from metaeval_hub.results import paper
from metaeval_hub.results.comparison import Comparison
from metaeval_hub.results.intervals import INTERVALS, group_of, holm, mean_interval, mean_p_value
from metaeval_hub.results.tables import Column, Table
from metaeval_hub.results.task_marks import Without, mean_of_others, means_without

LEVEL = 0.05  # largest adjusted p at which a claim holds or fails
# (better, worse) of table 1
ORDER = (
    ("pilault", "full"), ("pilault", "mahabadi"), ("pilault", "adapter"), ("full", "adapter"), ("pilault", "textemb"),
    ("pilault", "fisher"),
)  # fmt: skip
ZERO_SHOT = (
    ("aware_aspects", "same_type_full"), ("ridge_aspects", "same_type_mean"), ("ridge_aspects", "majority"),
)  # fmt: skip
CIRCULAR = ("TextEmb", "domain_cluster")


def claims(inputs: Inputs, compared: Comparison | Exception | None, tables: Mapping[str, Table]) -> Section:
    """Return the section with the claims that our runs can check.

    Args:
        inputs: inputs of the report.
        compared: comparison of the runs of table 1; an error or None if there is none.
        tables: stem -> table of the report.
    """
    encoders = {run.facts.encoder for _, run in inputs.runs}
    encoders |= {run.facts.encoder for methods in inputs.zero_shot.values() for run in methods.values()}
    encoders |= set(compared.encoders) if isinstance(compared, Comparison) else set()
    found = [
        *_of_table_1(compared, encoders),
        *_of_stability(tables, encoders),
        *_of_probing(tables),
        *_of_zero_shot(inputs, encoders),
    ]
    records = _with_verdicts(found)
    further = {each.key: each for record in records for each in record.pop("further", ())}
    columns = (
        *(Column("claim", "claim"), Column("paper", "paper", "points"), Column("ours", "ours", "points")),
        *(Column("interval", "95 % interval"), Column("inside", "paper's effect inside our interval")),
        *(Column(each.key, each.title, "points") for each in further.values()),
        *(Column("p", "p", "p"), Column("p_adjusted", "p, adjusted", "p")),
        *(Column("count", "over"), Column("verdict", "verdict")),
    )
    notes = (
        f"Differences in percentage points of accuracy or rate, paired by task. Intervals: {INTERVALS}; they do not "
        "cover other seeds, sizes or encoders. Intervals are not adjusted.",
        "p: of a claim with an interval, two-sided, by the same bootstrap or t-test; of a claim on a probe, by "
        f"permutation. p, adjusted: for the {len(records)} claims of this table (Holm 1979).",
        f"A claim holds if its adjusted p is at most {LEVEL} and our difference is above 0; a claim with an interval "
        "fails if the difference is below 0 instead. Otherwise the claim is not settled.",
        *_resolution(tables, len(records)),
        *(each.note for each in further.values()),
    )
    table = Table("The paper's claims in these runs", columns, tuple(records), notes)
    nothing = "These runs cannot check any of the paper's claims."
    return Section("Where the paper's claims hold", (Shown("claims", table),) if records else (nothing,))


def _with_verdicts(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the p-values adjusted over all records, and the verdicts by them."""
    adjusted = holm([record["p"] for record in records])
    found = []
    for record, p_value in zip(records, adjusted, strict=True):
        verdict = "not settled"
        if p_value is not None and p_value <= LEVEL and record["ours"] > 0:
            verdict = "holds"
        elif p_value is not None and p_value <= LEVEL and record["interval"] is not None and record["ours"] < 0:
            verdict = "fails"
        found.append({**record, "p_adjusted": p_value, "verdict": verdict})
    return found


def _resolution(tables: Mapping[str, Table], count: int) -> list[str]:
    """Return a note if no permutation test can hold after the adjustment, with the permutations that it would need."""
    permutations = tables["table4"].facts["permutations"] if "table4" in tables else None
    if permutations is None or count / (1 + permutations) <= LEVEL:
        return []
    return [
        f"With {permutations} permutations, the smallest p is {1 / (1 + permutations):.3f}, so the first of {count} "
        f"tests cannot hold by it: use --permutations {int(count / LEVEL)}."
    ]


def _of_table_1(compared: Comparison | Exception | None, encoders: Iterable[str | None]) -> list[dict[str, Any]]:
    if not isinstance(compared, Comparison):
        return []
    values = {label: compared.values[:, column] for column, label in enumerate(compared.labels)}
    records = []
    for better, worse in ORDER:
        if {better, worse} <= values.keys():
            claim = f"{TITLES[better]} above {TITLES[worse]}"
            of_paper = paper.TABLE_1[better] - paper.TABLE_1[worse]
            differences = (values[better] - values[worse]).tolist()
            records.append(_measured(claim, of_paper, dict(zip(compared.tasks, differences, strict=True)), encoders))
    return records


def _of_zero_shot(inputs: Inputs, encoders: Iterable[str | None]) -> list[dict[str, Any]]:
    """Return the zero-shot claims, over the same tasks as the averages of the zero-shot tables."""
    records = []
    for held_out, methods in inputs.zero_shot.items():
        is_glue = held_out == "glue"
        tasks = zero_shot.answered(methods, paper.GLUE if is_glue else None)
        for better, worse in ZERO_SHOT:
            if not tasks or not {better, worse} <= set(methods):
                continue
            own, other = ({task: zero_shot.accuracy(methods[key], task) for task in tasks} for key in (better, worse))
            ours = {task: (own[task] or 0.0) - (other[task] or 0.0) for task in tasks}
            known = [zero_shot.paper_average(key, tasks) if is_glue else None for key in (better, worse)]
            of_paper = None if None in known else known[0] - known[1]  # type: ignore[operator]
            where = "on GLUE" if is_glue else "on every group"
            claim = f"zero-shot {where}: {zero_shot.TITLES[better]} above {zero_shot.TITLES[worse]}"
            records.append(_measured(claim, of_paper, ours, encoders))
    return records


def _of_stability(tables: Mapping[str, Table], encoders: Iterable[str | None]) -> list[dict[str, Any]]:
    """Return the claims that stability is above its chance level."""
    records = []
    for stem, text in (("table2", "stability within a run"), ("table3", "stability across runs")):
        if stem in tables:
            facts = tables[stem].facts
            gains = {task: rate - facts["chance"] for task, rate in facts["rates"].items()}
            records.append(_measured(f"{text} above chance", None, gains, encoders))
    return records


def _measured(
    claim: str, of_paper: float | None, differences: Mapping[str, float], encoders: Iterable[str | None]
) -> dict[str, Any]:
    """Return the record of a claim that differences by task decide."""
    interval, further = mean_interval(differences), means_without(differences, encoders)
    inside = None
    if interval is not None and of_paper is not None:
        inside = "yes" if interval[0] <= of_paper <= interval[1] else "no"
    return {
        "claim": claim,
        "paper": of_paper,
        "ours": sum(differences.values()) / len(differences),
        "interval": None if interval is None else f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}",
        "inside": inside,
        **_means(differences, further),
        "p": mean_p_value(differences),
        "count": _count(differences),
        "further": further,
    }


def _means(differences: Mapping[str, float], further: Iterable[Without]) -> dict[str, float]:
    return {each.key: mean_of_others(differences, each) for each in further}


def _count(tasks: Iterable[str]) -> str:
    """Describe a set of tasks: "57 tasks, 22 groups"."""
    tasks = list(tasks)
    groups = len({group_of(task) for task in tasks})
    return f"{len(tasks)} task{'s' * (len(tasks) != 1)}, {groups} group{'s' * (groups != 1)}"


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
        tasks = tables["table4"].facts["tasks"]
        circular = "; circular, since both are made from the same texts" if (features, aspect) == CIRCULAR else ""
        claim = f"{text}: accuracy above the majority class{circular}"
        records.append(_tested(claim, of_paper, ours, record[f"{aspect}_p"], _count(tasks)))
        if aspect in (left_out := across.get(features, {})):
            ours = left_out[aspect] - left_out[f"{aspect}_chance"]
            count = tables["table4_groups"].facts["counted"][aspect]
            claim = f"{text} of left-out groups: accuracy above chance{circular}"
            records.append(_tested(claim, None, ours, left_out[f"{aspect}_p"], f"{count} tasks"))
    return records


def _tested(claim: str, of_paper: float | None, ours: float, p_value: float, count: str) -> dict[str, Any]:
    """Return the record of a claim that a permutation test decides."""
    return {"claim": claim, "paper": of_paper, "ours": ours, "interval": None, "p": p_value, "count": count}
