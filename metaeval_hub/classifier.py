"""One task of a model in the form of a stock sequence classifier, for ``transformers.pipeline`` and its like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

from metaeval_hub.checks import few

if TYPE_CHECKING:
    from metaeval_hub.model import ConditionalAdapterModel
    from metaeval_hub.zero_shot import Guess


class TaskClassifierConfig(PretrainedConfig):
    """What transformers wants to know of a classifier: its classes."""

    model_type = "metaeval-task"


class TaskClassifier(PreTrainedModel):
    """A view of one task: weights are shared with the model, nothing is copied.

    Made by ``ConditionalAdapterModel.for_task``. It works in
    ``pipeline("text-classification", model=clf, tokenizer=clf.tokenizer)``; a pair is given to a pipeline as
    ``{"text": ..., "text_pair": ...}``.

    Args:
        model: the whole model.
        task: one of its tasks.
    """

    config_class = TaskClassifierConfig
    main_input_name = "input_ids"
    _supports_sdpa = True  # the encoder chose its attention when it was loaded

    def __init__(self, model: ConditionalAdapterModel, task: str) -> None:
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
        self.tokenizer: PreTrainedTokenizerBase = model.tokenizer
        self.guess: Guess | None = None  # what it stands on, where it was made without labelled examples
        self.eval()

    def __repr__(self) -> str:
        """Return the task, its classes and what answers it, in a line; ``model.encoder`` shows the layers."""
        classes = few((self.config.id2label or {}).values())
        return f"TaskClassifier({self.task!r}, classes: {classes}; {self.model.told()})"

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        **unused: Any,
    ) -> SequenceClassifierOutput:
        """Classify token ids (B, T); returns logits (B, C), and the mean cross-entropy where labels (B,) are given."""
        task_ids = torch.tensor([self.model.task_id(self.task)], device=input_ids.device)
        logits = self.model(input_ids, attention_mask, token_type_ids, task_ids=task_ids)
        loss: Any = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)  # type: ignore[arg-type]

    def save_pretrained(self, *arguments: Any, **options: Any) -> None:
        """Refuse: the weights belong to the whole model.

        Raises:
            RuntimeError: always; says what to call instead.
        """
        raise RuntimeError(
            "a classifier is a view of its model; save that (model.save_pretrained), or the task alone as a stock "
            "adapter (model.export_adapter)"
        )


# A pipeline logs an error about classes it does not know, however well they work.
AutoModelForSequenceClassification.register(TaskClassifierConfig, TaskClassifier, exist_ok=True)
