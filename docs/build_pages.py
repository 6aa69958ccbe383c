"""Generate the pages of the site whose source is elsewhere: tasks, command line, API and the documents of the root.

mkdocs calls the functions whose names start with ``on_`` (mkdocs.yml names this file as a hook). The other functions
return Markdown and need no mkdocs.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import runpy
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from unittest import mock

from metaeval_datasets.catalog import DEMO_GROUP, all_tasks
from metaeval_datasets.citations import bibtex
from metaeval_datasets.spec import Embedded, Source, TaskSpec, text_columns
from metaeval_hub.report.deviations import deviations
from metaeval_hub.results.paper import CITATION

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parent.parent
# The training scripts, each with the arguments that lead to its parser.
SCRIPTS: dict[str, list[str]] = {
    "multitask": [], "single_task": [], "probes": [], "task_vectors": ["textemb"], "few_shot": [], "zero_shot": [],
}  # fmt: skip
NOTEBOOKS = ("notebooks/your_own_task.ipynb",)
INCLUDED = {"contributing.md": "CONTRIBUTING.md", "security.md": "SECURITY.md", "changelog.md": "CHANGELOG.md"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the page of every group in the navigation, below the page about tasks."""
    tasks = next(section["Tasks"] for section in config.nav or [] if "Tasks" in section)
    tasks[-1]["All groups"] = [{group: f"tasks/{group}.md"} for group in groups()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_post_build(config: MkDocsConfig) -> None:
    """Fail if a page of the built site loads anything from another host.

    Raises:
        PluginError: names the pages and what they load.
    """
    from mkdocs.exceptions import PluginError

    site = Path(config.site_dir)
    loads = {path.relative_to(site): foreign_loads(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    if found := [f"{path}: {', '.join(urls)}" for path, urls in loads.items() if urls]:
        raise PluginError("these pages load files from other hosts; use local copies instead:\n" + "\n".join(found))


def foreign_loads(page: str) -> list[str]:
    """Return the addresses on other hosts that an HTML page loads; links do not count."""
    tags = re.findall(r"<(?!a\b)[a-z]+\b[^>]*>", page)
    return [url for tag in tags for url in re.findall(r"\b(?:src|href|data)=[\"']?((?:https?:)?//[^\"' >]+)", tag)]


def pages() -> dict[str, str]:
    """Return the generated pages: path below docs/ -> Markdown."""
    return {
        **{f"tasks/{group}.md": group_page(group, specs) for group, specs in groups().items()},
        **{path: included(source) for path, source in INCLUDED.items()},
        **{str(Path(path).with_suffix(".md")): notebook_page(path) for path in NOTEBOOKS},
        "deviations.md": deviations_page(),
        "command-line.md": command_line_page(),
        "api.md": api_page(),
    }


def included(name: str) -> str:
    """Return a document of the repository's root, with its links to docs/ made relative to docs/."""
    return (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")


def notebook_page(path: str) -> str:
    """Return a notebook below docs/ as a page, with its stored outputs and a link to the file."""
    cells = json.loads((ROOT / "docs" / path).read_text(encoding="utf-8"))["cells"]
    title, *parts = [notebook_cell(cell) for cell in cells]
    title, *rest = title.split("\n\n")  # the link comes below the heading
    return "\n\n".join([title, f"[Download this notebook]({Path(path).name}).", *rest, *parts]) + "\n"


def notebook_cell(cell: dict[str, Any]) -> str:
    """Return a cell as Markdown. A command and its output share one block, as in a terminal."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source
    outputs = [out["text"] if out["output_type"] == "stream" else out["data"]["text/plain"] for out in cell["outputs"]]
    printed = "\n".join("".join(each).rstrip("\n") for each in outputs)
    if source.startswith("!"):
        return f"```console\n$ {source[1:]}\n{printed}\n```"
    return f"```python\n{source}\n```" + (f"\n\n```text\n{printed}\n```" if printed else "")


def deviations_page() -> str:
    """Return the page that lists every known difference from the paper; every report contains the same table."""
    table = deviations()
    return (
        f"# Differences from the paper\n\nThis page lists every known difference between metaeval and {CITATION}. "
        "The last column contains the options of `training/multitask.py` that follow the paper instead.\n\n"
        f"{table.to_markdown()}\n"
    )


# --- tasks ---


def groups() -> dict[str, list[TaskSpec]]:
    """Return the tasks by group: the demo tasks, then the other groups in alphabetical order."""
    found: dict[str, list[TaskSpec]] = {}
    for spec in all_tasks().values():
        found.setdefault(spec.group, []).append(spec)
    return dict(sorted(found.items(), key=lambda item: (item[0] != DEMO_GROUP, item[0])))


def group_page(group: str, specs: list[TaskSpec]) -> str:
    """Return the page of a group: one line per task, then a section per task."""
    count = "1 task" if len(specs) == 1 else f"{len(specs)} tasks"
    head = "| task | type | texts | classes | train rows | licence |\n|---|---|---|---:|---:|---|"
    lines = [
        f"| [`{spec.name}`](#{anchor(spec)}) | {words(spec.type.value)} | {('single', 'pairs')[len(spec.texts) - 1]} "
        f"| {len(spec.names)} | {rows_of(spec, 'train')} | {spec.license} |"
        for spec in specs
    ]
    load = f'```python\nfrom metaeval_datasets import load_dataset\n\nload_dataset("metaeval", "{specs[0].name}")\n```'
    sections = [task_section(spec) for spec in specs]
    return "\n\n".join([f"# {group}", f"{count}. Load one with:", load, "\n".join([head, *lines]), *sections]) + "\n"


def task_section(spec: TaskSpec) -> str:
    """Return the declaration of a task: texts, classes, rows, sources, licence, notes and the reference to cite."""
    facts = {
        "Type": words(spec.type.value),
        "Texts": "; ".join(text_field(name, text) for name, text in spec.texts.items()),
        "Classes": ", ".join(f"`{name}`" for name in spec.names),
        "Rows": "; ".join(f"{split} {rows_of(spec, split)}" for split in spec.splits),
        "Sources": "<br>".join(source_line(source) for source in spec.sources),
        "Licence": spec.license,
        "In the paper's 101 tasks": "yes" if spec.in_101 else "no",
        "Paper edition": prose(spec.paper.why) if spec.paper else "",
        "Notes": prose(spec.notes),
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in facts.items() if value)
    cite = f"```bibtex\n{bibtex(spec.citation)}\n```"
    return f"## {spec.name} {{#{anchor(spec)}}}\n\n| | |\n|---|---|\n{table}\n\n{cite}"


def anchor(spec: TaskSpec) -> str:
    """Return the anchor of a task's section."""
    return re.sub(r"[^a-z0-9_-]", "-", spec.config_name.lower())


def rows_of(spec: TaskSpec, split: str) -> str:
    """Return the declared number of rows of an official split, or words if no number is declared."""
    if split not in spec.splits:
        return "-"
    count = spec.rows.get(split)
    text = "not declared" if count is None else f"{count:,}"
    return f"{text} (labels hidden)" if split in spec.unlabelled else text


def text_field(name: str, text: Any) -> str:
    """Return the name of a text field, with the source columns if they have other names."""
    columns = ", ".join(f"`{column}`" for column in text_columns(text)) or "the configuration of the source"
    return f"`{name}`" if columns == f"`{name}`" else f"`{name}` from {columns}"


def source_line(source: Source | Embedded) -> str:
    """Return one source with a link, its configuration and its revision."""
    if isinstance(source, Embedded):
        return f"made by `metaeval_datasets.{source.module}`, no download"
    configs = ", ".join(f"`{config}`" for config in source.configs if config)
    parts = [f"[{source.repo}](https://huggingface.co/datasets/{source.repo})"]
    parts += [f"configuration {configs}"] if configs else []
    parts += [f"revision `{source.revision}`"] if source.revision else []
    return ", ".join(parts) + (f": {prose(source.note)}" if source.note else "")


def prose(text: str) -> str:
    """Return plain text with code in backticks as Markdown for a line or a table cell."""
    parts = text.replace("\n", " ").split("`")
    plain = [html.escape(part, quote=False).replace("[", "&#91;").replace("*", "&#42;") for part in parts[::2]]
    parts[::2] = [part.replace("|", "&#124;") for part in plain]
    return "`".join(parts)


def words(name: str) -> str:
    """Return a name in words."""
    return name.replace("_", " ")


# --- command line ---


def command_line_page() -> str:
    """Return the page about the `metaeval` command and the training scripts, read from their parsers."""
    parts = [
        "# Command line",
        "This page is generated from the argument parsers; `--help` shows the same text.",
        "## The metaeval command",
        *(section for parser in subcommands(metaeval_parser()) for section in parser_sections(parser, 3)),
        "## Training scripts",
        "Start `training/multitask.py` with `accelerate launch` and the others with `python`, in the root of a clone.",
    ]
    for script in SCRIPTS:
        parts += parser_sections(script_parser(script), 3)
    return "\n\n".join(parts) + "\n"


def metaeval_parser() -> argparse.ArgumentParser:
    """Return the parser of the `metaeval` command."""
    from metaeval_hub.cli import build_parser

    return build_parser()


def subcommands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and those of its sub-commands, outer ones first."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in dict.fromkeys(action.choices.values()):
                yield from subcommands(child)


def script_parser(script: str) -> argparse.ArgumentParser:
    """Return the parser with which a training script reads its arguments."""
    with first_parse() as seen:
        path = str(ROOT / "training" / f"{script}.py")
        with mock.patch.object(sys, "argv", [path, *SCRIPTS[script]]), mock.patch.object(sys, "path", list(sys.path)):
            runpy.run_path(path, run_name="__main__")
    return seen[0]


class _Seen(BaseException):
    """Raised to stop a script at its first parser."""


@contextmanager
def first_parse() -> Iterator[list[argparse.ArgumentParser]]:
    """Stop the code in the block at its first ``parse_args``, and yield a list that receives the parser."""
    seen: list[argparse.ArgumentParser] = []

    def stop(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        seen.append(parser)
        raise _Seen

    with mock.patch.object(argparse.ArgumentParser, "parse_args", stop), suppress(_Seen):
        yield seen


def parser_sections(parser: argparse.ArgumentParser, level: int) -> list[str]:
    """Return heading, description, usage and one table of options per group of a parser."""
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=80)
    usage = parser.format_usage().strip()
    if usage.count("\n") > 5:  # the tables below say more than a wall of flags
        usage = f"usage: {parser.prog} [options]"
    sections = [f"{'#' * level} {parser.prog}", description(parser.description or ""), f"```text\n{usage}\n```"]
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.help != argparse.SUPPRESS]
        if any(isinstance(action, argparse._SubParsersAction) for action in actions):
            continue  # each sub-command has a section of its own
        actions = [action for action in actions if not isinstance(action, argparse._HelpAction)]
        if actions:
            rows = "\n".join(option_row(action, parser) for action in actions)
            sections.append(f"| {group.title} | |\n|---|---|\n{rows}")
    return [section for section in sections if section]


def description(text: str) -> str:
    """Return a description as Markdown: prose as paragraphs, aligned or indented lines unchanged."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        verbatim = any(re.search(r"\S {2,}\S|^ ", line) for line in block.splitlines())
        blocks.append(f"```text\n{textwrap.dedent(block)}\n```" if verbatim else prose(block))
    return "\n\n".join(blocks)


def option_row(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """Return a line of the table of options: how the option is written, and its help text."""
    formatter = argparse.HelpFormatter(parser.prog)
    value = (
        formatter._format_args(action, formatter._get_default_metavar_for_optional(action)) if action.nargs != 0 else ""
    )
    if action.option_strings:
        flag = ", ".join(action.option_strings) + (f" {value}" if value else "")
    else:
        flag = str(action.metavar or action.dest)
    flag = re.sub(r"\{[^}]+\}", lambda choices: choices[0].replace(",", ", "), flag)  # so that a line may break there
    text = formatter._expand_help(action) if action.help else ""
    return f"| `{flag}` | {prose(text)} |"


# --- API ---


def api_page() -> str:
    """Return the page of the public names; mkdocstrings replaces each line that starts with ``:::``."""
    import metaeval_datasets
    import metaeval_hub
    from metaeval_datasets import spec

    parts = ["# API reference", "These names are public; every other name can change between versions."]
    names = sorted([*metaeval_hub.__all__, "ConditionalBnConfig"])
    parts += ["## metaeval_hub", *(f"::: metaeval_hub.{name}" for name in names)]
    parts += [
        "## metaeval_datasets",
        '`load_dataset("metaeval", "group/task", edition="careful", source=None, revision=None)` is the function of '
        "the `datasets` library, which knows the name `metaeval` as soon as `metaeval_datasets` is imported.",
        *(f"::: metaeval_datasets.{name}" for name in metaeval_datasets.__all__ if name != "load_dataset"),
    ]
    kinds = (*get_args(spec.Text)[1:], *get_args(spec.Step), *get_args(spec.Groups))
    parts += [
        "## metaeval_datasets.spec",
        "A declaration of a task is built from these classes.",
        *(f"::: metaeval_datasets.spec.{kind.__name__}" for kind in kinds),
    ]
    return "\n\n".join(parts) + "\n"
