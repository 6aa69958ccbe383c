"""ConditionalAdapterModel: one frozen encoder, one conditional adapter, one embedding and classifier per task."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from metaeval_hub.conditional.config import ConditionalConfig
from metaeval_hub.conditional.feature_matrix import Features, feature_matrix
from metaeval_hub.encoders.encoder import load_encoder
from metaeval_hub.encoders.tokens import Text
from metaeval_hub.encoders.weights import building
from metaeval_hub.hub.download import CacheOptions
from metaeval_hub.model import auto
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.few_shot import fit_task, warn_of_earlier_arguments
from metaeval_hub.model.multi_task_classifier import MultiTaskClassifier
from metaeval_hub.model.prediction import Prediction, checked_logits
from metaeval_hub.model.scoring import evaluate_task
from metaeval_hub.model.sequence_classifier import TaskClassifier
from metaeval_hub.model.storage import check_place, load_model, push_model, save_model
from metaeval_hub.model.suggestion import Suggestion, suggest
from metaeval_hub.model.task_changes import add_tasks, remove_tasks
from metaeval_hub.model.task_values import checked_labels
from metaeval_hub.model.zero_shot import By, Description, zero_shot
from metaeval_hub.safe_files.names import list_of_names
from metaeval_hub.safe_files.replace_folder import target_folder
from metaeval_hub.task_data.origins import TaskOrigin


class ConditionalAdapterModel(ModelCore):
    """One model for many classification tasks (Sileo & Moens 2022, section 3).

    Create a model with ``create`` or ``from_pretrained``. The encoder is frozen. Training changes one adapter shared by
    all tasks, one embedding z per task that conditions the adapter, and one softmax classifier per task. The paper's
    baselines have the same interface: a stock adapter without z, and full fine-tuning without an adapter.

    Several threads may predict with one model at the same time, with its methods or with pipelines over ``for_task``.
    Train the model and add or remove tasks only while no other thread uses it.
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
        label_vectors: Mapping[str, Sequence[str]] | None = None,
        seed: int = 0,
        revision: str | None = None,
        vocabulary: Iterable[str] | None = None,
        token: str | bool | None = None,
        cache_dir: Path | str | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
    ) -> ConditionalAdapterModel:
        """Create an untrained model.

        Args:
            encoder: a Hub id, a folder, "minilm" or "tiny"; see ``metaeval_hub.encoders.encoder.load_encoder``.
            labels: task name -> class names; a task's id is its place in this order.
            config: the conditioning; the default is the paper's.
            fields: task name -> 1 for a task over texts, 2 for a task over pairs. The task then refuses the other form;
                tasks that are missing accept both.
            origins: task name -> where its rows come from, for the model's card; tasks may be missing.
            task_features: the features that z is computed from if ``config.z_from`` is "features" or "both": (n, F) in
                the order of ``labels``, or task name -> (F,), where further tasks are allowed. They are standardized
                and stored with the model.
            label_vectors: task name -> name of the label vector of each class, such as ``TaskSpec.canonical``. Classes
                with the same name share a vector, so that the model can answer a new task with known labels (section
                5.6). Tasks that are missing share none.
            seed: seed of all random initial values; the state of the global generator does not change.
            revision: branch, tag or commit of a Hub id.
            vocabulary: texts whose words the tokenizer of "tiny" knows.
            token: token for private repositories.
            cache_dir: see ``from_pretrained``.
            force_download: see ``from_pretrained``.
            local_files_only: see ``from_pretrained``.

        Raises:
            ValueError: an argument is invalid; the message names it.
            UnsafeRepositoryError: the encoder's repository contains something that is not loaded.
        """
        config = config or ConditionalConfig()
        cache = CacheOptions(cache_dir, force_download, local_files_only)
        labels = checked_labels(labels)
        matrix = None
        if (task_features is None) != (config.z_from == "table"):
            raise ValueError(
                f"z_from is {config.z_from!r} and task_features are {'missing' if task_features is None else 'given'}; "
                "give them with z_from='features' or 'both', and only then"
            )
        if task_features is not None:
            matrix = feature_matrix(task_features, tuple(labels))
            if config.dim_features not in (0, matrix.shape[1]):
                raise ValueError(
                    f"dim_features is {config.dim_features}, but task_features have {matrix.shape[1]} columns"
                )
            config = replace(config, dim_features=matrix.shape[1])
        loaded = load_encoder(encoder, revision=revision, vocabulary=vocabulary, seed=seed, token=token, cache=cache)
        with building(seed):
            model = cls(loaded, labels, config, fields, origins, label_vectors)
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
        label_vectors: Sequence[str] | None = None,
        fields: int | None = None,
        origin: TaskOrigin | None = None,
    ) -> int:
        """Add a task: an embedding and a classifier. The other tasks stay bit-identical.

        Recreate optimizers afterwards.

        Args:
            name: a name that no task of the model has.
            labels: class names.
            task_embedding: (Z,), the embedding that the adapters receive, or (K, Z) with several per task; None uses
                ``expected_embeddings``, the best estimate without examples. If the model projects a table to z
                (``dim_table``), the task gets the shortest vector that is projected to this embedding.
            task_features: (F,), if z is computed from features.
            label_vectors: name of the shared label vector of each class. An existing vector keeps its weights, so that
                a task with known labels can be answered without training; a new one starts at zero.
            fields: 1 for a task over texts, 2 for a task over pairs; None accepts both.
            origin: the source of its rows, for the model card.

        Returns:
            The task's id.

        Raises:
            ValueError: the name is taken, the classes are invalid, or the embedding or features are missing, have the
                wrong shape, are not used by this model, or cannot be computed by its projection.
        """
        add_tasks(
            self,
            {name: labels},
            task_embeddings=None if task_embedding is None else {name: task_embedding},
            task_features=None if task_features is None else {name: task_features},
            label_vectors=None if label_vectors is None else {name: label_vectors},
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
        label_vectors: Mapping[str, Sequence[str]] | None = None,
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
            label_vectors=label_vectors,
            fields=fields,
            origins=origins,
        )

    def remove_task(self, name: str) -> None:
        """Remove a task; later tasks move up by one id. Recreate optimizers afterwards.

        Raises:
            KeyError: the model has no such task.
            ValueError: it is the only task.
        """
        remove_tasks(self, [name])

    def remove_tasks(self, names: Iterable[str]) -> None:
        """Remove several tasks at once; errors as in ``remove_task``."""
        remove_tasks(self, names)

    def logits(self, name: str, texts: Iterable[Text], *, batch_size: int = 32, progress: bool | None = None) -> Tensor:
        """Return the logits of texts for one task, (N, C) float32 on the CPU.

        Args:
            name: a task of this model.
            texts: N strings, or N pairs for a task over pairs.
            batch_size: number of texts per batch; texts of similar length share a batch.
            progress: whether to show a progress bar; None shows one for more than 50 batches.

        Raises:
            KeyError: the model has no such task.
            TypeError: see ``tokenize``; or the task is over pairs and the texts are not, or the other way round.
        """
        return checked_logits(self, [name], texts, batch_size, progress)[name]

    def predict(
        self, name: str, texts: Iterable[Text], *, batch_size: int = 32, progress: bool | None = None
    ) -> Prediction:
        """Classify texts with one task; arguments and errors as in ``logits``."""
        return self._prediction(name, self.logits(name, texts, batch_size=batch_size, progress=progress))

    def predict_tasks(
        self, names: Sequence[str], texts: Iterable[Text], *, batch_size: int = 32, progress: bool | None = None
    ) -> dict[str, Prediction]:
        """Classify the same texts with several tasks, faster than with one call of ``predict`` per task.

        The probabilities equal those of ``predict`` up to rounding; ``metaeval_hub.model.prediction`` explains why.

        Args:
            names: distinct tasks of this model, all over texts or all over pairs.
            texts: N strings, or N pairs.
            batch_size: largest number of (text, task) combinations per batch.
            progress: as in ``logits``.

        Returns:
            Task name -> its predictions, in the order of ``names``.

        Raises:
            KeyError: the model has no such task.
            TypeError: see ``logits``; or ``names`` is one string.
            ValueError: a name is repeated.
        """
        found = checked_logits(self, list_of_names(names), texts, batch_size, progress)
        return {name: self._prediction(name, logits) for name, logits in found.items()}

    def _prediction(self, name: str, logits: Tensor) -> Prediction:
        probabilities, names = logits.softmax(dim=-1), self.labels[name]
        labels = [names[i] for i in probabilities.argmax(dim=-1).tolist()]
        return Prediction(labels, probabilities.numpy(), names)

    def evaluate(self, name: str, data: Any, *, batch_size: int = 32, progress: bool | None = None) -> dict[str, float]:
        """Return accuracy, macro-F1 and Matthews' correlation of a task on labelled rows.

        For arguments and errors see ``metaeval_hub.model.scoring.evaluate_task``.
        """
        return evaluate_task(self, name, data, batch_size=batch_size, progress=progress)

    def suggest(self, texts: Sequence[Text], count: int = 20, **options: Any) -> list[Suggestion]:
        """Suggest which unlabelled texts to label next; for arguments see ``metaeval_hub.model.suggestion.suggest``."""
        return suggest(self, texts, count, **options)

    def for_task(self, name: str) -> TaskClassifier:
        """Return one task as a stock sequence classifier, for ``transformers.pipeline``; the weights are shared.

        Raises:
            KeyError: the model has no such task.
        """
        return TaskClassifier(self, name)

    def for_trainer(self) -> MultiTaskClassifier:
        """Return all tasks as one model of transformers, for ``transformers.Trainer``; the weights are shared.

        Its batches come from ``metaeval_hub.TaskCollator``, and its checkpoints have the format of ``save_pretrained``.
        """
        return MultiTaskClassifier(self)

    def fit_task(
        self,
        name: str,
        examples: Any,
        labels: Iterable[str] | None = None,
        *,
        seed: int = 0,
        progress: bool = False,
        task_features: ArrayLike | None = None,
        label_vectors: Sequence[str] | None = None,
        start: str | None = None,
        groups: Iterable[Hashable] | None = None,
        **earlier: Any,
    ) -> TaskClassifier:
        """Add a task from a few labelled examples by fitting only a classifier; return it as ``for_task`` does.

        The classifier's ``fit_report`` states which features it reads: those of the frozen or of the adapted encoder.

        For arguments and errors see ``metaeval_hub.model.few_shot.fit_task``. The arguments of the earlier fit by
        gradient steps (``steps``, ``batch_size``, ``z_lr``, ``head_lr``) have no effect and cause a warning.
        """
        warn_of_earlier_arguments(earlier)
        report = fit_task(
            self, name, examples, labels, seed=seed, progress=progress, task_features=task_features,
            label_vectors=label_vectors, start=start, groups=groups,
        )  # fmt: skip
        classifier = self.for_task(name)
        classifier.fit_report = report
        return classifier

    def zero_shot(
        self,
        name: str,
        description: Description,
        labels: Sequence[str] | Mapping[str, str],
        *,
        by: By | Literal["names"] = "aspects",
    ) -> TaskClassifier:
        """Add a task from a description, without labelled examples; return it as ``for_task`` does.

        The classifier's ``evidence`` has the nearest tasks and the label vector that scores each class. If you have
        labelled examples later, ``fit_task(..., start=name)`` starts from it.

        For arguments and errors see ``metaeval_hub.model.zero_shot.zero_shot``.
        """
        evidence = zero_shot(self, name, description, labels, by=by)
        classifier = self.for_task(name)
        classifier.evidence = evidence
        return classifier

    def save_pretrained(
        self,
        folder: Path | str,
        *,
        include_base: bool | None = None,
        results: Mapping[str, Mapping[str, float | None]] | None = None,
    ) -> Path:
        """Save the trained tensors, the tasks, the tokenizer and a card.

        Args:
            folder: created if it does not exist. The files of an earlier model in it are replaced together, once the
                new ones are complete: if saving fails, the earlier model stays intact.
            include_base: whether to save the encoder's weights. None saves them only for an encoder that came from
                neither the Hub nor a package. Full fine-tuning never saves a second encoder.
            results: task name -> "majority", "validation" and "test" accuracy in [0, 1], for the card.

        Returns:
            The folder.

        Raises:
            ValueError: the encoder cannot be left out, or the weights are not finite, or they are not all float32,
                float16 or bfloat16.
            OSError: the files cannot be written; the message names the obstacle.
        """
        check_place(target_folder(folder))
        return save_model(self, folder, include_base, results)

    @classmethod
    def from_pretrained(
        cls,
        name: Path | str,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        dtype: torch.dtype | str | None = None,
        cache_dir: Path | str | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
    ) -> ConditionalAdapterModel:
        """Load a model from a folder or from the Hub, without executing anything from there.

        Args:
            name: a folder written by ``save_pretrained``, or a Hub id.
            revision: branch, tag or commit on the Hub.
            token: token for private repositories.
            dtype: dtype of the loaded weights: torch.float32, float16 or bfloat16, or its name. None keeps the stored
                dtype, which gives the same bits as the saved model.
            cache_dir: cache folder for downloads; None uses that of huggingface_hub.
            force_download: download the files again even if they are in the cache.
            local_files_only: send no request, and use only files in the cache, also for the encoder.

        Raises:
            ValueError: ``name`` is neither a folder nor a Hub id, ``dtype`` is not supported or overflows, or the
                encoder is not the one that the model was trained with.
            UnsafeRepositoryError: a file is missing, malformed, or asks for code to be run.
            HubError: reading from the Hub failed, or a file is not in the cache although it should be.
        """
        cache = CacheOptions(cache_dir, force_download, local_files_only)
        return load_model(cls, name, revision, token, dtype, cache)

    def export_adapter(self, name: str, folder: Path | str) -> Path:
        """Export one task as a stock adapter of `adapters`; see ``metaeval_hub.model.export.export_adapter``."""
        from metaeval_hub.model.export import export_adapter  # needs `adapters`, an optional extra

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
        """Save the model and push it to the Hub in one commit, which also deletes leftover files of an earlier model.

        Args:
            repo_id: "org/name", created if it does not exist; "name" alone means a repository of the token's user.
            private: whether a new repository is private.
            revision: branch to push to.
            token: a token with write access; the default is the token that you are logged in with.
            message: summary of the commit.
            include_base: see ``save_pretrained``.
            results: see ``save_pretrained``.
            parent_commit: full id of the commit that must be the last of the branch, to overwrite no other push.

        Returns:
            The URL of the commit.

        Raises:
            ValueError: ``repo_id`` is not a repository id; nothing was written.
            ConflictError: ``parent_commit`` is not the branch's last commit.
            HubError: no one is logged in, the Hub refused (with its reason), or it does not answer.
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


auto.register(ConditionalAdapterModel.from_pretrained)
