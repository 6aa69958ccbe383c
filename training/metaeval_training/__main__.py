"""Run a training command as ``python -m metaeval_training COMMAND``, as `metaeval train` does.

Without a name, the command is multitask.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from metaeval_training.runs.process import start_script
from metaeval_training.runs.restart import STARTED_WITH

COMMANDS = ("multitask", "single-task", "probes", "task-vectors", "few-shot", "zero-shot")


def main(arguments: list[str]) -> int:
    """Run the command that the first argument names, and return its exit code."""
    start_script()
    name, *others = arguments if arguments[:1] and not arguments[0].startswith("-") else ["multitask", *arguments]
    if name not in COMMANDS:
        print(f"unknown training command {name!r}; expected one of {', '.join(COMMANDS)}", file=sys.stderr)  # noqa: T201
        return 2
    shown = os.environ.get(STARTED_WITH, "python -m metaeval_training")
    sys.argv = [f"{shown} {name}", *others]  # argparse shows the first word in its messages
    return int(import_module(f"metaeval_training.commands.{name.replace('-', '_')}").main(others))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
