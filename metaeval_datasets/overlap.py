"""Find contamination: texts of evaluation splits that are also in training splits of the same or another task.

A model trained on many tasks may have seen the test texts of one in the training split of another. Texts are compared
by 64-bit hashes, so that collections of any size fit into memory. Each text of a validation or test split needs 16
bytes, or 33 for the report, which also records the row and whether the text is exactly the same. A row has one text in
tasks over sentences and up to three in tasks over pairs. Training splits are read one after the other, in batches, and
need 21 bytes for each text that is found. With 10 million evaluation texts and 100 million training texts, the
probability that any two different texts have the same hash is 1 in 18,000.

These texts are compared, and a match counts under these conditions:

- A text is normalised: Unicode NFKD, lower case, then only letters, combining marks, numbers and pictographs (Unicode
  categories L, M, N and So) are kept. Punctuation, white space, currency and mathematical signs, control characters,
  skin tones and variation selectors are removed, so that "do n't ." equals "Don’t!", however it was tokenised.
- In a task over sentences, the text of each row is compared. In a task over pairs, the whole pair is compared, in
  either order.
- Each sentence of a pair is also compared on its own, with the sentences of other pairs and with the rows of tasks over
  sentences.
- A text does not count if it has fewer than ``min_length`` characters after normalisation, because texts such as "yes"
  and "thank you" are in every dataset. For a whole pair, the characters of both sentences are added.
- A sentence on its own does not count if more than ``max_repeats`` rows of a split share it, because it is then the
  claim, the topic or the template that these rows are about. It still counts as part of a whole pair.

Not found are texts within longer texts, paraphrases, other spellings, texts in which names, links or mentions were
replaced, and texts damaged by a wrong encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from metaeval_datasets.hashing import Hashes, combine, mix, text_hashes

EVALUATION = ("validation", "test")
BATCH_ROWS = 5_000
WHOLE = 0  # part of a row: its sentence or its pair; 1 and 2 are the single sentences of a pair
_TEXT_COLUMNS = ("sentence", "sentence1", "sentence2")
_DROPPED = r"[^\pL\pM\pN\p{So}]+|[\x{FE0E}\x{FE0F}]"
_NORMALISED, _AS_IS = 101, 102  # seeds that keep the two kinds of hashes apart
_PAIR = np.uint64(0x70616972)  # distinguishes pairs from sentences

Splits = Mapping[str, Dataset]  # split of a task -> rows, such as a DatasetDict
OnSplit = Callable[[str, str], None]  # called with task and split before a split is read


@dataclass(frozen=True)
class Rules:
    """Define which shared texts count.

    Args:
        min_length: smallest number of characters of a text after normalisation. 20 leaves out greetings and
            interjections ("thank you very much" has 16) and keeps nearly all sentences of five words.
        max_repeats: rows of one split that may share a sentence of a pair before it counts as their common topic.
        sentences: whether the sentences of a pair are also compared on their own; if not, only whole pairs are.
    """

    min_length: int = 20
    max_repeats: int = 10
    sentences: bool = True

    def __post_init__(self) -> None:
        for name in ("min_length", "max_repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


# An evaluation row is only answered by a training row if all of its text is shared. If a training pair contains the
# premise with another hypothesis, as is common by design in SNLI, it does not reveal the answer.
WHOLE_TEXTS = Rules(sentences=False)


def normalise(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return texts in the form in which they are compared, (N,); see the top of this file.

    >>> normalise(pa.array(["Do n't  WORRY , be happy !"])).to_pylist()
    ['dontworrybehappy']
    """
    # decomposed, because pyarrow before version 22 does not compose, whatever form is requested
    return pc.replace_substring_regex(pc.utf8_lower(pc.utf8_normalize(texts, form="NFKD")), _DROPPED, "")


@dataclass(frozen=True)
class Texts:
    """Contain the M texts of a split as hashes; a row has none if all its texts are too short.

    Args:
        keys: hash of each text, normalised, (M,).
        as_is: hash of each text as it is, (M,).
        rows: number of the row that each text is from, (M,).
        parts: part of its row that each text is, (M,): ``WHOLE``, or 1 or 2 for one sentence of a pair.
    """

    keys: Hashes
    as_is: Hashes
    rows: NDArray[np.int64] | NDArray[np.int32]
    parts: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, kept: NDArray[np.bool_]) -> Texts:
        return Texts(*(getattr(self, part.name)[kept] for part in fields(self)))


@dataclass(frozen=True)
class SharedRows:
    """Contain the rows of a training split that share a text with an evaluation split.

    Args:
        positions: positions of the rows in the training split, ascending, (k,).
        whole: whether the row's sentence or whole pair is shared, or else only one sentence of its pair, (k,).
    """

    positions: NDArray[np.int64]
    whole: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.positions)


