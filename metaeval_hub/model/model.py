"""ConditionalAdapterModel: one frozen encoder, one conditional adapter, an embedding and a classifier a task."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias

import adapters
import numpy as np
import torch
from adapters.methods.modeling import Adapter
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from metaeval_datasets.catalog import unknown_task
from metaeval_hub.conditional.attachment import rename_tasks
from metaeval_hub.conditional.conditioning import Features, TaskConditioning, check_range, feature_matrix
from metaeval_hub.conditional.config import ConditionalConfig
from metaeval_hub.conditional.layers import ConditionalLayer
from metaeval_hub.encoders.base import BaseEncoder, LoadedEncoder, as_own, check_same
from metaeval_hub.encoders.encoder import load_encoder
from metaeval_hub.encoders.find import find_base, find_configuration, rebuild_encoder
from metaeval_hub.encoders.last_layer import can_cut, first_token_only
from metaeval_hub.encoders.tokenizer import fit_tokenizer, load_tokenizer
from metaeval_hub.encoders.tokens import Text, TextEncoder, Tokens, as_texts
from metaeval_hub.encoders.weights import (
    all_finite,
    building,
    longest_input,
    quiet,
    save_configuration,
    save_encoder,
    weights_digest,
)
from metaeval_hub.hub.cards import model_card
from metaeval_hub.hub.client import fetch, local_folder, push_folder, push_target
from metaeval_hub.model import storage as store
from metaeval_hub.model.export import export_adapter
from metaeval_hub.model.few_shot import fit_task
from metaeval_hub.model.label_heads import TaskHeads
from metaeval_hub.model.prediction import Evaluation, let_grow, task_logits
from metaeval_hub.model.sequence_classifier import TaskClassifier
from metaeval_hub.model.task_changes import (
    add_tasks,
    check_fields,
    check_known,
    checked_labels,
    checked_rows,
    remove_tasks,
)
from metaeval_hub.model.zero_shot import By, Description, zero_shot
from metaeval_hub.safe_files.names import check_count, few, list_of_names
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.safe_files.replace_folder import replacing
from metaeval_hub.safe_files.repository import UnsafeRepositoryError, check_file_names, naming
from metaeval_hub.task_data.origins import TaskOrigin
from metaeval_hub.task_data.task_embeddings import TaskEmbeddings
from metaeval_hub.task_data.task_features import FEATURE_FILES, TABLE_FILE, TaskFeatures

ADAPTER_NAME = "metaeval"
Role: TypeAlias = Literal["adapter", "map", "projection", "task_embedding", "head"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predictions for N texts.

    Args:
        labels: the most probable class of each text, N names.
        probabilities: (N, C) float32, rows sum to 1.
        names: the C class names, in the order of the columns.
    """

    labels: list[str]
    probabilities: NDArray[np.float32]
    names: tuple[str, ...]


