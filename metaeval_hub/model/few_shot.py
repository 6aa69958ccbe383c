"""Fit a new task to a few labelled examples: a logistic regression on the features that suit the task best."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from metaeval_hub.encoders.weights import all_finite
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.feature_choice import Candidate, FitReport, choose, encode_candidates
from metaeval_hub.model.label_heads import vector_keys
from metaeval_hub.model.labelled_rows import LabelledRows, plain, read_rows
from metaeval_hub.model.logistic import Linear
from metaeval_hub.model.task_changes import add_tasks, check_new
from metaeval_hub.model.task_copies import copy_private_part
from metaeval_hub.safe_files.names import task_name
from metaeval_hub.task_data.origins import TaskOrigin

ENOUGH_FOR_LAYERS = 16  # with fewer rows, classifiers that read all layers were not better on 35 held-out tasks
EARLIER_ARGUMENTS = ("steps", "batch_size", "z_lr", "head_lr")


def fit_task(
    model: ModelCore,
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
) -> FitReport:
    """Add a task to a model and fit its classifier to examples. All other tasks of the model stay bit-identical.

    The classifier is a logistic regression. Cross-validation on the examples chooses C, and the features among those
    of the encoder without adapters and of the adapted encoder, under the z expected of an unseen task and under the z
    of ``start``. From 16 examples on, the means of all layers are candidates too, and not only the last layer. The
    names of the classes count as further examples, unless a classifier of them is known. No weight of the encoder or
    the adapter changes.

    Args:
        model: a trained model.
        name: name of the new task.
        examples: a ``datasets.Dataset``, a data frame of pandas or a list of dictionaries with the columns ``label``
            and ``sentence`` (or ``text``; or ``sentence1`` and ``sentence2``; or ``text`` and ``text_pair``); or
            (text, class) and ((text, text), class) tuples.
        labels: class names; None uses those of ``start``, of the dataset's ClassLabel, or the sorted names among the
            examples. If the ClassLabel has any of these names, class numbers refer to its order.
        seed: seed of the folds of the cross-validation.
        progress: whether to show a progress bar. Never if those of huggingface_hub or datasets are switched off.
        task_features: (F,) features of the task, for a model that computes z from features.
        label_vectors: names of the shared label vectors towards which the classifier is regularized, one per class.
            They are copied, so the tasks that share them do not change.
        start: a task of the model, such as one added by ``zero_shot``. Its z, with its private part, becomes a
            candidate, and its classifier the one towards which the new classifier is regularized.
        groups: a value per example, such as the customer who wrote the text. Examples with equal values share a fold.

    Returns:
        Which features were chosen, and the scores of all candidates.

    Raises:
        ValueError: the name is taken, there are no examples, a class is not among ``labels``, the features are missing
            or do not fit, a label vector does not exist, or ``start`` is a task over pairs and the examples are single
            texts, or the other way round; or there are more or fewer ``groups`` than examples.
        TypeError: the examples have the wrong type.
    """
    prepared = prepare_fit(
        model, name, examples, labels, task_features=task_features, label_vectors=label_vectors, start=start,
        groups=groups,
    )  # fmt: skip
    features = encode_candidates(model, name, prepared.candidates, prepared.rows, progress=progress)
    return add_fitted(model, prepared, features, seed=seed)


@dataclass(frozen=True, eq=False)
class PreparedFit:
    """A new task whose arguments are checked, before anything is computed; ``prepare_fit`` returns it.

    Args:
        name: of the task.
        rows: its labelled rows.
        candidates: the features that its classifier may read.
        task_features: (F,) its features, for a model that computes z from features.
        origin: where its rows come from, if that is known.
        groups: (k,) a number per labelled row that is equal for the rows of a group; None: every row is its own group.
    """

    name: str
    rows: LabelledRows
    candidates: Sequence[Candidate]
    task_features: ArrayLike | None
    origin: TaskOrigin | None
    groups: NDArray[np.int64] | None = None


def prepare_fit(
    model: ModelCore,
    name: str,
    examples: Any,
    labels: Iterable[str] | None = None,
    *,
    task_features: ArrayLike | None = None,
    label_vectors: Sequence[str] | None = None,
    start: str | None = None,
    groups: Iterable[Hashable] | None = None,
) -> PreparedFit:
    """Check the arguments of a fit and read its rows; ``fit_task`` describes arguments and errors."""
    if name in model.task_names:
        raise ValueError(f"the model has a task {name!r} already; remove_task({name!r}) first to fit it again")
    name = task_name(name)
    if start is not None:
        model.task_id(start)  # raises for an unknown task
        labels = model.labels[start] if labels is None else labels
        task_features = _features_of(model, start) if task_features is None else task_features
    rows, origin = read_rows(name, examples, labels), TaskOrigin.of_dataset(examples)
    check_new(model, {name: rows.names}, None, {name: rows.fields}, {name: origin} if origin else None)
    if start is not None:
        _check_form(name, rows.fields, start, model.fields.get(start, rows.fields))
    candidates = _candidates(model, name, rows, task_features, label_vectors, start)
    return PreparedFit(name, rows, candidates, task_features, origin, _numbers_of_groups(name, groups, len(rows.texts)))


def _numbers_of_groups(name: str, groups: Iterable[Hashable] | None, count: int) -> NDArray[np.int64] | None:
    """Return a number per row, (k,), that is equal for equal values."""
    if groups is None:
        return None
    if not isinstance(groups, Iterable):
        raise ValueError(f"{name}: groups is {groups!r}; give a list with one value per example")
    values = [plain(value) for value in groups]
    if wrong := [value for value in values if not isinstance(value, Hashable)]:
        raise ValueError(f"{name}: groups contains {wrong[0]!r}; give a text or a number per example")
    if len(values) != count:
        raise ValueError(f"{name}: groups has {len(values):,} values for {count:,} examples; give one per example")
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int64)


def add_fitted(
    model: ModelCore, prepared: PreparedFit, features: Mapping[str, NDArray[np.float32]], *, seed: int = 0
) -> FitReport:
    """Choose the features and C, fit the classifier, and add the task to the model.

    Args:
        model: the model that ``prepare_fit`` checked.
        prepared: the new task.
        features: result of ``encode_candidates``.
        seed: see ``fit_task``.
    """
    name, rows = prepared.name, prepared.rows
    chosen, linear, report = choose(
        prepared.candidates, features, rows.classes, len(rows.names), groups=prepared.groups, seed=seed
    )
    weight, bias = (torch.tensor(values, dtype=model.dtype) for values in (linear.weight, linear.bias))
    if not (all_finite(weight) and all_finite(bias)):
        raise ValueError(f"{name}: the fitted values are not finite in {model.dtype}; use another dtype")
    sets_z = chosen.z is not None and model.config.z_from != "features"
    add_tasks(
        model,
        {name: rows.names},
        task_embeddings={name: chosen.z[0].cpu().numpy()} if sets_z else None,  # type: ignore[index]
        task_features=None if prepared.task_features is None else {name: prepared.task_features},
        fields={name: rows.fields},
        origins={name: prepared.origin} if prepared.origin else None,
        frozen=[name] if chosen.frozen else (),
        layered=[name] if chosen.all_layers else (),
    )
    with torch.no_grad():
        vectors = model.heads.table[model.task_id(name), : len(rows.names)]
        if chosen.all_layers:
            readout = model.readouts.of_task(name)
            readout.copy_(weight.view_as(readout))
            weight = torch.eye(len(weight), model.heads.weight.shape[1], dtype=model.dtype)
        model.heads.weight[vectors] = weight.to(model.device)
        model.heads.bias[vectors] = bias.to(model.device)
        if chosen.private_of:
            copy_private_part(model, chosen.private_of, model, name)
    return report


def warn_of_earlier_arguments(given: Collection[str]) -> None:
    """Warn of arguments that only the earlier fit by gradient steps used.

    Raises:
        TypeError: an argument never existed.
    """
    for name in given:
        if name not in EARLIER_ARGUMENTS:
            raise TypeError(f"fit_task() got an unexpected keyword argument {name!r}")
    if given:
        warnings.warn(
            f"fit_task takes no gradient steps any more, so {', '.join(given)} has no effect; leave it out",
            DeprecationWarning,
            stacklevel=3,
        )


@torch.no_grad()
def _candidates(
    model: ModelCore,
    name: str,
    rows: LabelledRows,
    task_features: ArrayLike | None,
    label_vectors: Sequence[str] | None,
    start: str | None,
) -> list[Candidate]:
    """Return the features that the classifier may read; in a tie, the earlier candidate is chosen."""
    prior = _prior(name, model, rows.names, label_vectors, start)
    if not model.config.has_task_embeddings and task_features is None:
        adapted = [Candidate("adapted")]
    else:
        features = None if task_features is None else np.atleast_2d(np.asarray(task_features))
        adapted = [Candidate("expected z", model.conditioning.expect(features).float())]  # raises without z or features
    private_of = start if start in model.private_tasks else None
    if start is not None and model.config.has_task_embeddings:
        z = model.conditioning(torch.tensor([model.task_id(start)], device=model.device)).float()
        adapted.append(Candidate(f"z of {start}", z, private_of=private_of))
    elif private_of:
        adapted.append(Candidate(f"private part of {start}", private_of=private_of))
    frozen = [] if model.adapter is None else [Candidate("frozen", adapted[-1].z, frozen=True)]
    layered = []
    if frozen and len(rows.texts) >= ENOUGH_FOR_LAYERS and len(rows.names) <= model.heads.weight.shape[1]:
        layered = [replace(each, name=f"{each.name}, all layers", all_layers=True) for each in (*frozen, adapted[-1])]
    if prior is None:
        return [*frozen, *adapted, *layered]
    # First, so that few examples do not undo what a description or other tasks give.
    known = replace(adapted[-1], name=f"{adapted[-1].name}, known classifier", prior=prior)
    if start in model.frozen_tasks:
        known = replace(frozen[0], name=f"frozen, classifier of {start}", prior=prior)
    known = replace(known, all_layers=start in model.layered_tasks)
    return [known, *frozen, *adapted, *layered]


def _check_form(name: str, given: int, start: str, expected: int) -> None:
    """Check that the examples have the form (texts or pairs) of the task that the fit starts from."""
    if given != expected:
        forms = {1: "single texts", 2: "pairs of texts"}
        raise ValueError(
            f"{name}: the examples are {forms[given]}, and start={start!r} is a task over {forms[expected]}; give "
            f"{forms[expected]}, or another start"
        )


def _features_of(model: ModelCore, task: str) -> NDArray[np.float32] | None:
    """Return the features of a task as they were given, (F,); None if z is not computed from features."""
    if model.config.z_from == "table" or not model.config.has_task_embeddings:
        return None
    conditioning = model.conditioning
    mean, scale = conditioning.feature_mean.cpu(), conditioning.feature_scale.cpu()
    scaled = conditioning.features[model.task_id(task)].detach().float().cpu()
    # A feature that is constant over tasks has scale 0; its value is the mean.
    return (mean + torch.where(scale > 0, scaled / scale.clamp(min=1e-30), 0.0)).numpy()


def _prior(
    name: str, model: ModelCore, names: Sequence[str], label_vectors: Sequence[str] | None, start: str | None
) -> Linear | None:
    """Return the classifier towards which the new one is regularized; None if none is given."""
    heads = model.heads
    if start is not None:
        if label_vectors is not None:
            raise ValueError(
                f"{name}: both start={start!r} and label_vectors are given; give only one initial classifier"
            )
        if set(model.labels[start]) != set(names):
            raise ValueError(f"{name}: the classes are {list(names)}, not the {list(model.labels[start])} of {start}")
        of_start = heads.table[model.task_id(start)]
        vectors = [int(of_start[model.labels[start].index(each)]) for each in names]
    elif label_vectors is not None:
        vector_keys({name: names}, {name: label_vectors})  # raises if they do not fit
        vectors = [heads.find(vector) for vector in label_vectors]
    else:
        return None
    weight, bias = (each.detach()[vectors].double().cpu().numpy() for each in (heads.weight, heads.bias))
    if start is not None and start in model.layered_tasks:
        readout = model.readouts.of_task(start).detach().flatten(1).double().cpu().numpy()
        weight = weight[:, : len(readout)] @ readout
    return Linear(weight, bias)
