"""The definition of a score, and the module that offers it to the library `evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaeval_datasets.extras import missing

if TYPE_CHECKING:
    from evaluate import EvaluationModule

FOLDER = Path(__file__).parent


def load_metric(task: str | None = None, **options: Any) -> EvaluationModule:
    """Load accuracy, macro-F1 and Matthews' correlation as a metric of `evaluate`.

    The metric is a file of this package, so nothing is downloaded.

    Args:
        task: name of a task, whose classes may then be given by name or number; None accepts any class numbers.
        options: passed to ``evaluate.load``, such as ``keep_in_memory``.

    Returns:
        The metric. ``compute(predictions=..., references=...)`` returns the three scores; ``sample_weight`` says how
        often each row counts.

    Raises:
        UnknownTaskError: there is no such task; the message suggests the nearest names.
        ImportError: `evaluate` is not installed.
    """
    from metaeval_datasets.catalog import get_task

    if task is not None:
        get_task(task)
    try:
        import evaluate
    except ModuleNotFoundError as error:
        message = missing(error, "evaluate")
        raise ImportError(f"load_metric: {message}" if message else str(error)) from error
    return evaluate.load(str(FOLDER), task, **options)
