"""Tasks whose results need care: adversarial tasks, and tasks that the encoder has seen labels for.

Tables of means over tasks also show the means without them; tables by task mark them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from metaeval_hub.results.encoder_sources import labelled_sources, seen_tasks

# In WNLI and the equivalent task of SuperGLUE, a test row often has the same sentence as a training row and the other
# label, so models can be far below the majority class; WNLI has 71 test rows.
ADVERSARIAL = frozenset({"glue/wnli", "super_glue/wsc", "super_glue/wsc.fixed"})
SEEN_MARK = "†"


@dataclass(frozen=True)
class Without:
    """A mean over tasks that leaves some of them out.

    Args:
        key: key of its values in records.
        title: title of its column.
        left_out: the tasks that it leaves out.
        note: sentence that explains it.
    """

    key: str
    title: str
    left_out: frozenset[str]
    note: str


def means_without(tasks: Collection[str], encoders: Iterable[str | None]) -> tuple[Without, ...]:
    """Return the further means to show next to a mean over the given tasks; none if they would be equal to it.

    Args:
        tasks: tasks of the mean.
        encoders: encoders of the compared runs.
    """
    adversarial, seen = sorted(ADVERSARIAL & set(tasks)), seen_tasks(encoders).keys() & set(tasks)
    named = ", ".join(adversarial)
    found = [
        Without(
            "without_adversarial", f"without {named}", frozenset(adversarial),
            f"Without {named}: the mean over the other tasks. Its test rows repeat the sentences of training rows with "
            "the other label, so results can be far below the majority class.",
        ),
        Without(
            "without_seen", f"without {SEEN_MARK}", frozenset(seen),
            f"Without {SEEN_MARK}: the mean over tasks that the encoder has seen no labels for, so without "
            f"{', '.join(sorted(seen))}.",
        ),
    ]  # fmt: skip
    return tuple(each for each in found if each.left_out and len(each.left_out) < len(set(tasks)))


def seen_marks(tasks: Iterable[str], encoders: Iterable[str | None]) -> dict[str, str]:
    """Return the mark of each task that an encoder of the runs has seen labels for."""
    return dict.fromkeys([task for task in tasks if task in seen_tasks(encoders)], SEEN_MARK)


def seen_note(tasks: Iterable[str], encoders: Iterable[str | None]) -> list[str]:
    """Return the note that explains the mark, if a table has a marked task."""
    encoders = list(encoders)
    seen = seen_tasks(encoders)
    reasons = [f"{task} ({seen[task]})" for task in dict.fromkeys(tasks) if task in seen]
    if not reasons:
        return []
    names = ", ".join(dict.fromkeys(str(encoder) for encoder in encoders if labelled_sources(encoder)))
    return [f"{SEEN_MARK} The encoder {names} was trained on labelled data of this task: {'; '.join(reasons)}."]


def mean_of_others(values: Mapping[str, float], without: Without) -> float:
    """Return the mean of the values of the tasks that are not left out."""
    kept = [value for task, value in values.items() if task not in without.left_out]
    return sum(kept) / len(kept)
