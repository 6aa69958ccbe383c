"""Write the card of a published collection of tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from metaeval_datasets.citations import REFERENCES, bibtex
from metaeval_datasets.record import RECORDS_FILE, TaskRecord
from metaeval_hub.hub.card_templates import (
    class_list,
    count,
    markdown_table,
    size_category,
    source_link,
    source_repo,
    template,
    yaml_text,
)

PAPER = "sileo2022analysis"
# Licences of sources that the Hub knows; it refuses a card with any other word.
_LICENSES = """
afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0
cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0
cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-3.0 mit mpl-2.0
odbl odc-by openrail pddl unknown unlicense wtfpl
"""
_TASK_IDS = {
    "acceptability": "acceptability-classification",
    "facticity": "fact-checking",
    "nli": "natural-language-inference",
    "paraphrase_detection": "semantic-similarity-classification",
}
_EDITIONS = {
    "careful": "This is the careful edition: it differs where the paper used a task in a way that does not hold; the "
    "notes say how.",
    "paper": "This is the paper's edition: what the paper used, also where a careful choice would differ; the notes "
    "say how.",
}


def dataset_card(repo_id: str, records: Sequence[TaskRecord]) -> str:
    """Return the card of a published collection, including the metadata that the Hub and ``datasets`` read.

    Args:
        repo_id: repository in which it is published.
        records: one or more records: those of all tasks in the repository, of one edition, in the order of the card.
    """
    edition = records[0].edition
    example = min(records, key=lambda entry: (not entry.in_101, len(entry.config)))
    notes = {entry.config: text for entry in records if (text := " ".join(_notes(entry)))}
    keys = [PAPER, *sorted({entry.citation for entry in records} & REFERENCES.keys() - {PAPER})]
    return template("dataset.md").substitute(
        metadata=yaml_text(_metadata(records)),
        title="MetaEval" if edition == "careful" else "MetaEval, the paper's edition",
        n_tasks=count(len(records), "task"),
        rows=count(sum(entry.rows for entry in records), "row"),
        repo_id=repo_id,
        example_config=example.config,
        example_task=example.task,
        records=RECORDS_FILE,
        tasks=_task_table(records),
        edition=_EDITIONS[edition],
        dropped=_dropped_table(records),
        notes="\n".join(f"- `{name}`: {text}" for name, text in notes.items()) or "None.",
        citations="\n\n".join(map(bibtex, keys)),
    )


def _metadata(records: Sequence[TaskRecord]) -> dict[str, Any]:
    rows = sum(entry.rows for entry in records)
    licenses = {entry.license if entry.license in _LICENSES.split() else "other" for entry in records}
    types = sorted({entry.type for entry in records})
    repos = {repo for entry in records if (repo := source_repo(entry.report.source))}
    return {
        "pretty_name": "MetaEval",
        "language": ["en"],
        "license": sorted(licenses),
        "multilinguality": ["monolingual"],
        "size_categories": [size_category(rows)],
        "source_datasets": sorted(repos) or ["original"],
        "task_categories": ["text-classification"],
        "task_ids": [*(_TASK_IDS[kind] for kind in types if kind in _TASK_IDS), "multi-class-classification"],
        "tags": ["metaeval", "multi-task-learning", "task-embeddings", *(kind.replace("_", "-") for kind in types)],
        "configs": [
            {
                "config_name": entry.config,
                "data_files": [{"split": split, "path": f"{entry.config}/{split}-*"} for split in entry.splits],
            }
            for entry in records
        ],
        "dataset_info": [_dataset_info(entry) for entry in records],
    }


def _dataset_info(entry: TaskRecord) -> dict[str, Any]:
    label = {"class_label": {"names": {str(index): name for index, name in enumerate(entry.names)}}}
    return {
        "config_name": entry.config,
        "license": entry.license,
        "features": [
            *({"name": name, "dtype": "string"} for name in entry.fields),
            {"name": "label", "dtype": label},
            {"name": "idx", "dtype": "int64"},
        ],
        "splits": [
            {"name": name, "num_bytes": split.num_bytes, "num_examples": split.rows}
            for name, split in entry.splits.items()
        ],
        "download_size": sum(entry.paths.values()),
        "dataset_size": sum(split.num_bytes for split in entry.splits.values()),
    }


def _task_table(records: Sequence[TaskRecord]) -> str:
    numbers = ["texts", "train", "validation", "test", "left out"]
    header = ["config", "type", "texts", "classes", *numbers[1:], "licence", "source", "cite"]
    rows = []
    for entry in records:
        counts = [_split_rows(entry, split) for split in ("train", "validation", "test")]
        dropped = sum(sum(official.dropped.values()) for official in entry.report.official.values())
        left_out = f"{dropped:,}" if dropped else "-"
        kind = entry.type.replace("_", " ")
        facts = [f"`{entry.config}`", kind, str(len(entry.fields)), class_list(entry.names)]
        rows.append(
            [
                *facts,
                *counts,
                left_out,
                entry.license,
                source_link(entry.report.source, entry.report.commit),
                f"`{entry.citation}`",
            ]
        )
    return markdown_table(header, rows, numbers)


def _split_rows(entry: TaskRecord, name: str) -> str:
    if name not in entry.splits:
        return "-"
    derived = name in entry.report.splits and entry.report.splits[name].derived
    return f"{entry.splits[name].rows:,}" + (" †" if derived else "")


def _dropped_table(records: Sequence[TaskRecord]) -> str:
    rows = [
        [f"`{entry.config}`", name, f"{official.read:,}", f"{count:,}", reason]
        for entry in records
        for name, official in entry.report.official.items()
        for reason, count in official.dropped.items()
    ]
    if not rows:
        return "None: every labelled row of the sources is in one of the splits."
    text = "Rows that cannot be used, by the first reason that holds; every other labelled row is in a split."
    header = ["config", "official split", "rows", "left out", "because"]
    return text + "\n\n" + markdown_table(header, rows, ("rows", "left out"))


def _notes(entry: TaskRecord) -> Iterator[str]:
    """Yield the sentences that a user of a task should know."""
    if entry.notes:
        yield entry.notes
    if entry.paper:
        yield f"The paper's edition differs: {entry.paper}"
    if entry.report.missing:
        yield f"**The source lacked {', '.join(entry.report.missing)}: the splits are not those of the whole task.**"
    passed = dict.fromkeys(each["source"].split(" ", 1)[0] for each in entry.report.passed_over)
    passed.pop(source_repo(entry.report.source) or "", None)  # another revision of the repository that was used
    if passed:
        yield f"{', '.join(passed)} could not serve when this was built."
    for name, hidden in entry.report.unlabelled.items():
        yield f"The official {name} split has no public labels" + (f" ({hidden:,} rows)." if hidden else ".")
