"""The one split rule, for all tasks (paper, section 4, made precise and safe).

- test: the labelled official test split; else the labelled official validation split; else 20 % of the data.
- validation: the official one if still free; else 20 % of what remains of train, at most 10,000 rows.
- train: the rest. A source without a train split has nothing derived (a diagnostic set is test only).

Derived splits are taken in the order of a hash of the texts: they depend on the content of the usable rows only, not
on their order, the machine or the number of processes. Rows with the same texts, and rows of one declared group, go
to one side, together with whatever such rows link them to. Each class gets its share of a derived split, and one row at
least where it has two; what duplicates and groups of several classes leave free is filled in the order of the hash.

The paper cuts sets without splits 64/16/20, and does not say what it does where only a test or only a validation
split exists; upstream halves the split there is. Here an official split is never cut. The paper does not say that its
splits are stratified; without it, a class of a 40-row task can be missing from the test split.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from metaeval_datasets.hashing import Hashes, combine, mix, text_hashes
from metaeval_datasets.spec import TaskSpec

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.2
MAX_VALIDATION_ROWS = 10_000
SPLIT_SEED = 2022
SPARE_ROWS = 1000  # looked at beyond those that derived splits have room for
BLOCK_ROWS = 1 << 16  # ranked at a time

DROPPED = 255  # code of a row that is in no split


@dataclass(frozen=True)
class Rule:
    """Where the rows of each split come from.

    Args:
        official: split -> official split that it takes its rows from.
        derived: splits cut from the official train split, in the order in which they are cut.
    """

    official: dict[str, str]
    derived: tuple[str, ...]


def split_rule(labelled: Collection[str]) -> Rule:
    """Apply the rule to the labelled official splits that there are.

    Raises:
        ValueError: there are none.
    """
    if not labelled:
        raise ValueError("no labelled split to take rows from")
    official, derived = {}, []
    if "test" in labelled:
        official["test"] = "test"
    elif "validation" in labelled:
        official["test"] = "validation"
    else:
        derived.append("test")
    if "validation" in labelled and "validation" not in official.values():
        official["validation"] = "validation"
    elif "train" in labelled:
        derived.append("validation")
    if "train" in labelled:
        official["train"] = "train"
    for name in derived:
        official[name] = "train"
    order = [name for name in ("train", "validation", "test") if name in official]
    return Rule({name: official[name] for name in order}, tuple(derived))


def content_hashes(table: pa.Table, spec: TaskSpec) -> Hashes:
    """Hash of each row's texts, (N,): equal for exact duplicates, whatever their labels."""
    hashes = np.zeros(len(table), np.uint64)
    for name in spec.texts:
        hashes = combine(hashes, text_hashes(table[name], SPLIT_SEED))
    return hashes


def cut(
    contents: Hashes, groups: Hashes | None, derived: Collection[str], labels: NDArray[np.integer[Any]] | None = None
) -> NDArray[np.uint8]:
    """Choose the rows of derived splits.

    A split may end up with fewer rows than its share where duplicates and groups leave nothing that fits.

    Args:
        contents: hash of each usable row's texts, (N,).
        groups: number of each row's group, (N,), or None.
        derived: splits to cut, in order; the rest is train.
        labels: class of each row, (N,), not negative; None where all are of one class.

    Returns:
        (N,): 0 for train, k for the k-th split of ``derived``, counted from 1.
    """
    labels = np.zeros(len(contents), np.uint8) if labels is None else labels
    counts = count_classes(np.zeros(len(contents), np.uint8), labels, 1, int(labels.max(initial=0)) + 1)[0]
    if groups is not None:
        return _choose(contents, groups, labels, counts, derived)[0]
    # Alone, a row's place in the order is known by itself, and only those that come first can be chosen: a fraction of
    # a large set, which need not be sorted as a whole. More are looked at where these leave room in a split.
    wanted = sum(_room(name, len(contents)) for name in derived) + SPARE_ROWS
    while True:
        found = _first_rows(contents, wanted)
        chosen, full = _choose(contents[found], None, labels[found], counts, derived)
        if full or len(found) == len(contents):
            break
        wanted *= 2
    codes = np.zeros(len(contents), np.uint8)
    codes[found] = chosen
    return codes