class EvaluationTexts:
    """Index the texts of evaluation splits: add the splits, then look up training splits.

    >>> from metaeval_datasets import load_dataset
    >>> task = load_dataset("metaeval", "demo/manners")
    >>> texts = EvaluationTexts()
    >>> added = texts.add(task["test"])
    >>> shared = texts.shared_rows(task["train"])
    >>> train = task["train"].select(np.delete(np.arange(len(task["train"])), shared.positions))
    """

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self._keys: list[Hashes] = []  # keys of each split
        self._known: Hashes | None = None  # all distinct keys, ascending; None before the first look-up

    def add(self, rows: Dataset) -> Texts:
        """Read an evaluation split and return the texts that count.

        Args:
            rows: with ``sentence``, or ``sentence1`` and ``sentence2``; other columns are not read.

        Raises:
            ValueError: ``rows`` has other text columns.
        """
        texts = _without_topics(_read(rows, self.rules), self.rules)
        self._keys.append(texts.keys)
        self._known = None
        return texts

    @property
    def known(self) -> Hashes:
        """Return all distinct keys, ascending, (U,)."""
        if self._known is None:
            self._known = np.unique(np.concatenate([np.empty(0, np.uint64), *self._keys]))
        return self._known

    def look_up(self, rows: Dataset) -> Texts:
        """Return the texts of a training split that count and are also in an evaluation split.

        Raises:
            ValueError: as for ``add``.
        """
        return _without_topics(_read(rows, self.rules, self.known), self.rules)

    def shared_rows(self, rows: Dataset) -> SharedRows:
        """Return the rows of a training split that share a text with any split added so far.

        Raises:
            ValueError: as for ``add``.
        """
        return shared_rows(self.look_up(rows))


def shared_rows(found: Texts) -> SharedRows:
    """Return the rows that contain texts found in a training split."""
    positions, where = np.unique(found.rows.astype(np.int64), return_inverse=True)
    whole = np.zeros(len(positions), bool)
    whole[where[found.parts == WHOLE]] = True
    return SharedRows(positions, whole)


def rows_to_leave_out(
    tasks: Mapping[str, Splits], rules: Rules = WHOLE_TEXTS, on_split: OnSplit = lambda task, split: None
) -> dict[str, SharedRows]:
    """Return the training rows to drop because their text is in the validation or test split of any of the tasks.

    Args:
        tasks: name -> loaded task. Pass evaluation splits whole, also where only a sample of them is scored.
        rules: what counts as shared. By default the text of a task over sentences, or the whole pair of a task over
            pairs in either order; ``Rules()`` also leaves out rows that share one sentence of a pair.
        on_split: called with task and split before each split is read.

    Returns:
        For each task with a training split the positions in that split (not ``idx``, which numbers the source's
        rows), and for each row whether it is shared as a whole.

    Raises:
        ValueError: a split's columns are not those of a task.
    """
    evaluation = EvaluationTexts(rules)
    for name, splits in tasks.items():
        for split in EVALUATION:
            if split in splits:
                on_split(name, split)
                evaluation.add(splits[split])
    found = {}
    for name, splits in tasks.items():
        if "train" in splits:
            on_split(name, "train")
            found[name] = evaluation.shared_rows(splits["train"])
    return found


# --- Reading -------------------------------------------------------------------------------------------------------


def _read(rows: Dataset, rules: Rules, known: Hashes | None = None) -> Texts:
    """Return the texts of a split that are long enough and, if ``known`` is given, among the known ones."""
    columns = [name for name in _TEXT_COLUMNS if name in rows.column_names]
    if columns not in (["sentence"], ["sentence1", "sentence2"]):
        raise ValueError(f"columns {rows.column_names}: expected `sentence`, or `sentence1` and `sentence2`")
    first = 0
    none = np.empty(0, np.uint64)
    batches = [Texts(none, none, np.empty(0, np.int32), np.empty(0, np.int8))]
    for table in rows.select_columns(columns).with_format("arrow").iter(BATCH_ROWS):
        batches.append(_texts(table.select(columns), first, rules, known))
        first += len(table)
    return Texts(*(np.concatenate([getattr(batch, part.name) for batch in batches]) for part in fields(Texts)))


def _texts(table: pa.Table, first: int, rules: Rules, known: Hashes | None) -> Texts:
    """Return the texts of a batch whose rows are numbered from ``first``."""
    normal = [normalise(column) for column in table.columns]
    keys = _by_part([text_hashes(texts, _NORMALISED) for texts in normal])
    lengths = [pc.utf8_length(texts).to_numpy() for texts in normal]
    if len(normal) == 2:
        lengths = [lengths[0] + lengths[1], *lengths]
    wanted = np.stack(lengths) >= rules.min_length  # (parts, N)
    if not rules.sentences:
        wanted[1:] = False
    if known is not None:
        wanted &= _among(keys, known)
    parts, rows = np.nonzero(wanted)
    taken, where = np.unique(rows, return_inverse=True)
    as_is = _by_part([text_hashes(column, _AS_IS) for column in table.take(pa.array(taken)).columns])
    return Texts(
        keys=keys[parts, rows],
        as_is=as_is[parts, where],
        rows=(first + rows).astype(np.int32),
        parts=parts.astype(np.int8),
    )


def _by_part(hashes: list[Hashes]) -> Hashes:
    """Return hashes by part of the row, (1 or 3, N), from those by text field; the pair, in any order, comes first."""
    if len(hashes) == 1:
        return np.stack(hashes)
    return np.stack([mix(combine(np.minimum(*hashes), np.maximum(*hashes)) ^ _PAIR), *hashes])


def _among(keys: Hashes, known: Hashes) -> NDArray[np.bool_]:
    """Return whether each key is among the ascending known ones, in the shape of ``keys``."""
    if not len(known):
        return np.zeros(keys.shape, bool)
    return known[np.minimum(np.searchsorted(known, keys), len(known) - 1)] == keys


def _without_topics(texts: Texts, rules: Rules) -> Texts:
    """Return the texts of a split without sentences that too many of its pairs share."""
    alone = texts.parts != WHOLE
    _, number, count = np.unique(texts.keys[alone], return_inverse=True, return_counts=True)
    kept = np.ones(len(texts), bool)
    kept[alone] = count[number] <= rules.max_repeats
    return texts[kept]
