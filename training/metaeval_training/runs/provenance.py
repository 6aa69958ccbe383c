"""Record which data, encoder, library versions and code a run is based on; check them when it is resumed."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.results.results_json import run_to_json
from metaeval_hub.results.schema import RunFacts, RunRecord, TaskResult
from metaeval_hub.safe_files.names import first_names
from metaeval_training.atomic_files import member, read_object
from metaeval_training.data.encoding import TaskData
from metaeval_training.runs.folder import RunError, RunFolder
from metaeval_training.runs.reporter import Reporter

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("metaeval", "torch", "transformers", "adapters", "accelerate", "datasets", "huggingface-hub", "numpy")
COUNTS = ("processes", "threads")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def git_state() -> dict[str, Any]:
    """Return the commit of this checkout and whether files differ from it; the commit is None outside a checkout."""

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    return {"commit": commit, "changed_files": bool(git("status", "--porcelain")) if commit else None}


def describe_results(
    tasks: Mapping[str, TaskResult],
    facts: RunFacts,
    config: Mapping[str, Any],
    device: str,
    skipped: Mapping[str, str],
    **more: Any,
) -> dict[str, Any]:
    """Return the content of results.json, with the current versions, commit and number of threads.

    Args:
        tasks: name -> result.
        facts: facts about the run.
        config: content of the run's config.json.
        device: name of the device.
        skipped: task -> why it has no result.
        more: further fields of ``RunRecord``.
    """
    record = RunRecord(config, versions(), git_state(), torch.get_num_threads(), device, skipped, **more)
    return run_to_json(tasks, facts, record)


def describe_data(tasks: Sequence[TaskData], skipped: dict[str, str], model: ConditionalAdapterModel) -> dict[str, Any]:
    """Return the content of data.json: the tasks with digests of their rows, the encoder, versions and commit."""
    return {
        "tasks": {
            task.name: {
                "labels": list(task.labels),
                "rows": {
                    split: {"kept": len(task.splits[split]), "available": available}
                    for split, available in task.available.items()
                },
                "left_out": task.left_out,
                "digests": {split: rows.digest() for split, rows in task.splits.items()},
            }
            for task in tasks
        },
        "origins": {task.name: task.origin for task in tasks},
        "skipped": skipped,
        "encoder": model.base.to_dict(),
        "versions": versions(),
        "git": git_state(),
    }


def check_or_write_data(run: RunFolder, facts: dict[str, Any], resumed: bool, reporter: Reporter) -> None:
    """Store the facts of a new run; compare those of a resumed run with the stored ones.

    Other library versions, another commit, or another number of processes or threads cause a warning only: the run
    continues, and its results may not be bit-identical.

    Args:
        run: the folder.
        facts: result of ``describe_data``, with the number of "processes" and "threads".
        resumed: whether the run was started before.
        reporter: shows the warning.

    Raises:
        RunError: tasks, rows or the encoder differ from those that the run was started with.
        DamagedFileError: the stored facts are damaged.
    """
    if not (resumed and run.data.exists()):
        run.write_json(run.data, facts)
        return
    stored = read_object(run.data)
    for name in ("tasks", "encoder", "versions", "git"):
        member(stored, name, dict, run.data)
    _check_same_data(run, stored, facts)
    then, now = _environment(stored), _environment(facts)
    changed = [f"{name} {then[name]} then, {now[name]} now" for name in now if then.get(name, now[name]) != now[name]]
    if changed:
        reporter.warn(
            "the run was started in another environment, so its results may not be bit-identical: " + "; ".join(changed)
        )


def _check_same_data(run: RunFolder, stored: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    names = stored["tasks"].keys() | facts["tasks"].keys()
    changed = sorted(name for name in names if stored["tasks"].get(name) != facts["tasks"].get(name))
    if changed:
        raise RunError(
            f"{run.path} cannot be resumed: {len(changed)} tasks are missing, or have other rows or labels than when "
            f"it was started: {first_names(changed)}. Start a new run"
        )
    then, now = stored["encoder"], facts["encoder"]
    if then.get("sha256") != now["sha256"]:
        raise RunError(
            f"{run.path} cannot be resumed: the encoder {now['id']} has other weights than when it was started "
            f"(revision {then.get('revision')} then, {now['revision']} now). Start a new run"
        )


def _environment(facts: Mapping[str, Any]) -> dict[str, Any]:
    counts = {name: facts[name] for name in COUNTS if name in facts}
    return {**facts["versions"], "commit": facts["git"].get("commit"), **counts}
