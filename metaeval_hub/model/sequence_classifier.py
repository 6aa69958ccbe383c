"""Present one task of a model as a sequence classifier of transformers, for pipelines and other tools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.module import _IncompatibleKeys
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

from metaeval_hub.encoders.weights import longest_input
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.storage import save_model
from metaeval_hub.model.zero_shot import ZeroShotEvidence
from metaeval_hub.safe_files.names import first_names


class TaskClassifierConfig(PretrainedConfig):
    """The configuration that transformers expects of a classifier: its classes."""

    model_type = "metaeval-task"


class TaskClassifier(PreTrainedModel):
    """A view of one task that shares its weights with the model.

    ``ConditionalAdapterModel.for_task`` creates it. It works in
    ``pipeline("text-classification", model=clf, tokenizer=clf.tokenizer)``; a pair is given to a pipeline as
    ``{"text": ..., "text_pair": ...}``.

    Args:
        model: the whole model.
        task: one of its tasks.
    """

    config_class = TaskClassifierConfig
    main_input_name = "input_ids"
    accepts_loss_kwargs = False  # the loss is the mean over a batch; Trainer averages it where it accumulates gradients
    _supports_sdpa = True  # the encoder chose its attention when it was loaded

    def __init__(self, model: ModelCore, task: str) -> None:
        model.task_id(task)  # raises where there is no such task
        labels = model.labels[task]
        config = TaskClassifierConfig(
            id2label=dict(enumerate(labels)),
            label2id={label: i for i, label in enumerate(labels)},
            problem_type="single_label_classification",
        )
        super().__init__(config)
        self.model = model
        self.task = task
        self._labels = labels
        self.tokenizer: PreTrainedTokenizerBase = model.tokenizer
        self.evidence: ZeroShotEvidence | None = None  # only if it was made without labelled examples
        self.eval()

    def __repr__(self) -> str:
        """Show the task, its classes and the model in one line; ``model.encoder`` shows the layers."""
        classes = first_names((self.config.id2label or {}).values())
        return f"TaskClassifier({self.task!r}, classes: {classes}; {self.model.summary()})"

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        **unused: Any,
    ) -> SequenceClassifierOutput:
        """Classify token ids (B, T); returns logits (B, C), and the mean cross-entropy where labels (B,) are given.

        Raises:
            ValueError: texts are longer than the encoder takes, or padded on the left, which changes their answers; or
                the model has other classes for the task by now.
        """
        if self.model.labels.get(self.task, self._labels) != self._labels:
            raise ValueError(
                f"{self.task} is another task than when this classifier was made: its classes were "
                f"{first_names(self._labels)} and are {first_names(self.model.labels[self.task])}; call "
                f"for_task({self.task!r}) again"
            )
        longest = longest_input(self.model.encoder.config)
        if input_ids.shape[1] > longest:
            raise ValueError(
                f"a text has {input_ids.shape[1]} tokens, and the encoder takes at most {longest}; call the "
                "pipeline, or the tokenizer, with truncation=True"
            )
        # a look at the mask on a GPU would wait for the device
        if attention_mask is not None and attention_mask.device.type == "cpu" and not attention_mask[:, 0].all():
            raise ValueError(
                "texts are padded on the left; pad them on the right, as the classifier's own tokenizer does"
            )
        task_ids = torch.tensor([self.model.task_id(self.task)], device=input_ids.device)
        logits = self.model(input_ids, attention_mask, token_type_ids, task_ids=task_ids)
        loss: Any = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)  # type: ignore[arg-type]

    def save_pretrained(self, save_directory: str | Path, *unused: Any, **options: Any) -> None:  # type: ignore[override]
        """Write the whole model, of which this is a view; ``ConditionalAdapterModel.from_pretrained`` reads it.

        `transformers.Trainer` calls this at every checkpoint and resumes from there. It puts pickles next to the model,
        which ``from_pretrained`` refuses: save the model to a folder of its own once it is trained.

        Args:
            save_directory: see ``ConditionalAdapterModel.save_pretrained``.
            unused: what transformers gives beside it.
            options: the same.
        """
        save_model(self.model, save_directory)

    def load_state_dict(self, state_dict: Mapping[str, Any], *arguments: Any, **options: Any) -> Any:
        """Take the weights of a classifier, or those that ``save_pretrained`` wrote, from which `Trainer` goes on."""
        if set(state_dict) == set(self.model.trained_state()):
            self.model.load_trained_state(state_dict)
            return _IncompatibleKeys([], [])
        return super().load_state_dict(state_dict, *arguments, **options)


# A pipeline logs an error about classes it does not know, however well they work.
AutoModelForSequenceClassification.register(TaskClassifierConfig, TaskClassifier, exist_ok=True)
