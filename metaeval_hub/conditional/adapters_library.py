"""Conditional adapters as an extension of the `adapters` library, by the places it offers for its own methods.

Importing this module installs the extension; it needs ``pip install 'metaeval[adapters]'``. The library has no registry
for a new method, so seven of its functions are wrapped, once. Each wrapper acts only on a ``ConditionalBnConfig`` and
passes everything else through unchanged. The extension was checked with `adapters` 1.3; other versions are refused,
because the wrapped functions may differ there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, get_args

from torch import Tensor

from metaeval_hub.conditional.attachment import check_embeddings
from metaeval_hub.conditional.conditioning import TaskConditioning, average_conditioning
from metaeval_hub.conditional.config import ConditionalConfig, WithZ, ZSource, check_layer_norm, check_z
from metaeval_hub.conditional.layers import LAYERS, fit_to_batch

try:
    # Some names are imported for metaeval_hub.model.export, so that this is the only module that imports the library.
    from adapters import AutoAdapterModel, DoubleSeqBnConfig
    from adapters.composition import Stack
    from adapters.configuration import AdapterConfig, BnConfig
    from adapters.context import ForwardContext
    from adapters.loading import AdapterLoader
    from adapters.methods.bottleneck import BottleneckLayer
    from adapters.methods.modeling import Activation_Function_Class, Adapter
    from adapters.model_mixin import ModelAdaptersMixin
except ImportError as error:
    raise ImportError(
        "this needs the adapters library, which is not installed or cannot be imported; run: "
        "pip install 'metaeval[adapters]'"
    ) from error

__all__ = [
    "SUPPORTED",
    "AutoAdapterModel",
    "BnConfig",
    "BottleneckLayer",
    "ConditionalBnConfig",
    "DoubleSeqBnConfig",
    "Stack",
    "install",
    "library_config",
    "reduction_factor",
]  # fmt: skip

SUPPORTED = "1.3"
ARCHITECTURE = "conditional_bn"


# --- configuration ---

# Options of a stock bottleneck that have no meaning in a conditional one; each must keep its default.
_FIXED = {
    "is_parallel": False,
    "use_gating": False,
    "phm_layer": False,
    "ln_before": False,
    "ln_after": False,
    "inv_adapter": None,
    "stochastic_depth": 0.0,
    "cross_adapter": False,
    "original_ln_before": False,
    "residual_before_ln": True,
}


def reduction_factor(hidden_size: int, size: int) -> float:
    """Return the number by which `adapters` divides the encoder's width to create a bottleneck of ``size`` units."""
    # The library rounds the quotient down. Half a unit more makes sure that rounding errors never give one unit less.
    return hidden_size / (size + 0.5)


