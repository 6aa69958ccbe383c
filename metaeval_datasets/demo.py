"""Generate the demo tasks: small tasks from templates, with the same rows on every machine and without a network.

Use them to try the package; its tests use them too. The rows have the form of a real source: ``sentence``, or
``sentence1`` and ``sentence2``, and an integer ``label``. A share of the labels (``LABEL_NOISE``) is wrong on purpose.
"""

from __future__ import annotations

import difflib
import hashlib
import random
import re
from collections.abc import Sequence

import pyarrow as pa

from metaeval_datasets.demo_templates import DEMO_TEMPLATES, WORDS, DemoTemplates

ROWS = {"train": 400, "validation": 150, "test": 200}
LABEL_NOISE = 0.04  # share of labels replaced by another class of the task

_SLOT = re.compile(r"\{([a-z_]+)(\.\d+)?\}")


def demo_names() -> tuple[str, ...]:
    """Return the names of the demo tasks, without the group."""
    return tuple(DEMO_TEMPLATES)


def generate(name: str, label_noise: float = LABEL_NOISE) -> dict[str, pa.Table]:
    """Generate the rows of one demo task.

    Texts are unique within the task, so no two splits share a text. The texts do not depend on ``label_noise``. If it
    is 0, all labels are correct.

    Args:
        name: one of ``demo_names()``, or the full name of the task (``demo/topics``).
        label_noise: probability, 0 to 1, that a label is replaced by another class.

    Returns:
        Split -> table with ``sentence`` (or ``sentence1``, ``sentence2``) as string and ``label`` as int64.

    Raises:
        KeyError: there is no such demo task.
    """
    name = name.removeprefix("demo/")
    if name not in DEMO_TEMPLATES:
        near = difflib.get_close_matches(name, DEMO_TEMPLATES, n=3)
        raise KeyError(f"no demo task {name!r} among {len(DEMO_TEMPLATES)}; closest: {', '.join(near) or 'none'}")
    templates = DEMO_TEMPLATES[name]
    seen: set[tuple[str, ...]] = set()
    tables = {}
    for split, count in ROWS.items():
        rng, noise = _generator(name, split, "rows"), _generator(name, split, "noise")
        texts, labels = [], []
        for _ in range(count):
            label = _draw_class(rng, templates.shares)
            texts.append(_new_text(rng, templates, label, seen))
            labels.append(_disturb(noise, label, len(templates.shares), label_noise))
        columns = ["sentence"] if len(texts[0]) == 1 else ["sentence1", "sentence2"]
        arrays = [pa.array(column, pa.string()) for column in zip(*texts, strict=True)]
        tables[split] = pa.table([*arrays, pa.array(labels, pa.int64())], names=[*columns, "label"])
    return tables


def _generator(*key: str) -> random.Random:
    """Return a generator seeded by the digest of ``key``; only its ``random()`` is used, which Python keeps stable."""
    digest = hashlib.sha256("/".join(key).encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def _pick(rng: random.Random, options: Sequence[str]) -> str:
    return options[int(rng.random() * len(options))]


def _draw_class(rng: random.Random, shares: Sequence[float]) -> int:
    point = rng.random()
    for index, share in enumerate(shares):
        point -= share
        if point < 0:
            return index
    return len(shares) - 1


def _disturb(rng: random.Random, label: int, n_classes: int, label_noise: float) -> int:
    wrong = (label + 1 + int(rng.random() * (n_classes - 1))) % n_classes  # any class except the correct one
    return wrong if rng.random() < label_noise else label


def _new_text(rng: random.Random, templates: DemoTemplates, label: int, seen: set[tuple[str, ...]]) -> tuple[str, ...]:
    """Fill templates of the class until the text is new in the task."""
    choices = list(templates.templates.values())[label]
    words = {**WORDS, **templates.words}
    while True:
        filled = _fill(rng, _pick(rng, choices), words, {})
        text = tuple(_tidy(part) for part in filled.split("||"))
        if text not in seen:
            seen.add(text)
            return text


def _fill(rng: random.Random, template: str, words: dict[str, tuple[str, ...]], bound: dict[str, str]) -> str:
    """Replace the slots of a template; ``bound`` keeps the entries of numbered slots."""

    def entry(match: re.Match[str]) -> str:
        slot = match.group()
        if slot in bound:
            return bound[slot]
        text = _fill(rng, _pick(rng, words[match.group(1)]), words, bound)
        if match.group(2):
            bound[slot] = text
        return text

    return _SLOT.sub(entry, template)


def _tidy(text: str) -> str:
    """Collapse spaces, write "an" before vowels, and start sentences with a capital."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
    return re.sub(r"(^|[.!?] )([a-z])", lambda match: match.group(1) + match.group(2).upper(), text)
