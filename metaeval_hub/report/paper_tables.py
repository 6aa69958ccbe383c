"""Tables 1 to 4 of the report. Each function returns a section with the table, or with the runs that are missing."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from metaeval_hub.analysis import probing as probes
from metaeval_hub.analysis.embedded_runs import EmbeddedRun
from metaeval_hub.analysis.prediction import prediction
from metaeval_hub.analysis.stability import stability_across, stability_within
from metaeval_hub.analysis.task_titles import type_title
from metaeval_hub.report.document import Block, Missing, Section, Shown
from metaeval_hub.report.inputs import NORM, OTHER, OWN, PRIVATE, REFITTED, Inputs, without_variant
from metaeval_hub.results import paper
from metaeval_hub.results.comparison import Comparison, ComparisonError, Summary, compare
from metaeval_hub.results.comparison_tables import remarks
from metaeval_hub.results.intervals import INTERVALS, group_of
from metaeval_hub.results.schema import RunResult
from metaeval_hub.results.tables import Column, Table
from metaeval_hub.results.task_marks import mean_of_others, seen_note
from metaeval_hub.results.terminal import ShowStep, show_nothing
from metaeval_hub.task_data.task_embeddings import TaskEmbeddings

TITLES: Mapping[str, str] = {
    "majority": "majority class",
    "full": "full fine-tuning, one model per task",
    "adapter": "adapter, one per task",
    "mahabadi": "conditional adapter (Mahabadi)",
    "pilault": "conditional adapter (Pilault)",
    "textemb": "z = TextEmb",
    "fisher": "z = Fisher",
    "layernorm": "conditional adapter (LayerNorm)",
    "shared_adapter": "one adapter for all tasks, no z",
    "shared_full": "multitask full fine-tuning",
    "tfidf": "TF-IDF, logistic regression",
    "cls": "linear probe of the encoder's [CLS]",
    "mean": "linear probe of the encoder's mean",
}
COMMANDS: Mapping[str, str] = {
    "full": "python training/single_task.py --preset small --tasks all --methods full",
    "adapter": "python training/single_task.py --preset small --tasks all --methods adapter",
    "mahabadi": "accelerate launch training/multitask.py --preset small --tasks all --conditioning mahabadi",
    "pilault": "accelerate launch training/multitask.py --preset small --tasks all --conditioning pilault",
    "textemb": "python training/task_vectors.py textemb --preset small --tasks all\n"
    "accelerate launch training/multitask.py --preset small --tasks all "
    "--conditioning-vectors runs/textemb-1/textemb",
    "fisher": "python training/task_vectors.py fisher --preset small --tasks all\n"
    "accelerate launch training/multitask.py --preset small --tasks all "
    "--conditioning-vectors runs/fisher-1/full/fisher",
}
SEEDS = "for seed in 0 1 2; do accelerate launch training/multitask.py --preset small --tasks all --seed $seed{}; done"


def title_of(key: str) -> str:
    """Return the display title of a method's key; see ``metaeval_hub.report.inputs``."""
    found, other, changes = key.partition(OTHER)
    method = without_variant(found)
    return TITLES.get(method, method) + found[len(method) :] + (f"{OTHER}{changes}" if other else "")


def paper_key(key: str) -> str:
    """Return the key of the paper's method that a method of ours is a variant of; the key itself if it is none."""
    found = without_variant(key)
    added = any(sign in key for sign in (OTHER, PRIVATE, REFITTED))
    return key if added or found not in paper.TABLE_1 else found


def reference_of(labels: Collection[str]) -> str | None:
    """Return the method that the others are compared with; None for the first.

    It is the paper's conditional adapter, or else a variant of it, or else full fine-tuning.
    """
    variants = [key for key in labels if without_variant(key) == "pilault"]
    return next((key for key in ("pilault", *variants, "full") if key in labels), None)


def numbered(stem: str, number: int) -> str:
    """Return the file stem of a table for a group of runs that share tasks; later groups get a number."""
    return f"{stem}_{number + 1}" if number else stem


def other_tasks(number: int) -> str:
    """Return the suffix of a title for a group of runs that share tasks; empty for the first group."""
    return f" (runs on other tasks, {number + 1})" if number else ""


# --- Table 1 ---


def compare_methods(inputs: Inputs) -> Comparison | ComparisonError | None:
    """Compare all runs of table 1 on their shared tasks; return the error if this fails, or None without runs."""
    runs = [replace(run, label=key) for key, each in inputs.compared.items() for run in each]
    labels = [run.label for run in runs]
    try:
        return compare(runs, reference=reference_of(labels)) if runs else None
    except ComparisonError as error:
        return error


