"""Choose which tasks are held out together, and which are trained on meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metaeval_training.config import ConfigError
from metaeval_training.data.rows import expand_tasks

GROUPS = "groups"  # the value of --held-out that holds out every group once


@dataclass(frozen=True)
class Fold:
    """Tasks that are held out together.

    Attributes:
        name: of the fold and its folder.
        held_out: names of the held-out tasks.
        trained: names of the other tasks.
    """

    name: str
    held_out: tuple[str, ...]
    trained: tuple[str, ...]


def make_folds(names: Sequence[str], held_out: Sequence[str], folds: int) -> list[Fold]:
    """Return the folds of an experiment.

    Args:
        names: all tasks.
        held_out: tasks and groups that form one fold; or "groups", to hold out each group once.
        folds: number of folds. Groups are assigned by size, the largest first, each to the fold with the fewest tasks.
            0: one fold per group.

    Raises:
        ConfigError: no task would be held out, or none would be trained on.
    """
    if list(held_out) != [GROUPS]:
        chosen = expand_tasks(held_out)
        dealt = {"held_out": [name for name in names if name in chosen]}
        if not dealt["held_out"]:
            raise ConfigError(f"--held-out {' '.join(held_out)}: none of these is among the tasks")
    else:
        groups: dict[str, list[str]] = {}
        for name in names:
            groups.setdefault(name.split("/", 1)[0], []).append(name)
        if len(groups) < 2:
            raise ConfigError(f"--held-out groups: all tasks are of one group, {', '.join(groups)}; name tasks instead")
        dealt = groups
        if folds:
            dealt = {f"fold{number + 1}": [] for number in range(min(folds, len(groups)))}
            for tasks in sorted(groups.values(), key=lambda tasks: (-len(tasks), tasks)):
                min(dealt.values(), key=len).extend(tasks)
    made = []
    for fold, tasks in dealt.items():
        held = tuple(name for name in names if name in tasks)
        made.append(Fold(fold, held, tuple(name for name in names if name not in held)))
    if any(not fold.trained for fold in made):
        raise ConfigError("--held-out leaves no task to train on")
    return made
