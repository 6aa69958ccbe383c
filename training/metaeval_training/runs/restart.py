"""Compose the shell command that starts a training command again, in the way in which this process was started."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from metaeval_training.runs import process
from metaeval_training.runs.folder import RunFolder, command_line

STARTED_WITH = "METAEVAL_TRAIN_COMMAND"  # set by `metaeval train` for this process: the words that start it again
SCRIPTS = Path(__file__).resolve().parents[2]  # in a clone: the folder training


def resume_command(run: RunFolder | None, command: str) -> str:
    """Return the shell command that resumes a run.

    Args:
        run: the folder; None: the newest unfinished run.
        command: name of the training command, such as "multitask" or "task-vectors textemb".
    """
    folder = [run.path] if run else []
    return command_line(*_start(*command.split()), "--resume", *folder)


def _start(name: str, *others: str) -> list[str | Path]:
    if started := os.environ.get(STARTED_WITH):
        return [*shlex.split(started), name, *others]
    if Path(sys.argv[0]).resolve().parent == SCRIPTS:
        return [*_launcher(), Path(os.path.relpath(SCRIPTS / f"{name.replace('-', '_')}.py")), *others]
    return [*_launcher(), "-m", "metaeval_training", name, *others]


def _launcher() -> list[str]:
    local = os.environ.get("LOCAL_WORLD_SIZE", "1")
    if local != "1" and local == os.environ.get("WORLD_SIZE"):
        return ["torchrun", "--standalone", "--nproc_per_node", local]
    return ["accelerate", "launch"] if process.LAUNCHED else [sys.orig_argv[0]]
