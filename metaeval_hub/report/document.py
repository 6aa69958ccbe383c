"""The structure of a report, and its Markdown and HTML forms. The only I/O is reading figures for the HTML."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from metaeval_hub.results.tables import Table


@dataclass(frozen=True)
class Picture:
    """A figure in the report's folder.

    Args:
        stem: stem of its files, ``stem``.png and ``stem``.svg, and of the table that it shows.
        caption: caption of the figure.
    """

    stem: str
    caption: str


@dataclass(frozen=True)
class Shown:
    """A table that is written to the report's folder.

    Args:
        stem: stem of its files, ``stem``.csv and ``stem``.json.
        table: the table.
    """

    stem: str
    table: Table


@dataclass(frozen=True)
class Missing:
    """A run that a part of the report needs and does not have.

    Args:
        text: description of the missing run.
        command: commands that make the run, one per line.
    """

    text: str
    command: str


Block = str | Shown | Picture | Missing


@dataclass(frozen=True)
class Section:
    """A heading with its content.

    Args:
        title: heading of the section.
        blocks: paragraphs, tables, figures and missing runs, in order.
        command: command that makes this section alone; "" if only the report makes it.
    """

    title: str
    blocks: tuple[Block, ...]
    command: str = ""


def to_markdown(title: str, sections: Sequence[Section], made: str) -> str:
    """Return the report as Markdown, with links to the figure files in the same folder."""
    parts = [f"# {title}", f"Made by {code(made)}."]
    for section in sections:
        parts.append(f"## {section.title}")
        for block in section.blocks:
            parts += _markdown(block)
        if section.command:
            parts.append(f"```bash\n{section.command}\n```")
    return "\n\n".join(parts) + "\n"


def _markdown(block: Block) -> list[str]:
    if isinstance(block, str):
        return [block]
    if isinstance(block, Picture):
        text = re.sub(r"([][`*<])", r"\\\1", block.caption)  # escape brackets, which would end the link text
        return [
            f"![{text}]({block.stem}.png)",
            f"{block.caption} ([SVG]({block.stem}.svg), [table]({block.stem}.csv))",
        ]
    if isinstance(block, Missing):
        return [f"**Missing:** {block.text}", f"```bash\n{block.command}\n```"]
    notes = "\n".join(f"- {note}" for note in block.table.notes)
    files = f"[CSV]({block.stem}.csv), [JSON]({block.stem}.json)"
    return [f"**{block.table.title}** ({files})", block.table.to_markdown(), *([notes] if notes else [])]


def code(text: str) -> str:
    """Return a text as Markdown code, delimited by more backticks than the text has in a row."""
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    blank = " " if "`" in text else ""
    return f"{ticks}{blank}{text}{blank}{ticks}"


STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --soft: #5a5a5a; --paper: #ffffff; --line: #d8d8d8; --box: #f5f5f5 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --soft: #a8a8a8; --paper: #16181b; --line: #3a3d42; --box: #22252a }
}
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 76rem;
  margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.7rem } h2 { font-size: 1.3rem; margin-top: 2.5rem; border-bottom: 1px solid var(--line) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
.wide { overflow-x: auto }
p, li, figcaption { max-width: 52rem }
th, td { padding: .25rem .7rem .25rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top }
td { min-width: 3.5rem } td.long { min-width: 15rem }
@media (max-width: 40rem) { td.long { min-width: 9rem } }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--paper) }
.number { text-align: right }
pre { background: var(--box); padding: .7rem; overflow-x: auto; font-size: .85rem }
code { font-size: .9em } .notes, figcaption { color: var(--soft); font-size: .9rem }
figure { margin: 1rem 0 } img { max-width: 100%; background: #ffffff; border-radius: 4px }
.missing { border-left: 4px solid #D55E00; padding-left: .8rem }
"""


def to_html(title: str, sections: Sequence[Section], made: str, folder: Path) -> str:
    """Return the report as a self-contained HTML page.

    Args:
        title: title of the report.
        sections: sections of the report.
        made: command that made the report.
        folder: folder with the figures, which are embedded in the page.
    """
    parts = [f"<h1>{escape(title)}</h1>", f"<p>Made by <code>{escape(made)}</code>.</p>"]
    for section in sections:
        parts.append(f"<h2>{escape(section.title)}</h2>")
        parts += [_html(block, folder) for block in section.blocks]
        if section.command:
            parts.append(f"<pre>{escape(section.command)}</pre>")
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _html(block: Block, folder: Path) -> str:
    if isinstance(block, str):
        return _paragraph(block)
    if isinstance(block, Picture):
        data = base64.b64encode((folder / f"{block.stem}.png").read_bytes()).decode("ascii")
        caption = escape(block.caption)
        return (
            f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    if isinstance(block, Missing):
        return f'<div class="missing"><p>Missing: {_inline(block.text)}</p><pre>{escape(block.command)}</pre></div>'
    notes = "".join(f"<li>{_inline(note)}</li>" for note in block.table.notes)
    listed = f'<ul class="notes">{notes}</ul>' if notes else ""
    return f'<p><b>{escape(block.table.title)}</b></p>\n<div class="wide">{block.table.to_html()}</div>\n{listed}'


def _paragraph(text: str) -> str:
    """Return a paragraph, or a list if every line begins with a dash."""
    lines = text.splitlines()
    if all(line.startswith("- ") for line in lines):
        return "<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in lines) + "</ul>"
    return f"<p>{_inline(text)}</p>"


def _inline(text: str) -> str:
    """Escape a text, and convert `code` and **bold** from Markdown."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)
