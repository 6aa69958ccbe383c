"""The core of a model: a frozen encoder, a conditional adapter, and one embedding and one classifier per task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from transformers.modeling_outputs import SequenceClassifierOutput

from metaeval_datasets.catalog import unknown_task
from metaeval_hub.conditional.attachment import AttachedAdapter
from metaeval_hub.conditional.conditioning import TaskConditioning, check_range
from metaeval_hub.conditional.config import ConditionalConfig
from metaeval_hub.encoders.base import BaseEncoder, LoadedEncoder
from metaeval_hub.encoders.last_layer import can_cut, compute_first_token_only
from metaeval_hub.encoders.tokens import Text, TextEncoder, Tokens, as_texts
from metaeval_hub.encoders.weights import longest_input
from metaeval_hub.model.encoder_ways import Way, encode_in_ways
from metaeval_hub.model.evaluation_mode import EvaluationMode
from metaeval_hub.model.label_heads import TaskHeads
from metaeval_hub.model.layer_readouts import LayerReadouts
from metaeval_hub.model.record import ModelRecord, check_record
from metaeval_hub.model.task_values import check_fields, check_known, checked_label_vectors, checked_labels
from metaeval_hub.model.trained_tensors import Role, trainable_groups
from metaeval_hub.safe_files.names import first_names
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.task_data.origins import TaskOrigin
from metaeval_hub.task_data.task_embeddings import TaskEmbeddings
from metaeval_hub.task_data.task_features import TaskFeatures


class ModelCore(nn.Module):
    """The encoder, the conditional adapter and the classifiers: what computes, without what users call around it.

    ``ConditionalAdapterModel`` adds creation, prediction, new tasks, and saving. The modules that implement those take
    a ``ModelCore``, so that they do not import the class that calls them.

    Args:
        loaded: the encoder with its tokenizer.
        labels: task name -> class names, in the order of the task ids.
        config: the conditioning.
        fields: task name -> 1 for a task over texts, 2 for a task over pairs; tasks may be missing.
        origins: task name -> where its rows come from; tasks may be missing.
        label_vectors: task name -> name of the label vector of each class; tasks that are missing share none.
        frozen: the tasks whose classifiers read the encoder without adapters.
        layered: the tasks whose classifiers read all layers.

    Raises:
        ValueError: the arguments do not fit each other.
    """

    def __init__(
        self,
        loaded: LoadedEncoder,
        labels: Mapping[str, Sequence[str]],
        config: ConditionalConfig,
        fields: Mapping[str, int] | None = None,
        origins: Mapping[str, TaskOrigin] | None = None,
        label_vectors: Mapping[str, Sequence[str]] | None = None,
        frozen: Iterable[str] = (),
        layered: Iterable[str] = (),
    ) -> None:
        super().__init__()
        if config.z_from != "table" and not config.dim_features:
            raise ValueError(f"z_from is {config.z_from!r}, but dim_features is 0; give task_features")
        limit = longest_input(loaded.module.config)
        if config.max_length > limit:
            raise ValueError(
                f"max_length is {config.max_length}; the encoder {loaded.base.id} takes at most {limit} tokens; "
                "lower max_length"
            )
        self.config = config
        self.base = loaded.base
        self.tokenizer = loaded.tokenizer
        self.labels = checked_labels(labels)
        self.fields = {task: check_fields(task, number) for task, number in (fields or {}).items()}
        self.origins = dict(origins or {})
        self.features: TaskFeatures | None = None  # of its tasks, used to predict z of new ones; set by training
        self.label_vectors = checked_label_vectors(self.labels, label_vectors)
        self.frozen_tasks = set(frozen)
        for known in (self.fields, self.origins, self.frozen_tasks):
            check_known(known, self.labels)
        if self.frozen_tasks and config.conditioning == "full":
            raise ValueError(f"{min(self.frozen_tasks)} reads the frozen encoder, which full fine-tuning changed")
        check_known(layered := set(layered), self.labels)
        sizes = {task: len(names) for task, names in self.labels.items() if task in layered}
        shape = loaded.module.config.num_hidden_layers + 1, loaded.module.config.hidden_size
        self.readouts = LayerReadouts(*shape, sizes)
        if self.labels:
            check_record(self.record())
        self._ids = {task: i for i, task in enumerate(self.labels)}
        self.encoder_config = loaded.config
        self.base_keys = frozenset(loaded.module.state_dict())
        self.encoder = loaded.module
        self.heads = TaskHeads(loaded.module.config.hidden_size, self.labels, self.label_vectors)
        self.adapter: AttachedAdapter | None = None
        if config.conditioning == "full":
            self.encoder.requires_grad_(True)
        else:
            self.adapter = AttachedAdapter(self.encoder, config, len(self.labels))
        self.private_tasks: set[str] = set()  # those with a trained private part; see find_private_tasks
        # A pipeline with truncation=True then truncates texts as this model does.
        self.tokenizer.model_max_length = config.max_length
        self._evaluation = EvaluationMode()
        self.eval()

    def __repr__(self) -> str:
        """Show tasks, encoder and conditioning in one line; ``model.encoder`` shows the layers."""
        plural = "" if len(self.labels) == 1 else "s"
        return f"{type(self).__name__}({len(self.labels)} task{plural}: {first_names(self.labels)}; {self.summary()})"

    def summary(self) -> str:
        """Describe encoder and conditioning in words."""
        config = self.config
        size = f", z of {config.dim_z}" if config.has_task_embeddings else ""
        size += f" from {config.dim_table} values per task" if config.dim_table else ""
        norm = " with LayerNorm" if config.layer_norm else ""
        return f"encoder: {self.base.id}, conditioning: {config.conditioning}{norm}{size}"

    def record(
        self,
        *,
        base: BaseEncoder | None = None,
        dtype: str = "float32",
        labels: Mapping[str, tuple[str, ...]] | None = None,
        fields: Mapping[str, int] | None = None,
        origins: Mapping[str, TaskOrigin] | None = None,
        label_vectors: Mapping[str, tuple[str, ...]] | None = None,
        frozen: Iterable[str] | None = None,
        layered: Iterable[str] | None = None,
    ) -> ModelRecord:
        """Return the record that config.json stores, optionally with another encoder or other tasks."""
        return ModelRecord(
            base or self.base,
            self.config,
            self.labels if labels is None else labels,
            version("metaeval"),
            fields=self.fields if fields is None else fields,
            origins=self.origins if origins is None else origins,
            dtype=dtype,
            label_vectors=self.label_vectors if label_vectors is None else label_vectors,
            frozen=frozenset(self.frozen_tasks if frozen is None else frozen),
            layered=frozenset(self.layered_tasks if layered is None else layered),
        )

    @property
    def layered_tasks(self) -> set[str]:
        """The tasks whose classifiers read all layers."""
        return set(self.readouts.sizes)

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks, in the order of their ids."""
        return tuple(self.labels)

    def task_id(self, name: str) -> int:
        """Return a task's id: its position in ``task_names`` and in the table of task embeddings.

        Raises:
            UnknownTaskError: a KeyError that names the closest tasks.
        """
        if not isinstance(name, str):
            raise TypeError(f"the task is {shown(name)}; expected the name of one task")
        try:
            return self._ids[name]
        except KeyError:
            raise unknown_task(name, self._ids, "of this model") from None

    @property
    def shared_labels(self) -> dict[str, tuple[str, ...]]:
        """Name of each shared label vector -> the tasks that use it, in the order of their ids."""
        tasks: dict[str, list[str]] = {row: [] for row in self.heads.shared}
        for task in self.labels:
            for row in self.label_vectors.get(task, ()):
                tasks[row].append(task)
        return {row: tuple(names) for row, names in tasks.items()}

    @property
    def conditioning(self) -> TaskConditioning:
        """The module that returns a task's embedding.

        Raises:
            ValueError: the method is a baseline without task embeddings.
        """
        if not self.config.has_task_embeddings:
            raise ValueError(
                f"conditioning {self.config.conditioning!r} is a baseline without task embeddings; create the "
                "model with 'pilault', 'layernorm' or 'mahabadi' instead"
            )
        return self.adapter.conditioning  # type: ignore[union-attr, return-value]

    @property
    def task_embeddings(self) -> TaskEmbeddings:
        """A copy of the task embeddings z that the adapters receive, (n, Z).

        If tasks have several embeddings, these are the first of each, which predictions use; ``copies`` contains all
        of them, (n, K, Z).

        Raises:
            ValueError: the method is a baseline without task embeddings.
        """
        values = self.conditioning.embeddings().float().cpu().numpy()
        return TaskEmbeddings(self.task_names, values[:, 0], values if values.shape[1] > 1 else None)

    def expected_embeddings(self, task_features: ArrayLike | None = None) -> NDArray[np.float32]:
        """Return the task embeddings expected of unseen tasks, for ``encode`` or ``add_task``.

        This is the sum of the projected features and the mean of the learned embeddings, as far as the model has them
        (Sileo & Moens 2022, section 5.6).

        Args:
            task_features: (m, F) or (F,), with the columns that the model was created with; None if z is only learned.

        Returns:
            (m, Z); (1, Z) without features.

        Raises:
            ValueError: the features are missing or do not fit, or the method has no task embeddings.
        """
        features = None if task_features is None else np.atleast_2d(np.asarray(task_features))
        return self.conditioning.expect(features).float().cpu().numpy()

    def set_tasks(self, labels: Mapping[str, tuple[str, ...]]) -> None:
        """Renumber the tasks after embeddings and classifiers were added or removed."""
        self.labels = dict(labels)
        self._ids = {task: i for i, task in enumerate(self.labels)}

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.heads.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights: float32, or the result of ``half()`` or ``bfloat16()``."""
        return self.heads.weight.dtype

    def train(self, mode: bool = True) -> ModelCore:
        """Switch to training or evaluation; the encoder's dropout stays off unless ``encoder_dropout`` is set.

        Measured on 20 tasks with a frozen MiniLM, the encoder's dropout cost 1.4 points of accuracy and 22 % of speed.
        """
        super().train(mode)
        if mode and not self.config.encoder_dropout:
            self.encoder.eval()
        return self

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        *,
        task_ids: Tensor,
        labels: Tensor | None = None,
        draws: Tensor | int | None = None,
    ) -> SequenceClassifierOutput:
        """Classify a batch of token ids.

        Args:
            input_ids: (B, T) long.
            attention_mask: (B, T), 1 for tokens of the text; None if nothing is padded.
            token_type_ids: (B, T), for encoders that have segments.
            task_ids: (B,) long, the task of each text; or (1,) if all texts belong to one task, which gives the same
                result faster.
            labels: (B,) long, the class of each text; None computes no loss.
            draws: which of a task's K embeddings conditions the adapters: a number, (1,), or one per text, (B,). None
                uses the first, as everything except training does.

        Returns:
            A ``ModelOutput`` with two fields. ``logits`` is (B, C), where C is the largest class count of the tasks in
            the batch, and -inf where a task has fewer classes. ``loss`` is the mean cross-entropy over the batch, a
            float32 scalar, or None without labels; classes with -inf do not contribute to it or to its gradient.

        Raises:
            ValueError: ``task_ids`` fits neither the batch nor one task.
        """
        if task_ids.ndim != 1 or task_ids.shape[0] not in (1, input_ids.shape[0]):
            raise ValueError(
                f"task_ids has shape {tuple(task_ids.shape)}; expected (1,) or ({input_ids.shape[0]},), as input_ids"
            )
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        batch = {"input_ids": input_ids, "attention_mask": attention_mask, **segments}
        logits = self.heads(self.encode_for_tasks(batch, task_ids, draws), task_ids)
        loss: Any = None if labels is None else F.cross_entropy(logits.float(), labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def embed_tasks(self, task_ids: Tensor, draws: Tensor | int | None = None) -> Tensor | None:
        """Return the task embeddings (B, Z) of ids (B,), or (1, Z) of (1,); None for a baseline, which has none."""
        if self.config.has_task_embeddings or draws is not None:
            return self.conditioning(task_ids, draws)
        check_range("task id", task_ids, len(self.labels))
        return None

    def encode_for_tasks(
        self, batch: Mapping[str, Tensor | None], task_ids: Tensor, draws: Tensor | int | None = None
    ) -> Tensor:
        """Return the pooled texts of a batch, (B, H), as the classifiers of their tasks read them.

        Args:
            batch: see ``encode``.
            task_ids: (B,), or (1,) if all texts belong to one task.
            draws: see ``forward``.
        """
        embeddings = self.embed_tasks(task_ids, draws)
        if not self.frozen_tasks and not self.layered_tasks:
            return self.encode(batch, embeddings, private=self.private_parts(task_ids))

        def encode(part: Mapping[str, Tensor | None], chosen: Tensor | slice, way: Way) -> Tensor:
            ids, z = task_ids[chosen], None if embeddings is None else embeddings[chosen]
            private = None if way.frozen else self.private_parts(ids)
            if way.layered:
                _, means = self.encode_layers(part, z, private=private, frozen=way.frozen)
                return self.readouts(means, self.readouts.places(self.labels).to(ids.device)[ids])
            return self.encode_frozen(part) if way.frozen else self.encode(part, z, private=private)

        return encode_in_ways(self.labels, self.frozen_tasks, self.layered_tasks, batch, task_ids, encode)

    def encode_layers(
        self,
        batch: Mapping[str, Tensor | None],
        task_embeddings: Tensor | None = None,
        *,
        private: tuple[Tensor, Tensor] | None = None,
        frozen: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Return the pooled texts, (B, H), and the means over tokens of the embeddings and every layer, (B, L, H).

        Args:
            batch: see ``encode``.
            task_embeddings: see ``encode``.
            private: see ``encode``.
            frozen: whether the encoder runs without adapters; the pooled texts are then those of ``encode_frozen``.
        """
        adapts = self.adapter is not None and not frozen
        with self.adapter.active(self.encoder, task_embeddings, 1, private) if adapts else nullcontext():  # type: ignore[union-attr]
            outputs = self.encoder(**batch, output_hidden_states=True)
        last, mask = outputs.last_hidden_state, batch.get("attention_mask")
        states = (*outputs.hidden_states[:-1], last)  # whose final LayerNorm ModernBERT adds
        means = torch.stack([_mean(each, mask) for each in states], dim=1)
        return means[:, -1] if frozen else self._pool(last, mask), means

    def encode_frozen(self, batch: Mapping[str, Tensor | None]) -> Tensor:
        """Return the mean over tokens of the encoder without adapters, (B, H); ``batch`` is that of ``encode``."""
        return _mean(self.encoder(**batch).last_hidden_state, batch.get("attention_mask"))

    def private_parts(self, task_ids: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the private parts of tasks, (B,) or (1,); None if no task of the model has one.

        See ``metaeval_hub.conditional.private.PrivateUpdates`` for their shapes.
        """
        if not self.private_tasks or self.adapter is None or self.adapter.private is None:
            return None
        return self.adapter.private(task_ids)

    def encode(
        self,
        batch: Mapping[str, Tensor | None],
        task_embeddings: Tensor | None,
        repeats: int = 1,
        private: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Return the pooled texts of a batch, which the classifiers read, under given task embeddings.

        Args:
            batch: ``input_ids`` (B, T), ``attention_mask`` (B, T) or None, ``token_type_ids`` where there are segments.
            task_embeddings: (B, Z), or (1, Z) if all texts belong to one task; None for a baseline.
            repeats: how often to repeat the batch at the first adapter, once per task, in encoders for which
                ``metaeval_hub.conditional.places.can_repeat_inside`` holds; ``task_embeddings`` then has the shape
                (repeats * B, Z).
            private: result of ``private_parts`` for tasks in the order of ``task_embeddings``; None applies none.

        Returns:
            Pooled texts (B, H), or (repeats * B, H).

        Raises:
            ValueError: ``task_embeddings`` has the wrong shape.
        """
        adapter = self.adapter
        cuts = self.training and self.config.pooling == "cls" and can_cut(self.encoder)
        with (
            nullcontext() if adapter is None else adapter.active(self.encoder, task_embeddings, repeats, private),
            compute_first_token_only(self.encoder) if cuts else nullcontext(),
        ):
            outputs = self.encoder(**batch)
        return self._pool(outputs.last_hidden_state, batch.get("attention_mask"))

    def _pool(self, hidden: Tensor, attention_mask: Tensor | None) -> Tensor:
        return hidden[:, 0] if self.config.pooling == "cls" else _mean(hidden, attention_mask)

    @cached_property
    def _encode_texts(self) -> TextEncoder:
        return TextEncoder(self.tokenizer, self.config.max_length)

    def tokenize(self, texts: Iterable[Text]) -> Tokens:
        """Tokenize texts or pairs without padding, cut to ``max_length`` tokens, the longer text of a pair first.

        Args:
            texts: strings or pairs of strings, in a list, array, Series, column of a dataset, or iterator.

        Raises:
            TypeError: an entry is neither a string nor a pair of strings, or the two are mixed.
            ValueError: a text contains half of a surrogate pair, or the tokenizer fails on it; the message has the
                number of the text.
        """
        return self._encode_texts(as_texts(texts))

    def tokenize_each(self, texts: Sequence[Text]) -> Tokens:
        """Tokenize checked texts as ``tokenize`` does; single texts and pairs may be mixed, for batches of many tasks.

        Raises:
            ValueError: the tokenizer fails on a text; the message has the number of the text.
        """
        return self._encode_texts(texts)

    def trainable_groups(self) -> dict[Role, list[nn.Parameter]]:
        """Return the trained tensors by role; see ``metaeval_hub.model.trained_tensors.trainable_groups``."""
        return trainable_groups(self.encoder, self.adapter, self.heads)

    def trained_numbers(self) -> dict[Role, int]:
        """Return the number of trained parameters for each role of ``trainable_groups``, and of the private parts."""
        found = {role: sum(p.numel() for p in group) for role, group in self.trainable_groups().items()}
        if self.adapter is not None and self.adapter.private is not None:
            found["private"] = self.adapter.private.numbers_per_task() * len(self.private_tasks)
        return found

    def trained_state(self) -> dict[str, Tensor]:
        """Return the trained tensors and the tasks' features by name.

        The encoder's weights are included only in full fine-tuning.
        """
        if self.config.conditioning == "full":
            return self.state_dict()
        base = {f"encoder.{key}" for key in self.base_keys}
        return {name: tensor for name, tensor in self.state_dict().items() if name not in base}

    def load_trained_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the tensors that ``trained_state`` returned.

        Raises:
            ValueError: a name or shape does not fit this model.
        """
        own = self.trained_state()
        if set(own) != set(tensors):
            different = sorted(set(own) ^ set(tensors))
            raise ValueError(f"{len(different)} tensor names do not fit this model, such as {different[0]}")
        for name, tensor in own.items():
            if tensor.shape != tensors[name].shape:
                raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}; expected {tuple(tensor.shape)}")
            tensor.copy_(tensors[name])
        self.find_private_tasks()

    def find_private_tasks(self) -> None:
        """Find the tasks with a private part, after their tensors were changed."""
        private = None if self.adapter is None else self.adapter.private
        if private is not None:
            self.private_tasks = {task for task, used in zip(self.labels, private.used(), strict=True) if used}

    @property
    def encodes_per_task(self) -> bool:
        """Whether the encoding of a text depends on its task."""
        return self.config.has_task_embeddings or bool(self.private_tasks)


def _mean(hidden: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Return the mean of states (B, T, H) over the tokens of each text, (B, H)."""
    if attention_mask is None:
        return hidden.mean(dim=1)
    # The first adapter repeats the batch if there are several tasks.
    attention_mask = attention_mask.repeat(hidden.shape[0] // attention_mask.shape[0], 1)
    mask = attention_mask.unsqueeze(-1).to(hidden.dtype)  # (B, T, 1)
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
