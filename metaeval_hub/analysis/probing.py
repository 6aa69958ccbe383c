"""Tables on how well embeddings predict aspects of tasks (Sileo & Moens 2022, section 5.5, table 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.analysis.embedded_runs import EmbeddedRun
from metaeval_hub.analysis.probe import (
    PERMUTATIONS,
    REASSIGNMENTS,
    AcrossGroups,
    Probe,
    majority,
    probe,
    probe_across,
)
from metaeval_hub.results.intervals import group_of
from metaeval_hub.results.tables import Column, Table
from metaeval_hub.results.terminal import ShowStep, show_nothing
from metaeval_hub.task_data.task_embeddings import TaskEmbeddings
from metaeval_hub.task_data.task_features import ASPECTS, Aspect, TaskFeatures

ASPECT_TITLES: Mapping[Aspect, str] = {
    "domain_cluster": "domain cluster",
    "train_rows": "num rows",
    "text_fields": "num text fields",
    "task_type": "task type",
    "median_words": "text length",
}
CUT_MARK, CIRCULAR_MARK = "‡", "circular"
STANDARDISED = ", standardised"  # part of the name of vectors with a standard deviation of 1 in each dimension


@dataclass(frozen=True, eq=False)
class ProbeInputs:
    """Features and aspects of the probed tasks.

    Args:
        tasks: n tasks that all inputs have.
        left_out: tasks of the runs that other inputs lack.
        classes: aspect -> (n,) classes from 0, for the aspects that can be predicted.
        constant: aspects that are the same for all tasks.
        all_different: aspects that are different for every task.
        sets: name -> matrices (n, D), one per run if z is among the features.
        cut: aspect -> why z cannot contain it in full, by the settings of the runs.
    """

    tasks: Sequence[str]
    left_out: Sequence[str]
    classes: Mapping[Aspect, NDArray[np.int64]]
    constant: Sequence[Aspect]
    all_different: Sequence[Aspect]
    sets: Mapping[str, Sequence[NDArray[np.float64]]]
    cut: Mapping[Aspect, str]

    def columns(self, counts: Mapping[Aspect, int] | None = None) -> list[Column]:
        """Return one column per aspect, with the marks that `notes` explains, and the numbers of tasks if given."""
        ends = {aspect: "" if counts is None else f", {counts.get(aspect, 0)} tasks" for aspect in ASPECTS}
        return [
            Column(
                aspect, f"{title} {CUT_MARK} %{ends[aspect]}" if aspect in self.cut else f"{title} %{ends[aspect]}",
                "percent",
                f"{aspect}_std", f"{aspect}_chance", f"{aspect}_p", f"{aspect}_mark",
            )
            for aspect, title in ASPECT_TITLES.items()
        ]  # fmt: skip

    @property
    def notes(self) -> list[str]:
        """Sentences on marked aspects, and on aspects and tasks that are left out."""
        notes = [
            f"{CUT_MARK} z cannot contain this aspect in full, by construction: {ASPECT_TITLES[aspect]}, since {why}."
            for aspect, why in self.cut.items()
        ]
        if "TextEmb" in self.sets and "domain_cluster" in self.classes:
            notes.append(
                f"{CIRCULAR_MARK.capitalize()}: TextEmb and the domain clusters are computed from the same texts, so "
                "predicting one from the other shows nothing about tasks."
            )
        if self.constant:
            titles = ", ".join(ASPECT_TITLES[aspect] for aspect in self.constant)
            notes.append(f"Not predicted, because they are the same for all tasks: {titles}.")
        if self.all_different:
            titles = ", ".join(ASPECT_TITLES[aspect] for aspect in self.all_different)
            notes.append(f"Not predicted, because they are different for every task: {titles}.")
        if self.left_out:
            notes.append(f"Tasks left out, because not all inputs have them: {', '.join(self.left_out)}.")
        return notes


def gather(runs: Sequence[EmbeddedRun], features: TaskFeatures, vectors: Mapping[str, TaskEmbeddings]) -> ProbeInputs:
    """Collect the feature sets and aspects of the tasks that all inputs have.

    Args:
        runs: each run is probed separately.
        features: features with the aspects of the tasks.
        vectors: name -> further vectors per task, such as Fisher; "TextEmb" is also probed together with z.

    Raises:
        ValueError: runs, features and vectors have fewer than 3 tasks in common, or no aspect can be predicted.
    """
    tasks = common_tasks(runs, features, vectors, least=3)
    coded = {aspect: features.select(tasks).classes(aspect) for aspect in ASPECTS}
    counts = {aspect: len(np.unique(labels)) for aspect, labels in coded.items()}
    classes = {aspect: labels for aspect, labels in coded.items() if 1 < counts[aspect] < len(tasks)}
    if not classes:
        raise ValueError(
            f"no aspect of these {len(tasks)} tasks can be predicted: each is the same for all tasks or different for "
            "every task; analyse a run with more tasks"
        )
    latent = [run.select(tasks).embeddings.centroids().values.astype(np.float64) for run in runs]
    others = {name: each.select(tasks).values.astype(np.float64) for name, each in vectors.items()}
    sets: dict[str, list[NDArray[np.float64]]] = {}
    for name, each in others.items():
        if name != "TextEmb":
            sets |= {name: [each], f"{name}{STANDARDISED}": [standardised(each)]}
    sets["latent z"] = latent
    if "TextEmb" in others:
        sets["latent + TextEmb"] = [np.hstack([each, others["TextEmb"]]) for each in latent]
        sets["TextEmb"] = [others["TextEmb"]]
    left_out = sorted({name for run in runs for name in run.tasks} - set(tasks))
    constant, all_different = ([each for each in ASPECTS if counts[each] == count] for count in (1, len(tasks)))
    cut = {aspect: why for aspect, why in _cut_aspects(runs, features.select(tasks)).items() if aspect in classes}
    return ProbeInputs(tasks, left_out, classes, constant, all_different, sets, cut)


def standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale each dimension of vectors (n, D) to a mean of 0 and a standard deviation of 1 over the n tasks.

    Constant dimensions become 0. No labels are used.
    """
    spread = values.std(axis=0)
    centred = values - values.mean(axis=0)
    return np.divide(centred, spread, out=np.zeros_like(values), where=spread > 0)


