"""Names for readers: short names of tasks, for figures without space for full names, and titles of task types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_EMPTY_PARTS = frozenset({"default", "plain_text", "english", "binary", "tsv_format", "labeled_final"})


def short_names(names: Sequence[str]) -> list[str]:
    """Return short names for a map: the part after the slash, or the group if that part is generic or not unique.

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
    """Return the title of a task type for readers.

    >>> type_title("paraphrase_detection"), type_title("nli")
    ('Paraphrase detection', 'NLI')
    """
    return "NLI" if kind.lower() == "nli" else kind.replace("_", " ").capitalize()
