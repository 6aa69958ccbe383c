"""Check the names that a user gives, so that what is created with them can be saved and loaded. Needs no torch."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Set
from typing import Any

from metaeval_hub.safe_files.printable import printable, shown
from metaeval_hub.safe_files.repository import UnsafeRepositoryError, check_label, check_name
from metaeval_hub.utils.seeds import MOST_SEED


def list_of_names(names: Any, what: str = "names") -> list[str]:
    """Return names as a list; an iterator is read once.

    Args:
        names: strings, in any iterable with an order.
        what: what an error message calls them.

    Raises:
        TypeError: ``names`` is one string or has no order, or an entry is not a string.
        ValueError: a name is repeated.
    """
    if isinstance(names, str):
        raise TypeError(f"{what} is one string; expected a list of tasks, such as [{shown(names)}]")
    if not isinstance(names, Iterable) or (isinstance(names, Set) and not isinstance(names, type({}.keys()))):
        raise TypeError(f"{what} is {shown(names)}; expected a list of tasks")
    listed = [str(name) if isinstance(name, str) else name for name in names]
    check_strings(listed, what)
    check_unique(listed)
    return listed


def check_strings(names: Iterable[Any], what: str) -> None:
    """Check that all names are strings.

    Args:
        names: the names.
        what: what an error message calls them.

    Raises:
        TypeError: an entry is not a string; the message shows the first such entry.
    """
    for i, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"{what}[{i}] is {shown(name)}; expected a string")


def check_unique(names: Iterable[str]) -> None:
    """Check that no name is repeated.

    Raises:
        ValueError: a name is repeated; the message lists the repeated names.
    """
    seen: set[str] = set()
    twice = sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]
    if twice:
        more = f" and {len(twice) - 5} more" if len(twice) > 5 else ""
        raise ValueError(f"names that come more than once: {', '.join(map(printable, twice[:5]))}{more}")


def check_count(what: str, value: Any) -> None:
    """Check that a number of things is a whole number of at least 1.

    Raises:
        ValueError: it is less than 1.
        TypeError: it is no whole number.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} must be a whole number, got {shown(value)}") from None
    if number < 1:
        raise ValueError(f"{what} must be at least 1, got {number}")


def check_seed(value: Any) -> None:
    """Check a seed of random numbers: a whole number that numpy and scikit-learn accept.

    Raises:
        ValueError: it is negative or larger than ``MOST_SEED``.
        TypeError: it is no whole number.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"seed must be a whole number, got {shown(value)}") from None
    if not 0 <= number <= MOST_SEED:
        raise ValueError(f"seed must be from 0 to {MOST_SEED}, got {number}")


def task_name(name: Any) -> str:
    """Return the name of a task as a plain string.

    Raises:
        ValueError: it is not a string, is a path, is too long, or contains a control character.
    """
    try:
        return str(check_name(name, "the name of a task"))
    except UnsafeRepositoryError as error:
        raise ValueError(str(error)) from None


def class_names(task: str, names: Any) -> tuple[str, ...]:
    """Return the names of a task's classes as plain strings; an iterator is read once.

    Args:
        task: the task that the classes belong to.
        names: class names, in the order of the class numbers.

    Raises:
        TypeError: ``names`` is one string or has no order, or an entry is not a string.
        ValueError: a name is repeated, too long or contains a control character, or there are fewer than two.
    """
    found = labels_of(task, names, "labels")
    if len(found) < 2 or len(set(found)) != len(found):
        raise ValueError(f"{task}: expected two or more different class names, got {shown(list(found))}")
    return found


def labels_of(task: str, names: Any, what: str) -> tuple[str, ...]:
    """Return the names that a task gives to its classes or label vectors, as plain strings.

    Args:
        task: the task.
        names: its names, in the order of the class numbers.
        what: what an error message calls them.

    Raises:
        TypeError: ``names`` is one string or has no order, or an entry is not a string.
        ValueError: a name is too long or contains a control character.
    """
    unordered = isinstance(names, (Mapping, Set)) and not isinstance(names, type({}.keys()))
    if isinstance(names, (str, bytes)) or unordered or not isinstance(names, Iterable) or _has_no_dimension(names):
        raise TypeError(
            f"{task}: {what} is {shown(names)}; expected a list of two or more class names, as in ['no', 'yes']"
        )
    return tuple(_label(task, name, what) for name in names)


def _label(task: str, name: Any, what: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{task}: {what} has {shown(name)}; expected names of classes, all strings, as in ['0', '1']")
    try:
        return str(check_label(name, f"{task}: {what}"))
    except UnsafeRepositoryError as error:
        raise ValueError(str(error)) from None


def _has_no_dimension(values: object) -> bool:
    return getattr(values, "ndim", 1) == 0


def first_names(names: Iterable[str], most: int = 5) -> str:
    """Return the first names as text, and the number of the others.

    >>> first_names(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
