"""Define the split rule of all tasks (paper, section 4, with details that the paper leaves open).

- test: the labelled official test split, or else the labelled official validation split, or else 20 % of train.
- validation: the official one if it is not used for test, or else 20 % of the remaining train rows, at most 10,000.
- train: the rest. Nothing is derived without an official train split (a diagnostic set has only a test split).

Derived splits are chosen in the order of a hash of the texts: they depend only on the content of the usable rows, not
on their order, the machine or the number of processes. Rows with equal texts, rows of one declared group, and all rows
linked by them stay in the same split. Each class gets its share of a derived split, and at least one row if it has two.
Space that duplicates and groups with several classes leave is filled in the order of the hash.

The paper splits datasets without splits 64/16/20. It does not say what it does if only a test or only a validation
split exists; the original code halves that split. Here an official split is never divided. The paper does not say
whether its splits are stratified; without stratification, a class of a 40-row task can be missing from the test split.
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
SPARE_ROWS = 1000  # rows considered beyond the size of the derived splits
BLOCK_ROWS = 1 << 16  # rows ranked at a time

DROPPED = 255  # code of a row that is not in any split


@dataclass(frozen=True)
class Rule:
    """Describe where the rows of each split come from.

    Args:
        official: split -> official split that its rows come from.
        derived: splits derived from the official train split, in the order in which they are derived.
    """

    official: dict[str, str]
    derived: tuple[str, ...]


def split_rule(labelled: Collection[str]) -> Rule:
    """Apply the rule to the labelled official splits of a source.

    Raises:
        ValueError: there is no such split.
    """
    if not labelled:
        raise ValueError("no labelled official split; expected train, validation or test")
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


def training_rows(rows: int, derived: Collection[str]) -> int:
    """Return the number of training rows that derived splits of full size leave of the official train split.

    Args:
        rows: number of usable rows of the official train split.
        derived: splits that are derived from it.
    """
    for name in derived:
        rows -= _room(name, rows)
    return rows


def content_hashes(table: pa.Table, spec: TaskSpec) -> Hashes:
    """Return a hash of each row's texts, (N,), equal for exact duplicates with any labels."""
    hashes = np.zeros(len(table), np.uint64)
    for name in spec.texts:
        hashes = combine(hashes, text_hashes(table[name], SPLIT_SEED))
    return hashes


def cut(
    contents: Hashes, groups: Hashes | None, derived: Collection[str], labels: NDArray[np.integer[Any]] | None = None
) -> NDArray[np.uint8]:
    """Choose the rows of derived splits.

    A split can get fewer rows than its share if no unit of duplicates or groups fits the remaining space.

    Args:
        contents: hash of each usable row's texts, (N,).
        groups: number of each row's group, (N,), or None.
        derived: splits to derive, in order; the rest is train.
        labels: class of each row, (N,), not negative; None if all rows have the same class.

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
    """Return the number of rows by split and class, (splits, C), from the code and class of each row, (N,)."""
    counts = np.zeros(splits * classes, np.int64)
    for start in range(0, len(codes), BLOCK_ROWS):  # a histogram takes 8 bytes per row
        block = slice(start, start + BLOCK_ROWS)
        counts += np.bincount(codes[block].astype(np.int64) * classes + labels[block], minlength=len(counts))
    return counts.reshape(splits, classes)


def _first_rows(contents: Hashes, wanted: int) -> NDArray[np.int64]:
    """Return the positions of about ``wanted`` first rows in hash order, with all their duplicates."""
    if wanted >= len(contents):
        return np.arange(len(contents))
    last = np.uint64(wanted * 2**64 // len(contents))  # ranks are uniformly distributed
    found = [
        start + np.flatnonzero(mix(contents[start : start + BLOCK_ROWS]) <= last)
        for start in range(0, len(contents), BLOCK_ROWS)
    ]
    return np.concatenate(found)


def _room(name: str, rows: int) -> int:
    """Return the maximum size of a derived split, given the number of available rows."""
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
    """Choose rows as ``cut`` does, from the first rows in hash order or from all rows.

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
    """Return the rows of each class in a split of limited size, (C,), by the largest remainder method.

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
    """Return the majority class of each unit, (U,); the first one if several are equally frequent."""
    classes = np.zeros(units, labels.dtype)
    classes[unit_of] = labels  # the class of one of its rows, which nearly always is that of all
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
    """Return the positions of the units that give each class its share, as far as they fit."""
    by_class = np.argsort(classes, kind="stable")
    bounds = np.searchsorted(classes[by_class], np.arange(len(shares) + 1))
    wanted = np.flatnonzero(shares)
    members = [by_class[bounds[number] : bounds[number + 1]] for number in wanted]
    taken = [own[_fill(sizes[own], int(shares[number]))] for own, number in zip(members, wanted, strict=True)]
    return np.concatenate([np.empty(0, np.int64), *taken])


def _fill_rest(
    sizes: NDArray[np.int64], classes: NDArray[np.integer[Any]], taken: NDArray[np.int64], room: int
) -> NDArray[np.int64]:
    """Return the positions of additional units, in order; the last unit of a class only if no other is left."""
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
    """Return the sets of rows that must stay together: unit of each row (N,), size and rank of each unit (U,)."""
    values, content_of = np.unique(contents, return_inverse=True)
    if groups is None:
        unit_of = content_of
        ranks = values
    else:
        component = _components(content_of, np.unique(groups, return_inverse=True)[1], len(values))
        firsts, unit_of = np.unique(component[content_of], return_inverse=True)
        ranks = values[firsts]  # the smallest content hash of the unit, independent of the order of rows
    # Mix again: the minimum of many hashes is small, so large units would otherwise all come first.
    return unit_of, np.bincount(unit_of, minlength=len(ranks)), mix(ranks)


def _components(content_of: NDArray[np.int64], group_of: NDArray[np.int64], contents: int) -> NDArray[np.int64]:
    """Return the smallest content number in the connected component of each content (U,), linked by rows."""
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
    """Return the positions of the units to take: in order, each one that still fits."""
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
    """Remember the distinct rows of a split by texts and label, with 8 bytes per row."""

    def __init__(self) -> None:
        self._hashes: Hashes = np.empty(0, np.uint64)

    def first(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Return True for each row that is the first with its hash in all batches so far, (N,)."""
        values, positions = np.unique(hashes, return_index=True)
        fresh = ~np.isin(values, self._hashes)
        self._hashes = np.union1d(self._hashes, values[fresh])
        first = np.zeros(len(hashes), bool)
        first[positions[fresh]] = True
        return first
