"""Reads the code blocks of the documentation, and runs what they show."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import runpy
import shlex
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if path.name != "report.md"),  # written by metaeval report
]
# Why a block is not run: the text behind "Not run by the tests:" in its title, which readers of the site see.
REASONS = (
    "installs packages", "needs the network", "needs the Hub", "needs several GPUs or machines", "takes minutes",
    "part of a file", "starts a server", "needs an exported model",
)  # fmt: skip
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_FENCE = re.compile(r"^```(\w+)?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        page: the file, relative to the root.
        line: its first line.
        language: the word behind the fence.
        code: its lines.
        skipped: why it is not run; None where it is.
    """

    page: str
    line: int
    language: str
    code: str
    skipped: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        title = re.search(r'title="Not run by the tests: (.*?)"', match[2] or "")
        line = text.count("\n", 0, match.start()) + 2
        name = page.relative_to(ROOT).as_posix()
        found.append(Block(name, line, match[1] or "", match[3], title[1] if title else None))
    return found


def commands(block: Block) -> list[list[str]]:
    """The `metaeval` commands and scripts of a block, as words; of a console block those behind "$ "."""
    text = block.code.replace("\\\n", " ")
    lines = text.splitlines()
    if block.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    found = [words(line) for line in whole_lines(lines)]
    return [command for command in found if command]


def whole_lines(lines: list[str]) -> Iterator[str]:
    """Join the lines of each word in quotes that spans several."""
    start = ""
    for line in lines:
        start += line
        try:
            shlex.split(start, comments=True)
        except ValueError:
            start += "\n"
            continue
        yield start
        start = ""
    assert not start, f"a quote is not closed: {start}"


def words(line: str) -> list[str]:
    """The words of a command from `metaeval` or the script on; empty for any other command."""
    line = re.sub(r"^for .*?; do |; done$", "", line)
    split = shlex.split(re.sub(r"\$\w+", "0", line), comments=True)
    if not split or split[0] not in ("metaeval", "accelerate", "python", "torchrun"):
        return []
    start = next(
        (i for i, word in enumerate(split) if re.fullmatch(r"metaeval|(training|benchmarks)/\w+\.py", word)), None
    )
    return [] if start is None else split[start:]


def entry(command: list[str]) -> object:
    """Call what a command starts, in this process."""
    if command[0] == "metaeval":
        from metaeval_hub.cli import main

        with mock.patch("metaeval_hub.cli.train._become", train):
            return main(command[1:])
    script = str(ROOT / command[0])
    with mock.patch.object(sys, "argv", [script, *command[1:]]), mock.patch.object(sys, "path", list(sys.path)):
        runpy.run_path(script, run_name="__main__")
    return 0


def train(command: list[str], environment: dict[str, str]) -> int:
    """Run the training of `metaeval train` in this process, which the command would replace."""
    from metaeval_training.__main__ import main

    assert command[1:3] == ["-m", "metaeval_training"], f"{command}: starts several processes; give the block a title"
    with mock.patch.dict(os.environ, environment), mock.patch.object(sys, "argv", list(sys.argv)):
        return main(command[3:])


def run(command: list[str]) -> str:
    """Run a command in this process; return all that it prints. It must succeed."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            status = entry(command)
        except SystemExit as stop:
            status = stop.code
    assert not status, f"{shlex.join(command)} ended with {status}\n{output.getvalue()}"
    return output.getvalue()


def console_parts(code: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with the output shown."""
    for part in re.split(r"^\$ ", code.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def masked(text: str) -> str:
    """Output without what differs from machine to machine: measured numbers and times."""
    return re.sub(r"-?\d+\.\d+|\d+:\d\d|[\d,]+ examples/s", "#", text)
