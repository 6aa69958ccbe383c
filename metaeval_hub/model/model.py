"""ConditionalAdapterModel: one frozen encoder, one conditional adapter, an embedding and a classifier a task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from metaeval_hub.conditional.conditioning import Features, feature_matrix
from metaeval_hub.conditional.config import ConditionalConfig
from metaeval_hub.encoders.encoder import load_encoder
from metaeval_hub.encoders.tokens import Text, as_texts
from metaeval_hub.encoders.weights import (
    building,
)
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.export import export_adapter
from metaeval_hub.model.few_shot import fit_task
from metaeval_hub.model.prediction import Prediction, task_logits
from metaeval_hub.model.sequence_classifier import TaskClassifier
from metaeval_hub.model.storage import load_model, push_model, save_model
from metaeval_hub.model.task_changes import (
    add_tasks,
    remove_tasks,
)
from metaeval_hub.model.task_values import checked_labels
from metaeval_hub.model.zero_shot import By, Description, zero_shot
from metaeval_hub.safe_files.names import check_count, list_of_names
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.task_data.origins import TaskOrigin


class ConditionalAdapterModel(ModelCore):
    """One model for many classification tasks (Sileo & Moens 2022, section 3).

    Made by ``create`` or ``from_pretrained``. The encoder is frozen; trained are an adapter common to all tasks, an
    embedding z a task that conditions it, and a softmax classifier a task. The paper's baselines have the same
    interface: a stock adapter without z, and full fine-tuning, where the encoder is trained and there is no adapter.

    Any number of threads may predict with one model at a time, by its own calls and by pipelines over ``for_task``.
    Train it, and add and remove tasks, while no other thread uses it.
    """

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
        return self.task_id(name)

    def add_tasks(
        self,
        labels: Mapping[str, Sequence[str]],
        *,
        task_embeddings: Mapping[str, ArrayLike] | None = None,
        task_features: Features | None = None,
        label_rows: Mapping[str, Sequence[str]] | None = None,
        fields: Mapping[str, int] | None = None,
        origins: Mapping[str, TaskOrigin] | None = None,
    ) -> None:
        """Add many tasks at once, which is faster than adding them one by one.

        See ``metaeval_hub.model.task_changes.add_tasks`` for arguments and errors.
        """
        add_tasks(
            self,
            labels,
            task_embeddings=task_embeddings,
            task_features=task_features,
            label_rows=label_rows,
            fields=fields,
            origins=origins,
        )

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
        with self._evaluation.hold(self):
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
        return save_model(self, folder, include_base, results)

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
        return load_model(cls, name, revision, token, dtype)

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
        return push_model(
            self,
            repo_id,
            private=private,
            revision=revision,
            token=token,
            message=message,
            include_base=include_base,
            results=results,
            parent_commit=parent_commit,
        )
