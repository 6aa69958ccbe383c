"""The `metaeval` command: one module per sub-command, each with ``add`` (declares the arguments) and ``run``.

A sub-command imports its libraries when it runs, so ``metaeval --help`` answers at once.
"""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

from metaeval_hub.cli import (
    analyze,
    check_sources,
    compare,
    completion,
    export_onnx,
    fit,
    new_task,
    overlap,
    page,
    predict,
    publish,
    report,
    serve,
    show,
    space,
    suggest,
    tasks,
    train,
)
from metaeval_hub.cli.output import safe_output
from metaeval_hub.safe_files.printable import without_control

COMMANDS = (
    *(tasks, show, check_sources, publish, new_task, overlap, train, fit, suggest, predict, serve, export_onnx, space),
    *(compare, analyze, report, page, completion),
)
EXTRAS = {
    **dict.fromkeys(("fit", "suggest", "predict", "space"), "models"),
    **{"serve": "serve", "export-onnx": "onnx"},
    **{"compare": "analysis", "analyze": "analysis", "report": "analysis", "page": "analysis"},
}
MOST_CHARACTERS = 2_000  # longest error message that is printed whole


class _Version(argparse.Action):
    """Print the version; it is looked up only if it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *arguments: Any) -> None:
        from importlib.metadata import version

        print(f"metaeval {version('metaeval')}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = argparse.ArgumentParser(
        prog="metaeval", description="Train one model on many text classification tasks, and map how the tasks relate."
    )
    parser.add_argument(
        "--verbose", action="store_true", help="show log messages of the libraries, and tracebacks of errors"
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for module in COMMANDS:
        name = module.__name__.rsplit(".", 1)[-1].replace("_", "-")
        lines = (module.__doc__ or "").splitlines()
        sub = commands.add_parser(name, help=lines[0].rstrip("."), description=module.__doc__)
        module.add(sub)
        sub.set_defaults(run=module.run)
    parser.error = partial(_suggest_command, parser.error, tuple(commands.choices))  # type: ignore[method-assign]
    return parser


def _suggest_command(error: Callable[[str], NoReturn], names: tuple[str, ...], message: str) -> NoReturn:
    """Exit with the parser's message, or with the nearest command if the command is unknown."""
    typed = re.search(r"argument command: invalid choice: '(.+?)'", message)
    if typed:
        near = difflib.get_close_matches(typed[1], names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(names)}"
        error(f"unknown command {typed[1]!r}; {hint}")
    error(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    The status is 0 for success, 1 after a one-line error, 2 after wrong usage, and 130 after Ctrl-C.

    An error that the user cannot fix is a bug in metaeval and ends in a traceback.
    """
    # Torch reads this when it is first imported: its threads then sleep while they wait, which a busy machine needs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with safe_output() as out:
        status = _run(list(sys.argv[1:] if arguments is None else arguments))
        out.flush()
        if out.error is not None and not isinstance(out.error, BrokenPipeError):
            print(f"metaeval: standard output cannot be written: {out.error.strerror}", file=sys.stderr)
            return status or 1
    return status


def _run(arguments: list[str]) -> int:
    own, forwarded = _split(arguments)
    parser = build_parser()
    options = parser.parse_args(own)
    options.typed = ["metaeval", *arguments]  # results store the command that made them
    options.parser, options.forwarded = parser, forwarded
    handler = logging.StreamHandler()
    handler.setFormatter(_PlainFormatter("%(message)s"))
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, handlers=[handler])
    try:
        with _own_tasks(options), _sources(options):
            return int(options.run(options) or 0)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if not _is_for_users(error):
            print(
                f"metaeval {options.command}: this is a bug in metaeval; please report it with this traceback:",
                file=sys.stderr,
            )
            raise
        if options.verbose:
            raise
        print(f"metaeval {options.command}: {_message(error, options.command)}", file=sys.stderr)
        return 2 if isinstance(error, train.UsageError) else 1


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Separate the arguments of this program from those that `metaeval train` forwards."""
    place = next((place for place, word in enumerate(arguments) if not word.startswith("-")), len(arguments))
    if arguments[place : place + 1] != ["train"]:
        return arguments, []
    own, forwarded = train.split(arguments[place + 1 :])
    return [*arguments[: place + 1], *own], forwarded


@contextmanager
def _own_tasks(options: argparse.Namespace) -> Iterator[None]:
    """Let a command use the tasks of its task file."""
    if not getattr(options, "task_file", None):
        yield
        return
    from metaeval_datasets.task_file import task_file

    given = (getattr(options, name, None) for name in ("task", "name", "names", "tasks", "only"))
    requested = [name for each in given for name in ([each] if isinstance(each, str) else each or ())]
    with task_file(options.task_file, requested):
        yield


@contextmanager
def _sources(options: argparse.Namespace) -> Iterator[None]:
    """Let a command read the sources of tasks at the commits of its pin file, and each source at one commit."""
    if "pins" not in options:  # the command loads no tasks
        yield
        return
    from metaeval_datasets.sources.pins import pinned
    from metaeval_datasets.sources.revisions import ask_once

    with pinned(options.pins), ask_once():
        yield


class _PlainFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_control(super().format(record))


def _is_for_users(error: Exception) -> bool:
    """Return whether the user can fix an error: a value, a file, the network, a library or memory."""
    if isinstance(error, (ValueError, OSError, ImportError, MemoryError)):
        return True
    from metaeval_datasets.catalog import UnknownTaskError
    from metaeval_datasets.sources.asking import SourceError

    torch = sys.modules.get("torch")
    return isinstance(error, (UnknownTaskError, SourceError, *([torch.OutOfMemoryError] if torch else [])))


def _message(error: Exception, command: str) -> str:
    if isinstance(error, ModuleNotFoundError):
        from metaeval_datasets.extras import missing

        if message := missing(error, EXTRAS.get(command)):
            return message
    first, *others = str(error).splitlines() or [""]
    joined = "; ".join(line.strip().removeprefix("- ") for line in others)
    text = without_control(": ".join(filter(None, [first, joined]))) or type(error).__name__
    return (
        text
        if len(text) <= MOST_CHARACTERS
        else f"{text[:MOST_CHARACTERS]}... (shortened; pass --verbose to see all of it)"
    )
