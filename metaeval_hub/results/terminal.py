"""Helpers of commands: paths and labels of a command line, tables that fit a terminal, and progress bars."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaeval_hub.results.run_results import at_home
from metaeval_hub.safe_files.printable import one_line, without_control

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from metaeval_hub.results.tables import Table as ResultTable

ENDLESS = 100_000  # width in characters if the output is not a terminal, so that nothing is cut or wrapped
GAP = 2  # blanks between columns of a table
PHRASE = 13  # minimum width in characters of a column whose texts may wrap

ShowStep = Callable[[str], None]  # called with a short description before each step of a long computation


def show_nothing(description: str) -> None:
    """Show no progress."""


# --- The command line ---


def path_of(argument: str) -> Path:
    """Parse a path of a command line, for ``type=``; shells do not expand the ``~`` in ``--out=~/x``."""
    if not argument:
        raise argparse.ArgumentTypeError("expected the name of a file or folder, got an empty name")
    return at_home(argument)


def make_folder(folder: Path) -> None:
    """Create a folder and check that it is writable, before a command starts to compute.

    Raises:
        OSError: the folder cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileExistsError:
        raise NotADirectoryError(f"{folder} is a file; expected a folder to write to") from None
    except OSError as error:
        raise type(error)(f"{folder} cannot be written to ({error.strerror}); name another folder with --out") from None


def labelled(argument: str) -> tuple[str | None, str]:
    """Split LABEL=PLACE into label and place; the label is None if the argument is an existing path.

    Labels and places may contain equals signs. The argument is split at the first sign after which the place exists. If
    no such place exists, it is split at the first sign, unless the part before it contains a slash.

    Raises:
        ValueError: the place is empty.
    """
    if not at_home(argument).exists():
        label, sign, place = argument.partition("=")
        signs = [i for i, character in enumerate(argument) if character == "=" and 0 < i < len(argument) - 1]
        found = next((i for i in signs if at_home(argument[i + 1 :]).exists()), None)
        if found is not None:
            return argument[:found], argument[found + 1 :]
        if sign and not place:
            raise ValueError(f"{argument!r} does not name a run; expected LABEL=RUN")
        if sign and label and "/" not in label:
            return label, place
    if not argument:
        raise ValueError("the name of a run is empty; expected RUN or LABEL=RUN")
    return None, argument


# --- Tables ---


def make_console() -> Console:
    """Return a console on standard output that drops control characters; without a terminal, lines are not wrapped."""
    from rich.console import Console
    from rich.segment import Segment

    class PlainConsole(Console):
        def render(self, *arguments: Any, **options: Any) -> Any:
            for segment in super().render(*arguments, **options):
                if segment.control or segment.text.isprintable():
                    yield segment
                else:
                    yield Segment(without_control(segment.text), segment.style)

    terminal = sys.stdout.isatty()  # ignores FORCE_COLOR, because a log file has no width
    options: dict[str, Any] = {"force_terminal": terminal, "width": None if terminal else ENDLESS}
    return PlainConsole(**options, highlight=False, markup=False, emoji=False)


def make_table(*columns: str, **options: Any) -> Table:
    """Return a table without lines, with two blanks between columns."""
    from rich.table import Table

    return Table(*columns, box=None, header_style="bold", pad_edge=False, padding=(0, GAP, 0, 0), **options)


def print_table(console: Console, table: Table) -> None:
    """Print a table; without a terminal, print it whole and without trailing blanks."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table, width=ENDLESS)
    for line in capture.get().splitlines():
        print(line.rstrip(), file=console.file)


def print_columns(
    console: Console,
    titles: Sequence[str],
    lines: Sequence[Sequence[str]],
    *,
    numbers: Sequence[int] = (),
    hint: str = "",
) -> None:
    """Print a table. If the terminal is too narrow, leave out the last columns and name them.

    Args:
        console: console to print to.
        titles: titles of the columns; the first column is never left out.
        lines: cells of each line.
        numbers: positions of columns with numbers, which are aligned to the right and never wrapped.
        hint: an option that shows the columns that are left out, such as "--json".
    """
    from rich.cells import cell_len
    from rich.text import Text

    titles = [one_line(title) for title in titles]
    lines = [[one_line(cell) for cell in line] for line in lines]
    widths = [max(map(cell_len, cells)) for cells in zip(titles, *lines, strict=True)]
    words = [
        max(cell_len(word) for cell in cells for word in cell.split(" ")) for cells in zip(titles, *lines, strict=True)
    ]
    wraps = [place > 0 and place not in numbers and width > PHRASE for place, width in enumerate(widths)]
    needed = [max(word, PHRASE) if wrap else width for width, word, wrap in zip(widths, words, wraps, strict=True)]
    width = console.width if console.is_terminal else ENDLESS
    count = len(titles)
    while count > 1 and sum(needed[:count]) + GAP * count > width:
        count -= 1
    table = make_table()
    for place, title in enumerate(titles[:count]):
        fits = not wraps[place] and needed[place] <= width
        table.add_column(
            Text(title), justify="right" if place in numbers else "left", no_wrap=fits, overflow="fold",
            min_width=min(needed[place], width),
        )  # fmt: skip
    for line in lines:
        table.add_row(*map(Text, line[:count]))
    print_table(console, table)
    if gone := ", ".join(titles[count:]):
        console.print(Text(f"(no room for {gone}: widen the terminal{f', or {hint}' if hint else ''})", style="dim"))


def show_table(console: Console, table: ResultTable, most: int | None = None, hint: str = "") -> None:
    """Print a table of results with its title and notes.

    Args:
        console: console to print to.
        table: the table.
        most: maximum number of records to show; None shows all.
        hint: how to get the records and columns that are not shown, such as "--out writes all".
    """
    console.print(one_line(table.title), style="bold", soft_wrap=True, markup=False)
    lines = table.cells() if most is None else table.cells()[:most]
    if lines:
        numbers = [place for place, column in enumerate(table.columns) if column.form != "text"]
        print_columns(console, [column.title for column in table.columns], lines, numbers=numbers, hint=hint)
    if len(table.records) > len(lines):
        console.print(f"... and {len(table.records) - len(lines)} more{f' ({hint})' if hint else ''}")
    for note in table.notes:
        console.print(one_line(note), soft_wrap=True, markup=False)
    console.print()


@contextmanager
def quiet(verbose: bool, *, bars: bool = True) -> Iterator[None]:
    """Silence warnings that the load report repeats, and progress bars if standard error is not a terminal.

    Args:
        verbose: whether to show the warnings.
        bars: whether to allow progress bars of the libraries; False if the command has its own.
    """
    import datasets
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    logger = logging.getLogger("metaeval_datasets")
    level = logger.level
    no_bars, no_hub_bars = datasets.are_progress_bars_disabled(), are_progress_bars_disabled()
    if not verbose:
        logger.setLevel(logging.ERROR)
    if not (bars and sys.stderr.isatty()):
        datasets.disable_progress_bars()
        if not no_hub_bars:
            disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        if not no_bars:
            datasets.enable_progress_bars()
        if not no_hub_bars:
            enable_progress_bars()


@contextmanager
def progress(total: int, what: str) -> Iterator[Callable[[str], None]]:
    """Show a transient progress bar on standard error; yield a function to call after each of ``total`` steps.

    Without a terminal, no bar is shown.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        *(TextColumn(what), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn()),
        *(TextColumn("left"), TimeRemainingColumn()),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda text: bar.update(task, description=without_control(text), advance=1)
