"""Whether task embeddings have moved from their random start: those that have not hold nothing to analyse.

Let c be the cosine of z and its start z0. Then z has c^2 of its squared length from z0, which is noise, and at most
1 - c^2 that training put there. Two tasks' starts have a cosine of 0 +- 1/sqrt(Z), 0.18 for Z = 32, so the cosine of
two embeddings carries noise of about 0.18 c^2 beside what was learned, which is at most 1 - c^2.

- c = 0.9: noise 0.14, learned at most 0.19. They are alike, and what is learned is seldom all the same between two
  tasks: nearest neighbours are mostly those of the random start. Analyses refuse. (With z at 0.95 a probe read task
  types at chance, p = 0.6; at 0.27 neighbours were sensible.)
- c = 0.7: half of z's squared length is the start. Analyses say so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REFUSE_ABOVE = 0.9  # mean cosine of z and z0
WARN_ABOVE = 0.7


class StillAtStartError(ValueError):
    """Task embeddings are so near to their random start that an analysis would read noise."""


def start_cosines(start: NDArray[np.floating], values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosine of every embedding with its random start, averaged over a task's embeddings.

    Args:
        start: z0, (n, Z) or (n, K, Z).
        values: z, of the same shape.

    Returns:
        (n,) in -1..1; 0 for a row of zeros.

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
    """Refuse embeddings that are still their random start.

    Args:
        cosines: (n,) cosines of z and z0; None where they are not known.
        name: of the run, for the messages.
        force: whether to warn where it would refuse.

    Returns:
        A sentence to show beside the results, or None where there is nothing to say.

    Raises:
        StillAtStartError: the mean cosine is above 0.9, and ``force`` is off.
    """
    if cosines is None:
        return (
            f"{name}: it is not stored how far z moved from its random start; with a mean cos(z, z0) above "
            f"{REFUSE_ABOVE} these figures would mean nothing"
        )
    mean = float(np.mean(cosines))
    if mean > REFUSE_ABOVE:
        told = (
            f"{name}: z is still its random start (mean cos(z, z0) {mean:.2f}, above {REFUSE_ABOVE}): its geometry, "
            "neighbours and probes are those of noise"
        )
        if not force:
            raise StillAtStartError(f"{told}. Train longer or with a higher --z-lr; --force shows it all the same")
        return told
    if mean > WARN_ABOVE:
        return (
            f"{name}: z has moved little (mean cos(z, z0) {mean:.2f}, above {WARN_ABOVE}): about {mean * mean:.0%} of "
            "its squared length is its random start"
        )
    return None
