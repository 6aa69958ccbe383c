"""Facts on labelled data that encoders were trained on before, and the tasks whose results are therefore not clean.

An encoder that was trained on labelled pairs of a task's source has seen supervision for the task, so zero-shot and
few-shot results on it are not from few labels, and the encoder is not of the kind that the paper uses (RoBERTa-base,
trained without labels). Reports mark the affected tasks and also show averages without them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LabelledSource:
    """Labelled data that an encoder was trained on.

    Args:
        name: name of the data.
        use: how its labels were used.
        tasks: task -> why it is affected.
    """

    name: str
    use: str
    tasks: Mapping[str, str]


# Fine-tuning data in the model card of sentence-transformers/all-MiniLM-L6-v2. The card lists further pairs, such as
# Reddit comments, PAQ and image captions, that contain neither rows nor labels of a task in the catalogue.
ALL_MINILM_L6 = (
    LabelledSource(
        "SNLI and MultiNLI",
        "entailed pairs are positives, contradictory ones hard negatives",
        {
            "snli/plain_text": "the same pairs and labels",
            "glue/mnli": "the same pairs and labels",
        },
    ),
    LabelledSource(
        "Quora duplicate questions",
        "duplicates are positives, other pairs negatives",
        {"glue/qqp": "the same questions and labels"},
    ),
    LabelledSource(
        "SQuAD 2.0",
        "a question and the paragraph that answers it are a positive pair",
        {"glue/qnli": "made from it: does a sentence of the paragraph answer the question"},
    ),
    # BoolQ (super_glue/boolq) was collected like Natural Questions, but has other questions and other labels. MRPC is
    # neither in this data nor made from it.
    LabelledSource("Natural Questions", "a question and its answer are a positive pair", {}),
)

# pattern of encoder names, for the last part of an id or path -> labelled data
ENCODERS: Mapping[str, tuple[LabelledSource, ...]] = {r"minilm|(gt-)?all-minilm-l6-v2": ALL_MINILM_L6}


def labelled_sources(encoder: str | None) -> tuple[LabelledSource, ...]:
    """Return the labelled data that an encoder is known to be trained on; empty if none is known.

    Args:
        encoder: name, path or Hub id, as stored in results.json.

    >>> [source.name for source in labelled_sources("sentence-transformers/all-MiniLM-L6-v2")][1]
    'Quora duplicate questions'
    """
    last = (encoder or "").rstrip("/").rpartition("/")[2].lower()
    return next((sources for pattern, sources in ENCODERS.items() if re.fullmatch(pattern, last)), ())


def seen_tasks(encoders: Iterable[str | None]) -> dict[str, str]:
    """Return the tasks that any of the encoders has seen labels for: task -> the data and why it matters."""
    return {
        task: f"{source.name}: {why}"
        for encoder in dict.fromkeys(encoders)
        for source in labelled_sources(encoder)
        for task, why in source.tasks.items()
    }
