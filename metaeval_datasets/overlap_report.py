"""Report contamination: how much each evaluation split shares with each training split, with an example."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from metaeval_datasets.overlap import EVALUATION, WHOLE, EvaluationTexts, OnSplit, Rules, Splits, Texts, shared_rows

EXAMPLE_CHARACTERS = 300


@dataclass(frozen=True)
class Example:
    """Describe one text that two splits share.

    Args:
        split: the evaluation split it is in.
        evaluation_row: position in the evaluation split.
        training_row: position in the training split.
        evaluation_text: text in the evaluation split, cut to 300 characters. The sentences of a whole pair are
            separated by " | ".
        training_text: text in the training split, in the same form.
    """

    split: str
    evaluation_row: int
    training_row: int
    evaluation_text: str
    training_text: str


@dataclass(frozen=True)
class Pair:
    """Describe what the evaluation splits of one task share with the training split of one task.

    Args:
        evaluation: task whose evaluation splits are compared.
        training: task whose training split they are compared with; it may be the same task.
        rows: split -> number of evaluation rows that share a text.
        whole: number of these rows whose sentence or whole pair is shared; the others share one sentence of a pair.
        exact: number of these rows with a shared text that is exactly the same, character for character.
        of: number of evaluation rows of the task.
        example: one of the shared texts; a sentence or whole pair if any is shared.
    """

    evaluation: str
    training: str
    rows: dict[str, int]
    whole: int
    exact: int
    of: int
    example: Example

    @property
    def count(self) -> int:
        """Return the number of evaluation rows that share a text."""
        return sum(self.rows.values())

    @property
    def share(self) -> float:
        """Return ``count`` as a share in 0..1 of all evaluation rows of the task."""
        return self.count / self.of


@dataclass
class TaskOverlap:
    """Report how many rows of one task are shared.

    Args:
        rows: split -> rows.
        short: evaluation rows without a text that is long enough to be compared.
        in_own: evaluation rows that share a text with the task's own training split.
        in_others: evaluation rows that share a text with the training split of another task.
        leave_out: training rows that share a text with an evaluation split of any task.
        leave_out_whole: of these, rows whose sentence or whole pair is shared.
    """

    rows: dict[str, int]
    short: int = 0
    in_own: int = 0
    in_others: int = 0
    leave_out: int = 0
    leave_out_whole: int = 0

    @property
    def evaluation_rows(self) -> int:
        """Return the number of rows of validation and test."""
        return sum(self.rows.get(split, 0) for split in EVALUATION)


@dataclass(frozen=True)
class Overlap:
    """Report contamination among all tasks.

    Args:
        rules: what counted as shared.
        tasks: name -> what the task shares, in the order given.
        pairs: all pairs of tasks that share anything, the largest share of evaluation rows first.
    """

    rules: Rules
    tasks: dict[str, TaskOverlap]
    pairs: list[Pair]

    @property
    def evaluation_tasks(self) -> list[str]:
        """Return the tasks with a validation or test split: the first axis of the matrix."""
        return [name for name, task in self.tasks.items() if task.evaluation_rows]

    @property
    def training_tasks(self) -> list[str]:
        """Return the tasks with a training split: the second axis of the matrix."""
        return [name for name, task in self.tasks.items() if task.rows.get("train")]

    def matrix(self) -> NDArray[np.int64]:
        """Return the number of shared evaluation rows, (evaluation tasks, training tasks)."""
        row = {name: number for number, name in enumerate(self.evaluation_tasks)}
        column = {name: number for number, name in enumerate(self.training_tasks)}
        counts = np.zeros((len(row), len(column)), np.int64)
        for pair in self.pairs:
            counts[row[pair.evaluation], column[pair.training]] = pair.count
        return counts

    def shares(self) -> NDArray[np.float64]:
        """Return the matrix as shares in 0..1 of each evaluation task's rows."""
        return self.matrix() / np.array([[self.tasks[name].evaluation_rows] for name in self.evaluation_tasks])

    def to_dict(self) -> dict[str, Any]:
        """Return the report as data for JSON."""
        plain = dataclasses.asdict(self)
        for pair, entry in zip(self.pairs, plain["pairs"], strict=True):
            entry.update(count=pair.count, share=round(pair.share, 6))
        return plain


@dataclass
class _EvaluationSplit:
    """Contain an evaluation split that was read, and which of its rows were found in training splits so far."""

    task: str
    split: str
    texts: Texts
    size: int
    numbers: NDArray[np.int32]  # index of each text's key among the known ones, (M,)
    in_own: NDArray[np.bool_]  # (size,)
    in_others: NDArray[np.bool_]  # (size,)


@dataclass(frozen=True)
class _Candidate:
    """Contain what one evaluation split shares with one training split, with the example as positions."""

    evaluation: _EvaluationSplit
    count: int
    whole: int
    exact: int
    text: int  # index of the example among the evaluation split's texts
    training_row: int
    training_part: int


