"""Store features of tasks that need no training: aspects, domain, TextEmb (Sileo & Moens 2022, section 5.5).

A model is stored with this table of its tasks, so that an unseen task can be described in the same terms: by quartiles
over the model's tasks, and by the clusters of their domains. Needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from metaeval_datasets.aspects import COLUMNS, Aspects, one_hot
from metaeval_datasets.spec import TaskType
from metaeval_hub.safe_files.allowed_values import is_number, is_whole
from metaeval_hub.safe_files.names import first_names, list_of_names
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.safe_files.replace_folder import replacing, target_folder
from metaeval_hub.safe_files.repository import UnsafeRepositoryError, check_inside, check_name, read_header, read_json
from metaeval_hub.task_data.domains import Domains, fit_domains

TABLE_FILE = "task_features.json"
TENSOR_FILE = "task_features.safetensors"
FEATURE_FILES = (TABLE_FILE, TENSOR_FILE)
FORMAT = "metaeval-task-features"

Aspect = Literal["domain_cluster", "train_rows", "text_fields", "task_type", "median_words"]
ASPECTS: tuple[Aspect, ...] = ("domain_cluster", "train_rows", "text_fields", "task_type", "median_words")
MAX_TASKS, MAX_ROWS = 100_000, 2**40
_TYPES = tuple(TaskType)


@dataclass(frozen=True, eq=False)
class TaskFeatures:
    """Store the features of n tasks; `compute_task_features` computes them, and a model is stored with them.

    Args:
        aspects: aspects of each task, in the order of the tasks.
        words: (n, E) float32 domain vectors.
        domains: the clusters, fitted to ``words``.
        texts: (n, H) float32 TextEmb: the average of the encoder's outputs over a task's texts; None if not computed.
        cosine_with_start: (n,) cosine of each task's z with its random start z0; None before training.

    Raises:
        ValueError: the shapes do not fit, a task is repeated, or a value is not finite.
    """

    aspects: tuple[Aspects, ...]
    words: NDArray[np.float32]
    domains: Domains
    texts: NDArray[np.float32] | None = None
    cosine_with_start: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "aspects", tuple(self.aspects))
        if not self.aspects or len(set(self.names)) != len(self.aspects):
            raise ValueError(f"expected one or more tasks, all different; got {shown(list(self.names))}")
        for name in ("words", "texts", "cosine_with_start"):
            value = getattr(self, name)
            if value is not None and (len(value) != len(self.aspects) or not np.isfinite(value).all()):
                raise ValueError(f"{name} has shape {value.shape} for {len(self.aspects)} tasks, or is not finite")

    def __repr__(self) -> str:
        """Return a line with the tasks."""
        return f"TaskFeatures({len(self.aspects)} tasks: {first_names(self.names)})"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the task names, in order."""
        return tuple(entry.task for entry in self.aspects)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns of `code`."""
        return (*COLUMNS, *(f"domain:{number}" for number in range(1, len(self.domains.weights) + 1)))

    def code(self, aspects: Sequence[Aspects] | None = None, words: NDArray[np.floating] | None = None) -> NDArray[Any]:
        """Return all five aspects as columns: one-hot, and the probabilities of the domains (phi of section 5.6).

        Args:
            aspects: aspects of m tasks; by default those of the table.
            words: (m, E) domain vectors of the same tasks.

        Returns:
            (m, 18 + c) float64. Quartiles and clusters are those of the tasks of the table.

        Raises:
            ValueError: the numbers of aspects and domain vectors differ.
        """
        if aspects is None:
            aspects, words = self.aspects, self.words
        if words is None or len(words) != len(aspects):
            raise ValueError(
                f"{len(aspects)} tasks need as many domain vectors; got {0 if words is None else len(words)}"
            )
        return np.hstack([one_hot(aspects, reference=self.aspects)[0], self.domains.activations(words)])

    def classes(self, aspect: Aspect) -> NDArray[np.int64]:
        """Return the class of each task in one aspect, (n,) from 0, which a probe predicts (table 4).

        The class is a quartile, the number of text fields minus 1, the place among the task types, or the most probable
        cluster.
        """
        if aspect == "domain_cluster":
            return self.domains.activations(self.words).argmax(axis=1)
        chosen = [i for i, column in enumerate(COLUMNS) if column.startswith(f"{aspect}:")]
        return one_hot(self.aspects)[0][:, chosen].argmax(axis=1)

    def check_encoder(self, word_size: int, hidden_size: int) -> None:
        """Check that the table was computed with an encoder of these sizes.

        Args:
            word_size: E, the size of its input word embeddings.
            hidden_size: H, the size of its outputs.

        Raises:
            UnsafeRepositoryError: a tensor has another size; the message names it.
        """
        for name, values, size in (("words", self.words, word_size), ("texts", self.texts, hidden_size)):
            if values is not None and values.shape[1] != size:
                raise UnsafeRepositoryError(
                    f"{TENSOR_FILE}: {name} has {values.shape[1]} numbers per task; the model's encoder requires {size}"
                )

    def select(self, names: Sequence[str]) -> TaskFeatures:
        """Return the table of some of the tasks, in the order of ``names``; the clusters stay those of all tasks.

        Raises:
            KeyError: a task is not in the table.
        """
        names = list_of_names(names)
        places = {name: i for i, name in enumerate(self.names)}
        missing = [name for name in names if name not in places]
        if missing:
            raise KeyError(
                f"the table has no features of {first_names(missing)}; it has those of {first_names(self.names)}"
            )
        rows = [places[name] for name in names]
        texts = None if self.texts is None else self.texts[rows]
        cosine_with_start = None if self.cosine_with_start is None else self.cosine_with_start[rows]
        return TaskFeatures(
            tuple(self.aspects[i] for i in rows), self.words[rows], self.domains, texts, cosine_with_start
        )

    # --- disk ---

    def save(self, folder: Path | str) -> Path:
        """Write the two files of the table to ``folder``, replacing those of an earlier table, and return the folder.

        Raises:
            UnsafeRepositoryError: the table could not be read back; the message says why.
            ValueError: the name of the folder is empty.
        """
        folder = target_folder(folder)
        tensors = {"words": self.words, **{f"domain_{key}": value for key, value in vars(self.domains).items()}}
        if self.texts is not None:
            tensors["texts"] = self.texts
        tasks = [
            {
                "name": entry.task, "train_rows": entry.train_rows, "text_fields": entry.text_fields,
                "median_words": entry.median_words, "type": entry.type.value,
                "cos_z_z0": None if self.cosine_with_start is None else float(self.cosine_with_start[i]),
            }
            for i, entry in enumerate(self.aspects)
        ]  # fmt: skip
        text = json.dumps({"format": FORMAT, "tasks": tasks}, indent=1, ensure_ascii=False) + "\n"
        with replacing(folder, (), last=TABLE_FILE) as new:
            save_file(
                {name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()}, new / TENSOR_FILE
            )
            (new / TABLE_FILE).write_text(text, encoding="utf-8")
            TaskFeatures.load(new)  # raises before a table that cannot be read back is written
        return folder

    @classmethod
    def load(cls, folder: Path | str) -> TaskFeatures:
        """Load a table that `save` wrote, and check it.

        Raises:
            UnsafeRepositoryError: a file is missing, has another form, or is a link that leaves the folder.
        """
        folder = Path(folder).expanduser()
        check_inside(folder)
        table = read_json(folder / TABLE_FILE)
        tasks = table.get("tasks")
        if table.get("format") != FORMAT or set(table) != {"format", "tasks"}:
            raise UnsafeRepositoryError(f"{TABLE_FILE}: format is {shown(table.get('format'))}; expected {FORMAT!r}")
        if not isinstance(tasks, list) or not 0 < len(tasks) <= MAX_TASKS:
            raise UnsafeRepositoryError(f"{TABLE_FILE}: tasks is not a list of 1 to {MAX_TASKS:,} tasks")
        aspects = tuple(_aspects(task, f"{TABLE_FILE}: tasks[{i}]") for i, task in enumerate(tasks))
        tensors = _read_tensors(folder / TENSOR_FILE, len(aspects))
        cosine_with_start = [task["cos_z_z0"] for task in tasks]
        domains = Domains(**{key: tensors[f"domain_{key}"] for key in Domains.__dataclass_fields__})
        known = None if None in cosine_with_start else np.array(cosine_with_start, np.float64)
        try:
            return cls(aspects, tensors["words"], domains, tensors.get("texts"), known)
        except ValueError as error:
            raise UnsafeRepositoryError(f"{TABLE_FILE}: {error}") from error


def compute_task_features(
    aspects: Sequence[Aspects],
    words: NDArray[np.floating],
    texts: NDArray[np.floating] | None = None,
    *,
    seed: int = 0,
) -> TaskFeatures:
    """Return the features of n tasks, with the clusters of their domains.

    Args:
        aspects: aspects of each task.
        words: (n, E) domain vectors from `mean_word_vector`.
        texts: (n, H) TextEmb.
        seed: seed of the clusters.
    """
    dense = None if texts is None else np.asarray(texts, np.float32)
    return TaskFeatures(tuple(aspects), np.asarray(words, np.float32), fit_domains(words, seed=seed), dense)


_TASK_KEYS = {"name", "train_rows", "text_fields", "median_words", "type", "cos_z_z0"}


def _aspects(task: Any, place: str) -> Aspects:
    if not isinstance(task, Mapping) or set(task) != _TASK_KEYS:
        raise UnsafeRepositoryError(f"{place} is {shown(task)}; expected an object with {sorted(_TASK_KEYS)}")
    rules = {
        "train_rows": is_whole(task["train_rows"], 0, MAX_ROWS),
        "text_fields": is_whole(task["text_fields"], 1, 2),
        "median_words": is_number(task["median_words"], 0, MAX_ROWS),
        "type": task["type"] in [kind.value for kind in _TYPES],
        "cos_z_z0": task["cos_z_z0"] is None or is_number(task["cos_z_z0"], -1.001, 1.001),
    }
    for key, holds in rules.items():
        if not holds:
            raise UnsafeRepositoryError(f"{place}.{key} is {shown(task[key])}, which is out of range")
    name = check_name(task["name"], f"{place}.name")
    return Aspects(name, task["train_rows"], task["text_fields"], float(task["median_words"]), TaskType(task["type"]))


def _read_tensors(path: Path, tasks: int) -> dict[str, NDArray[np.float32]]:
    """Check that the shapes of the tensors fit each other and the number of tasks, and read the tensors."""
    found = read_header(path)
    shapes = {name: shape for name, (_, shape) in found.items()}
    tables = [shapes.get(name, ()) for name in ("words", "domain_means", "texts")]
    (_, units), (clusters, axes), (_, width) = (shape if len(shape) == 2 else (0, 0) for shape in tables)
    expected = {
        "words": (tasks, units), "domain_centre": (units,), "domain_axes": (axes, units), "domain_weights": (clusters,),
        "domain_means": (clusters, axes), "domain_variances": (clusters,),
    }  # fmt: skip
    if "texts" in shapes:
        expected["texts"] = (tasks, width)
    if shapes != expected or any(dtype != "F32" for dtype, _ in found.values()) or 0 in (units, clusters, axes):
        raise UnsafeRepositoryError(
            f"{path.name} contains {shown(shapes)}; expected float32 tensors of {shown(expected)}"
        )
    tensors = load_file(path)
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise UnsafeRepositoryError(f"{path.name}: {name} contains values that are not finite")
    for name in ("domain_weights", "domain_variances"):
        if (tensors[name] <= 0).any():
            raise UnsafeRepositoryError(f"{path.name}: {name} contains values that are not above 0")
    return tensors
