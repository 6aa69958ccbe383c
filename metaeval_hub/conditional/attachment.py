"""Attach adapters to an encoder by forward hooks, without changing its modules or weights.

The hooks keep no reference to the adapters. What a pass needs (the layers, the task embeddings, how often to repeat the
batch) is in a variable of the thread that runs the pass. Any number of threads can therefore use one encoder, the
encoder computes its own function outside of ``AttachedAdapter.active``, and it can be pickled and copied. Gradient
checkpointing runs layers a second time during the backward pass, after ``active`` has ended and perhaps in another
thread; the functions that transformers calls for it are wrapped so that they restore the variable.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from metaeval_hub.conditional.bottleneck import Bottleneck
from metaeval_hub.conditional.conditioning import TaskConditioning
from metaeval_hub.conditional.config import ConditionalConfig
from metaeval_hub.conditional.layers import LAYERS, ConditionalLayer
from metaeval_hub.conditional.places import KINDS, can_repeat_inside, layers_of, modules_at_places, places_of
from metaeval_hub.conditional.private import PrivateUpdates, low_rank


@dataclass(frozen=True, eq=False)
class _Pass:
    """One pass through an encoder: its layers, task embeddings and private parts, and how often to repeat the batch."""

    layers: nn.ModuleList
    task_embeddings: Tensor | None
    repeats: int = 1
    private: tuple[Tensor, Tensor] | None = None


_THREAD = threading.local()  # torch.compile traces through it, unlike through a ContextVar


def _current() -> _Pass | None:
    return getattr(_THREAD, "current", None)


@contextmanager
def _set(current: _Pass | None) -> Iterator[None]:
    before = _current()
    _THREAD.current = current
    try:
        yield
    finally:
        _THREAD.current = before


# --- hooks: module-level classes without references to modules, so that an encoder can be pickled and copied ---


@dataclass(frozen=True)
class _Adapt:
    """Forward hook: apply the adapter layer of one place to a module's output."""

    number: int
    kind: str

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        current = _current()
        if current is None:
            return None
        layer: nn.Module = current.layers[self.number][self.kind]  # type: ignore[index]
        adapted: Tensor = layer(output, current.task_embeddings)[0]
        if current.private is None:
            return adapted
        place = self.number * len(KINDS) + KINDS.index(self.kind)
        down, up = current.private
        return adapted + low_rank(output, down[:, place], up[:, place])


@dataclass(frozen=True)
class _RepeatStates:
    """Forward pre-hook at the first adapter: repeat the attention's result and its residual."""

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        current = _current()
        if current is None or current.repeats == 1:
            return None
        return tuple(states.repeat(current.repeats, 1, 1) for states in inputs)


