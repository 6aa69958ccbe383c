"""The precision of matrix products, in a block only."""

import pytest
import torch

from metaeval_hub import matmul_precision


def state():
    return torch.get_float32_matmul_precision(), torch.backends.cuda.flash_sdp_enabled()


def states_inside(precision):
    with matmul_precision(precision):
        yield state()
        with matmul_precision("highest"):
            yield state()
        yield state()


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_a_precision_holds_in_its_block_and_ends_with_it(precision):
    before, own = state(), (precision, torch.accelerator.is_available())
    assert list(states_inside(precision)) == [own, ("highest", True), own]
    assert state() == before


def test_an_error_in_the_block_ends_it_too():
    before, inside = state(), states_inside("medium")
    next(inside)
    with pytest.raises(KeyError):
        inside.throw(KeyError)
    assert state() == before


def test_an_unknown_precision_is_named_with_those_that_exist():
    with pytest.raises(ValueError, match="precision is 'low'; expected one of highest, high, medium"):
        matmul_precision("low").__enter__()
