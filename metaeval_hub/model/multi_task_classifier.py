"""Present all tasks of a model as one classifier of transformers, which Trainer trains and evaluates."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from transformers.modeling_outputs import SequenceClassifierOutput

from metaeval_hub.model.auto import MetaevalConfig
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.shared_view import SharedView


class MultiTaskClassifier(SharedView):
    """A view of all tasks that shares its weights with the model; ``ConditionalAdapterModel.for_trainer`` creates it.

    Args:
        model: the whole model.
    """

    config_class = MetaevalConfig

    def __init__(self, model: ModelCore) -> None:
        super().__init__(model, MetaevalConfig(**model.record().to_dict()))

    def __repr__(self) -> str:
        """Show the model in one line."""
        return f"MultiTaskClassifier({self.model!r})"

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        task_ids: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> SequenceClassifierOutput:
        """Classify a batch that may mix tasks, as ``TaskCollator`` makes it.

        Args:
            input_ids: (B, T) long.
            attention_mask: (B, T).
            token_type_ids: (B, T), for encoders that have segments.
            task_ids: (B,) long, the task of each text.
            labels: (B,) long, the class of each text.

        Returns:
            ``logits``, (B, C), and ``loss``, the mean cross-entropy, if there are labels. C is the largest class count
            of all tasks of the model, so that Trainer can join batches of different tasks; classes that a task does not
            have get -inf.

        Raises:
            ValueError: ``task_ids`` is missing.
        """
        if task_ids is None:
            raise ValueError("the batch has no task_ids; give Trainer data_collator=metaeval_hub.TaskCollator(model)")
        output: SequenceClassifierOutput = self.model(
            input_ids, attention_mask, token_type_ids, task_ids=task_ids, labels=labels
        )
        missing = self.model.heads.table.shape[1] - output.logits.shape[1]  # type: ignore[union-attr]
        logits = F.pad(output.logits, (0, missing), value=-float("inf"))  # type: ignore[arg-type]
        return SequenceClassifierOutput(loss=output.loss, logits=logits)  # type: ignore[arg-type]
