"""The `metaeval` command: one module a sub-command, each with ``add`` (its arguments) and ``run``.

A sub-command's libraries are imported when it runs, so that ``metaeval --help`` answers at once.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from metaeval_hub.cli import analyze, check_sources, compare, overlap, page, predict, publish, report, show, tasks

MOST_CHARACTERS = 20_000  # of an error: one that lists the sources of many tasks is long
COMMANDS = (tasks, show, check_sources, publish, overlap, predict, compare, analyze, report, page)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = argparse.ArgumentParser(
        prog="metaeval", description="Many classification tasks, one model, and a map of how tasks relate."
    )
    parser.add_argument("--verbose", action="store_true", help="show what the libraries log, and traces of errors")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for module in COMMANDS:
        name = module.__name__.rsplit(".", 1)[-1].replace("_", "-")
        lines = (module.__doc__ or "").splitlines()
        sub = commands.add_parser(name, help=lines[0].rstrip("."), description=module.__doc__)
        module.add(sub)
        sub.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, or 1 with the error in one line, 130 after Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = build_parser().parse_args(arguments)
    options.typed = ["metaeval", *arguments]  # for results that say what made them
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="%(message)s")
    try:
        return int(options.run(options) or 0)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
        return 0
    except (ValueError, TypeError, KeyError, OSError, ImportError, RuntimeError) as error:
        if options.verbose:
            raise
        print(f"metaeval {options.command}: {_message(error)}", file=sys.stderr)
        return 1


def _message(error: Exception) -> str:
    # str() of a KeyError is the repr of its message
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    first, *others = text.splitlines() or [""]
    return ": ".join(filter(None, [first, "; ".join(line.strip().removeprefix("- ") for line in others)]))
