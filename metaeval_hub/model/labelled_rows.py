"""Read labelled rows in any of the forms that users have: datasets, data frames, dictionaries and tuples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.encoders.tokens import Text, as_texts
from metaeval_hub.safe_files.names import class_names
from metaeval_hub.safe_files.printable import shown

TEXT_COLUMNS = (("sentence",), ("sentence1", "sentence2"), ("text", "text_pair"), ("text",))


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Texts and their classes.

    Args:
        texts: the k texts, or pairs of texts.
        classes: (k,) class of each text, as its place among the names.
        names: names of the classes.
    """

    texts: list[Text]
    classes: NDArray[np.int64]
    names: tuple[str, ...]

    @property
    def fields(self) -> int:
        """Number of texts per row: 1 for texts, 2 for pairs."""
        return 1 if isinstance(self.texts[0], str) else 2


def read_rows(name: str, examples: Any, labels: Iterable[str] | None = None) -> LabelledRows:
    """Read labelled rows.

    Args:
        name: of the task, for error messages.
        examples: a ``datasets.Dataset``, a data frame of pandas or a list of dictionaries with the columns ``label``
            and ``sentence`` (or ``text``; or ``sentence1`` and ``sentence2``; or ``text`` and ``text_pair``); or
            (text, class) and ((text, text), class) tuples.
        labels: class names; None uses those of the dataset's ClassLabel, or the sorted names among the examples. If
            the ClassLabel has any of these names, class numbers refer to its order.

    Raises:
        ValueError: there are no examples, or a class is missing or not among ``labels``.
        TypeError: the examples have the wrong type.
    """
    texts, classes = _columns(examples)
    if not texts:
        raise ValueError(f"{name}: examples is empty; give at least one (text, class) per class")
    names = _class_names(name, examples, classes, labels)
    classes = _by_name(examples, classes, names)
    return LabelledRows(
        texts, np.array([_index(name, i, each, names) for i, each in enumerate(classes)], np.int64), names
    )


def _columns(examples: Any) -> tuple[list[Text], list[Any]]:
    """Return the texts of the examples, and their classes as Python values."""
    names = getattr(examples, "column_names", getattr(examples, "columns", None))
    if names is not None:
        if isinstance(names, Mapping):
            raise TypeError("examples is a DatasetDict; give one of its splits, such as dataset['train']")
        columns = _names_of_columns([str(name) for name in names], type(examples).__name__)
        if hasattr(examples, "__getitem__"):
            return _texts_and_classes([list(examples[column]) for column in columns])
        examples = list(examples)  # a stream of dictionaries
    if isinstance(examples, (str, Mapping)) or not isinstance(examples, Iterable):
        raise TypeError(
            f"examples is a {type(examples).__name__}; expected a Dataset, a data frame, dictionaries or (text, class) "
            "tuples"
        )
    pairs = list(examples)
    if pairs and all(isinstance(pair, Mapping) for pair in pairs):
        columns = _names_of_columns(sorted(set.intersection(*(set(pair) for pair in pairs))), "list of dictionaries")
        return _texts_and_classes([[pair[column] for pair in pairs] for column in columns])
    for i, pair in enumerate(pairs):
        if not (isinstance(pair, (tuple, list)) or getattr(pair, "ndim", 0) == 1) or len(pair) != 2:
            raise TypeError(f"examples[{i}] is {shown(pair)}; expected (text, class)")
    return as_texts([text for text, _ in pairs]), [plain(label) for _, label in pairs]


def _names_of_columns(names: Sequence[str], kind: str) -> tuple[str, ...]:
    """Return the names of the columns of the texts and of the label."""
    found = next((texts for texts in TEXT_COLUMNS if {*texts, "label"} <= set(names)), None)
    if found is None:
        raise TypeError(
            f"the {kind} has columns {list(names)}; expected sentence (or sentence1, sentence2; or text; or text, "
            "text_pair), label"
        )
    return (*found, "label")


def _texts_and_classes(columns: Sequence[list[Any]]) -> tuple[list[Text], list[Any]]:
    *texts, labels = columns
    return as_texts(texts[0] if len(texts) == 1 else zip(*texts, strict=True)), [plain(each) for each in labels]


def plain(value: Any) -> Any:
    """Convert a number or string of numpy, torch or Arrow to Python; return anything else unchanged.

    >>> plain(np.int64(3)), plain(np.array("a")), plain(torch.tensor(True))
    (3, 'a', True)
    """
    if hasattr(value, "as_py"):
        return value.as_py()
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


def normal_text(text: Text) -> tuple[str, ...]:
    """Return the words of a text, or of each text of a pair: two texts are equal if only case and blanks differ."""
    parts = (text,) if isinstance(text, str) else text
    return tuple(" ".join(part.casefold().split()) for part in parts)


def _class_names(name: str, examples: Any, classes: Sequence[Any], labels: Iterable[str] | None) -> tuple[str, ...]:
    if labels is None:
        feature = (getattr(examples, "features", None) or {}).get("label")
        labels = getattr(feature, "names", None)
    if labels is None:
        for i, value in enumerate(classes):
            _check_given(name, i, value)
        if not all(isinstance(value, str) for value in classes):
            raise ValueError(f"{name}: the classes are numbers; give their names with labels=")
        labels = sorted(set(classes))
    return class_names(name, labels)


def _check_given(name: str, place: int, value: Any) -> None:
    """Check that the class of an example is given, as a name or number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise ValueError(f"{name}: example {place} has class {value}; give it a class, or leave the example out")
    if not isinstance(value, (str, int)):
        raise ValueError(f"{name}: example {place} has class {shown(value)}; expected the name or number of a class")


def _by_name(examples: Any, classes: list[Any], names: Sequence[str]) -> list[Any]:
    """Convert class numbers of a dataset to names if its ClassLabel has any of these names, in any order."""
    own = getattr((getattr(examples, "features", None) or {}).get("label"), "names", None)
    if own is None or set(own).isdisjoint(names):
        return classes
    return [own[value] if _is_number(value, len(own)) else value for value in classes]


def _index(name: str, place: int, value: Any, names: tuple[str, ...]) -> int:
    _check_given(name, place, value)
    if isinstance(value, str) and value in names:
        return names.index(value)
    if _is_number(value, len(names)):
        return int(value)
    raise ValueError(f"{name}: example {place} has class {shown(value)}; expected one of {list(names)} or its number")


def _is_number(value: Any, end: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < end
