"""Which encoder a model is based on, and how it is recognized again."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from transformers import PreTrainedTokenizerFast

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BaseEncoder:
    """The identity of the encoder that a model is based on.

    Args:
        kind: "hub", "package" (weights inside an installed package) or "local" (stored with the model).
        id: the Hub id, the name of the package, or a display name.
        revision: the full commit id on the Hub, the package's version, or None.
        sha256: digest of all its weights; see ``weights_digest``.
    """

    kind: Literal["hub", "package", "local"]
    id: str
    revision: str | None
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder in memory: module, tokenizer, configuration as read, and its identity."""

    module: Any  # a PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    config: dict[str, Any]
    base: BaseEncoder


def check_same(base: BaseEncoder, found: BaseEncoder) -> None:
    """Check that the encoder that was found is the one that a model was trained with.

    Raises:
        ValueError: the weights differ.
    """
    if found.sha256 != base.sha256:
        raise ValueError(
            f"the weights of {base.id} have SHA-256 {found.sha256[:12]}..., and the model was trained on "
            f"{base.sha256[:12]}...; its predictions would be wrong"
        )


def as_own(base: BaseEncoder) -> BaseEncoder:
    """Return the identity of an encoder that is stored with a model although the model names another place for it.

    Nothing proves that the weights are those of that place. They therefore count as the model's own: the identity says
    so, and the model stores them again when it is saved.
    """
    logger.warning(
        "this model names the encoder %s and brings weights of its own in encoder/, which were not compared with it: "
        "they are used, and count as the model's own",
        base.id,
    )
    return replace(base, kind="local", id=f"{base.id[:200]} (as stored with the model)", revision=None)
