"""The base of views that present a model to the tools of transformers and share its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.nn.modules.module import _IncompatibleKeys
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.storage import save_model


class SharedView(PreTrainedModel):
    """A view that shares its weights with a model, saves the whole model, and continues from what it saved.

    The model itself is not a ``PreTrainedModel``: its ``config`` describes the conditioning, and the methods of
    transformers that load and change weights do not fit it.

    Args:
        model: the whole model.
        config: the configuration that the tools of transformers read.
    """

    main_input_name = "input_ids"
    accepts_loss_kwargs = False  # the loss is the mean over a batch; Trainer averages it where it accumulates gradients
    _supports_sdpa = True  # the encoder chose its attention when it was loaded

    def __init__(self, model: ModelCore, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.model = model
        self.tokenizer: PreTrainedTokenizerBase = model.tokenizer
        self.eval()

    def save_pretrained(self, save_directory: str | Path, *unused: Any, **options: Any) -> None:  # type: ignore[override]
        """Write the whole model, of which this is a view; ``ConditionalAdapterModel.from_pretrained`` reads it.

        `transformers.Trainer` calls this at every checkpoint and resumes from there. It puts pickles next to the model,
        which ``from_pretrained`` refuses: save the model to a folder of its own once it is trained.

        Args:
            save_directory: see ``ConditionalAdapterModel.save_pretrained``.
            unused: further arguments of transformers, which are ignored.
            options: further options of transformers, which are ignored.
        """
        save_model(self.model, save_directory)

    def load_state_dict(self, state_dict: Mapping[str, Any], *arguments: Any, **options: Any) -> Any:
        """Load the weights of a view, or those that ``save_pretrained`` wrote, from which `Trainer` resumes."""
        if set(state_dict) == set(self.model.trained_state()):
            self.model.load_trained_state(state_dict)
            return _IncompatibleKeys([], [])
        return super().load_state_dict(state_dict, *arguments, **options)