@dataclass(frozen=True)
class _RepeatMask:
    """Forward pre-hook of every later layer: repeat the attention mask, the only other input with one row per text."""

    def __call__(
        self, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        current = _current()
        if current is None or current.repeats == 1:
            return None
        mask = inputs[1] if len(inputs) > 1 else named.get("attention_mask")
        if mask is None or mask.shape[0] == 1:  # one row serves all rows of the batch
            return None
        mask = mask.repeat(current.repeats, *[1] * (mask.ndim - 1))
        return (
            ((inputs[0], mask, *inputs[2:]), named) if len(inputs) > 1 else (inputs, {**named, "attention_mask": mask})
        )


@dataclass(frozen=True)
class _Checkpoint:
    """A checkpointing function of transformers that restores the current pass when a layer runs a second time."""

    original: Callable[..., Any]

    def __call__(self, function: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
        current = _current()

        def run(*inputs: Any, **named: Any) -> Any:
            with _set(current):
                return function(*inputs, **named)

        if isinstance(self.original, functools.partial) and self.original.func is checkpoint:
            # The reentrant kind differentiates only the inputs of a layer, which the task embeddings are not.
            options["use_reentrant"] = False
        return self.original(run, *inputs, **options)


def _wrap_checkpointing(encoder: nn.Module) -> None:
    for module in encoder.modules():
        function = module.__dict__.get("_gradient_checkpointing_func")
        if function is not None and not isinstance(function, _Checkpoint):
            module._gradient_checkpointing_func = _Checkpoint(function)  # type: ignore[assignment]


# --- the adapter ---


class AttachedAdapter(nn.Module):
    """All adapter layers of an encoder and, for conditional ones, the task embeddings that condition them.

    Creating it freezes the encoder and registers hooks that do nothing outside of ``active``.

    Args:
        encoder: a model of transformers of a type that ``metaeval_hub.conditional.places`` lists.
        config: the conditioning; not "full", which has no adapter.
        n_tasks: number of tasks.

    Raises:
        ValueError: the type of the encoder is unknown, or it already has an adapter.
    """

    def __init__(self, encoder: Any, config: ConditionalConfig, n_tasks: int) -> None:
        super().__init__()
        places = list(modules_at_places(encoder))
        for _, _, module in places:
            if any(isinstance(hook, _Adapt) for hook in module._forward_hooks.values()):
                raise ValueError("the encoder already has an adapter; load the encoder once per model")
        encoder.requires_grad_(False)
        self._draw_as_before(encoder)
        self.layers = nn.ModuleList(
            nn.ModuleDict({kind: _new_layer(encoder.config.hidden_size, config) for kind in KINDS})
            for _ in layers_of(encoder)
        )
        self.conditioning: TaskConditioning | None = None
        if config.has_task_embeddings:
            self.conditioning = TaskConditioning(
                n_tasks,
                config.dim_z,
                config.z_from,
                config.embeddings_per_task,
                config.dim_features,
                config.dim_table,
            )
        self.private: PrivateUpdates | None = None
        if config.private_rank:
            self.private = PrivateUpdates(n_tasks, len(places), encoder.config.hidden_size, config.private_rank)
        for number, kind, module in places:
            module.register_forward_hook(_Adapt(number, kind))
        if can_repeat_inside(encoder):
            first, *others = layers_of(encoder)
            first.get_submodule(places_of(encoder).sum or "").register_forward_pre_hook(_RepeatStates())
            for layer in others:
                layer.register_forward_pre_hook(_RepeatMask(), with_kwargs=True)

    @staticmethod
    def _draw_as_before(encoder: Any) -> None:
        """Draw the random numbers that the `adapters` library drew here, so that a seed keeps its starting values.

        Earlier releases attached adapters with that library, which created a second linear layer for each projection
        of a layer except that of the attention's output.
        """
        if encoder.config.model_type == "modernbert":  # whose function the library changed
            return
        places = places_of(encoder)
        for layer in layers_of(encoder):
            skipped = layer.get_submodule("attention.out_lin" if places.sum is None else "attention.output.dense")
            linears = [module for module in layer.modules() if isinstance(module, nn.Linear) and module is not skipped]
            torch.rand(sum(parameter.numel() for linear in linears for parameter in linear.parameters()))

    def conditional_layers(self) -> Iterator[ConditionalLayer]:
        """Yield the layers that depend on z, in the order of a pass."""
        return (module for module in self.modules() if isinstance(module, ConditionalLayer))

    @contextmanager
    def active(
        self,
        encoder: Any,
        task_embeddings: Tensor | None,
        repeats: int = 1,
        private: tuple[Tensor, Tensor] | None = None,
    ) -> Iterator[None]:
        """Let the encoder apply the adapter to the passes that this thread runs within.

        Args:
            encoder: the encoder that the adapter is attached to.
            task_embeddings: (B, Z), or (1, Z) if the batch belongs to one task; None for a baseline.
            repeats: how often to repeat the batch at the first adapter; above 1 only if ``can_repeat_inside``.
            private: result of ``PrivateUpdates`` for the batch; None: no task of it has a private part.

        Raises:
            ValueError: ``task_embeddings`` has the wrong length.
        """
        if self.conditioning is not None and task_embeddings is not None:
            check_embeddings(task_embeddings, self.conditioning.dim_z)
        if encoder.training and not torch.compiler.is_compiling():
            _wrap_checkpointing(encoder)
        with _set(_Pass(self.layers, task_embeddings, repeats, private)):
            yield


def check_embeddings(given: Tensor, dim_z: int, adapter: str = "metaeval") -> Tensor:
    """Return task embeddings after a check of their shape.

    Raises:
        ValueError: the shape is not (B, Z).
    """
    if given.ndim != 2 or given.shape[1] != dim_z:
        raise ValueError(f"adapter {adapter!r} takes task_embeddings of shape (B, {dim_z}), got {tuple(given.shape)}")
    return given


def _new_layer(hidden_size: int, config: ConditionalConfig) -> nn.Module:
    if config.adapter_size is None:
        raise ValueError(f"conditioning {config.conditioning!r} has no adapter")
    options: dict[str, Any] = {"layer_norm": True} if config.layer_norm else {}  # which not every layer can have
    if not config.has_task_embeddings:
        return Bottleneck(hidden_size, config.adapter_size, config.adapter_dropout, **options)
    return LAYERS[config.conditioning](
        hidden_size, config.adapter_size, config.dim_z, config.adapter_dropout, **options
    )