@dataclass(eq=False)
class ConditionalBnConfig(BnConfig):
    """A bottleneck adapter whose function depends on a task embedding z.

    Use it with the library's own calls: ``model.add_adapter("tasks", config=ConditionalBnConfig(...))``, then
    ``model(input_ids, task_ids=...)``. Fields not listed here are those of ``BnConfig``.

    Source: Sileo & Moens 2022, section 3.

    Args:
        conditioning: "pilault" (eq. 2, the paper's choice), "layernorm" (eq. 1) or "mahabadi" (D and U generated).
        adapter_size: width a of the bottleneck, units.
        dim_z: length Z of a task embedding.
        task_names: the tasks, in the order of their ids.
        z_from: how z is computed: "table" (learned), "features" (a fixed vector of the task through one linear layer)
            or "both" (their sum); see ``TaskConditioning``. After ``add_adapter``, set the features with
            ``model.base_model.shared_parameters[name].set_features(matrix)``.
        embeddings_per_task: number K of embeddings per task in the table; a step uses one of them.
        dim_features: number F of features per task; 0 if z is not computed from features.
        layer_norm: whether the bottleneck ends in a learned LayerNorm; not for "layernorm".
        dim_table: number of learned values per task, which one linear layer projects to z; 0: z itself is learned.

    Raises:
        ValueError: a field is out of range, or a stock option is set that has no meaning here.
    """

    mh_adapter: bool = True
    output_adapter: bool = True
    reduction_factor: float | None = None  # type: ignore[assignment]  # the width is adapter_size
    non_linearity: str = "gelu"
    conditioning: str = "pilault"
    adapter_size: int = 256
    dim_z: int = 32
    task_names: tuple[str, ...] = ()
    z_from: ZSource = "table"
    embeddings_per_task: int = 1
    dim_features: int = 0
    layer_norm: bool = False
    dim_table: int = 0

    def __post_init__(self) -> None:
        if self.conditioning not in get_args(WithZ):
            raise ValueError(f"conditioning is {self.conditioning!r}; expected one of {get_args(WithZ)}")
        for name in ("adapter_size", "dim_z"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        check_layer_norm(self.conditioning, self.layer_norm)
        check_z(self.z_from, self.embeddings_per_task, self.dim_features, self.dim_z, self.dim_table)
        if (self.z_from == "table") != (self.dim_features == 0):
            raise ValueError(f"dim_features is {self.dim_features} with z_from={self.z_from!r}")
        if self.reduction_factor is not None:
            raise ValueError("reduction_factor has no meaning here; give the width as adapter_size")
        if not isinstance(self.scaling, (int, float)):
            raise ValueError(f"scaling must be a number, got {self.scaling!r}; a learned one is not supported")
        for name, value in _FIXED.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name}={getattr(self, name)!r} is not supported by conditional adapters")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the architecture, without which stock `adapters` would load this and drop z."""
        return {**super().to_dict(), "architecture": ARCHITECTURE}

    @classmethod
    def from_dict(cls, config: Mapping[str, Any] | AdapterConfig) -> AdapterConfig:
        """Build from ``to_dict``'s output; the object's own architecture stays that of a bottleneck."""
        if isinstance(config, AdapterConfig):
            return config
        known = {key: value for key, value in config.items() if key != "architecture"}
        known["task_names"] = tuple(known.get("task_names") or ())
        return super().from_dict(known)


def library_config(config: ConditionalConfig, task_names: Sequence[str], hidden_size: int) -> BnConfig:
    """Return the configuration of a model's adapter in the terms of `adapters`.

    The gamma of a stock adapter with a LayerNorm (method "adapter") starts at 1 there, and at 0.05 in a model.

    Args:
        config: the conditioning; not "full", which has no adapter.
        task_names: the tasks, in the order of their ids.
        hidden_size: width of the encoder.

    Raises:
        ValueError: the method has no adapter.
    """
    if config.adapter_size is None:
        raise ValueError(f"conditioning {config.conditioning!r} has no adapter")
    if not config.has_task_embeddings:
        return BnConfig(
            mh_adapter=True,
            output_adapter=True,
            reduction_factor=reduction_factor(hidden_size, config.adapter_size),
            non_linearity="gelu",
            dropout=config.adapter_dropout,
            ln_after=config.layer_norm,
        )
    return ConditionalBnConfig(
        conditioning=config.conditioning,
        adapter_size=config.adapter_size,
        dim_z=config.dim_z,
        dropout=config.adapter_dropout,
        task_names=tuple(task_names),
        z_from=config.z_from,
        embeddings_per_task=config.embeddings_per_task,
        dim_features=config.dim_features,
        layer_norm=config.layer_norm,
        dim_table=config.dim_table,
    )


# --- layers ---


