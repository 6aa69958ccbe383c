"""What a prediction contains, without importing torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predictions for N texts.

    Args:
        labels: the most probable class of each text, N names.
        probabilities: (N, C) float32, rows sum to 1.
        names: the C class names, in the order of the columns.
    """

    labels: list[str]
    probabilities: NDArray[np.float32]
    names: tuple[str, ...]
