"""Puts conditional adapters into the `adapters` library, by the places it offers for its own methods.

The library has no registry for a new method, so that seven of its functions are wrapped, once, when this module is
imported. Each wrapper does something only for a ``ConditionalBnConfig`` and hands everything else on as it came.
Checked with `adapters` 1.3; another version is refused, because the wrapped places may have moved.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from adapters.configuration import AdapterConfig
from adapters.context import ForwardContext
from adapters.loading import AdapterLoader
from adapters.methods.bottleneck import BottleneckLayer
from adapters.model_mixin import ModelAdaptersMixin
from adapters.utils import get_adapter_config_hash
from torch import Tensor, nn

from metaeval_hub.conditional.conditioning import TaskConditioning, average_conditioning
from metaeval_hub.conditional.config import ARCHITECTURE, ConditionalBnConfig
from metaeval_hub.conditional.layers import LAYERS

SUPPORTED = "1.3"


def shared_prefix(name: str) -> str:
    """Return how the tensors of adapter ``name`` that are shared by all layers begin, on a bare base model."""
    return f"shared_parameters.{name}."


def _wrap(owner: type, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    original = getattr(owner, name)
    if getattr(original, "_metaeval", False):
        return
    wrapped = functools.wraps(original)(make(original))
    wrapped._metaeval = True  # type: ignore[attr-defined]
    static = isinstance(owner.__dict__.get(name), staticmethod)
    setattr(owner, name, staticmethod(wrapped) if static else wrapped)


def _config_class(original: Callable[..., Any]) -> Callable[..., Any]:
    def get(config_dict: dict[str, Any]) -> type[AdapterConfig]:
        if config_dict.get("architecture") == ARCHITECTURE:
            return ConditionalBnConfig
        return original(config_dict)

    return get


def _add_layer(original: Callable[..., Any]) -> Callable[..., Any]:
    def add_adapter(self: BottleneckLayer, adapter_name: str, layer_idx: int) -> bool:
        config = self.adapters_config.match(
            adapter_name, config_type=ConditionalBnConfig, layer_idx=layer_idx, location_key=self.location_key
        )
        if config is None:
            return original(self, adapter_name, layer_idx)
        self.layer_idx = layer_idx
        layer = LAYERS[config.conditioning](adapter_name, self.model_config.hidden_size, config)  # type: ignore[call-arg]
        if self.is_layer_hooked:  # the model itself then adds the residual and applies its LayerNorm
            layer.original_ln_after = False
        self.adapters[adapter_name] = layer.train(self.training)
        return True

    return add_adapter


def _add_shared(original: Callable[..., Any]) -> Callable[..., Any]:
    def add_weights(self: ModelAdaptersMixin, adapter_name: str) -> None:
        original(self, adapter_name)
        config = self.adapters_config.match(adapter_name, config_type=ConditionalBnConfig)
        if config is not None and adapter_name not in self.base_model.shared_parameters:
            self.base_model.shared_parameters[adapter_name] = _conditioning(config).to(self.device)

    return add_weights


def _resolve_context(original: Callable[..., Any]) -> Callable[..., Any]:
    def forward_context(self: ModelAdaptersMixin, context: ForwardContext, *args: Any, **kwargs: Any) -> None:
        original(self, context, *args, **kwargs)
        # z is looked up here, once a pass: inside the first layer it would break gradient checkpointing. The library
        # also calls this with no inputs at all; a task that is missing is therefore reported by the layers.
        context.conditional_z = {}
        for name, conditioning in (getattr(context, "shared_parameters", None) or {}).items():
            if isinstance(conditioning, TaskConditioning):
                given: Tensor | None = getattr(context, "task_embeddings", None)
                if given is not None:
                    context.conditional_z[name] = _checked(name, given, conditioning.dim_z)
                elif context.task_ids is not None:
                    context.conditional_z[name] = conditioning(context.task_ids)

    return forward_context


def _checked(name: str, given: Tensor, dim_z: int) -> Tensor:
    if given.ndim != 2 or given.shape[1] != dim_z:
        raise ValueError(f"adapter {name!r} takes task_embeddings of shape (B, {dim_z}), got {tuple(given.shape)}")
    return given


def _keep_shared(original: Callable[..., Any]) -> Callable[..., Any]:
    def filter_func(self: AdapterLoader, adapter_name: str) -> Callable[[str], bool]:
        stock = original(self, adapter_name)
        # On a bare base model the key has no leading dot, and the stock filter would drop z without a word.
        return lambda key: stock(key) or key.startswith(shared_prefix(adapter_name))

    return filter_func


def _rename_shared(original: Callable[..., Any]) -> Callable[..., Any]:
    def rename_func(self: AdapterLoader, old_name: str, new_name: str) -> Callable[[str], str]:
        stock = original(self, old_name, new_name)
        old, new = shared_prefix(old_name), shared_prefix(new_name)
        return lambda key: new + key[len(old) :] if key.startswith(old) else stock(key)

    return rename_func


def _average_shared(original: Callable[..., Any]) -> Callable[..., Any]:
    def average_adapter(
        self: ModelAdaptersMixin,
        adapter_name: str,
        adapter_list: Sequence[str] | Mapping[str, float],
        weights: Sequence[float] | None = None,
        combine_strategy: str = "linear",
        normalize_weights: bool = True,
        **options: Any,
    ) -> None:
        names = list(adapter_list)
        shared = self.base_model.shared_parameters
        parts = [shared[name] for name in names if name in shared and isinstance(shared[name], TaskConditioning)]
        averaged: dict[str, Tensor] | None = None
        if names and len(parts) == len(names):
            total = sum(weights) if weights is not None and normalize_weights else 1.0
            shares = [1.0 / len(names)] * len(names) if weights is None else [weight / total for weight in weights]
            averaged = average_conditioning(names, parts, shares)  # raises before the library adds anything
        original(self, adapter_name, adapter_list, weights, combine_strategy, normalize_weights, **options)
        # the library averages the layers, and what they share for its own methods alone
        config = self.adapters_config.match(adapter_name, config_type=ConditionalBnConfig)
        if config is not None and averaged is not None:
            shared[adapter_name] = _conditioning(config).to(parts[0].device)
            shared[adapter_name].load_state_dict(averaged)

    return average_adapter


def _conditioning(config: ConditionalBnConfig) -> TaskConditioning:
    n_tasks = len(config.task_names)
    return TaskConditioning(n_tasks, config.dim_z, config.z_from, config.embeddings_per_task, config.dim_features)


def rename_tasks(model: ModelAdaptersMixin, adapter_name: str, task_names: tuple[str, ...]) -> None:
    """Put the names of a conditional adapter's tasks into the model's configuration, after tasks came or went.

    ``save_adapter`` writes them, and loading makes a table of as many rows.
    """
    adapters_config = model.adapters_config
    config = adapters_config.get(adapter_name).replace(task_names=task_names)
    key = get_adapter_config_hash(config.to_dict())
    adapters_config.config_map[key] = config
    adapters_config.adapters[adapter_name] = key


def repeat_batch_at_first_adapter(encoder: nn.Module) -> None:
    """Let a batch of B texts become one of ``task_repeats`` times B rows at the place of the first adapter.

    How often is said by each pass, in the context that `adapters` keeps per thread.
    """
    place = next(module for module in encoder.modules() if isinstance(module, BottleneckLayer))
    place.register_forward_pre_hook(_repeat)


def _repeat(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    count = getattr(ForwardContext.get_context(), "task_repeats", None)
    return inputs if count is None else (inputs[0].repeat(count, 1, 1), *inputs[1:])


def install() -> None:
    """Wrap the places; a second call changes nothing.

    Raises:
        ImportError: the installed `adapters` is of another minor version than the one this was checked with.
    """
    found = version("adapters")
    if found != SUPPORTED and not found.startswith(SUPPORTED + "."):
        raise ImportError(
            f"metaeval extends adapters {SUPPORTED}.x, found {found}; install 'adapters>={SUPPORTED},<1.4'"
        )
    # before adapters.init, so that the patched forward signatures show it
    ForwardContext.context_args.update(("task_embeddings", "task_repeats"))
    _wrap(AdapterConfig, "_get_config_class", _config_class)
    _wrap(BottleneckLayer, "add_adapter", _add_layer)
    _wrap(ModelAdaptersMixin, "_add_adapter_weights", _add_shared)
    _wrap(ModelAdaptersMixin, "forward_context", _resolve_context)
    _wrap(ModelAdaptersMixin, "average_adapter", _average_shared)
    _wrap(AdapterLoader, "filter_func", _keep_shared)
    _wrap(AdapterLoader, "rename_func", _rename_shared)


install()
