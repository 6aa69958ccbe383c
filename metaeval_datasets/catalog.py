"""Find tasks by name, group and other properties, and suggest the nearest names for unknown ones.

Every module of ``metaeval_datasets.tasks`` has a list ``TASKS``. The catalogue is the concatenation of these lists,
with modules in alphabetical order. The demo tasks (group ``demo``) load like any other task but are not part of the
collection, so they are listed only if requested by name or group.

Your own tasks are added with ``register_task``, for this process. Tasks of installed plug-ins are looked up when a name
is not known otherwise, or when tasks are listed, so that importing this module reads no other package. Tasks of a task
file whose entry is wrong are left out: an error says why if one of them is requested.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import MappingProxyType

from metaeval_datasets import tasks as declarations
from metaeval_datasets.spec import SpecError, TaskSpec, TaskType

DEMO_GROUP = "demo"
LEAST_SIMILARITY = (
    0.6  # of a name that is suggested, from 0 to 1; lower values suggest names that have nothing in common
)
NONE = "none"  # suggested if no name is near
ALL = "all"  # name of the whole collection

_own: dict[str, TaskSpec] = {}  # tasks registered in this process
_left_out: dict[str, str] = {}  # task of a task file that cannot be used in this process -> the reason
# Finds the tasks of installed plug-ins; ``metaeval_datasets`` puts ``plug_ins.find_tasks`` here.
_find_plug_ins: list[Callable[[], Mapping[str, TaskSpec]]] = []


class UnknownTaskError(KeyError):
    """Raised if no task or group has a name; the message suggests the nearest names."""

    def __str__(self) -> str:  # KeyError shows the repr of its message
        return str(self.args[0])


class LeftOutTaskError(UnknownTaskError):
    """Raised if a task is requested whose entry in a task file is wrong; the message says what is wrong."""


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
    """Return name -> declaration of the tasks of this package, in catalogue order, with the demo tasks last.

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
    """Return the declaration of a task of the catalogue, of a registered task, or of a task of a plug-in.

    Raises:
        UnknownTaskError: no task has this name; the message suggests the nearest names.
        LeftOutTaskError: the entry of the task in a task file is wrong.
    """
    if name in _left_out:
        raise LeftOutTaskError(_left_out[name])
    for specs in (all_tasks(), _own):
        if name in specs:
            return specs[name]
    specs = {**all_tasks(), **own_tasks()}
    if name not in specs:
        raise unknown_task(name, specs)
    return specs[name]


# --- Tasks of users -------------------------------------------------------------------------------------------------


def register_task(spec: TaskSpec, *, replace: bool = False) -> TaskSpec:
    """Add a task of your own to the catalogue, until this process ends.

    The task can then be used like any other: ``load_dataset("metaeval", spec.name)``, ``get_task``, ``--tasks``.
    Processes that are started from this one do not know it; declare it in a task file for them.

    Args:
        spec: the declaration. ``task_from`` makes one from files, data frames and datasets.
        replace: replace a registered task of the same name that is declared differently.

    Returns:
        The declaration as it is registered, which is not one of the 101 tasks of the paper.

    Raises:
        SpecError: the name or its group belongs to the catalogue, or to another registered task.
    """
    if not isinstance(spec, TaskSpec):
        raise SpecError(f"register_task expects a TaskSpec, got {type(spec).__name__}; task_from(data, ...) makes one")
    check_own_name(spec.name)
    spec = dataclasses.replace(spec, in_101=False)
    if not replace and spec.name in _own and _own[spec.name] != spec:
        raise SpecError(
            f"task {spec.name}: `name` is registered for another declaration in this process; choose another name, or "
            "register it with replace=True"
        )
    _own[spec.name] = spec
    return spec


def check_own_name(name: str) -> None:
    """Check that a task of a user may have a name.

    Raises:
        SpecError: the name or its group belongs to the catalogue.
    """
    specs, group = all_tasks(), name.split("/", 1)[0]
    if name in specs:
        raise SpecError(
            f"task {name}: `name` belongs to a task of the catalogue; choose another one, such as "
            f"my/{name.split('/')[-1]}"
        )
    if group == ALL or any(spec.group == group for spec in specs.values()):
        what = "stands for the whole collection" if group == ALL else "is a group of the catalogue"
        raise SpecError(f"task {name}: `name` starts with {group!r}, which {what}; choose another group, such as my")