def table_1(inputs: Inputs, found: Comparison | ComparisonError | None, number: int = 0) -> Section:
    """Return the section that compares the accuracy of the methods with the paper's.

    Args:
        inputs: one group of runs that share tasks.
        found: comparison of these runs.
        number: number of the group, from 0; only the first lists missing runs.
    """
    title = "Table 1: test accuracy of the methods" + other_tasks(number)
    lacking = [key for key in COMMANDS if key not in inputs.compared and not number]
    missing = [Missing(f"a run of {TITLES[key]}", COMMANDS[key]) for key in lacking]
    if found is None:
        return Section(title, tuple(missing))
    if isinstance(found, ComparisonError):
        return Section(title, (f"This table is not shown: {found}.", *missing))
    reference = found.reference
    summaries: dict[str, Summary | None] = {summary.label: summary for summary in found.summaries}
    of_paper = [*paper.TABLE_1]
    order = sorted(
        dict.fromkeys(("majority", *summaries)),  # a method, its variants, and last those that the paper does not have
        key=lambda key: (of_paper.index(paper_key(key)), key) if paper_key(key) in of_paper else (len(of_paper), ""),
    )
    records = []
    for key in order:
        summary, (all_numbers, own) = summaries.get(key), paper.TABLE_1_PARAMETERS.get(paper_key(key), (None, None))
        record: dict[str, Any] = {"method": title_of(key), "paper": paper.TABLE_1.get(paper_key(key))}
        record |= {"paper_parameters": f"{all_numbers} ({own})" if all_numbers else None}
        if summary is None and found.majority is not None:
            record |= {"ours": float(found.majority.mean())}
            shares = dict(zip(found.tasks, found.majority.tolist(), strict=True))
            record |= {each.key: mean_of_others(shares, each) for each in found.without}
        elif summary is not None:
            record |= {each.key: found.means_of_others(each)[key] for each in found.without}
            record |= {
                "ours": summary.mean,
                "spread": summary.spread,
                "runs": summary.runs,
                "change": summary.difference,
            }
            record |= {
                "interval": _interval(summary.difference_interval),
                "parameters": _parameters(inputs.compared[key]),
            }
        records.append(record)
    columns = (
        *(
            Column("method", "method"),
            Column("paper", "paper %", "percent"),
            Column("ours", "ours %", "percent", "spread"),
        ),
        *(Column(each.key, f"ours {each.title} %", "percent") for each in found.without),
        *(Column("runs", "runs", "count"), Column("change", f"over {title_of(reference)}", "points")),
        *(Column("interval", "95 % interval"), Column("paper_parameters", "paper: trained (per task)")),
        Column("parameters", "ours: trained (per task)"),
    )
    notes = (
        f"Unweighted mean of the test accuracy over the {len(found.tasks)} tasks that all runs have. ± is the standard "
        f"deviation over seeds. Differences are paired by task. Intervals: {INTERVALS}.",
        *(each.note for each in found.without),
        *seen_note(found.tasks, found.encoders),
        "Trained: number of trained parameters in adapters or encoder, and in brackets those of one task; heads are "
        "not counted. The table of runs lists adapter sizes and learning rates.",
        *_variants_note(order),
        *(line.strip() for line in remarks(found)),
    )
    table = Table("Test accuracy", columns, tuple(records), notes, {"tasks": list(found.tasks)})
    places = [f"{key}={run.path.parent}" for key, each in inputs.compared.items() for run in each]
    return Section(
        title, (Shown(numbered("table1", number), table), *missing), shlex.join(["metaeval", "compare", *places])
    )


def _variants_note(keys: Sequence[str]) -> list[str]:
    """Return a sentence on the variants of the paper's methods, if any of these methods is one."""
    if all(paper_key(key) == key for key in keys):
        return []
    return [
        "The paper allows several interpretations of its methods, each with a row of its own next to the same numbers "
        f"of the paper. Without addition: bottlenecks without LayerNorm, and z itself is learned. "
        f'"{NORM.removeprefix(", ")}": bottlenecks that end in a LayerNorm with learned gamma and beta (section '
        f'3.1). "{OWN.removeprefix(", ").removesuffix(": ")}": each task learns that many values, which one linear '
        "layer projects to z (the 512 of Mahabadi et al. 2021)."
    ]


def _interval(interval: tuple[float, float] | None) -> str | None:
    return None if interval is None else f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}"


def _parameters(runs: Sequence[RunResult]) -> str | None:
    """Return the trained parameters as the first run stores them: in total, and in brackets those of one task.

    A method with one model per task stores the counts with each task, and all of them belong to that task.
    """
    run = runs[0]
    of_task = next((result.parameters for result in run.tasks.values() if result.parameters is not None), None)
    sizes = run.facts.parameters or of_task
    if sizes is None:
        return None
    counts = {role: count for role, count in sizes.items() if role != "head"}
    of_tasks = counts.pop("task_embedding", 0) + counts.pop("private", 0)
    encoder = sum(counts.values())
    return f"{_short(encoder)} ({_short(encoder if sizes is of_task else of_tasks / max(len(run.tasks), 1))})"


