"""Fit a new task to a few labelled examples: only its classifier and, if the method has one, its embedding z."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from metaeval_hub.encoders.tokens import Text, as_texts, pad_rows
from metaeval_hub.encoders.weights import all_finite
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.label_heads import vector_keys
from metaeval_hub.model.task_changes import add_tasks, check_new
from metaeval_hub.safe_files.names import check_count, class_names, task_name
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.task_data.origins import TaskOrigin
from metaeval_hub.utils.progress import progress_bar

Example = tuple[Any, Any]  # text or pair, and its class: a name or a number


def fit_task(
    model: ModelCore,
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
    label_vectors: Sequence[str] | None = None,
    start: str | None = None,
) -> None:
    """Add a task to a model and fit it to examples. All other tasks of the model stay bit-identical.

    Args:
        model: a trained model.
        name: name of the new task.
        examples: a ``datasets.Dataset`` with the columns of a task (``sentence``, or ``sentence1`` and ``sentence2``,
            and ``label``), or (text, class) and ((text, text), class) tuples.
        labels: class names; None uses those of ``start``, of the dataset's ClassLabel, or the sorted names among the
            examples. If the ClassLabel has any of these names, class numbers refer to its order.
        steps: optimizer steps; the examples are shuffled again after each pass over them.
        batch_size: examples per step.
        z_lr: learning rate of z, which starts at the expected embedding of an unseen task.
        head_lr: learning rate of the classifier, which starts at zero or from ``label_vectors``.
        seed: seed of the shuffles.
        progress: whether to show a progress bar. Never if those of huggingface_hub or datasets are switched off.
        task_features: (F,) features of the task, for a model that computes z from features. If the model computes z
            only from features, only the classifier is fitted.
        label_vectors: names of the shared label vectors that the classifier starts from, one per class. They are
            copied, so the tasks that share them do not change.
        start: a task of the model whose z and classifier are used as initial values, such as one added by
            ``zero_shot``.

    Raises:
        ValueError: the name is taken, there are no examples, a class is not among ``labels``, the features are missing
            or do not fit, a label vector does not exist, or ``start`` is a task over pairs and the examples are single
            texts, or the other way round.
        TypeError: the examples have the wrong type.
    """
    if name in model.task_names:
        raise ValueError(f"the model has a task {name!r} already; remove_task({name!r}) first to fit it again")
    name = task_name(name)
    check_count("steps", steps)
    check_count("batch_size", batch_size)
    texts, classes = _columns(examples)
    if not texts:
        raise ValueError(f"{name}: examples is empty; give at least one (text, class) per class")
    if start is not None:
        model.task_id(start)  # raises for an unknown task
        labels = model.labels[start] if labels is None else labels
        task_features = _features_of(model, start) if task_features is None else task_features
    names = _class_names(name, examples, classes, labels)
    classes = _by_name(examples, classes, names)
    targets = torch.tensor([_index(name, i, value, names) for i, value in enumerate(classes)])
    fields, origin = 1 if isinstance(texts[0], str) else 2, TaskOrigin.of_dataset(examples)
    check_new(model, {name: names}, None, {name: fields}, {name: origin} if origin else None)
    tokens, pad_id = model.tokenize(texts), int(model.tokenizer.pad_token_id)
    if start is not None:
        _check_form(name, fields, start, model.fields.get(start, fields))

    z: Tensor | None = None
    fitted: list[nn.Parameter] = []
    features = None if task_features is None else np.atleast_2d(np.asarray(task_features))
    if model.config.has_task_embeddings or features is not None:
        # Fit in float32 even if the model is in half precision, which would round small steps of Adam to zero.
        if start is None:
            z = model.conditioning.expect(features).float()
        else:
            z = model.conditioning(torch.tensor([model.task_id(start)], device=model.device)).detach().float()
        if model.config.z_from != "features":
            z = nn.Parameter(z)
            fitted = [z]
    weight, bias = (nn.Parameter(each) for each in _start(name, model, names, label_vectors, start))
    optimizer = torch.optim.AdamW(
        [{"params": fitted, "lr": z_lr}, {"params": [weight, bias], "lr": head_lr}],
        weight_decay=0.0,
    )
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    with _only_new_weights(model):
        batches = _batches(len(texts), batch_size, torch.Generator().manual_seed(seed))
        for _ in progress_bar(range(steps), f"fit {name}", "step", shown=progress):
            rows = next(batches)
            batch = pad_rows(tokens, rows.tolist(), pad_id, model.device)
            pooled = model.encode(batch, z)
            loss = F.cross_entropy(F.linear(pooled.float(), weight, bias), targets[rows].to(model.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    if not all(all_finite(each.detach().to(model.dtype)) for each in (*fitted, weight, bias)):
        raise ValueError(
            f"{name}: the fitted values are not finite in {model.dtype}; lower z_lr or head_lr, and check that the "
            "model's own weights are finite"
        )
    add_tasks(
        model,
        {name: names},
        task_embeddings={name: fitted[0].detach()[0].cpu().numpy()} if fitted else None,
        task_features=None if task_features is None else {name: task_features},
        fields={name: fields},
        origins={name: origin} if origin else None,
    )
    with torch.no_grad():
        vectors = model.heads.table[model.task_id(name), : len(names)]
        model.heads.weight[vectors] = weight.to(model.dtype)
        model.heads.bias[vectors] = bias.to(model.dtype)


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


def _start(
    name: str,
    model: ModelCore,
    names: Sequence[str],
    label_vectors: Sequence[str] | None,
    start: str | None,
) -> tuple[Tensor, Tensor]:
    """Return the initial weights (C, H) and biases (C,) of the classifier, float32."""
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
        return heads.weight.detach()[vectors].float(), heads.bias.detach()[vectors].float()
    if label_vectors is None:
        size = (len(names), heads.weight.shape[1])
        return torch.zeros(size, device=model.device), torch.zeros(len(names), device=model.device)
    vector_keys({name: names}, {name: label_vectors})  # raises if they do not fit
    vectors = [heads.find(vector) for vector in label_vectors]
    return heads.weight.detach()[vectors].float(), heads.bias.detach()[vectors].float()


@contextmanager
def _only_new_weights(model: ModelCore) -> Iterator[None]:
    """Freeze the model in evaluation mode, so that the backward pass only reaches the fitted tensors."""
    was_training = model.training
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.eval()
    for parameter in trained:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad = True
        model.train(was_training)


def _columns(examples: Any) -> tuple[list[Text], list[Any]]:
    """Return the texts of the examples, and their classes as Python values."""
    names = getattr(examples, "column_names", None)
    if names is not None:
        if not isinstance(names, Sequence):
            raise TypeError("examples is a DatasetDict; give one of its splits, such as dataset['train']")
        if "label" not in names or not ({"sentence"} <= set(names) or {"sentence1", "sentence2"} <= set(names)):
            raise TypeError(
                f"the dataset has columns {list(names)}; expected sentence (or sentence1, sentence2), label"
            )
        columns = ["sentence", "label"] if "sentence" in names else ["sentence1", "sentence2", "label"]
        read = [list(examples[column]) for column in columns] if hasattr(examples, "__getitem__") else None
        if read is None:  # a stream
            rows = list(examples)
            read = [[row[column] for row in rows] for column in columns]
        *texts, labels = read
        return as_texts(texts[0] if len(texts) == 1 else zip(*texts, strict=True)), [plain(each) for each in labels]
    if isinstance(examples, (str, Mapping)) or hasattr(examples, "columns") or not isinstance(examples, Iterable):
        raise TypeError(f"examples is a {type(examples).__name__}; expected a Dataset or (text, class) tuples")
    pairs = list(examples)
    for i, pair in enumerate(pairs):
        if not (isinstance(pair, (tuple, list)) or getattr(pair, "ndim", 0) == 1) or len(pair) != 2:
            raise TypeError(f"examples[{i}] is {shown(pair)}; expected (text, class)")
    return as_texts([text for text, _ in pairs]), [plain(label) for _, label in pairs]


def plain(value: Any) -> Any:
    """Convert a number or string of numpy, torch or Arrow to Python; return anything else unchanged.

    >>> plain(np.int64(3)), plain(np.array("a")), plain(torch.tensor(True))
    (3, 'a', True)
    """
    if hasattr(value, "as_py"):
        return value.as_py()
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


def _class_names(name: str, examples: Any, classes: Sequence[Any], labels: Iterable[str] | None) -> tuple[str, ...]:
    if labels is None:
        feature = (getattr(examples, "features", None) or {}).get("label")
        labels = getattr(feature, "names", None)
    if labels is None:
        for i, value in enumerate(classes):
            _check_given(name, i, value)
        if not all(isinstance(value, str) for value in classes):
            raise ValueError(f"{name}: the classes are numbers; give their names with labels=")
        labels = sorted(set(classes))
    return class_names(name, labels)


def _check_given(name: str, place: int, value: Any) -> None:
    """Check that the class of an example is given, as a name or number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise ValueError(f"{name}: example {place} has class {value}; give it a class, or leave the example out")
    if not isinstance(value, (str, int)):
        raise ValueError(f"{name}: example {place} has class {shown(value)}; expected the name or number of a class")


def _by_name(examples: Any, classes: list[Any], names: Sequence[str]) -> list[Any]:
    """Convert class numbers of a dataset to names if its ClassLabel has any of these names, in any order."""
    own = getattr((getattr(examples, "features", None) or {}).get("label"), "names", None)
    if own is None or set(own).isdisjoint(names):
        return classes
    return [own[value] if _is_number(value, len(own)) else value for value in classes]


def _index(name: str, place: int, value: Any, names: tuple[str, ...]) -> int:
    _check_given(name, place, value)
    if isinstance(value, str) and value in names:
        return names.index(value)
    if _is_number(value, len(names)):
        return int(value)
    raise ValueError(f"{name}: example {place} has class {shown(value)}; expected one of {list(names)} or its number")


def _is_number(value: Any, end: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < end


def _batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        yield from torch.randperm(count, generator=generator).split(min(size, count))
