"""Compute the data of the page: one space per run, and facts about every task. No I/O.

>>> import numpy as np
>>> from metaeval_hub.task_data.task_embeddings import TaskEmbeddings
>>> emb = TaskEmbeddings(("a/x", "a/y", "b/z"), np.eye(3, dtype=np.float32))
>>> space = make_space("run 1", emb, statistics={"test": [0.8, 0.7, 0.9]})
>>> content([space], {"a/x": TaskFacts(aspects={"task type": "NLI"})})["names"]
['a/x', 'a/y', 'b/z']
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metaeval_hub.analysis.neighbours import NEIGHBOURS, kept_within, nearest_vectors
from metaeval_hub.analysis.projection import LEAST, ProjectionMethod, project
from metaeval_hub.analysis.task_titles import short_names, type_title
from metaeval_hub.analysis.type_styles import TYPE_STYLES
from metaeval_hub.task_data.task_embeddings import TaskEmbeddings

TASK_TYPE, NOT_KNOWN = "Task type", "Not known"  # title of an aspect, and its value if the type is not known
TRAINING_ROWS = "Training rows"  # title of the aspect next to which the page says how many of the rows a run used
# category of the aspect "Task type" -> place of its style
LOOKS = {
    NOT_KNOWN if style.kind == "unknown" else type_title(style.kind): place for place, style in enumerate(TYPE_STYLES)
}


class Statistic(NamedTuple):
    """A number per task that comes from a run.

    Args:
        title: title on the page.
        unit: "share" (0..1, shown as a percentage), "points" (a difference of two shares, coloured on a scale that is
            centred at 0), "rows" or "" for a plain number.
        colour: whether tasks can be coloured by it.
    """

    title: str
    unit: Literal["share", "points", "rows", ""]
    colour: bool


STATISTICS = {
    "test": Statistic("Test accuracy", "share", True),
    "validation": Statistic("Validation accuracy", "share", False),
    "majority": Statistic("Majority class", "share", False),
    "gain": Statistic("Test accuracy over majority", "points", True),
    "distance": Statistic("Distance from the centre", "", True),
    "cos_z_z0": Statistic("Cosine with the start", "", True),
    "kept_within": Statistic("Own copies among the nearest", "share", True),
    "train_rows": Statistic("Training rows used", "rows", False),
    "test_rows": Statistic("Test rows used", "rows", False),
}


@dataclass(frozen=True)
class Example:
    """One row of a task.

    Args:
        label: name of its class.
        texts: one or two.
    """

    label: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class TaskFacts:
    """Facts about a task that do not depend on a run. Any of them may be missing.

    Args:
        aspects: title -> category (text) or number, to colour tasks by; None if it is not known.
        labels: names of the classes.
        source: description of where the rows come from.
        repo: dataset repository on the Hub that contains the rows, ``ORG/NAME``.
        commit: commit of that repository.
        notes: remarks for users of the task.
        examples: rows to show.
        examples_note: where the examples come from, or why none are shown.
    """

    aspects: Mapping[str, str | float | None] = field(default_factory=dict)
    labels: Sequence[str] = ()
    source: str = ""
    repo: str = ""
    commit: str = ""
    notes: str = ""
    examples: Sequence[Example] = ()
    examples_note: str = ""


@dataclass(frozen=True, eq=False)
class Map:
    """Two-dimensional projection of a space.

    Args:
        points: (n, 2), finite.
        note: sentence on how the projection was computed.
    """

    points: NDArray[np.float64]
    note: str = ""


@dataclass(frozen=True, eq=False)
class Space:
    """The task embeddings of one run, with what the page shows about them.

    Args:
        name: name of the run.
        emb: task embeddings of n tasks.
        maps: "pca" and "umap" -> map.
        statistics: key of ``STATISTICS`` -> (n,) numbers, NaN if one is missing.
        about: facts about the run, in order: title -> text.
        warning: warning shown at the top, such as that z is close to its random start.

    Raises:
        ValueError: the parts do not fit together; the message names the run and the part.
    """

    name: str
    emb: TaskEmbeddings
    maps: Mapping[str, Map]
    statistics: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)
    warning: str = ""

    def __post_init__(self) -> None:
        n = len(self.emb)
        if not self.maps:
            raise ValueError(f"{self.name}: no map; a map needs at least {min(LEAST.values())} tasks, got {n}")
        for key, each in self.maps.items():
            if key not in LEAST:
                raise ValueError(f"{self.name}: map {key!r}; expected {' or '.join(LEAST)}")
            if each.points.shape != (n, 2) or not np.isfinite(each.points).all():
                shape = each.points.shape
                raise ValueError(f"{self.name}: map {key} of shape {shape}; expected finite numbers, ({n}, 2)")
        for key, values in self.statistics.items():
            if key not in STATISTICS:
                raise ValueError(f"{self.name}: statistic {key!r}; expected some of {', '.join(STATISTICS)}")
            if values.shape != (n,):
                raise ValueError(f"{self.name}: statistic {key} has shape {values.shape}; expected ({n},)")


def make_space(
    name: str,
    emb: TaskEmbeddings,
    *,
    methods: Sequence[ProjectionMethod] = ("pca",),
    seed: int = 0,
    statistics: Mapping[str, ArrayLike] | None = None,
    about: Mapping[str, str] | None = None,
    warning: str = "",
) -> Space:
    """Project task embeddings, and compute the statistics that need only the embeddings.

    Args:
        name: name of the run.
        emb: task embeddings of n tasks, at least 2.
        methods: projections to compute; one that needs more tasks is left out.
        seed: random seed of UMAP.
        statistics: key of ``STATISTICS`` -> n numbers. "distance" and "gain" are added, and also "kept_within" if
            tasks have several embeddings (table 2 of the paper).
        about: facts about the run.
        warning: see ``Space``.

    Raises:
        ValueError: there are too few tasks, or the parts do not fit together.
        ImportError: UMAP is asked for and not installed.
    """
    found = {key: np.asarray(values, np.float64) for key, values in (statistics or {}).items()}
    if {"test", "majority"} <= found.keys():
        found["gain"] = found["test"] - found["majority"]
    found["distance"] = emb.distances_from_centre()
    if emb.copies is not None and emb.copies.shape[1] > 1:
        found["kept_within"] = kept_within(emb.copies, min(NEIGHBOURS, emb.copies.shape[0] * emb.copies.shape[1] - 1))
    maps: dict[str, Map] = {method: _draw(emb, method, seed) for method in methods if len(emb) >= LEAST[method]}
    return Space(name, emb, maps, found, dict(about or {}), warning)


def _draw(emb: TaskEmbeddings, method: ProjectionMethod, seed: int) -> Map:
    points = project(emb, method, seed)
    if method == "umap":
        note = f"UMAP by cosine, seed {seed}: neighbours stay together, but gaps and directions carry little meaning."
        return Map(points, note)
    total = emb.values.astype(np.float64).var(axis=0).sum()
    share = points.var(axis=0).sum() / total if total else 0.0
    return Map(points, f"PCA: these two directions explain {100 * share:.0f}% of the variance.")


def turned(
    points: NDArray[np.float64], reference: NDArray[np.float64], shared: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Rotate and mirror a map to bring its tasks as close as possible to their places on another map.

    Distances are unchanged. Directions carry no meaning across runs, so nothing is lost (orthogonal Procrustes;
    Schönemann 1966).

    Args:
        points: (n, 2).
        reference: (m, 2).
        shared: indices into ``points`` and into ``reference`` of the tasks in both.
    """
    if len(shared[0]) < 2:
        return points
    own, other = points[shared[0]], reference[shared[1]]
    left, _, right = np.linalg.svd((own - own.mean(axis=0)).T @ (other - other.mean(axis=0)))
    return (points - points.mean(axis=0)) @ (left @ right)


