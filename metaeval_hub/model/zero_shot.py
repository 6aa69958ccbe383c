"""Add a task without labels to a model, from a description of the task (Sileo & Moens 2022, section 5.6).

The task's z is predicted from its description, and its classes are scored by label vectors that other tasks trained
under the same names. The model must have shared label vectors and store the features of its tasks; training with
--share-labels writes both. With ``by="names"``, the texts are compared with the names of the classes instead, which any
model with a frozen encoder can do.
"""

from __future__ import annotations

import difflib
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Literal, get_args
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from metaeval_datasets.aspects import Aspects, count_words
from metaeval_datasets.spec import TaskType, normal_name
from metaeval_hub.encoders.text_vectors import count_tokens, domain_vector, text_embedding
from metaeval_hub.encoders.tokens import Text, as_texts
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.name_classifier import classify_by_names, set_classifier
from metaeval_hub.model.task_changes import add_tasks
from metaeval_hub.safe_files.names import class_names, first_names
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.task_data.task_features import TaskFeatures
from metaeval_hub.task_data.z_prediction import fit_ridge, mean_of_type, nearest_to

logger = logging.getLogger(__name__)

By = Literal["aspects", "texts", "type"]
NEAREST = 5
# A ridge regression on noise explains a little of the variance, because its penalty is chosen on the same tasks: less
# than this share in 19 of 20 draws of 12 or more tasks (25 features, default size of z), a tenth of it for 100 tasks.
NOTHING_EXPLAINED = 0.02
_WARNED: WeakKeyDictionary[ModelCore, set[By]] = WeakKeyDictionary()  # warnings already given, per model


@dataclass(frozen=True)
class Description:
    """A description of a task without labelled examples.

    Args:
        type: its task type, by name: one of ``metaeval_datasets.TaskType`` ("emotion", "nli", "other", ...).
        texts: unlabelled texts, or pairs of texts for a task over pairs; a few dozen are enough.
        train_rows: number of training rows of the task, 1 or more; None uses the average of the model's tasks.

    Raises:
        ValueError: ``texts`` is empty, mixes texts and pairs, or contains a text without words (or a pair of two such
            texts); the type is unknown; or ``train_rows`` is not a whole number of at least 1.
    """

    type: str
    texts: Sequence[Text]
    train_rows: int | None = None

    def __post_init__(self) -> None:
        kinds = [kind.value for kind in TaskType]
        name = self.type.value if isinstance(self.type, TaskType) else str(self.type).lower().replace(" ", "_")
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds, n=3)
            closest = f" closest: {', '.join(near)};" if near else ""
            raise ValueError(f"task type {self.type!r};{closest} expected one of {', '.join(kinds)}")
        object.__setattr__(self, "type", name)
        try:
            object.__setattr__(self, "texts", as_texts(self.texts))
        except TypeError as error:
            raise ValueError(str(error)) from None
        if not self.texts:
            raise ValueError(
                f"texts is {shown(self.texts)}; expected a list of one or more texts, or of pairs of texts"
            )
        for place, text in enumerate(self.texts):
            if not any(part.strip() for part in ((text,) if isinstance(text, str) else text)):
                raise ValueError(f"texts[{place}] is {shown(text)}; leave texts without words out")
        rows = self.train_rows
        if rows is not None and (isinstance(rows, bool) or not isinstance(rows, Integral) or rows < 1):
            raise ValueError(
                f"train_rows is {shown(rows)}; expected a whole number of at least 1, or None if it is unknown"
            )

    @property
    def fields(self) -> int:
        """Number of texts per example: 1 for texts, 2 for pairs."""
        return 1 if isinstance(self.texts[0], str) else 2

    def aspects(self, name: str, train_rows: int) -> Aspects:
        """Return the aspects of the task, as defined in ``metaeval_datasets.aspects``."""
        fields = [self.texts] if self.fields == 1 else list(zip(*self.texts, strict=True))
        words = sum(count_words(pa.array(list(field), pa.string())) for field in fields)
        return Aspects(name, train_rows, self.fields, float(np.median(words)), TaskType(self.type))