def count_classes(
    codes: NDArray[np.uint8], labels: NDArray[np.integer[Any]], splits: int, classes: int
) -> NDArray[np.int64]:
    """Rows of each split and class, (splits, C), from the code and the class of each row, (N,)."""
    counts = np.zeros(splits * classes, np.int64)
    for start in range(0, len(codes), BLOCK_ROWS):  # a histogram takes 8 bytes a row
        block = slice(start, start + BLOCK_ROWS)
        counts += np.bincount(codes[block].astype(np.int64) * classes + labels[block], minlength=len(counts))
    return counts.reshape(splits, classes)


def _first_rows(contents: Hashes, wanted: int) -> NDArray[np.int64]:
    """Positions of the rows that come first in the order, about as many as wanted, with all duplicates of each."""
    if wanted >= len(contents):
        return np.arange(len(contents))
    last = np.uint64(wanted * 2**64 // len(contents))  # ranks are spread evenly
    found = [
        start + np.flatnonzero(mix(contents[start : start + BLOCK_ROWS]) <= last)
        for start in range(0, len(contents), BLOCK_ROWS)
    ]
    return np.concatenate(found)


def _room(name: str, rows: int) -> int:
    """Rows that a derived split may take of that many."""
    if name == "test":
        return int(TEST_SHARE * rows + 0.5)
    return min(int(VALIDATION_SHARE * rows + 0.5), MAX_VALIDATION_ROWS)


def _choose(
    contents: Hashes,
    groups: Hashes | None,
    labels: NDArray[np.integer[Any]],
    counts: NDArray[np.int64],
    derived: Collection[str],
) -> tuple[NDArray[np.uint8], bool]:
    """Choose as ``cut`` does, from the rows that come first in the order, or from all.

    Args:
        contents: of these rows, as in ``cut``, (N,).
        groups: the same, (N,), or None.
        labels: the same, (N,).
        counts: of all rows, how many each class has, (C,).
        derived: splits to cut.

    Returns:
        Codes as ``cut`` gives them, (N,), and whether each class has its share of each split exactly: then rows further
        behind in the order change nothing.
    """
    unit_of, sizes, ranks = _units(contents, groups)
    classes = _unit_classes(unit_of, labels, len(sizes))
    order = np.argsort(ranks, kind="stable")
    chosen = np.zeros(len(sizes), np.uint8)
    full = True
    for code, name in enumerate(derived, start=1):
        room = _room(name, int(counts.sum()))
        taken = _fill_shares(sizes[order], classes[order], _shares(counts, room))
        left = room - int(sizes[order[taken]].sum())
        full &= not left
        taken = np.concatenate([taken, _fill_rest(sizes[order], classes[order], taken, left)])
        chosen[order[taken]] = code
        counts = counts - np.bincount(labels[chosen[unit_of] == code], minlength=len(counts))
        order = np.delete(order, taken)
    return chosen[unit_of], full


def _shares(counts: NDArray[np.int64], room: int) -> NDArray[np.int64]:
    """How many rows of each class go to a split that has room for some, (C,): by largest remainder.

    A class of one row stays in train; one of more rows gets one at least, if there is room for that many classes.
    """
    counts = np.where(counts > 1, counts, 0)
    total = int(counts.sum())
    if not total:
        return counts
    shares, remainders = counts * room // total, counts * room % total
    shares[np.argsort(-remainders, kind="stable")[: room - int(shares.sum())]] += 1
    shares = np.minimum(shares, np.maximum(counts - 1, 0))
    for number in np.argsort(-counts, kind="stable"):
        richest = int(np.argmax(shares))
        if counts[number] and not shares[number] and shares[richest] > 1:
            shares[[richest, number]] += (-1, 1)
    return shares


def _unit_classes(unit_of: NDArray[np.int64], labels: NDArray[np.integer[Any]], units: int) -> NDArray[np.integer[Any]]:
    """The class that most rows of each unit have, (U,); the first of those where several are as frequent."""
    classes = np.zeros(units, labels.dtype)
    classes[unit_of] = labels  # of one of its rows, which is of all in nearly every unit
    mixed = np.unique(unit_of[classes[unit_of] != labels])
    if len(mixed):
        rows = np.flatnonzero(np.isin(unit_of, mixed))
        kinds = int(labels.max()) + 1
        pairs, counts = np.unique(unit_of[rows] * kinds + labels[rows], return_counts=True)
        pairs = pairs[np.lexsort((pairs, -counts, pairs // kinds))]
        classes[mixed] = pairs[np.unique(pairs // kinds, return_index=True)[1]] % kinds
    return classes


def _fill_shares(
    sizes: NDArray[np.int64], classes: NDArray[np.integer[Any]], shares: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Positions of the units to take for each class to have its share, as far as they fit."""
    by_class = np.argsort(classes, kind="stable")
    bounds = np.searchsorted(classes[by_class], np.arange(len(shares) + 1))
    wanted = np.flatnonzero(shares)
    members = [by_class[bounds[number] : bounds[number + 1]] for number in wanted]
    taken = [own[_fill(sizes[own], int(shares[number]))] for own, number in zip(members, wanted, strict=True)]
    return np.concatenate([np.empty(0, np.int64), *taken])


def _fill_rest(
    sizes: NDArray[np.int64], classes: NDArray[np.integer[Any]], taken: NDArray[np.int64], room: int
) -> NDArray[np.int64]:
    """Positions of units to take besides, in order; the last unit of a class only where nothing else is left."""
    if not room:
        return np.empty(0, np.int64)
    free = np.ones(len(sizes), bool)
    free[taken] = False
    rest = np.flatnonzero(free)
    lasts = rest[::-1][np.unique(classes[rest][::-1], return_index=True)[1]]
    others = rest[~np.isin(rest, lasts)]
    chosen = others[_fill(sizes[others], room)]
    lasts = np.sort(lasts)
    return np.concatenate([chosen, lasts[_fill(sizes[lasts], room - int(sizes[chosen].sum()))]])


def _units(contents: Hashes, groups: Hashes | None) -> tuple[NDArray[np.int64], NDArray[np.int64], Hashes]:
    """Sets of rows that must stay together: the unit of each row (N,), and each unit's size and rank (U,)."""
    values, content_of = np.unique(contents, return_inverse=True)
    if groups is None:
        unit_of = content_of
        ranks = values
    else:
        component = _components(content_of, np.unique(groups, return_inverse=True)[1], len(values))
        firsts, unit_of = np.unique(component[content_of], return_inverse=True)
        ranks = values[firsts]  # the smallest content hash of the unit, whichever order the rows came in
    # Mixed once more: the smallest of many hashes is small, and large units would otherwise all come first.
    return unit_of, np.bincount(unit_of, minlength=len(ranks)), mix(ranks)


def _components(content_of: NDArray[np.int64], group_of: NDArray[np.int64], contents: int) -> NDArray[np.int64]:
    """Smallest content number in the connected component of each content (U,), rows being the links."""
    component = np.arange(contents)
    while True:
        smallest = np.full(int(group_of.max(initial=-1)) + 1, contents)
        np.minimum.at(smallest, group_of, component[content_of])
        update = component.copy()
        np.minimum.at(update, content_of, smallest[group_of])
        update = update[update]
        if np.array_equal(update, component):
            return component
        component = update


def _fill(sizes: NDArray[np.int64], room: int) -> NDArray[np.int64]:
    """Positions of the units to take, in order: each that still fits."""
    taken = []
    positions = np.flatnonzero(sizes <= room)
    while len(positions):
        totals = np.cumsum(sizes[positions])
        fitting = int(np.searchsorted(totals, room, side="right"))
        taken.append(positions[:fitting])
        room -= int(totals[fitting - 1]) if fitting else 0
        rest = positions[fitting:]
        positions = rest[sizes[rest] <= room]
    return np.concatenate(taken) if taken else np.empty(0, np.int64)


class Seen:
    """Rows already met in a split, by texts and label: 8 bytes for each distinct one."""

    def __init__(self) -> None:
        self._hashes: Hashes = np.empty(0, np.uint64)

    def first(self, hashes: Hashes) -> NDArray[np.bool_]:
        """True where a row is the first with its hash, in this batch and all before it, (N,)."""
        values, positions = np.unique(hashes, return_index=True)
        fresh = ~np.isin(values, self._hashes)
        self._hashes = np.union1d(self._hashes, values[fresh])
        first = np.zeros(len(hashes), bool)
        first[positions[fresh]] = True
        return first
