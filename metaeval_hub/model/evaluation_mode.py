"""Keep a model in evaluation mode while threads predict with it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


class EvaluationMode:
    """Keep a model in evaluation mode for as long as any thread predicts with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._was_training = False

    def __reduce__(self) -> tuple[type[EvaluationMode], tuple[()]]:
        """Pickle and copy as a new object: a lock and the threads that hold it belong to one process and one model."""
        return EvaluationMode, ()

    @contextmanager
    def hold(self, model: nn.Module) -> Iterator[None]:
        """Switch a model to evaluation mode; the last thread that leaves restores the mode that it had."""
        with self._lock:
            if not self._count:
                self._was_training = model.training
            if any(module.training for module in model.modules()):
                model.eval()
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                if not self._count and self._was_training:
                    model.train()