def unregister_task(name: str) -> None:
    """Remove a registered task from this process.

    Raises:
        UnknownTaskError: no task with this name is registered; the message suggests the nearest names.
    """
    if name not in _own:
        raise unknown_task(name, _own, "registered tasks")
    del _own[name]


@contextmanager
def registered(specs: Iterable[TaskSpec], left_out: Mapping[str, str] = MappingProxyType({})) -> Iterator[None]:
    """Register tasks in a ``with`` block; the tasks that were registered before are back after it.

    Args:
        specs: the tasks.
        left_out: task that cannot be used -> the reason, which is the error if the task is requested in the block.

    Raises:
        SpecError: see ``register_task``.
    """
    before, before_left_out = dict(_own), dict(_left_out)
    try:
        for spec in specs:
            register_task(spec)
        _left_out.update(left_out)
        yield
    finally:
        _own.clear()
        _own.update(before)
        _left_out.clear()
        _left_out.update(before_left_out)


def own_tasks() -> dict[str, TaskSpec]:
    """Return name -> declaration of the registered tasks and of those of plug-ins, which are looked up once."""
    found = {name: spec for find in _find_plug_ins for name, spec in find().items()}
    return {**_own, **{name: spec for name, spec in found.items() if name not in _own}}


def add_plug_ins(find: Callable[[], Mapping[str, TaskSpec]]) -> None:
    """Set the function that finds the tasks of plug-ins."""
    _find_plug_ins[:] = [find]


# --- Lists of tasks -------------------------------------------------------------------------------------------------


def list_tasks(
    *,
    group: str | None = None,
    type: TaskType | str | None = None,
    fields: int | None = None,
    in_101: bool | None = None,
    license: str | None = None,
    own: bool | None = None,
) -> list[str]:
    """Return the names of the tasks that meet all given conditions: in catalogue order, your own tasks last.

    Args:
        group: first part of the name. Demo tasks are listed only with ``"demo"``.
        type: one of the eight task types, as a ``TaskType`` or its value (upper or lower case).
        fields: number of text fields, 1 or 2.
        in_101: True for the 101 tasks of the paper, False for all others.
        license: licence as declared (upper or lower case).
        own: True for registered tasks and those of plug-ins, False for all others.

    Raises:
        ValueError: the task type is unknown.
    """
    wanted = None if type is None else TaskType(type.lower())
    specs = [*(() if own else all_tasks().values()), *(() if own is False else own_tasks().values())]
    return [
        spec.name
        for spec in specs
        if spec.name not in _left_out
        and (spec.group == group if group is not None else spec.group != DEMO_GROUP)
        and (wanted is None or spec.type is wanted)
        and (fields is None or spec.num_text_fields == fields)
        and (in_101 is None or spec.in_101 is in_101)
        and (license is None or spec.license.lower() == license.lower())
    ]


def select_tasks(names: Iterable[str]) -> list[str]:
    """Expand names of tasks and groups to task names, each once, with groups in catalogue order.

    The name "all" stands for the whole collection, without the demo tasks and your own tasks.

    Raises:
        UnknownTaskError: a name is neither a task nor a group; the message suggests the nearest names.
        LeftOutTaskError: the entry of a requested task, or of a task of a requested group, in a task file is wrong.
    """
    names = [names] if isinstance(names, str) else list(names)
    specs = all_tasks()
    catalogued = {*specs, *(spec.group for spec in specs.values()), ALL}
    if not catalogued.issuperset(names):
        specs = {**specs, **own_tasks()}
    groups: dict[str, list[str]] = {}
    for spec in specs.values():
        groups.setdefault(spec.group, []).append(spec.name)
    selected: list[str] = []
    for name in names:
        for task, reason in _left_out.items():
            if name in (task, task.split("/", 1)[0]) or (name == ALL and task in catalogued):
                raise LeftOutTaskError(reason)
        if name in specs:
            selected.append(name)
        elif name in groups:
            selected.extend(groups[name])
        elif name == ALL:
            selected.extend(list_tasks(own=False))
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
