"""The outcome of finishing a task alone; see ``metaeval_training.engine.task_finish``."""

from __future__ import annotations

from dataclasses import dataclass

from metaeval_hub.results.schema import SplitScores


@dataclass(frozen=True)
class Finished:
    """One task after its finish.

    Attributes:
        scores: split -> scores of the final model.
        before: split -> scores after the shared training.
        strength: C of the logistic regression; None if a trained classifier stays.
        private: whether the task has a private part.
    """

    scores: dict[str, SplitScores]
    before: dict[str, SplitScores]
    strength: float | None = None
    private: bool = False