@dataclass(frozen=True, eq=False)
class ZeroShotEvidence:
    """What a zero-shot classifier is based on.

    Args:
        z: (Z,) the predicted task embedding.
        method: description of how z was predicted, such as "ridge from aspects of 40 tasks".
        nearest: the model's tasks with the nearest z, and the cosine to each, nearest first.
        label_vectors: class -> name of the label vector that scores it; None if no task has trained one, and for
            ``by="names"``.
        explained: share of the variance of z that the same prediction explains for the model's tasks, each left out in
            turn; 0 means that it is no better than the mean of all tasks. None if it is not measured.
    """

    z: NDArray[np.float32]
    method: str
    nearest: tuple[tuple[str, float], ...]
    label_vectors: Mapping[str, str | None]
    explained: float | None


def zero_shot(
    model: ModelCore,
    name: str,
    description: Description,
    labels: Sequence[str] | Mapping[str, str],
    *,
    by: By | Literal["names"] = "aspects",
) -> ZeroShotEvidence:
    """Add a task to a model without labelled examples; the model's other tasks stay bit-identical.

    A class without a trained label vector gets the mean of the task's other label vectors, so it is never predicted
    until examples are fitted. A warning says so if descriptions do not predict z for this model.

    Args:
        model: trained with shared label vectors, and with the features of its tasks; for ``by="names"``, any model
            with a frozen encoder.
        name: name of the new task.
        description: its type, some texts, and its size.
        labels: class names; or class name -> the label vector of the model that scores it ("good" -> "positive"), one
            of ``model.shared_labels``. For ``by="names"``, class name -> words that describe the class.
        by: predict z from "aspects", "texts" (TextEmb) or "type" (the mean embedding of the tasks of this type).
            Ignored by a model whose z is computed from features. "names" needs neither z nor label vectors: it scores
            each class by the texts of the description that are most similar to its name in the frozen encoder.

    Raises:
        ValueError: the model stores no features or shared label vectors, a named label vector does not exist, or
            fewer than two classes have a trained one; the message names the closest.
        TypeError: the description or the labels have the wrong type.
    """
    if by not in (ways := (*get_args(By), "names")):
        raise ValueError(f"by is {by!r}; expected one of {', '.join(ways)}")
    if not isinstance(description, Description):
        raise TypeError(
            f"description is {shown(description)}; expected Description(type, texts), as in "
            "metaeval_hub.Description('nli', [('a man swims', 'a man is wet')])"
        )
    names = class_names(name, labels.keys() if isinstance(labels, Mapping) else labels)
    if by == "names":
        return _by_names(model, name, description, dict(labels) if isinstance(labels, Mapping) else names)
    found = find_label_vectors(model, labels if isinstance(labels, Mapping) else names)
    z, features, method, explained = predict_z(model, name, description, by)
    new = {each: vector or f"{name}: {each}" for each, vector in found.items()}  # a name that no other task uses
    add_tasks(
        model,
        {name: names},
        task_embeddings=None if features is not None else {name: z},
        task_features=None if features is None else {name: features},
        label_vectors={name: tuple(new.values())},
        fields={name: description.fields},
    )
    _fill_unknown(model, found, new)
    assert model.features is not None  # noqa: S101 - predict_z checked them
    trained = [task for task in model.features.names if task in model.task_names]  # without tasks added after training
    known = model.task_embeddings.centroids().select(trained)
    if explained is not None and explained <= NOTHING_EXPLAINED:
        _warn_unpredictable(model, by)
    return ZeroShotEvidence(z, method, tuple(nearest_to(known, z, NEAREST)), found, explained)


def _by_names(
    model: ModelCore, name: str, description: Description, labels: Sequence[str] | Mapping[str, str]
) -> ZeroShotEvidence:
    """Add a task whose classifier compares the texts of the description with the names of the classes."""
    words = dict(labels) if isinstance(labels, Mapping) else {each: each for each in labels}
    if wrong := [each for each in words.values() if not isinstance(each, str) or not each.strip()]:
        raise TypeError(f"labels has {wrong[0]!r}; expected words that describe each class")
    linear = classify_by_names(model, description.texts, tuple(words.values()))
    features = _features_of_names(model, name, description)
    add_tasks(
        model,
        {name: tuple(words)},
        task_features=None if features is None else {name: features},
        fields={name: description.fields},
        frozen=[name],
    )
    set_classifier(model, name, linear)
    z = model.task_embeddings.centroids()[name] if model.config.has_task_embeddings else np.zeros(0, np.float32)
    return ZeroShotEvidence(z, "names of the classes", (), dict.fromkeys(words), None)


