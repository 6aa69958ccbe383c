"""Show messages, progress and the table of results; plain text if the output is not a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from types import TracebackType

from rich import box
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from metaeval_hub.results.schema import TaskResult, mean_scores

# GLUE and SuperGLUE report Matthews' coefficient for these tasks, because their classes are skewed or their rows
# adversarial.
MATTHEWS_TASKS = frozenset({"glue/cola", "glue/ax", "super_glue/axb"})
PLAIN_LINES = 20  # progress lines of a run whose output is not a terminal
PLAIN_WIDTH = 100_000  # if the output is not a terminal, so that no table is cut


class Reporter:
    """Shows messages and progress, on the main process only.

    Args:
        main: whether this is the main process; the others are silent.
    """

    def __init__(self, main: bool) -> None:
        self.main = main
        self.console = Console(quiet=not main, highlight=False)
        if not self.console.is_terminal:
            self.console = Console(quiet=not main, highlight=False, width=PLAIN_WIDTH)

    def line(self, text: str = "") -> None:
        """Print one line without wrapping and markup."""
        self.console.print(text, soft_wrap=True, markup=False)

    def warn(self, text: str) -> None:
        """Print one line as a warning."""
        self.console.print(text, soft_wrap=True, markup=False, style="yellow")

    def error(self, text: str) -> None:
        """Print the error that ended the run."""
        self.console.print(f"error: {text}", soft_wrap=True, markup=False, style="bold red")

    def progress(self, text: str, total: int, done: int = 0, unit: str = "") -> ProgressDisplay:
        """Return a progress bar for ``total`` things, as a context manager."""
        return ProgressDisplay(self, text, total, done, unit)


class _Bar(Progress):
    """A bar with a line of text below it."""

    below = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.below:
            yield Text(self.below, style="dim", no_wrap=True, overflow="ellipsis")


class ProgressDisplay:
    """A progress bar in a terminal, and occasional lines elsewhere; see ``Reporter.progress``."""

    def __init__(self, reporter: Reporter, text: str, total: int, done: int, unit: str) -> None:
        self.reporter, self.text, self.total, self.done, self.unit = reporter, text, total, done, unit
        self.started, self.start = time.monotonic(), done
        self.live = reporter.console.is_terminal and not reporter.console.quiet
        self.bar = _Bar(
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False), TimeElapsedColumn(), TextColumn("left"),
            TimeRemainingColumn(),
            console=reporter.console, transient=True, disable=not self.live,
        )  # fmt: skip
        self.task = self.bar.add_task(text, total=total, completed=done, note="")

    def __enter__(self) -> ProgressDisplay:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def show_worst(self, over: Mapping[str, float]) -> None:
        """Show the tasks with the lowest gains below the bar: name -> accuracy minus that of the majority class."""
        if self.live:
            self.bar.below = f"least over the majority class: {worst(over, 4)}"
            self.bar.refresh()

    def update(self, done: int, note: str = "") -> None:
        """Set how many things are done, with a note next to the bar."""
        before, self.done = self.done, done
        self.bar.update(self.task, completed=done, note=note)
        if not self.live and self.unit and before * PLAIN_LINES // self.total != done * PLAIN_LINES // self.total:
            elapsed = time.monotonic() - self.started
            left = remaining(elapsed, done - self.start, self.total - done)
            self.reporter.line(f"{self.unit} {done}/{self.total}  {note}  elapsed {duration(elapsed)}{left}")


def remaining(elapsed: float, done: int, left: int) -> str:
    """Return the time left at the pace so far, such as ", 1:02 left"; "" at the end or if the pace is unknown."""
    return f", {duration(elapsed / done * left)} left" if done > 0 and left else ""


def duration(seconds: float) -> str:
    """Format seconds as 0:32, 12:05 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def validation_line(accuracies: Mapping[str, float], over: Mapping[str, float], most: int = 6) -> str:
    """Return validation accuracies in one line: those of all tasks, or for many tasks the mean and the worst ones.

    Args:
        accuracies: task -> accuracy in 0..1; at least one.
        over: task -> accuracy minus that of the majority class.
        most: largest number of tasks that are all named.
    """
    mean = f"mean of {len(accuracies)}: {sum(accuracies.values()) / len(accuracies):.3f}"
    if len(accuracies) <= most:
        named = ", ".join(f"{name} {value:.2f}" for name, value in accuracies.items())
        return f"validation accuracy: {named} ({mean})"
    gain = 100 * sum(over.values()) / len(over)
    return f"validation accuracy: {mean}, {gain:+.1f} points over the majority class; least: {worst(over, 3)}"


def worst(over: Mapping[str, float], count: int) -> str:
    """Return the tasks with the lowest gains over the majority class, in points: "glue/cola -1.2, glue/rte +0.0"."""
    low = sorted(over.items(), key=lambda item: item[1])[:count]
    return ", ".join(f"{name} {100 * value:+.1f}" for name, value in low)


def results_table(tasks: Mapping[str, TaskResult]) -> Table:
    """Return the table at the end of a run: accuracies in %, "-" if a task lacks the split.

    It shows the cosines of z with its start if the model has z, and Matthews' coefficient for tasks whose benchmark
    reports it.

    Args:
        tasks: name -> result.
    """
    mean = mean_scores(tasks)
    with_z = ["cos(z, z0)"] if mean.cos_z_z0 is not None else []
    with_matthews = ["Matthews"] if any(name in MATTHEWS_TASKS and task.test for name, task in tasks.items()) else []
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("task", no_wrap=True)
    for column in ("train rows", "classes", "majority %", "validation %", "test %", *with_matthews, *with_z):
        table.add_column(column, justify="right", no_wrap=True)
    for name, task in tasks.items():
        train = task.rows["train"]
        matthews = f"{task.test.matthews:.2f}" if name in MATTHEWS_TASKS and task.test else ""
        table.add_row(
            name,
            f"{train.kept:,}" if train.kept == train.available else f"{train.kept:,} of {train.available:,}",
            str(task.classes),
            percent(task.majority),
            percent(None if task.validation is None else task.validation.accuracy),
            percent(None if task.test is None else task.test.accuracy),
            *(matthews for _ in with_matthews),
            *(f"{task.cos_z_z0:.2f}" for _ in with_z),
        )
    table.add_section()
    table.add_row(
        f"mean of {len(tasks)}", "", "", percent(mean.majority), percent(mean.validation), percent(mean.test),
        *("" for _ in with_matthews), *(f"{mean.cos_z_z0:.2f}" for _ in with_z),
    )  # fmt: skip
    if mean.test_interval:
        low, high = (percent(bound) for bound in mean.test_interval)
        table.add_row("its 95 % interval", "", "", "", "", f"{low} to {high}")
    return table


def shorten(text: str, most: int = 150) -> str:
    """Return the text as one line of at most ``most`` characters; data.json and results.json keep the whole text."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 3] + "..."


def percent(share: float | None) -> str:
    """Format a share in percent: 0.612 -> "61.2"; None -> "-"."""
    return "-" if share is None else f"{100 * share:.1f}"
