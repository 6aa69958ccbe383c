"""Refuse task embeddings that are still at their random start.

This is necessary for z to describe tasks, but far from sufficient: random gradients move z as far from its start as
learning does. ``metaeval_hub.analysis.controls`` measures what z describes.

Let c be the cosine of z and its start z0. A share c^2 of the squared length of z then comes from z0, which is noise,
and at most 1 - c^2 comes from training. The starts of two tasks have a cosine of 0 +- 1/sqrt(Z), 0.18 for Z = 32, so
the cosine of two embeddings consists of noise of about 0.18 c^2 and a learned part of at most 1 - c^2.

- c = 0.9: noise 0.14, learned part at most 0.19. The two are of similar size, and two tasks rarely share all that they
  learned, so nearest neighbours are mostly those of the random start. Analyses refuse such embeddings. (At 0.95 a probe
  predicted task types at chance level, p = 0.6; at 0.27 the neighbours were sensible.)
- c = 0.7: half of the squared length of z is the start. Analyses warn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metaeval_hub.analysis.controls import NoInformationError

REFUSE_ABOVE = 0.9  # mean cosine of z and z0
WARN_ABOVE = 0.7


class StillAtStartError(NoInformationError):
    """Task embeddings are so close to their random start that an analysis would show noise."""


def start_cosines(start: NDArray[np.floating], values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the cosine of each task's embedding with its random start, averaged over the embeddings of a task.

    Args:
        start: z0, (n, Z) or (n, K, Z).
        values: z, of the same shape.

    Returns:
        (n,) in -1..1; 0 for an embedding of zeros.

    Raises:
        ValueError: the shapes differ.
    """
    if start.shape != values.shape:
        raise ValueError(f"the start has shape {start.shape} and the embeddings {values.shape}; expected the same")
    a, b = np.asarray(start, np.float64), np.asarray(values, np.float64)
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    cosines = np.divide((a * b).sum(axis=-1), norms, out=np.zeros_like(norms), where=norms > 0)
    return cosines.reshape(len(cosines), -1).mean(axis=1)


def check_start_cosines(cosines: NDArray[np.floating] | None, name: str, *, force: bool = False) -> str | None:
    """Refuse embeddings that are close to their random start.

    Args:
        cosines: (n,) cosines of z and z0; None if they are not known.
        name: name of the run, for the messages.
        force: whether to return a warning instead of raising an error.

    Returns:
        A warning to show with the results, or None.

    Raises:
        StillAtStartError: the mean cosine is above 0.9, and ``force`` is False.
    """
    if cosines is None:
        return (
            f"{name}: the distance of z from its random start is not stored; if the mean cos(z, z0) is above "
            f"{REFUSE_ABOVE}, these results are noise"
        )
    mean = float(np.mean(cosines))
    if mean > REFUSE_ABOVE:
        message = (
            f"{name}: z is still at its random start (mean cos(z, z0) {mean:.2f}, above {REFUSE_ABOVE}), so its "
            "geometry, neighbours and probes show noise"
        )
        if not force:
            raise StillAtStartError(
                f"{message}. Train longer or with a higher --z-lr, or pass --force to analyse it anyway"
            )
        return message
    if mean > WARN_ABOVE:
        return (
            f"{name}: z is close to its random start (mean cos(z, z0) {mean:.2f}, above {WARN_ABOVE}): about "
            f"{mean * mean:.0%} of its squared length is its random start"
        )
    return None
