"""Provide what all cards share: templates of model_cards/, tables, quoting, and links to sources."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import yaml

# Next to the packages in a clone, inside one of them in an installation.
_FOLDERS = (Path(__file__).parents[2] / "model_cards", Path(__file__).parents[1] / "model_cards")
_REPO = re.compile(r"[\w.-]+/[\w.-]+")
_SHOWN_CLASSES = 4
_SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))


def template(name: str) -> Template:
    """Return the template ``name`` of model_cards/.

    Raises:
        FileNotFoundError: no template has this name.
    """
    for folder in _FOLDERS:
        if (folder / name).is_file():
            return Template((folder / name).read_text(encoding="utf-8"))
    raise FileNotFoundError(f"no card template {name} in {' or '.join(map(str, _FOLDERS))}")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[str] = ()) -> str:
    """Return a Markdown table; bars and line breaks in its cells are escaped.

    Args:
        header: names of the columns.
        rows: texts of the cells, line by line.
        numbers: names of the columns that are aligned right.
    """
    lines = [list(header), ["---:" if name in numbers else "---" for name in header], *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def python_string(text: str) -> str:
    """Return a string as a Python literal, quoted as JSON does, so that no text can end the literal."""
    return json.dumps(text, ensure_ascii=False)


def code_span(text: str) -> str:
    """Return a text as a Markdown code span, so that no character in it is markup."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, room = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{room}{text}{room}{fence}"


def percent(value: float | None) -> str:
    """Return a share as a percentage with one decimal, "-" for None."""
    return "-" if value is None else f"{100 * value:.1f}"


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is 1."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def yaml_text(data: Mapping[str, Any]) -> str:
    """Return a mapping as YAML, keys in their order."""
    text: str = yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=1000)
    return text


def size_category(rows: int) -> str:
    """Return the Hub's size category of a number of rows, such as "1K<n<10K"."""
    return next((name for limit, name in _SIZES if rows < limit), "10M<n<100M")


def class_list(names: Sequence[str]) -> str:
    """Return the first class names as code, and how many more there are."""
    shown = ", ".join(code_span(name) for name in names[:_SHOWN_CLASSES])
    return shown + (f" and {len(names) - _SHOWN_CLASSES} more" if len(names) > _SHOWN_CLASSES else "")


def source_repo(source: str) -> str | None:
    """Return the Hub repository of a source of the form "org/name (config) at revision"; None for rows made here."""
    name = source.split(" ", 1)[0]
    return name if _REPO.fullmatch(name) else None


def source_link(source: str, commit: str | None) -> str:
    """Describe where rows come from, with a link to the commit if they are on the Hub."""
    repo = source_repo(source)
    if repo is None:
        return f"{'' if ' (SHA-256 ' in source else 'made by '}{code_span(source)}"
    place = f"/datasets/{repo}/tree/{commit}" if commit else f"/datasets/{repo}"
    configs = source.removeprefix(repo).split(" at ")[0].removesuffix(" (default)")
    return f"[{repo}]({place}){configs}" + (f" @ {commit[:7]}" if commit else "")
