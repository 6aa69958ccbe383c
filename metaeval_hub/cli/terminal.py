"""What the commands share to print: tables that fit a terminal and are whole in a pipe, and a progress bar."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from metaeval_hub.tables import Table as ResultTable

ENDLESS = 100_000  # width, in characters, where the output is no terminal: nothing is cut or wrapped


def labelled(argument: str) -> tuple[str | None, str]:
    """LABEL=PLACE in its parts; what stands before the sign is a label if it is no path."""
    label, sign, place = argument.partition("=")
    return (label, place) if sign and label and "/" not in label else (None, argument)


def make_console() -> Console:
    """Standard output: as wide as the terminal, or endless."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    return console if console.is_terminal else Console(width=ENDLESS, highlight=False, markup=False, emoji=False)


def make_table(*columns: str, **options: Any) -> Table:
    """A table without lines, its columns two blanks apart."""
    from rich.table import Table

    return Table(*columns, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0), **options)


def print_table(console: Console, table: Table) -> None:
    """Print a table, without blanks at the ends of lines where it is not for a terminal."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        print(line.rstrip())


def show_table(console: Console, table: ResultTable, most: int | None = None) -> None:
    """Print a table of results with its title and notes; of long ones the first ``most`` rows."""
    console.print(table.title, style="bold", soft_wrap=True)
    rows = table.cells() if most is None else table.cells()[:most]
    shown = make_table()
    for column in table.columns:
        shown.add_column(column.title, justify="left" if column.form == "text" else "right", overflow="fold")
    for row in rows:
        shown.add_row(*row)
    if rows:
        print_table(console, shown)
    if len(table.rows) > len(rows):
        console.print(f"... and {len(table.rows) - len(rows)} more")
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
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        *(TextColumn(what), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn()),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda text: bar.update(task, description=text, advance=1)
