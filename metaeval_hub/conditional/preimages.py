"""Find the vectors that a linear layer projects to given task embeddings."""

from __future__ import annotations

import torch
from torch import Tensor

# Largest difference between a requested embedding and its projection, relative to the norm of the embedding if it is
# above 1. Rounding to half precision, which all weights of such a model share, comes on top.
TOLERANCE = 1e-4


@torch.no_grad()
def find_preimages(embeddings: Tensor, weight: Tensor) -> Tensor:
    """Return the shortest vectors v with P v = z, by least squares.

    Args:
        embeddings: task embeddings z, (..., Z).
        weight: P, (Z, D).

    Returns:
        (..., D) float64, on the CPU.

    Raises:
        ValueError: the projection of the vector found differs from z, because P does not reach it.
    """
    wanted = embeddings.cpu().double()  # some devices have no float64
    matrix = weight.cpu().double()
    found = (wanted @ torch.linalg.pinv(matrix).T).float().double()  # as they are stored
    error = (found @ matrix.T - wanted).abs().amax(dim=-1)
    allowed = TOLERANCE * wanted.norm(dim=-1).clamp(min=1.0)
    if not bool((error <= allowed).all()):
        rank = int(torch.linalg.matrix_rank(matrix))
        raise ValueError(
            f"no vector of {matrix.shape[1]} values is projected to this task embedding: the closest one differs by "
            f"{float(error.max()):.2g} (the projection to {matrix.shape[0]} values has rank {rank}); leave the "
            "embedding out, or give one that the model can compute"
        )
    return found
