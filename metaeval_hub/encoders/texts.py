"""Check the texts that a caller gives, without importing torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any, TypeAlias

from metaeval_hub.safe_files.printable import shown

Text: TypeAlias = str | tuple[str, str]


def as_texts(values: Any, what: str = "texts") -> list[Text]:
    """Return texts, or pairs of texts, as a list.

    Args:
        values: strings, or pairs of strings (tuples, lists or rows of an array), in a list, array, Series, column of a
            dataset, or iterator.
        what: what an error message calls them.

    Raises:
        TypeError: ``values`` is one string, a table, or has no order. Or an entry is neither a string nor a pair, or
            strings and pairs are mixed; the message names the entry.
        ValueError: a text contains half of a surrogate pair.
    """
    if isinstance(values, str):
        raise TypeError(f"{what} is one string; expected a list of one or more texts, such as [{shown(values)}]")
    if any(getattr(values, name, None) is not None for name in ("columns", "column_names")):
        raise TypeError(f"{what} is a {type(values).__name__}; expected one of its columns, such as table['sentence']")
    if hasattr(values, "to_pylist"):  # an Arrow array, whose entries are not strings of Python
        values = values.to_pylist()
    if not _is_ordered(values):
        raise TypeError(f"{what} is {shown(values)}; expected a list of one or more texts, or of pairs of texts")
    texts: list[Text] = []
    for i, value in enumerate(values):
        place = f"{what}[{i}]"
        if isinstance(value, str):
            texts.append(whole_text(value, place))
        elif (isinstance(value, (tuple, list)) or getattr(value, "ndim", 0) == 1) and len(value) == 2:
            first, second = (whole_text(part, f"{place}[{side}]") for side, part in enumerate(value))
            texts.append((first, second))
        else:
            raise TypeError(f"{place} is {shown(value)}; expected all texts, or all pairs of texts")
        if isinstance(texts[-1], str) is not isinstance(texts[0], str):
            raise TypeError(f"{place} is {shown(value)}; expected all texts, or all pairs of texts, as {what}[0]")
    return texts


def _is_ordered(values: object) -> bool:
    """Return whether a value yields its entries in a meaningful order."""
    if isinstance(values, (bytes, bytearray, Mapping, Set)) and not isinstance(values, _VIEWS):
        return False
    return (
        isinstance(values, Iterable) and getattr(values, "ndim", 1) > 0
    )  # an array without dimensions cannot be iterated


_VIEWS: tuple[type, ...] = (
    type({}.keys()),
    type({}.items()),
)  # sets by their methods, but in the order of their dictionary


def whole_text(value: object, place: str) -> str:
    """Return a string as plain ``str``, after checking that a tokenizer can read it.

    Args:
        value: the string.
        place: where it comes from, for the error message, such as "texts[3]".

    Raises:
        TypeError: it is not a string.
        ValueError: it contains half of a surrogate pair.
    """
    if not isinstance(value, str):
        raise TypeError(f"{place} is {shown(value)}; expected a string")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{place} contains half of a surrogate pair, {shown(value[error.start])} at character {error.start}, which "
            "is not valid text; replace it, for example with text.encode('utf-8', 'replace').decode()"
        ) from None
    return str(value)
