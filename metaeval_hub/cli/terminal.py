"""Print for the commands: tables that fit a terminal and are complete in a pipe, and a progress bar."""

from __future__ import annotations

import copy
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaeval_hub.printable import without_control

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from metaeval_hub.tables import Table as ResultTable

ENDLESS = 100_000  # width, in characters, where the output is no terminal: nothing is cut or wrapped


def path(argument: str) -> Path:
    """Return an argument as a path, a leading ~ as the home folder."""
    return Path(argument).expanduser()


def labelled(argument: str) -> tuple[str | None, str]:
    """LABEL=PLACE in its parts; what stands before the sign is a label if it is no path."""
    if Path(argument).expanduser().exists():  # a folder whose name holds the sign
        return None, argument
    label, sign, place = argument.partition("=")
    return (label, place) if sign and label and "/" not in label else (None, argument)


def protect_output() -> None:
    """Write characters that the encoding of an output lacks as escapes, and survive outputs that are closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller, as with `>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - open until the process ends
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def abandon_output() -> None:
    """Send what is still to be written to standard output nowhere: its reader is gone, or its disk is full."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def make_console(*, stderr: bool = False) -> Console:
    """Return a console on standard output: as wide as the terminal, or of unlimited width where there is none.

    Control characters in what is printed are removed, whoever wrote them; styles are the console's own.
    """
    from rich.console import Console
    from rich.segment import Segment

    class SafeConsole(Console):
        def render(self, *arguments: Any, **options: Any) -> Iterator[Segment]:
            for segment in super().render(*arguments, **options):
                text, style, control = segment
                yield segment if control else Segment(without_control(text), style)

    options: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False, "stderr": stderr}
    console = SafeConsole(**options)
    return console if console.is_terminal else SafeConsole(width=ENDLESS, **options)


def make_table(*columns: str, **options: Any) -> Table:
    """A table without lines, its columns two blanks apart."""
    from rich.table import Table

    return Table(*columns, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0), **options)


def print_table(console: Console, table: Table) -> None:
    """Print a table; where the output is no terminal it is complete, and lines have no blanks at their ends."""
    if console.is_terminal:
        console.print(table)
        return
    wide = copy.copy(console)
    wide._width = ENDLESS
    with wide.capture() as capture:
        wide.print(table)
    for line in capture.get().splitlines():
        console.file.write(line.rstrip() + "\n")


def _fit(console: Console, table: Table) -> tuple[Table, list[str]]:
    """Return the table with as many columns as fit, the first always among them, and the titles of the others."""
    from rich.measure import Measurement

    fitting, dropped = copy.copy(table), list[str]()
    fitting.columns = list(table.columns)
    unlimited = console.options.update(max_width=ENDLESS)
    while len(fitting.columns) > 1 and Measurement.get(console, unlimited, fitting).maximum > console.width:
        dropped.insert(0, str(fitting.columns.pop().header))
    return fitting, dropped


def show_table(console: Console, table: ResultTable, most: int | None = None, more: str = "") -> None:
    """Print a table of results with its title and notes.

    A narrow terminal gets the columns that fit, from the left; the others are named below the table.

    Args:
        console: where to.
        table: any.
        most: of a longer table, only the first ``most`` rows.
        more: follows the number of rows that are not shown.
    """
    console.print(table.title, style="bold", soft_wrap=True)
    rows = table.cells() if most is None else table.cells()[:most]
    shown = make_table()
    for column in table.columns:
        shown.add_column(column.title, justify="left" if column.form == "text" else "right", overflow="fold")
    for row in rows:
        shown.add_row(*row)
    shown, dropped = _fit(console, shown) if console.is_terminal else (shown, [])
    if rows:
        print_table(console, shown)
    if dropped:
        console.print(f"no room for: {', '.join(dropped)}; widen the terminal or pipe the output", soft_wrap=True)
    if len(table.rows) > len(rows):
        console.print(f"... and {len(table.rows) - len(rows)} more{more}")
    for note in table.notes:
        console.print(note, soft_wrap=True)
    console.print()


@contextmanager
def quiet(verbose: bool, *, bars: bool = True) -> Iterator[None]:
    """No warnings of what loading leaves in its report; no bars where standard error is no terminal.

    Args:
        verbose: warnings nevertheless.
        bars: False where a bar of our own counts what is loaded: no others beside it.
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
    """A bar on standard error that is gone in the end; yields what to call with a word after each of ``total`` steps.

    Where standard error is no terminal there is none.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = make_console(stderr=True)
    columns = (
        *(TextColumn(what), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn()),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda text: bar.update(task, description=text, advance=1)
