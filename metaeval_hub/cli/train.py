"""Train a model for many tasks, or run a baseline or an experiment: the scripts of training/, without a clone.

    metaeval train                                        # demo tasks, small encoder: about 100 s on two cores
    metaeval train --preset small --tasks pragmeval glue/cola
    metaeval train --processes 2 multitask --preset gpu --push-to-hub ORG/NAME
    metaeval train --launch "--mixed_precision bf16 --dynamo_backend inductor" --preset gpu
    metaeval train single-task --help

multitask      one model for many tasks, with one embedding per task (the default)
single-task    baseline: fine-tune one model per task
probes         baselines on the frozen encoder, on words, and the majority class
task-vectors   task vectors that are not learned: TextEmb and Fisher
few-shot       accuracy against the number of labelled examples of a new task
zero-shot      accuracy on tasks without labels

Options before the name of the training command are for `accelerate launch`, options after it for the training command.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

TRAINING_COMMANDS = ("multitask", "single-task", "probes", "task-vectors", "few-shot", "zero-shot")
PRIVATE_OPTIONS = ("--processes", "--launch")  # of this command; each has a value
STARTED_WITH = "METAEVAL_TRAIN_COMMAND"  # tells the training which command resumes it
# without these, `accelerate launch` prints a line for each default
LAUNCHER_DEFAULTS = {"--num_processes": "1", "--num_machines": "1", "--mixed_precision": "no", "--dynamo_backend": "no"}


class UsageError(ValueError):
    """The command was typed wrongly, which ends it with status 2."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--processes", type=int, metavar="N", help="train in N processes, one per GPU if there are GPUs (default: 1)"
    )
    parser.add_argument("--launch", metavar="FLAGS", help="further flags for `accelerate launch`, in one quoted word")
    parser.add_argument(
        "training",
        nargs="?",
        metavar="COMMAND",
        choices=TRAINING_COMMANDS,
        default=TRAINING_COMMANDS[0],
        help="training command, see above (default: multitask)",
    )
    parser.add_argument(
        "flags", nargs="*", metavar="FLAG", help="flags of the training command; COMMAND --help lists them"
    )


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate the options of this command from the words that follow them, which are for the training command.

    >>> split(["--processes", "2", "probes", "--processes", "x"])
    (['--processes', '2'], ['probes', '--processes', 'x'])
    """
    place = 0
    while place < len(arguments):
        word = arguments[place]
        if word in PRIVATE_OPTIONS:
            place += 2
        elif word.startswith(tuple(f"{option}=" for option in PRIVATE_OPTIONS)) or word in ("-h", "--help"):
            place += 1
        else:
            break
    return list(arguments[:place]), list(arguments[place:])


def run(options: argparse.Namespace) -> int:
    """Replace this process by the training.

    Raises:
        UsageError: the training command is unknown, or the number of processes is below 1.
        ImportError: the libraries for training are not installed.
    """
    words = options.forwarded
    name, *flags = words if words[:1] and not words[0].startswith("-") else [TRAINING_COMMANDS[0], *words]
    if name not in TRAINING_COMMANDS:
        near = difflib.get_close_matches(name, TRAINING_COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(TRAINING_COMMANDS)}"
        raise UsageError(f"unknown training command {name!r}; {hint}")
    if options.processes is not None and options.processes < 1:
        raise UsageError(f"--processes must be at least 1, got {options.processes}")
    for library in ("metaeval_training", "accelerate"):
        if find_spec(library) is None:
            raise ImportError(f"{library} is not installed; install it with: pip install 'metaeval[train]'")
    command = [sys.executable, *launcher(options.processes, options.launch), "-m", "metaeval_training", name, *flags]
    own = ["--processes", str(options.processes)] if options.processes is not None else []
    own += ["--launch", options.launch] if options.launch else []
    return _become(command, os.environ | {STARTED_WITH: shlex.join([*typed_program(), "train", *own])} | _safe_path())


def launcher(processes: int | None, flags: str | None) -> list[str]:
    """Return the arguments of Python that start `accelerate launch`; none if one process without flags is asked for."""
    if (processes or 1) == 1 and not flags:
        return []
    given = shlex.split(flags or "")
    names = {word.split("=", 1)[0].replace("-", "_") for word in given if word.startswith("--")}
    values = LAUNCHER_DEFAULTS | {"--num_processes": str(processes or 1)}
    if "__config_file" in names:
        values = {} if processes is None else {"--num_processes": str(processes)}
    defaults = [word for name, value in values.items() if name.replace("-", "_") not in names for word in (name, value)]
    # the launcher's name for several processes on one machine, with and without GPUs
    several = ["--multi_gpu"] if (processes or 1) > 1 else []
    return ["-m", "accelerate.commands.launch", "--quiet", *defaults, *several, *given]


def typed_program() -> list[str]:
    """Return the words that start this program again from the current folder: ``metaeval`` if it is on the path."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return [sys.orig_argv[0], "-m", "metaeval_hub"]
    found = shutil.which("metaeval")
    if found and program.exists() and Path(found).samefile(program):
        return ["metaeval"]
    return [str(program)]


def _safe_path() -> dict[str, str]:
    """Return the variable that keeps modules of the current folder from replacing libraries, as in this process."""
    return {} if {"", os.getcwd()} & set(sys.path) else {"PYTHONSAFEPATH": "1"}


def _become(command: list[str], environment: dict[str, str]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":  # where a replaced process would leave the terminal at once
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603
    os.execve(command[0], command, environment)  # noqa: S606
