"""The configuration of a conditional adapter model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

Conditioning = Literal["pilault", "layernorm", "mahabadi", "adapter", "full"]
WithZ = Literal["pilault", "layernorm", "mahabadi"]  # the others are baselines without task embeddings
ZSource = Literal["table", "features", "both"]
Pooling = Literal["cls", "mean"]

# Sizes of section 5.1; the paper gives none for eq. 1, which has the parameters of eq. 2 at the same size.
DEFAULT_ADAPTER_SIZE: Mapping[str, int | None] = {
    "pilault": 256, "layernorm": 256, "mahabadi": 32, "adapter": 256, "full": None,
}  # fmt: skip

# Conditionings to whose bottleneck a learned LayerNorm can be added.
WITH_LAYER_NORM = ("pilault", "mahabadi", "adapter")
# Fields that config.json contains only if they differ from these values, those of earlier releases.
OPTIONAL_FIELDS: Mapping[str, Any] = {"layer_norm": False, "dim_table": 0, "private_rank": 0}


def check_layer_norm(conditioning: str, layer_norm: bool) -> None:
    """Check that the bottleneck of a method can have a learned LayerNorm.

    Raises:
        ValueError: it cannot, or the value is not a truth value.
    """
    if not isinstance(layer_norm, bool):
        raise ValueError(f"layer_norm is {layer_norm!r}; expected True or False")
    if layer_norm and conditioning not in WITH_LAYER_NORM:
        why = "computes the weights of its LayerNorm from z" if conditioning == "layernorm" else "has no adapter"
        raise ValueError(
            f"layer_norm is True, but conditioning {conditioning!r} {why}; leave layer_norm out, or take one of "
            f"{', '.join(WITH_LAYER_NORM)}"
        )


def check_private_rank(conditioning: str, private_rank: int) -> None:
    """Check the rank of the private part of tasks.

    Raises:
        ValueError: it is not a whole number of at least 0, or full fine-tuning has no adapters to put it behind.
    """
    if not isinstance(private_rank, int) or isinstance(private_rank, bool) or private_rank < 0:
        raise ValueError(f"private_rank must be a whole number of at least 0, got {private_rank!r}")
    if private_rank and conditioning == "full":
        raise ValueError(f"private_rank is {private_rank}, but conditioning 'full' has no adapters; take 0")


def check_z(z_from: str, embeddings_per_task: int, dim_features: int, dim_z: int, dim_table: int) -> None:
    """Check the options that determine how z is computed.

    Raises:
        ValueError: an option is invalid; the message names it.
    """
    if z_from not in get_args(ZSource):
        raise ValueError(f"z_from is {z_from!r}; expected one of {get_args(ZSource)}")
    sizes = (
        ("embeddings_per_task", embeddings_per_task, 1),
        ("dim_features", dim_features, 0),
        ("dim_table", dim_table, 0),
    )
    for name, value, least in sizes:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    if z_from == "features" and embeddings_per_task > 1:
        raise ValueError(
            f"embeddings_per_task is {embeddings_per_task} with z_from='features', where the one z of a task follows "
            "from its features; take z_from='both'"
        )
    if z_from == "table" and dim_features:
        raise ValueError(f"dim_features is {dim_features}, and z_from='table' uses no features")
    if dim_table and z_from == "features":
        raise ValueError(f"dim_table is {dim_table}, but z_from='features' has no table; leave dim_table out")
    if 0 < dim_table < dim_z:
        raise ValueError(
            f"dim_table is {dim_table}, which is less than dim_z={dim_z}: the tasks could not have every z; take at "
            "least dim_z, or 0 for a table of z itself"
        )


@dataclass(frozen=True)
class ConditionalConfig:
    """Describe how a model is conditioned on its tasks; stored with the model.

    Args:
        conditioning: "pilault" (eq. 2, the paper's choice), "layernorm" (eq. 1), "mahabadi" (z generates the weights),
            or a baseline of Sileo & Moens 2022, section 3, without z: "adapter" (a stock bottleneck shared by all
            tasks; Houlsby et al. 2019) or "full" (no adapter; all weights of the encoder are trained). With one task,
            a baseline is the single-task model of table 1.
        adapter_size: width a of the bottlenecks; None takes the paper's (256, or 32 for "mahabadi"). "full" has none.
        dim_z: length Z of a task embedding; 32 in the paper. Not used by the baselines.
        pooling: input of the classifiers: "cls" (the paper) or the "mean" over the tokens of the text.
        max_length: number of tokens to which a text or pair is truncated; 128 in the paper.
        adapter_dropout: probability of dropping a unit of a bottleneck's output in training.
        encoder_dropout: whether the encoder's own dropout is active in training.
        z_from: how z is computed: "table" (learned, the default), "features" (z = P x + b, x a fixed vector of the
            task such as TextEmb or Fisher; section 3) or "both" (z_i + W x, the features-aware embedding of 5.6).
        embeddings_per_task: number K of embeddings per task in the table; a step uses one of them (section 5.4).
        dim_features: number F of features per task, from the features that a model is created with.
        layer_norm: whether the bottleneck ends in a LayerNorm with learned gamma and beta, as section 3.1 describes
            the adapter (eq. 1 without z). "adapter" is then h + LN(U(GeLU(D h))), "pilault" modulates the input of
            this adapter, and "mahabadi" normalises the output of the generated bottleneck.
        dim_table: number of values that each task learns. They are projected to z by one learned linear layer, as in
            HyperFormer (Mahabadi et al. 2021), whose 512 are the task-specific parameters of table 1. 0: each task
            learns its z directly.
        private_rank: rank of the low-rank update that each task trains for itself after the shared training, behind
            every adapter (``metaeval_hub.conditional.private``); 0: tasks have no private part.

    Raises:
        ValueError: a field is out of range, or the method has no use for it.
    """

    conditioning: Conditioning = "pilault"
    adapter_size: int | None = None
    dim_z: int = 32
    pooling: Pooling = "cls"
    max_length: int = 128
    adapter_dropout: float = 0.0
    encoder_dropout: bool = False
    z_from: ZSource = "table"
    embeddings_per_task: int = 1
    dim_features: int = 0
    layer_norm: bool = False
    dim_table: int = 0
    private_rank: int = 0

    def __post_init__(self) -> None:
        if self.conditioning not in get_args(Conditioning):
            raise ValueError(f"conditioning is {self.conditioning!r}; expected one of {get_args(Conditioning)}")
        if self.pooling not in get_args(Pooling):
            raise ValueError(f"pooling is {self.pooling!r}; expected one of {get_args(Pooling)}")
        if self.adapter_size is None or self.conditioning == "full":
            object.__setattr__(self, "adapter_size", DEFAULT_ADAPTER_SIZE[self.conditioning])
        for name, least in (("adapter_size", 1), ("dim_z", 1), ("max_length", 3)):
            value = getattr(self, name)
            if name == "adapter_size" and self.conditioning == "full":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
        rate = self.adapter_dropout
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
            raise ValueError(f"adapter_dropout must be a number in [0, 1), got {rate!r}")
        if not isinstance(self.encoder_dropout, bool):
            raise ValueError(f"encoder_dropout is {self.encoder_dropout!r}; expected True or False")
        check_layer_norm(self.conditioning, self.layer_norm)
        check_private_rank(self.conditioning, self.private_rank)
        check_z(self.z_from, self.embeddings_per_task, self.dim_features, self.dim_z, self.dim_table)
        if not self.has_task_embeddings and (self.z_from, self.embeddings_per_task, self.dim_table) != ("table", 1, 0):
            raise ValueError(
                f"z_from={self.z_from!r}, embeddings_per_task={self.embeddings_per_task} and "
                f"dim_table={self.dim_table} say what z is, and conditioning {self.conditioning!r} has none; leave "
                "them out"
            )

    @property
    def has_task_embeddings(self) -> bool:
        """Whether the method has a z at all; the baselines have none."""
        return self.conditioning in get_args(WithZ)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON; those of ``OPTIONAL_FIELDS`` only if they are used."""
        unused = {name for name, default in OPTIONAL_FIELDS.items() if getattr(self, name) == default}
        return {name: value for name, value in asdict(self).items() if name not in unused}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ConditionalConfig:
        """Build from ``to_dict``'s output.

        Raises:
            ValueError: a key is unknown or a field out of range.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"unknown fields of a conditional configuration: {', '.join(unknown)}")
        return cls(**values)
