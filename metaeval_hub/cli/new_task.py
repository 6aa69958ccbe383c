"""Declare a task of your own: look at a file, and write an entry to a task file.

    metaeval new-task tickets.csv
    metaeval new-task tickets.csv --text message --label topic --name acme/tickets
    metaeval new-task tickets.csv --test test_tickets.csv --groups customer

The data is a CSV, TSV, JSON-lines or Parquet file, or a dataset on the Hub, ORG/NAME. The columns of the text and the
label are proposed from the names and values of all columns. On a terminal, the command asks where it is not sure;
elsewhere, it names the option to give. Edit the entry in the task file to change it later.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaeval_hub.cli.places import add_csv, csv_given
from metaeval_hub.results.terminal import make_console, path_of, print_columns, quiet
from metaeval_hub.safe_files.printable import without_control

if TYPE_CHECKING:
    from rich.console import Console

    from metaeval_datasets import TaskSpec
    from metaeval_datasets.columns import Column, Proposal
    from metaeval_datasets.sources import SourceFile

SHOWN_ROWS = 10
SHOWN_CLASSES = 20
WIDTH = 60  # characters of a shown value
OUT = "tasks.yaml"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("data", help="CSV, TSV, JSON-lines or Parquet file, or a dataset on the Hub, ORG/NAME")
    parser.add_argument("--text", nargs="+", metavar="COLUMN", help="column of the text; several are joined by a space")
    parser.add_argument("--second-text", metavar="COLUMN", help="column of the second text, for a task over pairs")
    parser.add_argument("--label", metavar="COLUMN", help="column of the label")
    parser.add_argument(
        "--groups", metavar="COLUMN", help="column whose equal values keep rows in the same split, such as a customer"
    )
    parser.add_argument(
        "--test", metavar="FILE", help="file with the test rows (default: test rows are drawn from the data)"
    )
    parser.add_argument("--name", metavar="GROUP/TASK", help="name of the task (default: my/ and the name of the file)")
    parser.add_argument(
        "--type", default="other", help="task type; `metaeval tasks --help` lists them (default: other)"
    )
    parser.add_argument("--config", help="config of the dataset on the Hub")
    parser.add_argument("--revision", help="branch, tag or commit of the dataset on the Hub")
    add_csv(parser)
    parser.add_argument(
        "--out", type=path_of, default=Path(OUT), metavar="FILE", help=f"task file to add the entry to (default: {OUT})"
    )


def run(options: argparse.Namespace) -> None:
    """Look at the data, ask what is not clear, and add the entry."""
    from metaeval_datasets.columns import describe_columns, propose, read_sample
    from metaeval_datasets.own import count_classes
    from metaeval_datasets.task_file import add_entry

    console = make_console()
    entry = _place(options)
    piece = _file(options, entry)
    with quiet(options.verbose):
        sample = read_sample(piece)
    _show_rows(console, options.data, sample)
    columns = describe_columns(sample)
    _choose_columns(options, entry, columns, propose(columns))
    name = _choose_name(options)
    if options.type != "other":
        entry["type"] = options.type
    with quiet(True, bars=False):  # warnings about labels that are written in several ways
        spec = _declare(name, entry, options.out)
        counts = count_classes(spec)
    entry["names"] = list(spec.names)
    if "hub" in entry:
        entry["splits"] = list(spec.splits)
        if spec.label_values:
            entry["label_values"] = {str(key): value for key, value in spec.label_values.items()}
        if spec.unlabelled:
            entry["unlabelled"] = list(spec.unlabelled)
    _show_entry(console, entry, counts)
    add_entry(options.out, name, entry)
    out = shlex.quote(str(options.out))
    console.print(f"\nadded {name} to {options.out}; edit it there. Next:", markup=False, highlight=False)
    commands = ("show {}", "fit MODEL {} --out NEW_MODEL", "train --tasks demo {}")
    for command in (f"{each.format(name)} --task-file {out}" for each in commands):
        console.print(f"  metaeval {command}", markup=False, highlight=False, soft_wrap=True)


# --- The data -------------------------------------------------------------------------------------------------------


def _place(options: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of the entry that say where the data is."""
    from metaeval_datasets.own import check_paths, is_repository

    if is_repository(options.data):
        if options.test:
            raise ValueError(
                "--test is for files; name the splits of a dataset on the Hub in `splits` of the task file"
            )
        given = {"config": options.config, "revision": options.revision}
        return {"hub": options.data, **{key: value for key, value in given.items() if value}}
    for option in ("config", "revision"):
        if getattr(options, option):
            raise ValueError(f"--{option} is for datasets on the Hub; leave it out for {options.data}")
    check_paths(options.name or "my/task", options.data)
    if not options.out.absolute().parent.is_dir():
        raise ValueError(
            f"--out {options.out}: the folder {options.out.parent} does not exist; create it, or name another file"
        )
    if not options.test:
        return {"files": _from(options.out, options.data)}
    check_paths(options.name or "my/task", options.test)
    return {"files": {"train": _from(options.out, options.data), "test": _from(options.out, options.test)}}


def _from(out: Path, file: str) -> str:
    """Return the path of a file relative to the task file."""
    path = os.path.abspath(os.path.expanduser(file))
    try:
        return Path(os.path.relpath(path, os.path.dirname(os.path.abspath(out)))).as_posix()
    except ValueError:  # another drive of Windows
        return path


