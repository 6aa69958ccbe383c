"""Present one task of a model as a sequence classifier of transformers, for pipelines and other tools."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PretrainedConfig
from transformers.modeling_outputs import SequenceClassifierOutput

from metaeval_hub.encoders.weights import longest_input
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.feature_choice import FitReport
from metaeval_hub.model.shared_view import SharedView
from metaeval_hub.model.zero_shot import ZeroShotEvidence
from metaeval_hub.safe_files.names import first_names


class TaskClassifierConfig(PretrainedConfig):
    """The configuration that transformers expects of a classifier: its classes."""

    model_type = "metaeval-task"


class TaskClassifier(SharedView):
    """A view of one task that shares its weights with the model.

    ``ConditionalAdapterModel.for_task`` creates it. It works in
    ``pipeline("text-classification", model=clf, tokenizer=clf.tokenizer)``; a pair is given to a pipeline as
    ``{"text": ..., "text_pair": ...}``.

    Args:
        model: the whole model.
        task: one of its tasks.
    """

    config_class = TaskClassifierConfig

    def __init__(self, model: ModelCore, task: str) -> None:
        model.task_id(task)  # raises where there is no such task
        labels = model.labels[task]
        config = TaskClassifierConfig(
            id2label=dict(enumerate(labels)),
            label2id={label: i for i, label in enumerate(labels)},
            problem_type="single_label_classification",
        )
        super().__init__(model, config)
        self.task = task
        self._labels = labels
        self.evidence: ZeroShotEvidence | None = None  # only if it was made without labelled examples
        self.fit_report: FitReport | None = None  # only if it was fitted to a few labelled examples

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
        output: SequenceClassifierOutput = self.model(
            input_ids, attention_mask, token_type_ids, task_ids=task_ids, labels=labels
        )
        return output


# A pipeline logs an error about classes it does not know, however well they work.
AutoModelForSequenceClassification.register(TaskClassifierConfig, TaskClassifier, exist_ok=True)