def _features_of_names(model: ModelCore, name: str, description: Description) -> NDArray[np.float64] | None:
    """Return the features that z is computed from; the classifier does not read z, but a later fit may."""
    if not model.config.has_task_embeddings or model.config.z_from == "table":
        return None
    return predict_z(model, name, description, "aspects")[1]


def find_label_vectors(model: ModelCore, labels: Sequence[str] | Mapping[str, str]) -> dict[str, str | None]:
    """Find the label vector of each class: by its name, or by its normal form ("Not entailment" -> "not_entailment").

    Args:
        model: a model whose tasks share label vectors.
        labels: class names, of which at least two must have a label vector; or class name -> name of its label
            vector, which must exist.

    Raises:
        TypeError: a name is not a string.
        ValueError: fewer than two classes have a label vector, or a named one does not exist; the message names the
            closest.
    """
    shared = set(model.heads.shared)
    if not shared:
        raise ValueError(
            "no tasks of this model share label vectors, which a new task needs; train with --share-labels"
        )
    wanted = dict(labels) if isinstance(labels, Mapping) else {each: each for each in labels}
    if odd := [vector for vector in wanted.values() if not isinstance(vector, str)]:
        raise TypeError(f"labels has {odd[0]!r}; expected names of classes, or {{class: label vector}}, all strings")
    found = {
        each: next((name for name in (vector, normal_name(vector)) if name in shared), None)
        for each, vector in wanted.items()
    }
    missing = {each: wanted[each] for each, vector in found.items() if vector is None}
    if not missing:
        return found
    described, where = _describe_missing(model, missing), "model.shared_labels lists all label vectors"
    too_few = len(found) - len(missing) < 2
    needed = "a classifier needs at least two classes with a trained label vector"
    if isinstance(labels, Mapping):
        raise ValueError(f"no label vector {described}; {where}" + (f"; {needed}" if too_few else ""))
    if too_few:
        raise ValueError(
            f"{needed}, and the model has none for {described}. Name the label vector of each class with "
            f"labels={{class: label vector}}; {where}"
        )
    logger.warning("no trained label vector for %s: never predicted until examples are fitted; %s", described, where)
    return found


def _describe_missing(model: ModelCore, missing: Mapping[str, str]) -> str:
    """Describe missing label vectors (class -> name) with the closest; if none is close, with the most common ones."""
    shared = model.shared_labels
    parts, none_close = [], False
    for each, vector in missing.items():
        near = difflib.get_close_matches(normal_name(vector), sorted(shared), n=3)
        named = repr(vector) if each == vector else f"{vector!r} (for class {each!r})"
        parts.append(f"{named}, closest: {', '.join(near) or 'none'}")
        none_close = none_close or not near
    common = first_names(sorted(shared, key=lambda vector: -len(shared[vector])))
    return "; ".join(parts) + (f"; label vectors of the model: {common}" if none_close else "")


def _warn_unpredictable(model: ModelCore, by: By) -> None:
    """Warn that descriptions do not predict z, once per model even if Python's registry of warnings is reset."""
    warned = _WARNED.setdefault(model, set())
    if by in warned:
        return
    warned.add(by)
    kind = "texts" if by == "texts" else "aspects"
    others = ["aspects"] * (by == "texts") + ["texts"] * (by == "aspects" and _has_text_emb(model)) + ["type"]
    warnings.warn(
        f"the {kind} of a description do not predict z for this model (evidence.explained is {NOTHING_EXPLAINED} or "
        f"less), so z is close to the mean of all tasks; train on more tasks, or try by="
        f"{' or by='.join(map(repr, others))}",
        stacklevel=4,  # points at the caller of model.zero_shot
    )


