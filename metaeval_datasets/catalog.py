"""Find tasks by name, group and other properties, and suggest the nearest names for unknown ones.

Every module of ``metaeval_datasets.tasks`` has a list ``TASKS``. The catalogue is the concatenation of these lists,
with modules in alphabetical order. The demo tasks (group ``demo``) load like any other task but are not part of the
collection, so they are listed only if requested by name or group.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Collection, Iterable
from functools import cache

from metaeval_datasets import tasks as declarations
from metaeval_datasets.spec import SpecError, TaskSpec, TaskType

DEMO_GROUP = "demo"
LEAST_SIMILARITY = (
    0.6  # of a name that is suggested, from 0 to 1; lower values suggest names that have nothing in common
)
NONE = "none"  # suggested if no name is near


class UnknownTaskError(KeyError):
    """Raised if no task or group has a name; the message suggests the nearest names."""

    def __str__(self) -> str:  # KeyError shows the repr of its message
        return str(self.args[0])


def unknown_task(name: object, known: Collection[str], of: str = "") -> UnknownTaskError:
    """Return the error for an unknown name, with the nearest known names.

    Args:
        name: the name that was requested.
        known: all valid names.
        of: whose names they are, if not those of the catalogue: ``"of this model"``.
    """
    if of:
        return UnknownTaskError(f"no task {name!r} among the {len(known)} {of}; closest: {_nearest(name, known)}")
    return UnknownTaskError(f"no task {name!r} among {len(known)}; {_advice(name, known)}")


@cache
def all_tasks() -> dict[str, TaskSpec]:
    """Return name -> declaration, in catalogue order, with the demo tasks last.

    Raises:
        SpecError: a declaration is wrong, or two tasks have the same name.
    """
    modules = sorted(module.name for module in pkgutil.iter_modules(declarations.__path__))
    loaded = [importlib.import_module(f"{declarations.__name__}.{module}") for module in modules]
    specs = collect(spec for module in loaded for spec in module.TASKS)
    return dict(sorted(specs.items(), key=lambda item: item[1].group == DEMO_GROUP))


def collect(specs: Iterable[TaskSpec]) -> dict[str, TaskSpec]:
    """Return name -> declaration, in the given order.

    Raises:
        SpecError: two tasks have the same name.
    """
    by_name: dict[str, TaskSpec] = {}
    for spec in specs:
        if spec.name in by_name:
            raise SpecError(
                f"task {spec.name}: `name` is used by another declaration; choose another name (tasks/{spec.group}.py)"
            )
        by_name[spec.name] = spec
    return by_name


def get_task(name: str) -> TaskSpec:
    """Return the declaration of a task.

    Raises:
        UnknownTaskError: no task has this name; the message suggests the nearest names.
    """
    specs = all_tasks()
    if name not in specs:
        raise unknown_task(name, specs)
    return specs[name]


def list_tasks(
    *,
    group: str | None = None,
    type: TaskType | str | None = None,
    fields: int | None = None,
    in_101: bool | None = None,
    license: str | None = None,
) -> list[str]:
    """Return the names of the tasks that meet all given conditions, in catalogue order.

    Args:
        group: first part of the name. Demo tasks are listed only with ``"demo"``.
        type: one of the eight task types, as a ``TaskType`` or its value (upper or lower case).
        fields: number of text fields, 1 or 2.
        in_101: True for the 101 tasks of the paper, False for all others.
        license: licence as declared (upper or lower case).

    Raises:
        ValueError: the task type is unknown.
    """
    wanted = None if type is None else TaskType(type.lower())
    return [
        spec.name
        for spec in all_tasks().values()
        if (spec.group == group if group is not None else spec.group != DEMO_GROUP)
        and (wanted is None or spec.type is wanted)
        and (fields is None or spec.num_text_fields == fields)
        and (in_101 is None or spec.in_101 is in_101)
        and (license is None or spec.license.lower() == license.lower())
    ]


def select_tasks(names: Iterable[str]) -> list[str]:
    """Expand names of tasks and groups to task names, each once, with groups in catalogue order.

    The name "all" stands for the whole collection, without the demo tasks.

    Raises:
        UnknownTaskError: a name is neither a task nor a group; the message suggests the nearest names.
    """
    specs = all_tasks()
    groups: dict[str, list[str]] = {}
    for spec in specs.values():
        groups.setdefault(spec.group, []).append(spec.name)
    selected: list[str] = []
    for name in [names] if isinstance(names, str) else names:
        if name in specs:
            selected.append(name)
        elif name in groups:
            selected.extend(groups[name])
        elif name == "all":
            selected.extend(list_tasks())
        else:
            raise UnknownTaskError(f"no task or group {name!r}; {_advice(name, [*specs, *groups])}")
    return list(dict.fromkeys(selected))


def _advice(name: object, known: Iterable[str]) -> str:
    """Return the nearest names of the catalogue, or how to list all if none is near."""
    nearest = _nearest(name, known)
    return f"closest: {nearest}" + ("; run `metaeval tasks` to list them" if nearest == NONE else "")


def _nearest(name: object, known: Iterable[str], count: int = 3) -> str:
    """Return the names most similar to the given one, as a whole or after the slash, best first."""
    wanted = str(name).lower()
    scores = {
        item: max(
            difflib.SequenceMatcher(None, wanted, part.lower()).ratio() for part in (item, item.rsplit("/", 1)[-1])
        )
        for item in known
    }
    best = sorted(scores, key=lambda item: -scores[item])[:count]
    return ", ".join(item for item in best if scores[item] > LEAST_SIMILARITY) or NONE
