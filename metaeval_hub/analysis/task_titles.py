"""Names for people: short ones of tasks, for places where a whole one does not fit, and titles of task types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

# Task types in the order of their colours and markers: a type looks the same in every picture and page.
TYPE_LOOKS = (
    *("acceptability", "discourse", "emotion", "facticity", "grammar", "nli", "paraphrase_detection", "other"),
    "unknown",
)

_EMPTY_PARTS = frozenset({"default", "plain_text", "english", "binary", "tsv_format", "labeled_final"})


def short_names(names: Sequence[str]) -> list[str]:
    """Return what tells tasks apart on a map: the part after the slash, or the group where that says nothing.

    >>> short_names(["glue/cola", "emotion/default", "imdb/plain_text"])
    ['cola', 'emotion', 'imdb']
    """
    last = [name.rsplit("/", 1)[-1] for name in names]
    counts = Counter(last)
    return [
        name.split("/", 1)[0] if part in _EMPTY_PARTS or counts[part] > 1 else part
        for name, part in zip(names, last, strict=True)
    ]


def type_title(kind: str) -> str:
    """Return a task type as people write it.

    >>> type_title("paraphrase_detection"), type_title("nli")
    ('Paraphrase detection', 'NLI')
    """
    return "NLI" if kind.lower() == "nli" else kind.replace("_", " ").capitalize()