def _has_text_emb(model: ModelCore) -> bool:
    return model.features is not None and model.features.texts is not None


def predict_z(
    model: ModelCore, name: str, description: Description, by: By
) -> tuple[NDArray[np.float32], NDArray[np.float64] | None, str, float | None]:
    """Predict z for a described task.

    Returns:
        The predicted z, (Z,); the features (F,) it is computed from, or None if the model does not use features; a
        description of the method; and the share of variance that it explains for the model's own tasks.

    Raises:
        ValueError: the model does not store the data that the prediction needs.
    """
    features = model.features
    if features is None:
        raise ValueError("the model does not store the features of its tasks; train it again, or set model.features")
    if model.config.z_from != "table":
        vector = _of_model(model, features, name, description)
        z = model.expected_embeddings(vector[None])[0]
        return z, vector, f"features-aware ({model.config.dim_features} features)", None
    tasks = [task for task in features.names if task in model.task_names]
    known = features.select(tasks)
    values = model.task_embeddings.centroids().select(tasks).values
    if by == "type":
        kinds = [entry.type.value for entry in known.aspects]
        if description.type in kinds:
            return mean_of_type(values, kinds, description.type).astype(np.float32), None, "mean of its type", None
        logger.warning("no task of the model has type %s; using the mean of all tasks", description.type)
        return values.mean(axis=0), None, "mean of all tasks", None
    if by == "texts" and known.texts is None:
        raise ValueError("the model does not store TextEmb of its tasks; train with --text-emb, or use by='aspects'")
    matrix = known.code() if by == "aspects" else known.texts
    vector = code_aspects(model, known, name, description) if by == "aspects" else embed_texts(model, description)
    assert matrix is not None  # noqa: S101 - for the type checker
    ridge = fit_ridge(matrix, values)
    method = f"ridge from {'aspects' if by == 'aspects' else 'TextEmb'} of {len(tasks)} tasks"
    return ridge.predict(vector[None])[0].astype(np.float32), None, method, ridge.explained


def _of_model(model: ModelCore, features: TaskFeatures, name: str, description: Description) -> NDArray[np.float64]:
    """Return the features that the model computes z from, recognized by their number."""
    width = model.config.dim_features
    if width == len(features.columns):
        return code_aspects(model, features, name, description)
    if features.texts is not None and width == features.texts.shape[1]:
        return embed_texts(model, description)
    raise ValueError(
        f"z of this model is computed from {width} features, neither {len(features.columns)} aspects nor TextEmb; add "
        "the task with model.add_task(..., task_features=)"
    )


def code_aspects(model: ModelCore, features: TaskFeatures, name: str, description: Description) -> NDArray[np.float64]:
    """Return the aspects of a described task, (F,), coded as those of the model's tasks."""
    tokens = model.tokenize(description.texts)["input_ids"]
    table = model.encoder.get_input_embeddings().weight
    counts = count_tokens(tokens, table.shape[0], model.tokenizer.all_special_ids)
    words = domain_vector(model.encoder, counts)[None]
    [code] = features.code([description.aspects(name, description.train_rows or 0)], words)
    if description.train_rows is None:
        chosen = [i for i, column in enumerate(features.columns) if column.startswith("train_rows:")]
        code[chosen] = features.code()[:, chosen].mean(axis=0)
    return np.asarray(code, np.float64)


def embed_texts(model: ModelCore, description: Description) -> NDArray[np.float64]:
    """Return TextEmb of a described task, (H,)."""
    tokens = model.tokenize(description.texts)
    return text_embedding(model.encoder, model.tokenizer, tokens).astype(np.float64)


@torch.no_grad()
def _fill_unknown(model: ModelCore, found: Mapping[str, str | None], new: Mapping[str, str]) -> None:
    """Set label vectors that were not trained to the mean of the others, which never has the largest logit."""
    trained = [model.heads.find(vector) for vector in found.values() if vector is not None]
    for each, vector in found.items():
        if vector is None:
            place = model.heads.find(new[each])
            model.heads.weight[place] = model.heads.weight[trained].mean(dim=0)
            model.heads.bias[place] = model.heads.bias[trained].mean(dim=0)
