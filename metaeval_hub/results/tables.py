"""Tables of results, written as CSV and JSON together with their command, or shown as Markdown, HTML or text.

>>> columns = (Column("kind", "task type"), Column("mean", "rate %", "percent"))
>>> table = Table("Stability", columns, ({"kind": "nli", "mean": 0.25},))
>>> print(table.to_markdown())
| task type | rate % |
|---|---:|
| nli | 25.0 |
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, Literal

from metaeval_hub.results.run_results import at_home
from metaeval_hub.safe_files.printable import one_line

Form = Literal["text", "count", "minutes", "number", "percent", "points", "p"]
EMPTY = "-"  # shown for a missing value
LONG = 24  # a column with a cell of more characters gets more width


@dataclass(frozen=True)
class Column:
    """A column.

    Args:
        key: key of its values in the records, and its name in CSV and JSON files.
        title: title for readers.
        form: "text": unchanged; "count": a whole number; "minutes": a whole number, or one decimal below ten;
            "number": two decimals; "percent": a share in percent with one decimal; "points": the same with a sign;
            "p": a probability with three decimals.
        spread: key of the standard deviation to show after the value.
        chance: key of the value by chance to show after these.
        p_value: key of the p-value to show last.
        mark: key of a mark, such as a dagger that a note explains, to show after all of these.
    """

    key: str
    title: str
    form: Form = "text"
    spread: str = ""
    chance: str = ""
    p_value: str = ""
    mark: str = ""

    def show(self, record: Mapping[str, Any]) -> str:
        """Format the cell of a record for readers."""
        shown = _show(record.get(self.key), self.form)
        if shown == EMPTY:
            return shown
        spread, chance, p_value = (record.get(key) if key else None for key in (self.spread, self.chance, self.p_value))
        if spread is not None:
            shown += f" ± {_show(spread, self.form).lstrip('+')}"
        behind = [] if chance is None else [f"chance {_show(chance, self.form)}"]
        behind += [] if p_value is None else [f"p {_show(p_value, 'p')}"]
        shown = f"{shown} ({', '.join(behind)})" if behind else shown
        return f"{shown} {mark}" if (mark := record.get(self.mark) if self.mark else None) else shown


def _show(value: Any, form: Form) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return EMPTY
    if form == "text":
        return one_line(str(value))
    if form == "minutes" and 0 < value < 0.05:
        return "<0.1"
    patterns = {
        "count": "{:,.0f}", "minutes": "{:.1f}" if value < 9.95 else "{:,.0f}", "number": "{:.2f}", "percent": "{:.1f}",
        "points": "{:+.1f}", "p": "{:.3f}",
    }  # fmt: skip
    shown = patterns[form].format(100 * value if form in ("percent", "points") else value)
    is_zero = not any(digit in shown for digit in "123456789")  # a minus before a displayed zero would mislead
    return shown.replace("-", "+" if form == "points" else "") if is_zero else shown


@dataclass(frozen=True)
class Table:
    """Records of values, and how to show them.

    Args:
        title: title in one line.
        columns: shown columns, in order.
        records: values by key; keys without a column are only written to files.
        notes: notes for readers, of a sentence or two.
        facts: settings and inputs as JSON values, for the JSON file.
    """

    title: str
    columns: tuple[Column, ...]
    records: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def cells(self) -> list[list[str]]:
        """Return the formatted cells of every record."""
        return [[column.show(record) for column in self.columns] for record in self.records]

    def to_markdown(self) -> str:
        """Return the table as Markdown, without title and notes."""
        marks = ["---" if column.form == "text" else "---:" for column in self.columns]
        lines = [[one_line(column.title) for column in self.columns], *self.cells()]
        shown = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
        return "\n".join([shown[0], "|" + "|".join(marks) + "|", *shown[1:]])

    def to_html(self) -> str:
        """Return the table as an HTML ``table``; numbers have the class ``number``, long texts the class ``long``."""
        longest = [max(map(len, cells), default=0) for cells in zip(*self.cells(), strict=True)] or [0] * len(
            self.columns
        )
        kinds = [
            ' class="number"' if column.form != "text" else ' class="long"' if length > LONG else ""
            for column, length in zip(self.columns, longest, strict=True)
        ]
        head = "".join(
            f"<th{kind}>{escape(one_line(c.title))}</th>" for kind, c in zip(kinds, self.columns, strict=True)
        )
        body = "".join(
            "<tr>"
            + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, line, strict=True))
            + "</tr>\n"
            for line in self.cells()
        )
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"

    def to_csv(self) -> str:
        """Return all values of all records as CSV in full precision; missing values are empty."""
        keys = list(
            dict.fromkeys([column.key for column in self.columns] + [key for record in self.records for key in record])
        )
        out = io.StringIO()
        writer = csv.DictWriter(out, keys, restval="", lineterminator="\n")
        writer.writeheader()
        for record in self.records:
            plain = {key: _plain(value) for key, value in record.items()}
            writer.writerow({key: "" if value is None else value for key, value in plain.items()})
        return out.getvalue()

    def to_dict(self, made_by: Mapping[str, Any]) -> dict[str, Any]:
        """Return the whole table as JSON values, with the command that made it."""
        rows = [{key: _plain(value) for key, value in record.items()} for record in self.records]
        notes = list(self.notes)
        return {"title": self.title, "made_by": dict(made_by), "facts": dict(self.facts), "notes": notes, "rows": rows}

    def save(self, folder: Path | str, stem: str, made_by: Mapping[str, Any]) -> list[Path]:
        """Write ``stem``.csv and ``stem``.json to a folder, created if needed; return their paths."""
        folder = at_home(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{stem}.csv", folder / f"{stem}.json"]
        paths[0].write_text(self.to_csv(), encoding="utf-8", errors="backslashreplace")
        text = json.dumps(self.to_dict(made_by), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        paths[1].write_text(text, encoding="utf-8", errors="backslashreplace")
        return paths


def _plain(value: Any) -> Any:
    """Convert a value for JSON, which has neither NaN nor NumPy numbers."""
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def made_by(command: Sequence[str]) -> dict[str, Any]:
    """Return the command that made a result, ready to copy, and the version of metaeval."""
    import shlex
    from importlib.metadata import version

    return {"command": shlex.join(command), "metaeval": version("metaeval")}