def _file(options: argparse.Namespace, entry: dict[str, Any]) -> SourceFile:
    """Return the file to look at; add its encoding and separator to the entry if they are unusual."""
    from metaeval_datasets.sources.opening import first_file, local_piece
    from metaeval_datasets.spec import Files, Source
    from metaeval_datasets.unlabelled import csv_options

    given = csv_given(options, options.data)
    if "hub" in entry:
        with quiet(options.verbose):
            return first_file(Source(entry["hub"], config=entry.get("config"), revision=entry.get("revision")))
    path = os.path.abspath(os.path.expanduser(options.data))
    csv = csv_options(path, given)
    usual = {"encoding": "utf-8", "delimiter": "\t" if path.lower().endswith(".tsv") else ",", "quote": '"'}
    entry |= {key: value for key, value in csv.items() if value != usual[key]}
    return local_piece(Files({"train": path}, **csv), path)


def _declare(name: str, entry: dict[str, Any], out: Path) -> TaskSpec:
    """Return the declaration that an entry describes; its rows are read to find the classes."""
    from metaeval_datasets.task_file import declare

    return declare(out, name, entry)


# --- Questions ------------------------------------------------------------------------------------------------------


def _choose_columns(
    options: argparse.Namespace, entry: dict[str, Any], columns: Sequence[Column], found: Proposal
) -> None:
    """Add the columns of the texts and of the label to the entry."""
    names = [column.name for column in columns]
    for name in [*(options.text or ()), options.second_text, options.label, options.groups]:
        if name is not None and name not in names:
            raise ValueError(_no_column(name, names))
    doubts = {field: doubt for field, doubt in found.doubts.items() if getattr(options, field) is None}
    if doubts and not sys.stdin.isatty():
        raise ValueError(_doubtful(options.data, doubts, found, names))
    text: list[str] = options.text or ([found.text] if found.text else [])
    if "text" in doubts:
        text = [_ask("text", names, found.text, doubts["text"])]
    label = options.label
    if label is None:
        label = _ask("label", names, found.label, doubts["label"]) if "label" in doubts else found.label
    second = options.second_text
    if second is None and options.text is None and found.text == text[0]:
        second = found.second_text
    entry["text"] = text if len(text) > 1 else text[0]
    if second is not None:
        entry["second_text"] = second
    entry["label"] = label
    if options.groups:
        entry["groups"] = options.groups


def _doubtful(data: str, doubts: Mapping[str, str], found: Proposal, names: Sequence[str]) -> str:
    """Return the error for columns that cannot be asked for, with the options that name them."""
    proposed = {"text": found.text, "label": found.label}
    options = " ".join(f"--{field} {shlex.quote(proposed[field] or names[0])}" for field in doubts)
    pair = ""
    if "text" in doubts:
        pair = "; name several columns after --text to join them, or add --second-text if the task is over pairs"
    return f"{data}: {'; '.join(doubts.values())}; name the columns, for example {options}{pair}"


def _ask(what: str, names: Sequence[str], proposed: str | None, doubt: str) -> str:
    """Ask for a column on a terminal."""
    print(f"{doubt}. Columns: {', '.join(map(without_control, names))}")
    while True:
        answer = input(f"column of the {what}{f' [{proposed}]' if proposed else ''}: ").strip()
        if not answer and proposed:
            return proposed
        if answer in names:
            return answer
        print(_no_column(answer, names))


def _no_column(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    closest = f" (closest: {near[0]!r})" if near else ""
    return f"no column {name!r}{closest}; the columns are {', '.join(names)}"


def _choose_name(options: argparse.Namespace) -> str:
    """Return the name of the task, and check that it is free before the data is read to its end."""
    from metaeval_datasets.catalog import check_own_name

    name = options.name
    if name is None:
        stem = options.data.rstrip("/").rsplit("/", 1)[-1]
        stem = re.sub(r"(?i)\.(csv|tsv|jsonl?|parquet)$", "", Path(stem).name)
        name = f"my/{re.sub(r'[^A-Za-z0-9_.-]+', '_', stem).strip('_') or 'task'}"
        if sys.stdin.isatty():
            name = input(f"name of the task [{name}]: ").strip() or name
    check_own_name(name)
    return str(name)


# --- What is shown --------------------------------------------------------------------------------------------------


def _show_rows(console: Console, data: str, sample: Any) -> None:
    """Print the first rows."""
    rows = [[_short(row[name]) for name in sample.column_names] for row in sample.slice(0, SHOWN_ROWS).to_pylist()]
    console.print(f"{data}: first {len(rows)} rows", style="bold", markup=False, highlight=False)
    print_columns(console, [_short(name) for name in sample.column_names], rows, numbers=[])


def _short(value: object) -> str:
    text = "" if value is None else without_control(" ".join(str(value).split()))
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def _show_entry(console: Console, entry: dict[str, Any], counts: dict[str, int]) -> None:
    """Print the chosen columns and the classes with their rows."""
    console.print()
    for field in ("text", "second_text", "label", "groups", "encoding", "delimiter", "quote"):
        if field in entry:
            value = "none" if entry[field] is None else entry[field]
            value = value if isinstance(value, str) else " + ".join(value)
            console.print(
                f"{field.replace('_', ' ')}: {without_control(value) or repr(value)}", markup=False, highlight=False
            )
    shown = sorted(counts.items(), key=lambda item: -item[1])[:SHOWN_CLASSES]
    rows = [[_short(name), f"{count:,}"] for name, count in shown]
    console.print()
    print_columns(console, ["class", "rows"], rows, numbers=[1])
    if len(counts) > len(shown):
        console.print(f"and {len(counts) - len(shown):,} more classes", style="dim")
