"""The configuration of a model for AutoConfig and AutoModel of transformers, with the checks of ``from_pretrained``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import AutoConfig, AutoModel, PretrainedConfig

from metaeval_hub.model.record import MODEL_TYPE, ModelRecord

# Keys that transformers adds to the content of config.json after reading it.
_ADDED = frozenset({"_commit_hash"})
# What AutoModel passes to every model besides the user's arguments.
_OF_AUTO = ("config", "trust_remote_code", "adapter_kwargs", "code_revision", "_from_auto", "_commit_hash")


class MetaevalConfig(PretrainedConfig):
    """The content of a model's config.json as an object of transformers."""

    model_type = MODEL_TYPE

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Check the content of config.json, and return it as a configuration.

        Args:
            config_dict: the content.
            kwargs: as for ``PretrainedConfig``.

        Raises:
            UnsafeRepositoryError: ``ConditionalAdapterModel.from_pretrained`` would refuse it.
        """
        ModelRecord.from_dict({key: value for key, value in config_dict.items() if key not in _ADDED})
        return super().from_dict(config_dict, **kwargs)


def register(load: Callable[..., Any]) -> None:
    """Register the model with AutoConfig and AutoModel of transformers.

    AutoModel reads config.json and then calls ``load``, which reads and checks all files again.

    Args:
        load: ``ConditionalAdapterModel.from_pretrained``.
    """

    class Loader:
        config_class = MetaevalConfig

        @staticmethod
        def from_pretrained(name: Any, **options: Any) -> Any:
            if options.get("dtype") == "auto":  # the stored one, which is the default here
                del options["dtype"]
            return load(name, **{key: value for key, value in options.items() if key not in _OF_AUTO})

    AutoConfig.register(MODEL_TYPE, MetaevalConfig, exist_ok=True)
    AutoModel.register(MetaevalConfig, Loader, exist_ok=True)
