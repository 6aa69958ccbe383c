"""Show progress bars, unless those of huggingface_hub or of datasets are switched off."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TypeVar

from huggingface_hub.utils import are_progress_bars_disabled
from tqdm.auto import tqdm

_ENABLED = frozenset({"1", "ON", "YES", "TRUE"})  # values that switch on an environment variable of datasets
T = TypeVar("T")


def bars_are_off() -> bool:
    """Return whether the user switched off the progress bars of huggingface_hub or of datasets.

    They are switched off with ``disable_progress_bars()`` of either library, or with the environment variables
    ``HF_HUB_DISABLE_PROGRESS_BARS`` and ``HF_DATASETS_DISABLE_PROGRESS_BARS``.
    """
    if are_progress_bars_disabled():
        return True
    datasets = sys.modules.get("datasets")  # importing it takes most of a second
    if datasets is None:
        return os.environ.get("HF_DATASETS_DISABLE_PROGRESS_BARS", "").upper() in _ENABLED
    return bool(datasets.are_progress_bars_disabled())


def progress_bar(values: Sequence[T], description: str, unit: str, *, shown: bool = True) -> tqdm[T]:
    """Return an iterator over values that shows a progress bar on standard error.

    Args:
        values: the values.
        description: text in front of the bar.
        unit: name of one step.
        shown: whether to show the bar; it stays hidden if the user switched off progress bars.
    """
    return tqdm(values, desc=description, unit=unit, disable=not shown or bars_are_off())