# --- For the page ---------------------------------------------------------------------------------------------------


def content(spaces: Sequence[Space], facts: Mapping[str, TaskFacts], title: str = "") -> dict[str, Any]:
    """Return everything that the page shows, as JSON values.

    Args:
        spaces: one or more runs with different names.
        facts: task name -> facts; tasks that are in no run are ignored.
        title: title of the page, by default "Map of N tasks".

    Raises:
        ValueError: there is no run, or two runs have the same name.
    """
    runs = [space.name for space in spaces]
    if not runs or len(set(runs)) < len(runs):
        raise ValueError(f"runs {runs}; expected at least one run, each with a different name")
    names = list(dict.fromkeys(name for space in spaces for name in space.emb.names))
    ids = {name: number for number, name in enumerate(names)}
    known = [facts.get(name, TaskFacts()) for name in names]
    return {
        "title": title or f"Map of {len(names):,} tasks",
        "names": names,
        "short": short_names(names),
        "facts": [_facts(each) for each in known],
        "styles": [{"colour": each.colour, "dark": each.on_dark, "path": each.path} for each in TYPE_STYLES],
        "aspects": _aspects(known),
        "statistics": {key: statistic._asdict() for key, statistic in STATISTICS.items()},
        "runs": [_run(space, spaces[0], ids) for space in spaces],
        "common": [_common(pair, spaces, ids) for pair in combinations(range(len(spaces)), 2)],
        "neighbours": NEIGHBOURS,
    }