def _cut_aspects(runs: Sequence[EmbeddedRun], features: TaskFeatures) -> dict[Aspect, str]:
    """Return the aspects that the settings of the runs cut off: aspect -> the setting and the affected tasks."""
    found: dict[Aspect, str] = {}
    caps = [run.facts.settings.get("max_train_rows") for run in runs]
    cap = max((each for each in caps if isinstance(each, int) and each > 0), default=0)
    tasks = sum(each.train_rows > cap for each in features.aspects)
    if cap and tasks:
        found["train_rows"] = f"runs train on at most {cap:,} rows per task and {tasks} of the tasks have more"
    lengths = [run.facts.settings.get("max_length") for run in runs]
    length = max((each for each in lengths if isinstance(each, int) and each > 0), default=0)
    tasks = sum(each.median_words > length for each in features.aspects)  # a word is at least one token
    if length and tasks:
        found["median_words"] = f"runs cut texts at {length} tokens and the median text of {tasks} tasks has more words"
    return found


def probing(
    runs: Sequence[EmbeddedRun],
    features: TaskFeatures,
    vectors: Mapping[str, TaskEmbeddings],
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    step: ShowStep = show_nothing,
) -> Table:
    """Return how well aspects of tasks are predicted from their embeddings (table 4).

    Args:
        runs: each run is probed separately; accuracies are averaged.
        features: features with the aspects of the tasks.
        vectors: name -> further vectors per task, such as Fisher; "TextEmb" is also probed together with z.
        permutations: permutations of each significance test.
        seed: random seed of the permutations.
        step: called with a short description before each feature set.

    Raises:
        ValueError: runs, features and vectors have fewer than 3 tasks in common.
    """
    inputs = gather(runs, features, vectors)
    records = [_majority_record(inputs.classes)]
    for name, matrices in inputs.sets.items():
        step(name)
        found = {
            aspect: [probe(matrix, labels, permutations=permutations, seed=seed) for matrix in matrices]
            for aspect, labels in inputs.classes.items()
        }
        records.append(_probe_record(name, found))
    columns = (
        Column("features", "features"),
        *inputs.columns(),
        Column("average", "avg %", "percent"),
    )
    notes = (
        f"Accuracy of scikit-learn's logistic regression, each of {len(inputs.tasks)} tasks predicted from the others"
        + ("." if len(runs) == 1 else f"; mean of {len(runs)} runs ± standard deviation over runs."),
        f"Chance: the mean of {permutations} permutations of the classes. It can be below the majority class, since "
        "leaving a task out makes its class rarer. p: share of permutations that reach the accuracy, the largest "
        f"over runs; the smallest possible value is {1 / (1 + permutations):.3f}. Each p is for one test; this table "
        f"has {len(inputs.sets) * len(inputs.classes)} tests.",
        "Vectors are not rescaled, unless they are called standardised: then each dimension has a standard deviation "
        "of 1 over the tasks. Vectors of small numbers, such as Fisher's of about 1e-3, have little effect on a "
        "logistic regression with the default penalty, which then predicts the majority class. The paper does not "
        "state its scale.",
        *inputs.notes,
    )
    facts = {**_facts(runs, inputs, vectors), "permutations": permutations, "seed": seed}
    return Table("Aspects predicted from task embeddings", columns, tuple(records), notes, facts)


