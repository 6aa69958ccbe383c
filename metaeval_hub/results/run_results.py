"""Find and read the files that a run leaves behind: results.json, data.json and config.json. Needs no torch.

``metaeval_hub.results.results_json`` knows the content of results.json. The functions here return the dataclasses of
``metaeval_hub.results.schema``, or raise a ``ResultsError`` that names the file, the key and the expected value.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaeval_hub.results.json_values import FormError, Value, a_count, a_text, an_object, list_of, mapping_of, shown
from metaeval_hub.results.results_json import parse_run
from metaeval_hub.results.schema import RunResult

RESULTS, CONFIG, DATA = "results.json", "config.json", "data.json"  # scores, settings and rows of a run
MAX_BYTES = 2**29  # largest accepted size of one of these files; 100,000 tasks need a tenth of it


class ResultsError(ValueError):
    """The results of a run cannot be read; the message names the file and what to do next."""


class UnfinishedRunError(ResultsError):
    """A run has started but has no results yet."""


class NoRunError(ResultsError):
    """A folder or file does not belong to a run."""


@dataclass(frozen=True)
class SourceRows:
    """Splits and rows that a source provided for a task, as stored in the run's data.json.

    Args:
        missing: splits that the source does not have.
        read: official split -> number of rows that were read.
    """

    missing: tuple[str, ...]
    read: Mapping[str, int]


# --- Folders --------------------------------------------------------------------------------------------------------


def read_runs(path: Path | str, label: str | None = None) -> list[RunResult]:
    """Read the results in a folder, or one results file, or the results in each sub-folder (one method each).

    Args:
        path: folder of a run, or a results.json; a leading ``~`` stands for the home folder.
        label: name of the run in tables, by default the name of the folder. With sub-folders, "/" and the name of the
            sub-folder are appended.

    Raises:
        UnfinishedRunError: the run has no results yet.
        NoRunError: the folder or file does not belong to a run.
        ResultsError: the path does not exist, or the results do not have the expected form.
    """
    path = at_home(path)
    if path.is_file():
        if path.suffix != ".json":
            raise NoRunError(f"{path} is neither the folder of a run nor a {RESULTS}")
        return [read_results(path, label or name_of(path.parent))]
    if not path.is_dir():
        reason = "it is neither a file nor a folder" if path.exists() else "it does not exist"
        raise ResultsError(f"{path} is neither the folder of a run nor a {RESULTS}: {reason}")
    label = name_of(path) if label is None else label
    if (path / RESULTS).is_file():
        return [read_results(path / RESULTS, label)]
    found = sorted((file for file in path.glob(f"*/{RESULTS}") if file.is_file()), key=_by_number)
    if not found:
        raise without_results(path)
    return [read_results(file, f"{label}/{file.parent.name}") for file in found]


def _by_number(file: Path) -> list[tuple[str, int]]:
    """Return a key that sorts the folders of files by name, and names with numbers by number: fit-8 before fit-16."""
    return [(words, int(number or 0)) for words, number in re.findall(r"(\D*)(\d*)", file.parent.name)]


def at_home(path: Path | str) -> Path:
    """Replace a leading ``~`` with the home folder, if it is known."""
    return Path(os.path.expanduser(path))


def name_of(folder: Path) -> str:
    """Return the name of a folder as the user gave it: that of a link, and the real one for ``.`` and ``..``."""
    return Path(os.path.abspath(folder)).name


def is_run(folder: Path) -> bool:
    """Return whether a folder contains the settings of a run of any training script.

    A model folder also has a config.json, with other keys.
    """
    try:
        config = read_json(folder / CONFIG)
    except (OSError, ResultsError):
        return False
    settings = config.get("settings", config) if isinstance(config, dict) else None
    return isinstance(settings, dict) and "output_dir" in settings


def without_results(folder: Path) -> ResultsError:
    """Return the error for a folder without results: ``UnfinishedRunError`` if it is a run, else ``NoRunError``."""
    if is_run(folder):
        return UnfinishedRunError(
            f"{folder} has no {RESULTS}: the run is not finished; resume it with the script that started it and "
            f"--resume {shlex.quote(str(folder))}"
        )
    return NoRunError(f"{folder} has no {RESULTS} and no {CONFIG} of a run: it is not the folder of a run")


# --- Files ----------------------------------------------------------------------------------------------------------


def read_json(file: Path) -> Any:
    """Read JSON from a regular file. Pipes and devices are refused because reading them could block or never end.

    Raises:
        OSError: the file cannot be read.
        ResultsError: the file is not a regular file, is too large, or is not JSON.
    """
    if not file.is_file():
        raise ResultsError(f"{file} is not a regular file")
    if (size := file.stat().st_size) > MAX_BYTES:
        raise ResultsError(f"{file} has {size:,} bytes; expected at most {MAX_BYTES:,}")
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ResultsError(f"{file} is not JSON: {reason}; {_ADVICE}") from None


def read_results(file: Path, label: str) -> RunResult:
    """Read a results.json.

    Raises:
        ResultsError: the file cannot be read or does not have the expected form.
    """
    return _read(file, lambda found: parse_run(label, file, found))


def read_source_rows(folder: Path) -> dict[str, SourceRows]:
    """Read the data.json in a run's folder: task -> splits and rows of its source. Empty if there is no such file.

    Raises:
        ResultsError: the file cannot be read or does not have the expected form.
    """
    file = folder / DATA
    if not file.exists():
        return {}
    return _read(file, lambda found: mapping_of(found.get("origins", {}), "origins", _parse_source_rows))


def _parse_source_rows(value: Any, where: str) -> SourceRows:
    found = an_object(value, where)
    official = mapping_of(found.get("official") or {}, f"{where}['official']", an_object)
    return SourceRows(
        list_of(found.get("missing") or [], f"{where}['missing']", a_text),
        {
            split: a_count(each.get("read"), f"{where}['official'][{split!r}]['read']")
            for split, each in official.items()
        },
    )


_ADVICE = "it is damaged, or metaeval did not write it: repeat the run to write it again, or leave the run out"


def _read(file: Path, parse: Callable[[dict[str, Any]], Value]) -> Value:
    try:
        found = read_json(file)
        if not isinstance(found, dict):
            raise FormError(f"the whole file is {shown(found)}; expected an object")
        return parse(found)
    except OSError as error:
        raise ResultsError(f"{file} cannot be read: {error.strerror or error}") from None
    except FormError as error:
        raise ResultsError(f"{file} is not of the expected form: {error}; {_ADVICE}") from None