def find_overlap(
    tasks: Mapping[str, Splits], rules: Rules | None = None, on_split: OnSplit = lambda task, split: None
) -> Overlap:
    """Compare the evaluation splits of all tasks with the training splits of all tasks.

    Args:
        tasks: name -> loaded task, with some of train, validation and test.
        rules: what counts as shared.
        on_split: called with task and split before each split is read; evaluation splits come first.

    Raises:
        ValueError: a split's columns are not those of a task.
    """
    known = EvaluationTexts(rules)
    report = {name: TaskOverlap({split: len(rows) for split, rows in splits.items()}) for name, splits in tasks.items()}
    read: list[_EvaluationSplit] = []
    for name, splits in tasks.items():
        for split in EVALUATION:
            if split in splits:
                on_split(name, split)
                texts, size = known.add(splits[split]), len(splits[split])
                unseen = np.zeros(size, bool)
                report[name].short += size - len(np.unique(texts.rows))
                read.append(_EvaluationSplit(name, split, texts, size, np.empty(0, np.int32), unseen, unseen.copy()))
    for entry in read:
        entry.numbers = np.searchsorted(known.known, entry.texts.keys).astype(np.int32)
    pairs = []
    for name, splits in tasks.items():
        if "train" in splits:
            on_split(name, "train")
            found = known.look_up(splits["train"])
            shared = shared_rows(found)
            report[name].leave_out, report[name].leave_out_whole = len(shared), int(shared.whole.sum())
            candidates = _compare(read, found, known, name)
            for task in dict.fromkeys(candidate.evaluation.task for candidate in candidates):
                both = [candidate for candidate in candidates if candidate.evaluation.task == task]
                pairs.append(_pair(both, name, report[task].evaluation_rows, tasks))
    for entry in read:
        report[entry.task].in_own += int(entry.in_own.sum())
        report[entry.task].in_others += int(entry.in_others.sum())
    order = {name: number for number, name in enumerate(tasks)}
    pairs.sort(key=lambda pair: (-pair.share, -pair.count, order[pair.evaluation], order[pair.training]))
    return Overlap(known.rules, report, pairs)


def _compare(read: list[_EvaluationSplit], found: Texts, known: EvaluationTexts, training: str) -> list[_Candidate]:
    """Yield what each evaluation split shares with a training split, if anything."""
    if not len(found):
        return []
    numbers = np.searchsorted(known.known, found.keys)  # (J,)
    whole_here, alone_here = np.zeros(len(known.known), bool), np.zeros(len(known.known), bool)
    whole_here[numbers[found.parts == WHOLE]] = True
    alone_here[numbers[found.parts != WHOLE]] = True
    as_is = np.unique(found.as_is)
    candidates = []
    for entry in read:
        texts = entry.texts
        whole = (texts.parts == WHOLE) & whole_here[entry.numbers]  # (M,)
        shared = whole_here[entry.numbers] | alone_here[entry.numbers]
        if not shared.any():
            continue
        rows = np.unique(texts.rows[shared])
        (entry.in_own if entry.task == training else entry.in_others)[rows] = True
        exact = shared & np.isin(texts.as_is, as_is)
        text = int(np.argmax(whole if whole.any() else shared))
        match = (numbers == entry.numbers[text]) & ((found.parts == WHOLE) | (not whole[text]))
        where = int(np.argmax(match))
        candidates.append(
            _Candidate(
                entry,
                len(rows),
                len(np.unique(texts.rows[whole])),
                len(np.unique(texts.rows[exact])),
                text,
                int(found.rows[where]),
                int(found.parts[where]),
            )
        )
    return candidates


def _pair(candidates: list[_Candidate], training: str, of: int, tasks: Mapping[str, Splits]) -> Pair:
    """Combine the evaluation splits of one task."""
    best = max(candidates, key=lambda candidate: candidate.whole > 0)
    entry = best.evaluation
    row = int(entry.texts.rows[best.text])
    example = Example(
        entry.split,
        row,
        best.training_row,
        _text(tasks[entry.task][entry.split], row, int(entry.texts.parts[best.text])),
        _text(tasks[training]["train"], best.training_row, best.training_part),
    )
    return Pair(
        entry.task,
        training,
        {candidate.evaluation.split: candidate.count for candidate in candidates},
        sum(candidate.whole for candidate in candidates),
        sum(candidate.exact for candidate in candidates),
        of,
        example,
    )


def _text(rows: Dataset, position: int, part: int) -> str:
    """Return a text of a row by its part."""
    row = rows[position]
    if part != WHOLE:
        text = row[f"sentence{part}"]
    else:
        text = row["sentence"] if "sentence" in row else f"{row['sentence1']} | {row['sentence2']}"
    return text if len(text) <= EXAMPLE_CHARACTERS else text[: EXAMPLE_CHARACTERS - 1] + "…"