def probing_across(
    runs: Sequence[EmbeddedRun],
    features: TaskFeatures,
    vectors: Mapping[str, TaskEmbeddings],
    *,
    reassignments: int = REASSIGNMENTS,
    seed: int = 0,
) -> Table:
    """Return how well aspects of each group of tasks are predicted from the tasks of all other groups.

    Args:
        runs: each run is probed separately; accuracies are averaged.
        features: features with the aspects of the tasks.
        vectors: name -> further vectors per task.
        reassignments: number of random assignments of features to tasks, for the chance level.
        seed: random seed of the assignments.

    Raises:
        ValueError: runs, features and vectors have fewer than 3 tasks in common, or all tasks are in one group.
    """
    inputs = gather(runs, features, vectors)
    names = [group_of(task) for task in inputs.tasks]
    groups = np.unique(names, return_inverse=True)[1]
    records: list[dict[str, Any]] = []
    counts: dict[Aspect, int] = {}
    for name, matrices in inputs.sets.items():
        found = {
            aspect: [
                probe_across(matrix, labels, groups, reassignments=reassignments, seed=seed) for matrix in matrices
            ]
            for aspect, labels in inputs.classes.items()
        }
        if not records:
            counts = {aspect: each[0].tasks for aspect, each in found.items()}
            records.append({"features": "majority", **{aspect: each[0].majority for aspect, each in found.items()}})
        records.append(_probe_record(name, found))
    columns = (
        Column("features", "features"),
        *inputs.columns(counts),
    )
    notes = (
        f"As above, but each of the {len(np.unique(groups))} groups is predicted from the tasks of all other groups, "
        "since tasks of one group share texts and form, which reveal the group. Tasks whose class no other group has "
        "cannot be predicted and are not counted.",
        "Majority: accuracy of one answer for all counted tasks. Chance and p: the features are assigned to the tasks "
        f"at random, {reassignments} times; classes and groups stay unchanged.",
        *inputs.notes,
    )
    facts = {**_facts(runs, inputs, vectors), "counted": counts, "reassignments": reassignments, "seed": seed}
    return Table("Aspects predicted from the tasks of other groups", columns, tuple(records), notes, facts)


def common_tasks(
    runs: Sequence[EmbeddedRun], features: TaskFeatures, vectors: Mapping[str, TaskEmbeddings], least: int
) -> list[str]:
    """Return the tasks that are in all runs, features and vectors, in the order of the first run.

    Raises:
        ValueError: there are fewer than ``least`` such tasks.
    """
    inputs = [set(features.names), *(set(run.tasks) for run in runs), *(set(each.names) for each in vectors.values())]
    tasks = [name for name in runs[0].tasks if all(name in names for names in inputs)]
    if len(tasks) < least:
        raise ValueError(f"{len(tasks)} tasks are in all runs, features and vectors; expected {least} or more")
    return tasks


def _facts(runs: Sequence[EmbeddedRun], inputs: ProbeInputs, vectors: Mapping[str, TaskEmbeddings]) -> dict[str, Any]:
    return {"runs": [run.place for run in runs], "tasks": list(inputs.tasks), "vectors": list(vectors)}


def _std(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _majority_record(classes: Mapping[Aspect, NDArray[np.int64]]) -> dict[str, Any]:
    shares: dict[str, float] = {aspect: majority(labels) for aspect, labels in classes.items()}
    return {"features": "majority", **shares, "average": float(np.mean(list(shares.values())))}


def _probe_record(name: str, found: Mapping[Aspect, Sequence[Probe] | Sequence[AcrossGroups]]) -> dict[str, Any]:
    record: dict[str, Any] = {"features": name}
    for aspect, probes in found.items():
        accuracies = np.array([each.accuracy for each in probes])
        record[aspect] = float(accuracies.mean())
        record[f"{aspect}_std"] = _std(accuracies)
        record[f"{aspect}_p"] = max(each.p_value for each in probes)
        record[f"{aspect}_chance"] = float(np.mean([each.chance for each in probes]))
    if "TextEmb" in name and "domain_cluster" in found:
        record["domain_cluster_mark"] = CIRCULAR_MARK
    record["average"] = float(np.mean([record[aspect] for aspect in found]))
    return record