class _InLibrary:
    """What `adapters` calls of a bottleneck, put in front of the equations of a layer."""

    name: str
    pre_forward, post_forward = Adapter.pre_forward, Adapter.post_forward

    def forward(self, x: Tensor, residual_input: Tensor, output_gating: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Return output (B, T, H), inner states (B, T, a) and the up-projection (B, T, H)."""
        context = ForwardContext.get_context()
        task_emb = getattr(context, "conditional_z", {}).get(self.name) if context is not None else None
        return super().forward(x, fit_to_batch(task_emb, x, self.name), residual_input)  # type: ignore[misc]


_IN_LIBRARY = {name: type(f"Library{kind.__name__}", (_InLibrary, kind), {}) for name, kind in LAYERS.items()}


def _new_layer(name: str, hidden_size: int, config: ConditionalBnConfig) -> Any:
    layer = _IN_LIBRARY[config.conditioning](
        hidden_size,
        config.adapter_size,
        config.dim_z,
        config.dropout,
        config.scaling,
        Activation_Function_Class(config.non_linearity),
        **({"layer_norm": True} if config.layer_norm else {}),
    )
    layer.name = name
    layer.original_ln_before, layer.original_ln_after = config.original_ln_before, config.original_ln_after
    layer.residual_before_ln = config.residual_before_ln
    return layer


# --- wrappers ---


def shared_prefix(name: str) -> str:
    """Return the prefix, in a bare base model, of the tensors of adapter ``name`` that all layers share."""
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
        layer = _new_layer(adapter_name, self.model_config.hidden_size, config)
        if self.is_layer_hooked:  # the model adds the residual and applies its LayerNorm itself
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
        # Look z up here, once per pass: inside the first layer it would break gradient checkpointing. The library also
        # calls this without any inputs, so the layers report a missing task.
        context.conditional_z = {}
        for name, conditioning in (getattr(context, "shared_parameters", None) or {}).items():
            if isinstance(conditioning, TaskConditioning):
                given: Tensor | None = getattr(context, "task_embeddings", None)
                if given is not None:
                    context.conditional_z[name] = check_embeddings(given, conditioning.dim_z, name)
                elif context.task_ids is not None:
                    context.conditional_z[name] = conditioning(context.task_ids)

    return forward_context


def _keep_shared(original: Callable[..., Any]) -> Callable[..., Any]:
    def filter_func(self: AdapterLoader, adapter_name: str) -> Callable[[str], bool]:
        stock = original(self, adapter_name)
        # On a bare base model the key has no leading dot, and the stock filter would drop z silently.
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
        # The library averages the layers, but shared parameters only for its own methods.
        config = self.adapters_config.match(adapter_name, config_type=ConditionalBnConfig)
        if config is not None and averaged is not None:
            shared[adapter_name] = _conditioning(config).to(parts[0].device)
            shared[adapter_name].load_state_dict(averaged)

    return average_adapter


def _conditioning(config: ConditionalBnConfig) -> TaskConditioning:
    n_tasks = len(config.task_names)
    return TaskConditioning(
        n_tasks, config.dim_z, config.z_from, config.embeddings_per_task, config.dim_features, config.dim_table
    )


def install() -> None:
    """Wrap the functions of `adapters`; a second call changes nothing.

    Raises:
        ImportError: the installed `adapters` has another minor version than the one that this was checked with.
    """
    found = version("adapters")
    if found != SUPPORTED and not found.startswith(SUPPORTED + "."):
        raise ImportError(
            f"metaeval extends adapters {SUPPORTED}.x, found {found}; install 'adapters>={SUPPORTED},<1.4'"
        )
    # Before adapters.init, so that the patched forward signatures show it.
    ForwardContext.context_args.update(("task_embeddings",))
    _wrap(AdapterConfig, "_get_config_class", _config_class)
    _wrap(BottleneckLayer, "add_adapter", _add_layer)
    _wrap(ModelAdaptersMixin, "_add_adapter_weights", _add_shared)
    _wrap(ModelAdaptersMixin, "forward_context", _resolve_context)
    _wrap(ModelAdaptersMixin, "average_adapter", _average_shared)
    _wrap(AdapterLoader, "filter_func", _keep_shared)
    _wrap(AdapterLoader, "rename_func", _rename_shared)


install()
