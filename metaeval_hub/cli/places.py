"""Check output paths before a command computes anything, so that no work is lost because of a wrong path.

The options ``--pins``, ``--task-file`` and ``--seed`` of several commands, and those of CSV files, are declared here.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from metaeval_hub.utils.seeds import MOST_SEED


def add_pins(parser: argparse._ActionsContainer) -> None:
    """Declare the option for the pin file."""
    parser.add_argument(
        "--pins",
        metavar="FILE",
        help="read sources at the commits in this file, which `metaeval check-sources --pin FILE` writes (default: the "
        "file that METAEVAL_PINS names, or else the current commits)",
    )


def add_task_file(parser: argparse._ActionsContainer) -> None:
    """Declare the option for the file with tasks of the user."""
    parser.add_argument(
        "--task-file",
        metavar="FILE",
        help="also use the tasks that this YAML file declares, which `metaeval new-task` writes",
    )


def add_csv(parser: argparse._ActionsContainer) -> None:
    """Declare the options that say how CSV files are written; ``csv_given`` reads them."""
    parser.add_argument("--encoding", help="encoding of a CSV file (default: UTF-8, or else cp1252)")
    parser.add_argument(
        "--delimiter", help="separator of a CSV file, or tab (default: the most frequent one in its first line)"
    )
    parser.add_argument(
        "--quote",
        metavar="MARK",
        help='character around fields of a CSV file, or none if no field is quoted (default: ")',
    )


def csv_given(options: argparse.Namespace, *paths: str) -> dict[str, Any]:
    """Return how CSV files are written, as far as options say it: ``delimiter``, ``quote`` and ``encoding``.

    Args:
        options: of a command with the options of ``add_csv``.
        paths: the files that the command reads.

    Raises:
        ValueError: none of the files is a CSV file, or a value is not a single character.
    """
    given = {name: getattr(options, name) for name in ("delimiter", "quote", "encoding")}
    given = {name: value for name, value in given.items() if value is not None}
    if given and not any(path.lower().endswith((".csv", ".tsv")) for path in paths):
        raise ValueError(f"--{next(iter(given))} is for CSV files; leave it out for {', '.join(paths)}")
    for name, words in (("delimiter", {"tab": "\t", "\\t": "\t"}), ("quote", {"none": None})):
        if name in given:
            given[name] = words.get(given[name], given[name])
            if given[name] is not None and len(given[name]) != 1:
                raise ValueError(f"--{name} must be one character or {next(iter(words))}, got {given[name]!r}")
    return given


def add_seed(parser: argparse._ActionsContainer, what: str) -> None:
    """Declare the option for the seed.

    Args:
        parser: where the option is declared.
        what: what is random, for the help text.
    """
    parser.add_argument("--seed", type=_seed, default=0, help=f"seed of {what} (default: 0)")


def _seed(argument: str) -> int:
    """Parse a seed that numpy and scikit-learn accept."""
    if not (argument.isdecimal() and argument.isascii() and int(argument[:11]) <= MOST_SEED):
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to {MOST_SEED}, got {argument!r}")
    return int(argument)


def check_model(place: str) -> None:
    """Check that the name of a model is a folder or a Hub id, before slow libraries are imported and rows are read.

    Raises:
        ValueError: it is neither.
    """
    from metaeval_hub.hub.names import local_folder

    local_folder(place)


def check_folder(folder: Path, option: str) -> None:
    """Check that files can be written to a folder. The folder is not created.

    Args:
        folder: the folder, which need not exist.
        option: command line option that names the folder, for the error message.

    Raises:
        OSError: the folder cannot be created or written to.
    """
    place = Path(os.path.abspath(folder))
    while not os.path.lexists(place):
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise OSError(
            f"{option} {folder}: files cannot be written into {place} ({error.strerror or error}); give another folder"
        ) from error


def check_file(path: Path, option: str) -> None:
    """Check that a file can be written. Neither the file nor its folder is created.

    Raises:
        OSError: the path is a folder, or its folder cannot be written to.
    """
    if path.is_dir():
        raise OSError(f"{option} {path} is a folder; give the name of a file")
    check_folder(path.parent, option)


def check_new_file(path: Path, option: str) -> None:
    """Check that a file that users fill in afterwards can be written, and that it does not replace another file.

    Raises:
        FileExistsError: the file exists.
        OSError: the path is a folder, or its folder cannot be written to.
    """
    check_file(path, option)
    if path.is_file() or (path.is_symlink() and not path.exists()):  # the latter is a link to nothing
        raise FileExistsError(
            f"{option} {path} exists, and its rows or labels would be lost; give another name, or delete the file"
        )
