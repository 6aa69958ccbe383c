"""Define a script that takes one task after the other: its settings and options, and its command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metaeval_training.config import ConfigError, TrainConfig, resolve
from metaeval_training.flags import add_flags, make_parser

# The settings of TrainConfig that every such script accepts.
SETTINGS = (
    "preset", "name", "output_dir", "seed", "threads", "matmul_precision", "tasks", "edition", "pins", "task_file",
    "skip_unavailable", "max_train_rows", "max_eval_rows", "rows_seed", "decontaminate", "cache_dir", "max_length",
    "encoder", "encoder_revision", "eval_batch_size",
)  # fmt: skip


@dataclass(frozen=True)
class Script:
    """The properties of one script.

    Attributes:
        command: name of the training command, such as "single-task".
        description: the docstring, shown by --help.
        settings: settings of TrainConfig that are flags of the script.
        own: settings whose default differs from TrainConfig.
        options: further options with their defaults, as JSON values.
        add_options: adds their flags, all with ``default=argparse.SUPPRESS``.
        check: raises ConfigError for options that are out of range.
        workers: whether several processes can work on the tasks; then the script has the flag --workers.
    """

    command: str
    description: str
    settings: Sequence[str]
    own: Mapping[str, Any]
    options: Mapping[str, Any]
    add_options: Callable[[argparse.ArgumentParser], None]
    check: Callable[[Mapping[str, Any]], None] = lambda options: None
    workers: bool = False


@dataclass(frozen=True)
class Command:
    """A parsed command line.

    Attributes:
        config: settings, merged from defaults, preset and flags.
        options: options of the script, merged in the same way.
        flags: only the settings that were given on the command line.
        given: only the options that were given on the command line.
        resume: folder of the run to resume; "": the newest unfinished run of this name; None: a new run.
        workers: number of processes that work on tasks; 0: chosen by ``choose_workers``.
    """

    script: Script
    config: TrainConfig
    options: dict[str, Any]
    flags: dict[str, Any]
    given: dict[str, Any]
    resume: str | None
    workers: int = 0


def parse(script: Script, argv: Sequence[str] | None = None) -> Command:
    """Parse the command line. Wrong usage ends the program with code 2 and a message, as argparse does."""
    parser = make_parser(script.description)
    script.add_options(parser)
    add_flags(parser, script.settings, script.own)
    if script.workers:
        parser.add_argument(
            "--workers", type=int, metavar="N", default=argparse.SUPPRESS,
            help="processes that work on tasks at the same time, each with a model in memory (default: one per CPU "
            "core or task, at most 4; 1 on a GPU); with the same --threads, their number does not change the results",
        )  # fmt: skip
    given = vars(parser.parse_args(argv))
    resume, workers = given.pop("resume"), given.pop("workers", None)
    flags = {name: value for name, value in given.items() if name in script.settings}
    if "tasks" in flags:
        flags["tasks"] = tuple(flags["tasks"])
    own = {name: value for name, value in given.items() if name not in script.settings}
    options = {**script.options, **own}
    try:
        if resume is None:  # a resumed run uses its stored options, checked when it was started
            script.check(options)
        if workers is not None and workers < 1:
            raise ConfigError(f"--workers must be at least 1, got {workers}")
        config = resolve(flags, script.own)
        # a preset may set settings that this script does not have; they are not stored with the run
        config = TrainConfig(**{name: getattr(config, name) for name in script.settings})
        return Command(script, config, options, flags, own, resume, workers or 0)
    except ConfigError as error:
        parser.error(str(error))
