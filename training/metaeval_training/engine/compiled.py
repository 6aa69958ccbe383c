"""Compile the encoder and its adapters for training (torch.compile).

Compilation fuses the operations between matrix products, which are a quarter of a step on a CPU. It takes one to three
minutes, so it pays for runs of an hour. Only training uses the compiled code: evaluation and the private parts of tasks
are shorter than their compilation would be.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn


@contextmanager
def compiled(encoder: nn.Module) -> Iterator[None]:
    """Let a module run compiled code inside the block; one compilation serves batches of all shapes."""
    encoder.forward = torch.compile(encoder.forward, dynamic=True)  # type: ignore[method-assign]
    try:
        yield
    finally:
        del encoder.forward


def not_compiled(is_compiled: bool) -> AbstractContextManager[Any]:
    """Return a context in which a compiled module runs its ordinary code."""
    return torch.compiler.set_stance("force_eager") if is_compiled else nullcontext()
