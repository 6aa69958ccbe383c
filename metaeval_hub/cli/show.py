"""Show one task: rows, classes, text lengths, examples and source.

The command loads the task and downloads it the first time; demo tasks such as demo/film_reviews need no network. If
none of its sources can be used, the command shows the declaration and the exit status is 1.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from metaeval_hub.cli.places import add_pins, add_task_file
from metaeval_hub.results.terminal import make_console, make_table, print_columns, print_table, quiet

if TYPE_CHECKING:
    from rich.console import Console

    from metaeval_datasets import Report, TaskSpec
    from metaeval_datasets.summary import SplitSummary, Summary

EXAMPLES = 3  # examples per class
MANY_CLASSES = 20  # with more classes, one example per class is enough
BAR = 20  # width in characters of a bar for all rows


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("name", help="a task, such as glue/cola; `metaeval tasks` lists all")
    parser.add_argument(
        "--edition", choices=("careful", "paper"), default="careful", help="edition of the task (default: careful)"
    )
    parser.add_argument("--split", choices=("train", "validation", "test"), help="show only this split (default: all)")
    parser.add_argument(
        "--examples", type=int, metavar="N",
        help=f"examples per class (default: {EXAMPLES}, or 1 with more than {MANY_CLASSES} classes)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON with complete texts")
    add_pins(parser)
    add_task_file(parser)


def run(options: argparse.Namespace) -> None:
    """Load the task and print its properties."""
    from metaeval_datasets import NoSourceError, get_task, load_dataset, read_report
    from metaeval_datasets.summary import summarise

    _refuse_groups(options.name)
    declared = get_task(options.name)
    spec = declared.edition(options.edition)
    count = options.examples
    if count is None:
        count = 1 if len(spec.names) > MANY_CLASSES else EXAMPLES
    if count < 0:
        raise ValueError(f"--examples must not be negative, got {count}")
    with quiet(options.verbose):
        try:
            splits = load_dataset("metaeval", options.name, edition=options.edition)
        except NoSourceError:
            if not options.json:
                _show_declared(make_console(), declared, spec, options.edition)
            raise
        report = read_report(next(iter(splits.values())).info)
        if options.split is not None:
            if options.split not in splits:
                raise ValueError(f"{options.name} has no split {options.split!r}; it has {', '.join(splits)}")
            splits = {options.split: splits[options.split]}
        summary = summarise(splits, spec, count)
    if options.json:
        print(json.dumps(_facts(declared, spec, report, summary), indent=1, ensure_ascii=False))
    else:
        _show(make_console(), declared, spec, report, summary)


def _refuse_groups(name: str) -> None:
    from metaeval_datasets import list_tasks

    tasks = list_tasks(group=name)
    if tasks and name not in tasks:
        raise ValueError(
            f"{name} is a group of {len(tasks)} tasks; give one of them, such as {tasks[0]} (`metaeval tasks {name}` "
            f"lists all)"
        )


def _facts(declared: TaskSpec, spec: TaskSpec, report: Report, summary: Summary) -> dict[str, Any]:
    return {
        "name": spec.name,
        "edition": report.edition,
        "type": spec.type.value,
        "classes": list(spec.names),
        "canonical": list(spec.canonical),
        "in_101": spec.in_101,
        "license": spec.license,
        "citation": spec.citation,
        "bibtex": _bibtex(spec),
        "notes": declared.notes,
        "paper_edition": declared.paper and declared.paper.why,
        "report": report.to_dict(),
        **dataclasses.asdict(summary),
    }


def _bibtex(spec: TaskSpec) -> str:
    from metaeval_datasets.citations import REFERENCES, bibtex

    return bibtex(spec.citation) if spec.citation in REFERENCES else spec.citation


# --- For people -----------------------------------------------------------------------------------------------------


def _show(console: Console, declared: TaskSpec, spec: TaskSpec, report: Report, summary: Summary) -> None:
    _show_head(console, spec, report.edition)
    _show_rows(console, spec, report, summary)
    _show_labels(console, spec, summary)
    _show_examples(console, summary)
    _show_facts(console, declared, spec, report.edition, _origin(report))


def _show_declared(console: Console, declared: TaskSpec, spec: TaskSpec, edition: str) -> None:
    """Print the declaration of a task that cannot be loaded."""
    rows = ", ".join(f"{split} {count:,}" for split, count in spec.rows.items() if count is not None)
    _show_head(console, spec, edition)
    _show_facts(
        console, declared, spec, edition, [("classes", ", ".join(spec.names)), ("official rows", rows or "unknown")]
    )


def _show_head(console: Console, spec: TaskSpec, edition: str) -> None:
    fields = "one text" if spec.num_text_fields == 1 else "two texts"
    facts = [spec.type.value.replace("_", " "), fields, f"{len(spec.names)} classes"]
    facts += ["one of the 101 tasks of the paper"] if spec.in_101 else []
    console.print(spec.name, style="bold")
    console.print(f"{', '.join(facts)}; {edition} edition")


def _show_rows(console: Console, spec: TaskSpec, report: Report, summary: Summary) -> None:
    """Print the splits, their sources and the lengths of their texts."""
    rows = []
    for split, numbers in summary.splits.items():
        taken = report.splits[split]
        origin = f"{'derived from' if taken.derived else 'official'} {taken.official}"
        lengths = [f"{found.lower} {found.median} {found.upper} ({found.longest})" for found in numbers.words.values()]
        rows.append([split, f"{numbers.rows:,}", origin, *(lengths or ["-"] * len(spec.texts))])
    titles = ["split", "rows", "taken from", *(f"{name}, words" for name in spec.texts)]
    console.print()
    print_columns(console, titles, rows, numbers=[1], hint="--json")
    every = max(numbers.every for numbers in summary.splits.values())
    console.print(
        "words: quartiles and maximum" + (f"; measured on every {every}th row of long splits" if every > 1 else ""),
        style="dim",
    )


def _show_labels(console: Console, spec: TaskSpec, summary: Summary) -> None:
    """Print the share of each class in each split, with a bar for the first split."""
    from metaeval_datasets.spec import normal_name

    first, *others = summary.splits
    shared = any(canonical != normal_name(name) for name, canonical in zip(spec.names, spec.canonical, strict=True))
    rows = []
    for name, canonical in zip(spec.names, spec.canonical, strict=True):
        share, *shares = (_share(numbers, name) for numbers in summary.splits.values())
        names = (
            [name, canonical] if shared else [name]
        )  # the name shared with other tasks, if it is more than another spelling
        rows.append([*names, _percent(share), _bar(share), *map(_percent, shares)])
    titles = ["class", *(["shared name"] if shared else []), first, "", *others]
    console.print()
    print_columns(
        console, titles, rows, numbers=[place for place, title in enumerate(titles) if title in summary.splits]
    )
    for split, numbers in summary.splits.items():
        if numbers.unlabelled:
            console.print(f"{split}: {numbers.unlabelled:,} of {numbers.rows:,} rows have no label", style="dim")


def _share(numbers: SplitSummary, name: str) -> float:
    return numbers.labels[name] / numbers.rows if numbers.rows else 0.0


def _percent(share: float) -> str:
    """Return a share in percent with one digit; "-" for zero."""
    if not share:
        return "-"
    return f"{share:.1%}" if share >= 0.001 else "<0.1%"


def _bar(share: float) -> str:
    """Return a bar in steps of an eighth of a character; any share above zero is visible."""
    eighths = max(round(share * BAR * 8), 1 if share else 0)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _show_examples(console: Console, summary: Summary) -> None:
    """Print rows of each class, one line per text, cut at the width of the terminal."""
    if not any(summary.examples.values()):
        return
    from rich.text import Text

    console.print(f"\nexamples ({summary.examples_from})", style="bold")
    for name, rows in summary.examples.items():
        console.print(name if rows else f"{name}: none", style="italic")
        for row in rows:
            for number, field in enumerate(field for field in row if field != "idx"):
                line = Text(("  - " if number == 0 else "    ") + " ".join(str(row[field]).split()))
                line.truncate(console.width, overflow="ellipsis")  # counts Chinese characters as two columns
                console.print(line, no_wrap=True)


def _origin(report: Report) -> list[tuple[str, str]]:
    """Return lines about the source: what it lacks, which rows were dropped, which were not read."""
    lines = [("source", report.source + (f", commit {report.commit}" if report.commit else ""))]
    lines += [("", f"not used: {entry['source']}: {entry['reason']}") for entry in report.passed_over]
    if report.missing:
        lines.append(("", f"lacks {', '.join(report.missing)}, so the splits differ from those of the complete task"))
    dropped = [
        f"{count:,} of {official.read:,} rows of official {split}: {reason}"
        for split, official in report.official.items()
        for reason, count in official.dropped.items()
    ]
    lines += [("dropped" if number == 0 else "", text) for number, text in enumerate(dropped or ["nothing"])]
    hidden = [
        f"official {split}, labels hidden" + ("" if rows is None else f" ({rows:,} rows)")
        for split, rows in report.unlabelled.items()
    ]
    lines += [("not read" if number == 0 else "", text) for number, text in enumerate(hidden)]
    return lines


def _show_facts(
    console: Console, declared: TaskSpec, spec: TaskSpec, edition: str, first: list[tuple[str, str]]
) -> None:
    """Print the given facts, then licence, notes, the paper's edition and the reference."""
    lines = [*first, ("licence", spec.license)]
    if declared.notes:
        lines.append(("notes", declared.notes))
    if declared.paper is not None:
        lines.append(("paper", declared.paper.why + (" (--edition paper)" if edition == "careful" else "")))
    elif edition == "paper":
        lines.append(("paper", "same as the careful edition"))
    table = make_table(show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines:
        table.add_row(name, " ".join(text.split()))
    console.print()
    print_table(console, table)
    if reference := _bibtex(spec):
        console.print()
        console.print(reference, soft_wrap=True)
