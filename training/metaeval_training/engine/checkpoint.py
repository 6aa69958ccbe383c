"""Write and read checkpoints: trained weights, optimizer and step, as safetensors and JSON in one folder.

A checkpoint is written into a hidden folder, which is renamed once all files are on the disk. A folder named ``step-*``
is therefore complete unless the disk damaged it. Before use, the files are checked against their stored sizes and
SHA-256. The list of these values, with the step and the state, is checked against a SHA-256 of its own and the name of
the folder.
Checkpoints contain no random states: every draw is a function of the seed and the step (see sampling.py, loop.py).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from metaeval_training.atomic_files import check_seal, parse_object, seal, sync

STATE = "state.json"


class TornCheckpointError(RuntimeError):
    """A file of a checkpoint is missing or damaged; the message names it and says what is wrong."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory.

    Attributes:
        step: number of steps done.
        tensors: file stem -> tensor name -> tensor, such as ``tensors["model"]["heads.weight"]``.
        state: further JSON values.
    """

    step: int
    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return the folder of the checkpoint after ``step`` steps."""
    return folder / f"step-{step:08d}"


def save_checkpoint(
    folder: Path, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any], keep: int
) -> Path:
    """Write a checkpoint atomically, then delete all but the newest ``keep``.

    Args:
        folder: the folder with all checkpoints of a run; created if it does not exist.
        step: steps done.
        tensors: file stem -> tensor name -> tensor, on any device.
        state: further JSON values.
        keep: number of newest checkpoints to keep, at least 1.

    Returns:
        The checkpoint's folder.

    Raises:
        OSError: the disk is full or not writable; earlier checkpoints are unchanged.
    """
    target, part = checkpoint_path(folder, step), folder / f".step-{step:08d}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        files = {}
        for stem, named in tensors.items():
            path = part / f"{stem}.safetensors"
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}, path)
            files[path.name] = {"bytes": path.stat().st_size, "sha256": _sha256(path)}
            sync(path)
        values = seal({"step": step, "files": files, "state": dict(state)})
        (part / STATE).write_text(json.dumps(values), encoding="utf-8")
        sync(part / STATE)
        sync(part)
        shutil.rmtree(target, ignore_errors=True)  # the same step, written before the run was stopped and resumed
        part.rename(target)
        sync(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise error if isinstance(error, OSError) else OSError(f"{part}: {error}") from error
    for old in list(checkpoints(folder))[keep:]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def checkpoints(folder: Path) -> Iterator[Path]:
    """Yield the folders of the checkpoints of a run, the newest first, without checking that they are complete."""
    found = [path for path in folder.glob("step-*") if _step(path) is not None and path.is_dir()]
    yield from sorted(found, key=lambda path: _step(path) or 0, reverse=True)


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a checkpoint and check every file.

    Raises:
        TornCheckpointError: a file is missing or damaged, or the folder is named after another step.
    """
    try:
        stored = _read_state(path)
        tensors = {}
        for name, facts in stored["files"].items():
            file = path / name
            if file.stat().st_size != facts["bytes"]:
                raise TornCheckpointError(f"{file} has {file.stat().st_size} bytes, {facts['bytes']} were written")
            if _sha256(file) != facts["sha256"]:
                raise TornCheckpointError(f"{file} is damaged: its SHA-256 differs from that of the written file")
            tensors[file.stem] = load_file(file)
        return Checkpoint(stored["step"], tensors, stored["state"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise TornCheckpointError(f"{path} is not a whole checkpoint: {type(error).__name__}: {error}") from error


def _read_state(path: Path) -> dict[str, Any]:
    file = path / STATE
    try:
        stored = check_seal(parse_object(file.read_bytes()))
    except ValueError as error:
        raise TornCheckpointError(f"{file} is damaged: {error}") from error
    if stored["step"] != _step(path):
        raise TornCheckpointError(f"{file} is of step {stored['step']}, the folder's name says {_step(path)}")
    return stored


def _step(path: Path) -> int | None:
    match = re.fullmatch(r"step-(\d+)", path.name)
    return int(match[1]) if match else None


def newest_checkpoint(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Load the newest complete checkpoint of a run.

    Args:
        folder: the folder with all checkpoints of a run.

    Returns:
        The checkpoint, or None if no complete one exists; and a message for each damaged checkpoint that is newer.
    """
    torn: list[str] = []
    for path in checkpoints(folder):
        try:
            return load_checkpoint(path), torn
        except TornCheckpointError as error:
            torn.append(str(error))
    return None, torn


def remove_parts(folder: Path) -> list[Path]:
    """Delete and return the folders of checkpoints that were being written when a run was killed."""
    parts = sorted(folder.glob(".step-*.part"))
    for part in parts:
        shutil.rmtree(part, ignore_errors=True)
    return parts


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimizer as named tensors: ``<parameter number>.<name>``."""
    state = optimizer.state_dict()["state"]
    return {f"{number}.{name}": tensor for number, named in state.items() for name, tensor in named.items()}


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore the state of ``optimizer_tensors``; the options of the groups are unchanged.

    Raises:
        ValueError: the tensors belong to other parameters.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = tensor
    current = optimizer.state_dict()
    known = {number for group in current["param_groups"] for number in group["params"]}
    if not state.keys() <= known:
        raise ValueError(f"the checkpoint has optimizer state for unknown parameters {sorted(state.keys() - known)}")
    optimizer.load_state_dict({"state": state, "param_groups": current["param_groups"]})


def _sha256(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            total.update(chunk)
    return total.hexdigest()
