"""Manage the folder of a run: its number, its files and its metrics."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from metaeval_training.atomic_files import DamagedFileError, check_seal, parse_object, seal, shown, write_text
from metaeval_training.config import flag


class RunError(RuntimeError):
    """A run cannot be found, created or resumed; the message names it and says what to do."""


class RunFolder:
    """The files of a run.

    Args:
        path: the folder; it exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.data = path / "data.json"
        self.results = path / "results.json"
        self.metrics = path / "metrics.jsonl"
        self.step_parts = path / "step_parts.json"
        self.checkpoints = path / "checkpoints"
        self.model = path / "model"
        self.task_embeddings = path / "task_embeddings"
        self.start_embeddings = path / "task_embeddings_start"
        self.task_map = path / "task_map.png"
        self.waiting = path / ".waiting"  # models of checkpoints that wait to be pushed

    @property
    def finished(self) -> bool:
        """Whether the run has results: its own, or those of its methods in subfolders."""
        return self.has_results or any(map(_is_whole, self.path.glob(f"*/{self.results.name}")))

    @property
    def has_results(self) -> bool:
        """Whether the run has results of its own. A file that a power cut left empty or incomplete does not count."""
        return _is_whole(self.results)

    def write_json(self, path: Path, values: dict[str, Any]) -> None:
        """Write a JSON file atomically."""
        write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")

    def write_sealed(self, path: Path, values: dict[str, Any]) -> None:
        """Write a JSON file with a checksum atomically, for ``read_sealed``."""
        self.write_json(path, seal(values))

    def read_sealed(self, path: Path) -> dict[str, Any] | None:
        """Read what ``write_sealed`` has written.

        Returns:
            The values; None if the file is missing or damaged, so that the caller computes them again.
        """
        try:
            return check_seal(parse_object(path.read_bytes()))
        except (FileNotFoundError, ValueError):
            return None

    def append_metrics(self, lines: Iterable[dict[str, Any]]) -> None:
        """Add lines to metrics.jsonl."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)

    def cut_metrics(self, step: int) -> None:
        """Remove the records that a run resumed after ``step`` steps will write again, and an incomplete last line.

        A checkpoint is written before the evaluation of the same step, so that the evaluation is repeated.

        Raises:
            DamagedFileError: a record of an earlier step is damaged, missing or doubled.
        """
        kept, steps = [], []
        for text, line in self.read_metrics(_is_step):
            if line["step"] < step or (line["step"] == step and line["kind"] == "train"):
                kept.append(text + "\n")
                steps += [line["step"]] if line["kind"] == "train" else []
        if self.metrics.exists() and steps != list(range(1, step + 1)):
            wrong = next(number for number in range(1, step + 2) if steps[number - 1 : number] != [number])
            found = f"of step {steps[wrong - 1]}" if wrong <= len(steps) else "missing"
            raise DamagedFileError(
                f"{self.metrics} is damaged: expected one training record for each of the steps 1 to {step}, in order; "
                f"record {wrong} is {found}. Delete the file to resume without the metrics of these steps"
            )
        write_text(self.metrics, "".join(kept))

    def read_metrics(self, is_right: Callable[[dict[str, Any]], bool]) -> list[tuple[str, dict[str, Any]]]:
        """Read metrics.jsonl, without an incomplete line that a kill or a power cut left at its end.

        Args:
            is_right: whether a record has the expected form.

        Returns:
            Each line and its record; empty if the file does not exist.

        Raises:
            DamagedFileError: a line is damaged, and it is not the last one.
        """
        found: list[tuple[str, dict[str, Any]]] = []
        damaged = ""
        lines = self.metrics.read_bytes().splitlines() if self.metrics.exists() else []
        for number, line in enumerate(lines, start=1):
            try:
                record = parse_object(line)
                if not is_right(record):
                    raise ValueError(f"it contains {shown(record)}")
            except ValueError as error:
                damaged = damaged or f"{self.metrics} is damaged in line {number}: {error}"
                continue
            if damaged:
                raise DamagedFileError(f"{damaged}. Restore the line, or delete the file to resume without its lines")
            found.append((line.decode(), record))
        return found


def new_run(output_dir: Path, name: str) -> RunFolder:
    """Create the folder ``<name>-<number>`` with the first number above those of all existing runs.

    Raises:
        RunError: the folder cannot be created.
    """
    check_output_dir(output_dir)
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        number = max((number for number, _ in _numbered(output_dir, name)), default=0) + 1
        while True:
            try:
                (output_dir / f"{name}-{number}").mkdir()
                return RunFolder(output_dir / f"{name}-{number}")
            except FileExistsError:  # another run started at the same moment
                number += 1
    except OSError as error:
        raise RunError(
            f"{flag('output_dir')} {output_dir}: the folder of a run named {name} cannot be created there "
            f"({error.strerror}). Choose an {flag('output_dir')} in which you can write, and a short {flag('name')}"
        ) from error


def check_output_dir(output_dir: Path) -> None:
    """Check that run folders can be created in a folder, without creating it.

    Raises:
        RunError: they cannot.
    """
    place = output_dir.absolute()
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        fault = f"{place} is not a folder"
    elif not os.access(place, os.W_OK | os.X_OK):
        fault = f"{place} is not writable"
    else:
        return
    raise RunError(f"{flag('output_dir')} {output_dir}: {fault}. Choose an {flag('output_dir')} in which you can write")


def unfinished_run(output_dir: Path, name: str) -> RunFolder | None:
    """Return the newest run of this name that has settings but no results, or None."""
    for _, path in sorted(_numbered(output_dir, name), reverse=True):
        run = RunFolder(path)
        if run.config.exists() and not run.finished:
            return run
    return None


def find_folder(resume: str, output_dir: Path, name: str) -> RunFolder:
    """Find the run to resume.

    Args:
        resume: folder of the run; "": the newest unfinished run of this name.
        output_dir: folder that contains the run folders.
        name: name of the run.

    Raises:
        RunError: there is no such run.
    """
    if resume:
        if not Path(resume).is_dir():
            fault = "this is not a folder" if Path(resume).exists() else "the folder does not exist"
            raise RunError(f"--resume {resume}: {fault}; expected the folder of a run")
        return RunFolder(Path(resume))
    run = unfinished_run(output_dir, name)
    if run is None:
        raise RunError(
            f"--resume: no unfinished run named {name!r} in {output_dir}; name the folder of a run, or leave "
            "--resume out"
        )
    return run


def command_line(*words: str | Path) -> str:
    """Quote words so that a shell splits the command into them.

    A path that starts like a flag or a home directory is prefixed with ``./``.
    """
    texts = [f"./{word}" if isinstance(word, Path) and str(word)[:1] in "-~" else str(word) for word in words]
    return shlex.join(texts)


def _numbered(output_dir: Path, name: str) -> list[tuple[int, Path]]:
    if not output_dir.is_dir():
        return []
    found = [(re.fullmatch(re.escape(name) + r"-(\d+)", path.name), path) for path in output_dir.iterdir()]
    return [(int(match[1]), path) for match, path in found if match and path.is_dir()]


def _is_whole(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except (OSError, ValueError, RecursionError):
        return False


def _is_step(record: Mapping[str, Any]) -> bool:
    """Return whether a record has one of the two forms that a training run writes."""
    numbers = [record.get("step"), *(record[name] for name in ("loss", "gradient_norm") if name in record)]
    if type(numbers[0]) is not int or not all(type(number) in (int, float) for number in numbers):
        return False
    return "loss" in record if record.get("kind") == "train" else record.get("kind") == "evaluation"
