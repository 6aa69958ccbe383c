"""Vectors that a linear layer projects to given embeddings."""

import numpy as np
import pytest
import torch

from metaeval_hub.conditional.preimages import find_preimages


def test_the_shortest_vectors_with_the_projection_are_found():
    torch.manual_seed(0)
    weight, wanted = torch.randn(3, 8) * 0.1, torch.randn(2, 4, 3)
    found = find_preimages(wanted, weight)
    expected = np.linalg.lstsq(weight.double().numpy(), wanted.double().numpy().reshape(-1, 3).T, rcond=None)[0]
    np.testing.assert_allclose(found.reshape(-1, 8).numpy(), expected.T, rtol=1e-5)
    torch.testing.assert_close(found @ weight.double().T, wanted.double(), rtol=1e-5, atol=1e-5)


def test_an_embedding_that_the_projection_does_not_reach_is_refused():
    weight = torch.tensor([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    assert find_preimages(torch.tensor([3.0, 6.0]), weight).tolist() == pytest.approx([3.0, 0.0, 0.0])
    with pytest.raises(ValueError, match=r"closest one differs by 0\.4 \(the projection to 2 values has rank 1\)"):
        find_preimages(torch.tensor([1.0, 1.0]), weight)