class ConditionalAdapterModel(nn.Module):
    """One model for many classification tasks (Sileo & Moens 2022, section 3).

    Made by ``create`` or ``from_pretrained``. The encoder is frozen; trained are an adapter common to all tasks, an
    embedding z a task that conditions it, and a softmax classifier a task. The paper's baselines have the same
    interface: a stock adapter without z, and full fine-tuning, where the encoder is trained and there is no adapter.

    Any number of threads may predict with one model at a time, by its own calls and by pipelines over ``for_task``.
    Train it, and add and remove tasks, while no other thread uses it.
    """

    def __init__(
        self,
        loaded: LoadedEncoder,
        labels: Mapping[str, Sequence[str]],
        config: ConditionalConfig,
        fields: Mapping[str, int] | None = None,
        origins: Mapping[str, TaskOrigin] | None = None,
        label_rows: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__()
        if config.z_from != "table" and not config.dim_features:
            raise ValueError(f"z_from is {config.z_from!r}, and dim_features is 0; give task_features")
        limit = longest_input(loaded.module.config)
        if config.max_length > limit:
            raise ValueError(
                f"max_length is {config.max_length}; the encoder {loaded.base.id} takes at most {limit} tokens"
            )
        self.config = config
        self.base = loaded.base
        self.tokenizer = loaded.tokenizer
        self.labels = checked_labels(labels)
        self.fields = {task: check_fields(task, number) for task, number in (fields or {}).items()}
        self.origins = dict(origins or {})
        self.features: TaskFeatures | None = None  # of its tasks, for those that are not among them; set by training
        self.label_rows = checked_rows(self.labels, label_rows)
        for known in (self.fields, self.origins):
            check_known(known, self.labels)
        if self.labels:
            store.check_record(self.record())
        self._ids = {task: i for i, task in enumerate(self.labels)}
        self._encoder_config = loaded.config
        self._base_keys = frozenset(loaded.module.state_dict())
        self.encoder = loaded.module
        self.heads = TaskHeads(loaded.module.config.hidden_size, self.labels, self.label_rows)
        adapter = config.adapter_config(tuple(self.labels), loaded.module.config.hidden_size)
        if adapter is None:
            self.encoder.requires_grad_(True)
        else:
            with quiet("adapters.model_mixin"):  # between the calls it warns that no adapter is active
                adapters.init(self.encoder)
                self.encoder.add_adapter(ADAPTER_NAME, config=adapter)
                self.encoder.train_adapter(ADAPTER_NAME)
        if config.has_task_embeddings:
            let_grow(self.encoder)
        self.tokenizer.model_max_length = config.max_length  # a pipeline with truncation=True cuts as this model does
        self._evaluation = Evaluation()
        self.eval()

    @classmethod
    def create(
        cls,
        encoder: str | Path,
        labels: Mapping[str, Sequence[str]],
        config: ConditionalConfig | None = None,
        *,
        fields: Mapping[str, int] | None = None,
        origins: Mapping[str, TaskOrigin] | None = None,
        task_features: Features | None = None,
        label_rows: Mapping[str, Sequence[str]] | None = None,
        seed: int = 0,
        revision: str | None = None,
        vocabulary: Iterable[str] | None = None,
        token: str | bool | None = None,
    ) -> ConditionalAdapterModel:
        """Make an untrained model.

        Args:
            encoder: a Hub id, a folder, "minilm" or "tiny"; see ``metaeval_hub.encoders.encoder.load_encoder``.
            labels: task name -> class names; a task's id is its place in this order.
            config: the conditioning; the paper's by default.
            fields: task name -> 1 for a task over texts, 2 for one over pairs; texts of the other form are then
                refused. A task that is missing here takes both.
            origins: task name -> where its rows come from, for the model's card; tasks may be missing.
            task_features: what z is made of where ``config.z_from`` says so: (n, F) in the order of ``labels``, or
                task name -> (F,), further tasks allowed. Standardised and stored with the model.
            label_rows: task name -> name of the label row of each class, such as ``TaskSpec.canonical``: classes with
                the same name share a row, so that an unseen task of known labels can be answered (section 5.6). Tasks
                that are missing have rows of their own.
            seed: of all that is random here; the global generator is left as it was.
            revision: branch, tag or commit of a Hub id.
            vocabulary: texts that give the tokenizer of "tiny" its words.
            token: for private repositories.

        Raises:
            ValueError: an argument does not fit; the message names it.
            UnsafeRepositoryError: the encoder's repository holds something that is not loaded.
        """
        config = config or ConditionalConfig()
        labels = checked_labels(labels)
        matrix = None
        if (task_features is None) != (config.z_from == "table"):
            raise ValueError(
                f"z_from is {config.z_from!r} and task_features are {'missing' if task_features is None else 'given'}; "
                "they are what z is made of with z_from='features' or 'both', and only then"
            )
        if task_features is not None:
            matrix = feature_matrix(task_features, tuple(labels))
            if config.dim_features not in (0, matrix.shape[1]):
                raise ValueError(f"dim_features is {config.dim_features}, and task_features have {matrix.shape[1]}")
            config = replace(config, dim_features=matrix.shape[1])
        loaded = load_encoder(encoder, revision=revision, vocabulary=vocabulary, seed=seed, token=token)
        with building(seed):
            model = cls(loaded, labels, config, fields, origins, label_rows)
        if matrix is not None:
            model.conditioning.set_features(matrix)
        return model

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy what the model is made of: `adapters` makes the classes of its modules in each process."""
        options = {"fields": self.fields, "origins": self.origins, "label_rows": self.label_rows}
        frozen = {name for name, parameter in self.named_parameters() if not parameter.requires_grad}
        made_of = (self.tokenizer, self._encoder_config, self.base, self.labels, self.config, options, self.features)
        return _rebuild, (type(self), *made_of, dict(self.state_dict()), frozen, self.training)

    def __repr__(self) -> str:
        """Return its tasks, encoder and conditioning in a line; ``model.encoder`` shows the layers."""
        plural = "" if len(self.labels) == 1 else "s"
        return f"ConditionalAdapterModel({len(self.labels)} task{plural}: {few(self.labels)}; {self.told()})"

    def told(self) -> str:
        """Return encoder and conditioning in words."""
        size = f", z of {self.config.dim_z}" if self.config.has_task_embeddings else ""
        return f"encoder: {self.base.id}, conditioning: {self.config.conditioning}{size}"

    def record(
        self,
        *,
        base: BaseEncoder | None = None,
        dtype: str = "float32",
        labels: Mapping[str, tuple[str, ...]] | None = None,
        fields: Mapping[str, int] | None = None,
        origins: Mapping[str, TaskOrigin] | None = None,
        label_rows: Mapping[str, tuple[str, ...]] | None = None,
    ) -> store.ModelRecord:
        """Return what config.json says of the model, or of it with another encoder or other tasks."""
        return store.ModelRecord(
            base or self.base,
            self.config,
            self.labels if labels is None else labels,
            version("metaeval"),
            fields=self.fields if fields is None else fields,
            origins=self.origins if origins is None else origins,
            dtype=dtype,
            label_rows=self.label_rows if label_rows is None else label_rows,
        )

    # --- tasks ---

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks, in the order of their ids."""
        return tuple(self.labels)

    def task_id(self, name: str) -> int:
        """Return a task's id, its row in the table of task embeddings.

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
    def shared_rows(self) -> dict[str, tuple[str, ...]]:
        """Name of each label row that tasks can share -> the tasks that use it, in the order of their ids."""
        tasks: dict[str, list[str]] = {row: [] for row in self.heads.shared}
        for task in self.labels:
            for row in self.label_rows.get(task, ()):
                tasks[row].append(task)
        return {row: tuple(names) for row, names in tasks.items()}

    @property
    def conditioning(self) -> TaskConditioning:
        """The module that gives a task's embedding.

        Raises:
            ValueError: the method is a baseline without task embeddings.
        """
        if not self.config.has_task_embeddings:
            raise ValueError(
                f"conditioning {self.config.conditioning!r} is a baseline without task embeddings; make the model "
                "with 'pilault', 'layernorm' or 'mahabadi' to have them"
            )
        return self.encoder.base_model.shared_parameters[ADAPTER_NAME]

    @property
    def task_embeddings(self) -> TaskEmbeddings:
        """A copy of the task embeddings z as the adapters get them, (n, Z).

        Where a task has several, these are the first of each, with which the model answers; ``copies`` holds all,
        (n, K, Z).

        Raises:
            ValueError: the method is a baseline without task embeddings.
        """
        values = self.conditioning.embeddings().float().cpu().numpy()
        return TaskEmbeddings(self.task_names, values[:, 0], values if values.shape[1] > 1 else None)

    def expected_embeddings(self, task_features: ArrayLike | None = None) -> NDArray[np.float32]:
        """Return the task embeddings expected of unseen tasks, for ``encode`` or ``add_task``.

        They are the projections of the tasks' features plus the mean of the learned embeddings, each where there is
        one (Sileo & Moens 2022, section 5.6).

        Args:
            task_features: (m, F) or (F,), in the terms of those the model was made with; None where z is learned
                alone.

        Returns:
            (m, Z); (1, Z) without features.

        Raises:
            ValueError: the features are missing or do not fit, or the method has no task embeddings.
        """
        features = None if task_features is None else np.atleast_2d(np.asarray(task_features))
        return self.conditioning.expect(features).float().cpu().numpy()

    def add_task(
        self,
        name: str,
        labels: Sequence[str],
        task_embedding: NDArray[np.floating] | None = None,
        *,
        task_features: ArrayLike | None = None,
        label_rows: Sequence[str] | None = None,
        fields: int | None = None,
        origin: TaskOrigin | None = None,
    ) -> int:
        """Add a task: an embedding and a classifier. The other tasks keep every bit.

        Optimisers made before must be made anew.

        Args:
            name: not used before.
            labels: class names.
            task_embedding: (Z,), as the adapters are to get it, or (K, Z) with several a task; None takes what
                ``expected_embeddings`` gives, the best guess without examples.
            task_features: (F,), where z is made of features.
            label_rows: name of the label row of each class, for rows that are shared: one that the model has keeps its
                weights, so that a task of known labels can be answered untrained; a new one starts at zero.
            fields: 1 for a task over texts, 2 for one over pairs; None takes both.
            origin: where its rows come from.

        Returns:
            The task's id.

        Raises:
            ValueError: the name is taken, the classes make no task, embedding or features are missing, have another
                shape or no meaning for this model.
        """
        add_tasks(
            self,
            {name: labels},
            task_embeddings=None if task_embedding is None else {name: task_embedding},
            task_features=None if task_features is None else {name: task_features},
            label_rows=None if label_rows is None else {name: label_rows},
            fields=None if fields is None else {name: fields},
            origins=None if origin is None else {name: origin},
        )
        return self._ids[name]

    def add_tasks(self, labels: Mapping[str, Sequence[str]], **options: Any) -> None:
        """Add many tasks in one go, which is faster than one by one.

        Args, options and errors: see ``metaeval_hub.model.task_changes.add_tasks``.
        """
        add_tasks(self, labels, **options)

    def remove_task(self, name: str) -> None:
        """Remove a task; the ids of those after it move up by one. Optimisers made before must be made anew.

        Raises:
            KeyError: there is no such task.
            ValueError: it is the last one.
        """
        remove_tasks(self, [name])

    def remove_tasks(self, names: Iterable[str]) -> None:
        """Remove tasks in one go; errors as in ``remove_task``."""
        remove_tasks(self, names)

    def set_tasks(self, labels: Mapping[str, tuple[str, ...]]) -> None:
        """Number the tasks anew, after their embeddings and classifiers came or went."""
        self.labels = dict(labels)
        self._ids = {task: i for i, task in enumerate(self.labels)}
        if self.config.has_task_embeddings:
            rename_tasks(self.encoder, ADAPTER_NAME, self.task_names)

    # --- forward ---

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.heads.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights: float32, or what ``half()`` or ``bfloat16()`` made of them."""
        return self.heads.weight.dtype

    def train(self, mode: bool = True) -> ConditionalAdapterModel:
        """Switch to training or evaluation; the encoder's dropout stays off unless the configuration says so.

        Measured on 20 tasks with a frozen MiniLM, the encoder's dropout cost 1.4 points of accuracy and 22 % of speed.
        """
        super().train(mode)
        if mode and not self.config.encoder_dropout:
            self.encoder.eval()
            for module in self.encoder.modules():
                if isinstance(module, Adapter):  # ours, or a stock one
                    module.train()
        return self

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        *,
        task_ids: Tensor,
        draws: Tensor | int | None = None,
    ) -> Tensor:
        """Classify a batch of token ids.

        Args:
            input_ids: (B, T) long.
            attention_mask: (B, T), 1 for tokens of the text; None where nothing is padded.
            token_type_ids: (B, T), for encoders that have segments.
            task_ids: (B,) long, the task of each row; or (1,) where all rows are of one task, which is exact and
                saves the look-up by row.
            draws: which of a task's K embeddings conditions the adapters: a number, (1,), or one a row, (B,). None
                takes the first, the one that all calls but training use.

        Returns:
            Logits (B, C), C the largest class count among the tasks of the batch; -inf where a task has fewer.

        Raises:
            ValueError: ``task_ids`` fits neither the batch nor one task.
        """
        if task_ids.ndim != 1 or task_ids.shape[0] not in (1, input_ids.shape[0]):
            raise ValueError(
                f"task_ids has shape {tuple(task_ids.shape)}; expected (1,) or ({input_ids.shape[0]},), as input_ids"
            )
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        batch = {"input_ids": input_ids, "attention_mask": attention_mask, **segments}
        return self.heads(self.encode(batch, self.embed_tasks(task_ids, draws)), task_ids)

    def embed_tasks(self, task_ids: Tensor, draws: Tensor | int | None = None) -> Tensor | None:
        """Return the task embeddings (B, Z) of ids (B,), or (1, Z) of (1,); None for a baseline, which has none."""
        if self.config.has_task_embeddings or draws is not None:
            return self.conditioning(task_ids, draws)
        check_range("task id", task_ids, len(self.labels))
        return None

    def encode(self, batch: Mapping[str, Tensor | None], task_embeddings: Tensor | None, repeats: int = 1) -> Tensor:
        """Return what the classifiers read of a batch of token ids, under given task embeddings.

        Args:
            batch: ``input_ids`` (B, T), ``attention_mask`` (B, T) or None, ``token_type_ids`` where there are segments.
            task_embeddings: (B, Z), or (1, Z) where all rows are of one task; None for a baseline.
            repeats: how often the batch is repeated at the first adapter, for as many tasks, in encoders that
                ``metaeval_hub.model.prediction.GROWING`` names; ``task_embeddings`` has B times as many rows then.

        Returns:
            Pooled texts (B, H), or (repeats * B, H).

        Raises:
            ValueError: ``task_embeddings`` has another shape.
        """
        given: dict[str, Any] = {} if task_embeddings is None else {"task_embeddings": task_embeddings}
        if repeats > 1:
            given["task_repeats"] = repeats
        cuts = self.training and self.config.pooling == "cls" and can_cut(self.encoder)
        with first_token_only(self.encoder) if cuts else nullcontext():
            outputs = self.encoder(**batch, **given)
        return self._pool(outputs.last_hidden_state, batch.get("attention_mask"))

    def _pool(self, hidden: Tensor, attention_mask: Tensor | None) -> Tensor:
        if self.config.pooling == "cls":
            return hidden[:, 0]
        if attention_mask is None:
            return hidden.mean(dim=1)
        # several tasks over the same texts grow a batch on the way
        attention_mask = attention_mask.repeat(hidden.shape[0] // attention_mask.shape[0], 1)
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)  # (B, T, 1)
        return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)

    @cached_property
    def _encode_texts(self) -> TextEncoder:
        return TextEncoder(self.tokenizer, self.config.max_length)

    def tokenize(self, texts: Iterable[Text]) -> Tokens:
        """Turn texts, or pairs, into unpadded token ids cut to ``max_length``, the longer text of a pair first.

        Args:
            texts: strings or pairs of strings, in a list, array, Series, column of a dataset, or iterator.

        Raises:
            TypeError: an entry is neither a string nor a pair of strings, or the two are mixed.
            ValueError: a text holds half of a surrogate pair.
        """
        return self._encode_texts(as_texts(texts))

    def _check_form(self, name: str, text: Text) -> None:
        """Refuse texts for a task over pairs, and pairs for one over texts, where the model knows which it is."""
        given = 1 if isinstance(text, str) else 2
        if given != self.fields.get(name, given):
            over, other = ("texts", "a pair") if given == 2 else ("pairs of texts", "one text")
            raise TypeError(f"{name} is a task over {over}, and texts[0] is {other}: {shown(text)}")

    def logits(self, name: str, texts: Iterable[Text], *, batch_size: int = 32, progress: bool | None = None) -> Tensor:
        """Return the logits of texts for one task, (N, C) float32 on the CPU.

        Args:
            name: a task of this model.
            texts: N strings, or N pairs for a task over pairs.
            batch_size: texts at once; they are batched by length.
            progress: whether to show a bar; None shows one where it takes more than 50 batches.

        Raises:
            KeyError: the model has no such task.
            TypeError: see ``tokenize``; or the task is over pairs, and these are texts, or the other way round.
        """
        return self._logits([name], texts, batch_size, progress)[name]

    def _logits(
        self, names: Sequence[str], texts: Iterable[Text], batch_size: int, progress: bool | None
    ) -> dict[str, Tensor]:
        check_count("batch_size", batch_size)
        given = as_texts(texts)
        for name in names:
            self.task_id(name)
            if given:
                self._check_form(name, given[0])
        with self._evaluation.of(self):
            return task_logits(self, names, given, int(batch_size), progress)

    def predict(
        self, name: str, texts: Iterable[Text], *, batch_size: int = 32, progress: bool | None = None
    ) -> Prediction:
        """Classify texts with one task; arguments and errors as in ``logits``."""
        return self._prediction(name, self.logits(name, texts, batch_size=batch_size, progress=progress))

    def predict_tasks(
        self, names: Sequence[str], texts: Iterable[Text], *, batch_size: int = 32, progress: bool | None = None
    ) -> dict[str, Prediction]:
        """Classify the same texts with several tasks, for less than a call of ``predict`` each takes.

        The probabilities are those of ``predict`` up to rounding; ``metaeval_hub.model.prediction`` says what is saved.

        Args:
            names: tasks of this model, all different, and all over texts or all over pairs.
            texts: N strings, or N pairs.
            batch_size: most rows at once; a row is a text for one task.
            progress: as in ``logits``.

        Returns:
            Task name -> its predictions, in the order of ``names``.

        Raises:
            KeyError: the model has no such task.
            TypeError: see ``logits``; or ``names`` is one string.
            ValueError: a name comes twice.
        """
        found = self._logits(list_of_names(names), texts, batch_size, progress)
        return {name: self._prediction(name, logits) for name, logits in found.items()}

    def _prediction(self, name: str, logits: Tensor) -> Prediction:
        probabilities, names = logits.softmax(dim=-1), self.labels[name]
        labels = [names[i] for i in probabilities.argmax(dim=-1).tolist()]
        return Prediction(labels, probabilities.numpy(), names)

    def for_task(self, name: str) -> TaskClassifier:
        """Return one task as a stock sequence classifier, for ``transformers.pipeline``; the weights are shared.

        Raises:
            KeyError: the model has no such task.
        """
        return TaskClassifier(self, name)

    def fit_task(
        self,
        name: str,
        examples: Any,
        labels: Iterable[str] | None = None,
        *,
        steps: int = 100,
        batch_size: int = 16,
        z_lr: float = 1e-2,
        head_lr: float = 1e-2,
        seed: int = 0,
        progress: bool = False,
        task_features: ArrayLike | None = None,
        label_rows: Sequence[str] | None = None,
        start: str | None = None,
    ) -> TaskClassifier:
        """Add a task from a few labelled examples, fitting z and a classifier alone; return it as ``for_task`` does.

        Args:
            name: of the new task.
            examples: a ``datasets.Dataset`` with the columns of a task, or (text, class) tuples; a text may be a pair.
            labels: class names; by default those of ``start``, of the dataset, or the sorted names among the examples.
            steps: optimiser steps.
            batch_size: examples per step.
            z_lr: learning rate of z.
            head_lr: learning rate of the classifier.
            seed: of the shuffles.
            progress: whether to show a bar.
            task_features: (F,), where z is made of features.
            label_rows: names of the shared label rows that the classifier starts from, one per class.
            start: a task of the model whose z and classifier are the start, such as one that ``zero_shot`` made.

        Raises:
            ValueError: the name is taken, or the examples make no task; see ``metaeval_hub.model.few_shot.fit_task``.
            TypeError: the examples are of another form.
        """
        fit_task(
            self, name, examples, labels, steps=steps, batch_size=batch_size, z_lr=z_lr, head_lr=head_lr, seed=seed,
            progress=progress, task_features=task_features, label_rows=label_rows, start=start,
        )  # fmt: skip
        return self.for_task(name)

    def zero_shot(
        self, name: str, description: Description, labels: Sequence[str] | Mapping[str, str], *, by: By = "aspects"
    ) -> TaskClassifier:
        """Add a task without a labelled example, from a description of it; return it as ``for_task`` does.

        Its ``guess`` says what it stands on: the nearest tasks, and which label row answers each class. With labelled
        examples ``fit_task(..., start=name)`` goes on from it.

        Args, errors: see ``metaeval_hub.model.zero_shot.zero_shot``.
        """
        guess = zero_shot(self, name, description, labels, by=by)
        classifier = self.for_task(name)
        classifier.guess = guess
        return classifier

    # --- what is trained ---

    def trainable_groups(self) -> dict[Role, list[nn.Parameter]]:
        """Return the trained tensors by role; each role wants a learning rate of its own.

        "adapter" holds the bottlenecks, or the encoder's own weights in full fine-tuning; "map" the linear maps of z,
        which Adam moves the function of by its rate times |z|_1 a step (all of the adapter where z generates it);
        "projection" the linear layer from a task's features to z; "task_embedding" the table (n * K, Z), "head" the
        label matrix (rows, H) and its biases (rows,): tensors with a row a task or label, whose rows should not move
        in steps that have no example of them. What a method does not have is an empty list.
        """
        maps = [p for m in self.encoder.modules() if isinstance(m, ConditionalLayer) for p in m.maps()]
        table, projection = [], []
        if self.config.has_task_embeddings:
            table, projection = self.conditioning.table(), self.conditioning.projections()
        known = {id(parameter) for parameter in (*maps, *table, *projection)}
        return {
            "adapter": [p for p in self.encoder.parameters() if p.requires_grad and id(p) not in known],
            "map": maps,
            "projection": projection,
            "task_embedding": table,
            "head": list(self.heads.parameters()),
        }

    def trained_numbers(self) -> dict[Role, int]:
        """Return how many numbers are trained, by the roles of ``trainable_groups``."""
        return {role: sum(p.numel() for p in group) for role, group in self.trainable_groups().items()}

    def trained_state(self) -> dict[str, Tensor]:
        """Return the tensors that training changes, and the tasks' features, by name.

        The encoder's weights are among them in full fine-tuning only.
        """
        if self.config.conditioning == "full":
            return self.state_dict()
        base = {f"encoder.{key}" for key in self._base_keys}
        return {name: tensor for name, tensor in self.state_dict().items() if name not in base}

    def load_trained_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what ``trained_state`` returned.

        Raises:
            ValueError: a name or shape does not fit this model.
        """
        own = self.trained_state()
        if set(own) != set(tensors):
            odd = sorted(set(own) ^ set(tensors))
            raise ValueError(f"{len(odd)} tensor names do not fit this model, {odd[0]} for one")
        for name, tensor in own.items():
            if tensor.shape != tensors[name].shape:
                raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}; expected {tuple(tensor.shape)}")
            tensor.copy_(tensors[name])

    # --- disk and Hub ---

    def save_pretrained(
        self,
        folder: Path | str,
        *,
        include_base: bool | None = None,
        results: Mapping[str, Mapping[str, float | None]] | None = None,
    ) -> Path:
        """Write the model: trained tensors, tasks, tokenizer and a card.

        Args:
            folder: made if it does not exist; files of an earlier model in it are replaced, all at once and only when
                the new ones are complete: whatever fails before leaves the earlier model whole.
            include_base: whether the encoder's weights go along. None includes them just where they could not be
                found again: for an encoder that came from neither the Hub nor a package. Full fine-tuning stores no
                encoder beside its own weights.
            results: for the card: task name -> "majority", "validation", "test" accuracy in [0, 1].

        Returns:
            The folder.

        Raises:
            ValueError: the encoder cannot be left out, or the weights are not finite, or neither all float32 nor all of
                one half precision.
            OSError: the files cannot be written; names what is in the way.
        """
        return self._save(Path(folder).expanduser(), include_base, results)

    def _save(
        self,
        folder: Path,
        include_base: bool | None,
        results: Mapping[str, Mapping[str, float | None]] | None,
        repo_id: str | None = None,
    ) -> Path:
        dtype = self._stored_dtype()
        full = self.config.conditioning == "full"
        if full and include_base:
            raise ValueError("full fine-tuning replaced the encoder's weights; leave include_base out")
        if include_base is None or full:
            include_base = self.base.kind == "local" and not full
        elif not include_base and self.base.kind == "local":
            raise ValueError(
                f"the encoder {self.base.id!r} is on neither the Hub nor in a package; include_base must stay True"
            )
        base, weights = self.base, {}
        if include_base:
            state = self.encoder.state_dict()
            weights = {key: state[key] for key in sorted(self._base_keys)}
            # in half precision they are other weights than those of the Hub, and kept as the model's own
            if (digest := weights_digest(weights)) != base.sha256:
                base = replace(base, kind="local", sha256=digest)
        record, trained = self.record(base=base, dtype=dtype), self.trained_state()
        store.check_record(record)
        store.check_finite({**trained, **{f"encoder.{key}": weights[key] for key in weights}})
        card = model_card(record, results, repo_id)
        with replacing(folder, (*store.MODEL_FILES, *FEATURE_FILES), last=store.CONFIG_FILE) as new:
            store.write_tensors(new / store.WEIGHTS_FILE, trained)
            if self.features is not None:
                self.features.save(new)
            self.tokenizer.save_pretrained(new / store.TOKENIZER_FOLDER)
            if include_base:
                save_encoder(new / store.ENCODER_FOLDER, self._encoder_config, weights)
            elif full:
                save_configuration(new / store.ENCODER_FOLDER, self._encoder_config)
            (new / "README.md").write_text(card, encoding="utf-8")
            store.write_record(new, record)
        return folder

    def _stored_dtype(self) -> str:
        """Return what config.json calls the type of the weights.

        Raises:
            ValueError: they are not all of one type, or of one that is not stored.
        """
        first: dict[torch.dtype, str] = {}
        for name, parameter in self.named_parameters():
            first.setdefault(parameter.dtype, name)
        found = next((name for name, dtype in store.DTYPES.items() if set(first) == {dtype}), None)
        if found is None:
            told = ", ".join(f"{dtype} ({name})" for dtype, name in first.items())
            raise ValueError(
                f"the weights are of {told}; expected all float32, float16 or bfloat16: call model.float(), half() or "
                "bfloat16()"
            )
        return found

    @classmethod
    def from_pretrained(
        cls,
        name: Path | str,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        dtype: torch.dtype | str | None = None,
    ) -> ConditionalAdapterModel:
        """Load a model from a folder or from the Hub. Nothing that comes from there is executed.

        Args:
            name: a folder written by ``save_pretrained``, or a Hub id.
            revision: branch, tag or commit on the Hub.
            token: for private repositories.
            dtype: of the loaded weights: torch.float32, float16 or bfloat16, or its name; None takes the one they are
                stored in, which gives the same bits as the model that was saved.

        Raises:
            ValueError: ``name`` is neither, ``dtype`` is another or too small for the weights, or the encoder found is
                not the one the model was trained on.
            UnsafeRepositoryError: a file is missing, not of the expected form, or asks for code to be run.
            HubError: the Hub could not be read.
        """
        wanted = None if dtype is None else _dtype(dtype)
        folder = local_folder(name)
        if folder is None:
            with naming(str(name)):
                folder = fetch(
                    str(name),
                    revision=revision,
                    allow_patterns=(*store.MODEL_FILES, *FEATURE_FILES),
                    token=token,
                    check_names=check_file_names,
                )
        with naming(str(name)):
            record = store.read_record(folder)
            tokenizer = load_tokenizer(folder / store.TOKENIZER_FOLDER)
            place, full = folder / store.ENCODER_FOLDER, record.conditional.conditioning == "full"
            if place.is_dir() and record.base.kind != "local" and not full:
                record = replace(record, base=as_own(record.base))
            found = find_configuration(record.base, place) if full else find_base(record.base, place, token=token)
            # the whole model without its weights says what the files must hold, before anything of their size is read
            plan = found.on_meta()
            fit_tokenizer(tokenizer, plan)
            try:
                with torch.device("meta"):
                    model = cls._of_record(record, LoadedEncoder(plan, tokenizer, found.config, record.base))
            except ValueError as error:
                raise UnsafeRepositoryError(f"{store.CONFIG_FILE} does not fit its encoder: {error}") from error
            stored = store.DTYPES[record.dtype]
            tensors = store.read_tensors(folder / store.WEIGHTS_FILE, model.to(stored).trained_state())
            features = TaskFeatures.load(folder) if (folder / TABLE_FILE).is_file() else None
            if features is not None:
                words = model.encoder.get_input_embeddings().weight
                features.check_encoder(words.shape[1], model.encoder.config.hidden_size)
            module, base = (found.blank(), record.base) if full else found.load()
        check_same(record.base, base)
        with building():  # the random start is replaced below
            model = cls._of_record(record, LoadedEncoder(module, tokenizer, found.config, record.base))
        model.to(wanted or stored).load_trained_state(tensors)
        if model.dtype == torch.float16 != stored:
            odd = next((name for name, tensor in model.named_parameters() if not all_finite(tensor)), None)
            if odd is not None:
                raise ValueError(f"{odd} holds values that are too large for float16; take bfloat16 or float32")
        model.features = features
        return model

    @classmethod
    def _of_record(cls, record: store.ModelRecord, loaded: LoadedEncoder) -> ConditionalAdapterModel:
        return cls(loaded, record.labels, record.conditional, record.fields, record.origins, record.label_rows)

    def save_base(self, folder: Path) -> None:
        """Write the encoder without its adapters, in float32, as transformers reads it."""
        state = self.encoder.state_dict()
        save_encoder(folder, self._encoder_config, {key: state[key].float() for key in sorted(self._base_keys)})

    def export_adapter(self, name: str, folder: Path | str) -> Path:
        """Write one task as a stock adapter of `adapters`; see ``metaeval_hub.model.export.export_adapter``."""
        return export_adapter(self, name, folder)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        message: str = "Upload conditional adapter model",
        include_base: bool | None = None,
        results: Mapping[str, Mapping[str, float | None]] | None = None,
        parent_commit: str | None = None,
    ) -> str:
        """Save the model and send it to the Hub in one commit; files of an earlier model there go in the same one.

        Args:
            repo_id: "org/name", made if it does not exist; "name" alone is one of the user that the token belongs to.
            private: whether a new repository is private.
            revision: branch to push to.
            token: with write access; the one logged in by default.
            message: summary of the commit.
            include_base: see ``save_pretrained``.
            results: see ``save_pretrained``.
            parent_commit: full id of the commit that must be the branch's last, so that nobody's push is lost.

        Returns:
            The address of the commit.

        Raises:
            ValueError: ``repo_id`` has another form; nothing was written.
            ConflictError: ``parent_commit`` is not the branch's last commit.
            HubError: nobody is logged in; or the Hub refused, with its reason, or does not answer.
        """
        repo_id = push_target(repo_id, token)
        with tempfile.TemporaryDirectory() as folder:
            self._save(Path(folder), include_base, results, repo_id)
            commit = push_folder(
                folder,
                repo_id,
                private=private,
                revision=revision,
                message=message,
                token=token,
                remove=(*store.OWN_FILES, *FEATURE_FILES),
                parent_commit=parent_commit,
            )
        return commit.commit_url


def _rebuild(
    kind: type[ConditionalAdapterModel],
    tokenizer: Any,
    encoder_config: dict[str, Any],
    base: BaseEncoder,
    labels: Mapping[str, Sequence[str]],
    config: ConditionalConfig,
    options: dict[str, Any],
    features: TaskFeatures | None,
    state: dict[str, Tensor],
    frozen: set[str],
    training: bool,
) -> ConditionalAdapterModel:
    """Make a model of what ``ConditionalAdapterModel.__reduce__`` returned."""
    with building():
        module = rebuild_encoder(encoder_config, base.id)
        model = kind(LoadedEncoder(module, tokenizer, encoder_config, base), labels, config, **options)
    weight = state["heads.weight"]
    model.to(weight.device, weight.dtype).load_state_dict(state, assign=True)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name not in frozen
    model.features = features
    return model.train(training)


def _dtype(value: torch.dtype | str) -> torch.dtype:
    found = next((dtype for name, dtype in store.DTYPES.items() if value in (name, dtype)), None)
    if found is None:
        raise ValueError(f"dtype is {value!r}; expected one of {', '.join(store.DTYPES)}")
    return found