def _facts(facts: TaskFacts) -> dict[str, Any]:
    texts = {key: getattr(facts, key) for key in ("source", "repo", "commit", "notes", "examples_note")}
    found: dict[str, Any] = {key: text for key, text in texts.items() if text}
    if facts.labels:
        found["labels"] = list(facts.labels)
    if facts.examples:
        found["examples"] = [[example.label, *example.texts] for example in facts.examples]
    return found


def _aspects(known: Sequence[TaskFacts]) -> list[dict[str, Any]]:
    """Return one column per aspect: indices into its sorted categories, or numbers."""
    columns: list[dict[str, Any]] = []
    for title in dict.fromkeys(title for facts in known for title in facts.aspects):
        values = [facts.aspects.get(title) for facts in known]
        categories = sorted({str(value) for value in values if value is not None})
        if any(isinstance(value, str) for value in values):
            place = {category: number for number, category in enumerate(categories)}
            known_as = [None if value is None else place[str(value)] for value in values]
            columns.append({"title": title, "categories": categories, "values": known_as})
            if title == TASK_TYPE and set(categories) <= LOOKS.keys():
                columns[-1]["looks"] = [LOOKS[category] for category in categories]
        elif categories:
            columns.append({"title": title, "values": list(map(_number, values))})
    return columns


def _run(space: Space, first: Space, ids: Mapping[str, int]) -> dict[str, Any]:
    maps = {}
    for key, each in space.maps.items():
        points, note = each.points, each.note
        if space is not first and key in first.maps:
            points = turned(points, first.maps[key].points, _same_tasks(space.emb.names, first.emb.names))
            note = f"{note} Rotated to match {first.name}.".strip()
        maps[key] = {"points": _unit(points), "note": note}
    near, cosines = _nearest(space.emb.values)
    return {
        "name": space.name,
        "warning": space.warning,
        "about": [list(fact) for fact in space.about.items()],
        "tasks": [ids[name] for name in space.emb.names],
        "maps": maps,
        "near": _names_as_ids(near, space.emb.names, ids),
        "cosines": cosines,
        "statistics": {key: list(map(_number, space.statistics[key])) for key in STATISTICS if key in space.statistics},
    }


def _common(pair: tuple[int, int], spaces: Sequence[Space], ids: Mapping[str, int]) -> dict[str, Any]:
    """Return the tasks that two runs share and, if either run has others, the nearest tasks among the shared ones.

    Two neighbourhoods are comparable only if they are chosen from the same tasks.
    """
    one, other = (spaces[number].emb for number in pair)
    rows = _same_tasks(one.names, other.names)
    names = [one.names[row] for row in rows[0]]
    found: dict[str, Any] = {"runs": list(pair), "tasks": [ids[name] for name in names]}
    if not len(names) == len(one) == len(other):
        nearest = [_nearest(emb.values[own]) for emb, own in zip((one, other), rows, strict=True)]
        found["near"] = [_names_as_ids(near, names, ids) for near, _ in nearest]
        found["cosines"] = [cosines for _, cosines in nearest]
    return found


def _nearest(values: NDArray[np.floating]) -> tuple[NDArray[np.int64], list[list[float]]]:
    """Return the nearest other embeddings of each embedding, nearest first, and their cosines."""
    k = min(NEIGHBOURS, len(values) - 1)
    if k < 1:
        return np.empty((len(values), 0), np.int64), [[] for _ in values]
    near = nearest_vectors(values, k)
    exact = values.astype(np.float64)
    norms = np.linalg.norm(exact, axis=1, keepdims=True)
    unit = np.divide(exact, norms, out=np.zeros_like(exact), where=norms > 0)
    return near, np.round(np.einsum("nz,nkz->nk", unit, unit[near]), 3).tolist()


def _same_tasks(names: Sequence[str], others: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of the shared names in both lists."""
    places = {name: row for row, name in enumerate(others)}
    rows = [row for row, name in enumerate(names) if name in places]
    return np.array(rows, np.int64), np.array([places[names[row]] for row in rows], np.int64)


def _names_as_ids(rows: NDArray[np.int64], names: Sequence[str], ids: Mapping[str, int]) -> list[list[int]]:
    numbers = np.array([ids[name] for name in names], np.int64)
    return [list(map(int, line)) for line in numbers[rows]]


def _unit(points: NDArray[np.float64]) -> list[float]:
    """Return coordinates as x, y, x, y, ...; the longer side of the map spans -1 to 1."""
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    size = np.abs(points - middle).max()
    return [float(value) for value in np.round((points - middle) / (size or 1.0), 4).ravel()]


def _number(value: Any) -> float | int | None:
    """Round to five significant digits; return None for a missing or non-finite value."""
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.5g}") if not float(value).is_integer() else float(value)
    return int(rounded) if rounded.is_integer() else rounded
