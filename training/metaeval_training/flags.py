"""Read the settings of a run from the command line; each setting of ``TrainConfig`` is a flag."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NoReturn, get_args, get_origin

from metaeval_training.atomic_files import expand
from metaeval_training.config import HINTS, ConfigError, TrainConfig, flag, resolve


@dataclass(frozen=True)
class CommandLine:
    """A parsed command line.

    Attributes:
        config: the resolved settings; if ``resume`` is set, the caller reads those of the stored run.
        flags: only the settings given on the command line.
        resume: folder of the run to resume; "": the newest unfinished run of this name; None: a new run.
    """

    config: TrainConfig
    flags: dict[str, Any]
    resume: str | None


def parse(argv: list[str] | None = None, description: str | None = None) -> CommandLine:
    """Parse the command line. Wrong usage ends the program with code 2 and a message, as argparse does."""
    parser = make_parser(description or "")
    add_flags(parser, HINTS)
    given = vars(parser.parse_args(argv))
    resume = given.pop("resume")
    resume = None if resume is None else expand(resume)
    if "tasks" in given:
        given["tasks"] = tuple(given["tasks"])
    if "held_out" in given:
        given["held_out"] = tuple(given["held_out"])
    try:
        return CommandLine(resolve(given), given, resume)
    except ConfigError as error:
        parser.error(str(error))


def make_parser(description: str) -> argparse.ArgumentParser:
    """Return the parser of a training command without its flags.

    Args:
        description: shown by --help. Unless the command was started as a script, its examples show `metaeval train`.
    """
    if not sys.argv[0].endswith(".py"):
        description = re.sub(
            r"torchrun \S+ --nproc_per_node (\d+) training/", r"metaeval train --processes \1 training/", description
        )
        description = re.sub(r"(?:python|accelerate launch) training/", "metaeval train training/", description)
        description = re.sub(r"training/(\w+)\.py", lambda script: script[1].replace("_", "-"), description)
    return _Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)


class _Parser(argparse.ArgumentParser):
    """Report wrong usage in one line, without the usage of all flags, which fills a terminal."""

    def error(self, message: str) -> NoReturn:
        """Print the message and where to find help, and exit with status 2."""
        wrong = re.match(r"unrecognized arguments:.*?(--[^\s=]+)", message)
        near = difflib.get_close_matches(wrong[1], self._option_string_actions, n=1) if wrong else []
        hint = f"did you mean {near[0]}? " if near else ""
        self.exit(2, f"{self.prog}: error: {message}; {hint}see {self.prog} --help\n")


def add_flags(
    parser: argparse.ArgumentParser, names: Collection[str], own: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Add the flags of settings to a parser, and --resume.

    A flag that is not given is absent from what the parser returns.

    Args:
        parser: of a script.
        names: settings that the script accepts.
        own: settings whose defaults the script changes; see ``resolve``.
    """
    groups: dict[str, Any] = {}
    for item in dataclasses.fields(TrainConfig):
        if item.name in names:
            group = groups.setdefault(item.metadata["group"], parser.add_argument_group(item.metadata["group"]))
            group.add_argument(flag(item.name), **_argument(item, own.get(item.name, item.default)))
    groups["run"].add_argument(
        "--resume", nargs="?", const="", metavar="RUN_DIR",
        help="resume a stopped run; without a folder: the newest unfinished run of this --name",
    )  # fmt: skip


def _argument(item: dataclasses.Field[Any], default: Any) -> dict[str, Any]:
    kind = HINTS[item.name]
    text = item.metadata["text"].replace("%", "%%")
    if default not in ("", ()) and kind is not bool:
        text += f" (default: {' '.join(default) if isinstance(default, tuple) else default})"
    options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text, "dest": item.name}
    if kind is bool:
        return {**options, "action": argparse.BooleanOptionalAction}
    if item.metadata["metavar"]:
        options["metavar"] = item.metadata["metavar"]
    if get_origin(kind) is tuple:
        return {**options, "nargs": "+"}
    if get_origin(kind) is Literal:
        return {**options, "choices": get_args(kind)}
    return {**options, "type": kind}