def _short(count: float) -> str:
    if not count:
        return "0"
    power = min(int(math.log10(count)) // 3, 2)
    return f"{count / 1000**power:.3g}{('', 'K', 'M')[power]}"


# --- Tables 2 and 3 ---


def _with_paper(table: Table, of_paper: Mapping[str, tuple[float, float]], chance: str) -> Table:
    """Add a column with the paper's numbers to a table by task type."""
    records = []
    for record in table.records:
        kind = str(record["type"])
        mean, std = of_paper.get(chance if kind == "chance" else kind, (None, None))
        shown = kind if kind in ("all", "chance") else type_title(kind)
        if "only" in record:  # the paper's numbers are means
            mean = std = None
        records.append({**record, "type": shown, "paper": mean, "paper_std": std})
    kinds, tasks, *ours = table.columns
    columns = (
        *(kinds, tasks, Column("paper", "paper %", "percent", "paper_std")),
        *(replace(column, title=f"ours %, {column.title.partition(', ')[2]}") for column in ours),
    )
    return Table(table.title, columns, tuple(records), table.notes, table.facts)


def table_2(inputs: Inputs) -> Section:
    """Return the section on stability within a run."""
    title = "Table 2: stability within a run"
    command = SEEDS.format(" --embeddings-per-task 3 --name within")
    if not inputs.several:
        return Section(title, (Missing("runs with three embeddings per task", command),))
    table = _with_paper(stability_within(inputs.several), paper.TABLE_2, "random")
    note = (
        "The paper's text says ten neighbours, but its rate of random embeddings, 1.0 ± 0.5 %, fits one: for 101 tasks "
        "with three embeddings, chance is 6.5 % with ten neighbours and 0.66 % with one. Both are shown."
    )
    shown = Table(table.title, table.columns, table.records, (*table.notes, note), table.facts)
    return Section(title, (Shown("table2", shown),), _analyze("stability", inputs.several))


def table_3(inputs: Inputs) -> Section:
    """Return the section on stability across runs."""
    title = "Table 3: stability across runs"
    runs = inputs.single if len(inputs.single) > 1 else inputs.several
    if len(runs) < 2:
        return Section(title, (Missing("two or more runs over the same tasks with different seeds", SEEDS.format("")),))
    table = _with_paper(stability_across(runs), paper.TABLE_3, "random")
    return Section(title, (Shown("table3", table),), _analyze("stability", runs))


def _analyze(analysis: str, runs: Sequence[EmbeddedRun], more: str = "") -> str:
    return f"metaeval analyze {analysis} {shlex.join(run.place for run in runs)}{more} --out DIR"


# --- Table 4 ---


def table_4(inputs: Inputs, *, permutations: int, seed: int, step: ShowStep = show_nothing) -> Section:
    """Return the section on aspects predicted from embeddings, and on z predicted from aspects."""
    title = "Table 4: aspects predicted from task embeddings"
    runs, features = inputs.single or inputs.several, inputs.features
    if not runs or features is None:
        text = "a run with task embeddings and the features of its tasks"
        return Section(title, (Missing(text, COMMANDS["pilault"]),))
    vectors = all_vectors(inputs)
    missing = [
        Missing(f"{name} vectors of the tasks", COMMANDS[name.lower()].splitlines()[0])
        for name in ("TextEmb", "Fisher")
        if name not in vectors
    ]
    table = probes.probing(runs, features, vectors, permutations=permutations, seed=seed, step=step)
    records = []
    for record in table.records:
        records.append({**record, "source": "ours"})
        if (features_of := str(record["features"])) in paper.TABLE_4:
            records.append({"features": features_of, "source": "paper", **paper.TABLE_4[features_of]})
    columns = (table.columns[0], Column("source", ""), *table.columns[1:])
    shown = Table(table.title, columns, tuple(records), table.notes, table.facts)
    blocks: list[Block] = [Shown("table4", shown)]
    if len({group_of(task) for task in table.facts["tasks"]}) > 1:
        step("groups left out")
        across = probes.probing_across(runs, features, vectors, reassignments=permutations, seed=seed)
        blocks.append(Shown("table4_groups", across))
    blocks.append(Shown("prediction", prediction(runs, features, vectors)))
    command = _analyze("probing", runs, f" --permutations {permutations}")
    return Section(title, (*blocks, *missing), command)


def all_vectors(inputs: Inputs) -> dict[str, TaskEmbeddings]:
    """Return the given vectors, and TextEmb as stored with a run."""
    found = dict(inputs.vectors)
    features = inputs.features
    if features is not None and features.texts is not None:
        found.setdefault("TextEmb", TaskEmbeddings(features.names, features.texts))
    return {name: found[name] for name in ("Fisher", "TextEmb") if name in found}
