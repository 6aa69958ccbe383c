"""Store one embedding per task with the names of the tasks. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from metaeval_hub.safe_files.names import first_names, list_of_names
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.safe_files.replace_folder import replacing, target_folder
from metaeval_hub.safe_files.repository import (
    UnsafeRepositoryError,
    check_inside,
    check_name,
    read_header,
    read_json,
    unknown_key,
)

TENSOR_FILE = "task_embeddings.safetensors"
NAMES_FILE = "task_embeddings.json"


@dataclass(frozen=True, eq=False)
class TaskEmbeddings:
    """Store task embeddings z, one per task.

    Args:
        names: n task names, all different.
        values: (n, Z) float32, finite. If tasks have several embeddings, the ones that the model predicts with.
        copies: (n, K, Z) float32: all embeddings, if each task has several (Sileo & Moens 2022, section 5.4).

    Raises:
        ValueError: the shapes do not fit, a name is repeated, or a value is not finite.
        TypeError: ``names`` is one string.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]
    copies: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float32)
        object.__setattr__(self, "names", tuple(list_of_names(self.names)))
        object.__setattr__(self, "values", values)
        if values.ndim != 2 or len(self.names) != values.shape[0]:
            raise ValueError(f"{len(self.names)} names do not fit values of shape {values.shape}; expected (n, Z)")
        if not np.isfinite(values).all():
            row, column = np.argwhere(~np.isfinite(values))[0]
            raise ValueError(f"{self.names[row]}: dimension {column} is {values[row, column]}")
        if self.copies is not None:
            copies = np.asarray(self.copies, dtype=np.float32)
            object.__setattr__(self, "copies", copies)
            if copies.ndim != 3 or (copies.shape[0], copies.shape[2]) != values.shape or not copies.shape[1]:
                raise ValueError(f"copies have shape {copies.shape}; expected ({len(values)}, K, {values.shape[1]})")
            if not np.isfinite(copies).all():
                row = np.argwhere(~np.isfinite(copies))[0][0]
                raise ValueError(f"{self.names[row]}: an embedding among its copies is not finite")

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        """Return a line with the tasks and the size of z."""
        copies = "" if self.copies is None else f", {self.copies.shape[1]} copies of each"
        plural = "" if len(self) == 1 else "s"
        return (
            f"TaskEmbeddings({len(self)} task{plural}: {first_names(self.names)}; z of {self.values.shape[1]}{copies})"
        )

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def index(self, name: str) -> int:
        """Return the place of a task in the table.

        Raises:
            UnknownTaskError: the table has no such task; a KeyError that names the closest tasks.
        """
        try:
            return self._rows[name]
        except (KeyError, TypeError):
            from metaeval_datasets.catalog import (
                unknown_task,
            )  # imported here because the table itself does not need `datasets`

            raise unknown_task(name, self.names) from None

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self.values[self.index(name)]

    def cosine(self) -> NDArray[np.float64]:
        """Return the cosine of every pair of tasks, (n, n); an embedding of zeros has cosine 0 with all others."""
        unit = self._directions()
        return unit @ unit.T

    def _directions(self) -> NDArray[np.float64]:
        """Return the embeddings scaled to norm 1; embeddings of zeros stay."""
        values = self.values.astype(np.float64)
        norms = np.linalg.norm(values, axis=1, keepdims=True)
        return np.divide(values, norms, out=np.zeros_like(values), where=norms > 0)

    def distances_from_centre(self) -> NDArray[np.float64]:
        """Return each task's distance from the mean, (n,): its specificity (Sileo & Moens 2022, section 5.3)."""
        values = self.values.astype(np.float64)
        return np.linalg.norm(values - values.mean(axis=0), axis=1)

    def nearest(self, name: str, k: int = 10) -> list[tuple[str, float]]:
        """Return the ``k`` tasks with the highest cosine to a task, and the cosines (Sileo & Moens 2022, section 5.4).

        Args:
            name: the task; it is not in the result.
            k: number of tasks.

        Returns:
            (name, cosine) of each task, nearest first.

        Raises:
            KeyError: the table has no such task.
        """
        row = self.index(name)
        unit = self._directions()
        similarity = unit @ unit[row]
        order = [i for i in np.argsort(-similarity, kind="stable") if i != row]
        return [(self.names[i], float(similarity[i])) for i in order[:k]]

    def select(self, names: Sequence[str]) -> TaskEmbeddings:
        """Return the table of some of the tasks, in the order of ``names``.

        Raises:
            KeyError: a task is not in the table.
        """
        names = list_of_names(names)
        places = {name: row for row, name in enumerate(self.names)}
        rows = [
            places[name] if name in places else self.index(name) for name in names
        ]  # whose error names the closest tasks
        return TaskEmbeddings(tuple(names), self.values[rows], None if self.copies is None else self.copies[rows])

    def centroids(self) -> TaskEmbeddings:
        """Return the mean of each task's embeddings; the table itself if each task has one."""
        return self if self.copies is None else TaskEmbeddings(self.names, self.copies.mean(axis=1))

    def save(self, folder: Path | str) -> Path:
        """Write the two files of the table to ``folder``, replacing those of an earlier table, and return the folder.

        Raises:
            UnsafeRepositoryError: a name could not be read back: it is a path, or contains a control character.
            ValueError: the table is empty, or the name of the folder is.
        """
        folder = target_folder(folder)
        for name in self.names:
            check_name(name, "the name of a task")
        if not self.values.size:
            raise ValueError(f"the table has shape {self.values.shape}; expected at least one task and one dimension")
        tensors = {"values": self.values} if self.copies is None else {"values": self.values, "copies": self.copies}
        with replacing(folder, (), last=NAMES_FILE) as new:
            save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, new / TENSOR_FILE)
            (new / NAMES_FILE).write_text(json.dumps({"names": self.names}, indent=1) + "\n", encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: Path | str) -> TaskEmbeddings:
        """Load a table that ``save`` wrote. Names, shapes and types are checked before any value is read.

        Raises:
            UnsafeRepositoryError: a file is missing, has another form, or is a link that leaves the folder.
        """
        folder = Path(folder).expanduser()
        check_inside(folder)
        names = _read_names(folder / NAMES_FILE)
        found = read_header(folder / TENSOR_FILE)
        if "values" not in found or not set(found) <= {"values", "copies"}:
            raise UnsafeRepositoryError(
                f"{TENSOR_FILE} contains {shown(sorted(found))}; expected values, and perhaps copies"
            )
        for name, axes in (("values", 2), ("copies", 3)):
            dtype, shape = found.get(name, ("F32", (len(names),) + (1,) * (axes - 1)))
            if dtype != "F32" or len(shape) != axes or shape[0] != len(names) or 0 in shape:
                raise UnsafeRepositoryError(
                    f"{TENSOR_FILE}: {name} is {dtype}{list(shape)}; its {len(names)} names require "
                    f"F32[{len(names)}, {'Z' if axes == 2 else 'K, Z'}]"
                )
        tensors = load_file(folder / TENSOR_FILE)
        try:
            return cls(names, tensors["values"], tensors.get("copies"))
        except ValueError as error:  # a repeated name, copies of another length, a value that is not finite
            raise UnsafeRepositoryError(f"{TENSOR_FILE}: {error}") from error

    def push_to_hub(
        self,
        repo_id: str,
        *,
        model: str | None = None,
        private: bool | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        message: str = "Upload task embeddings",
        parent_commit: str | None = None,
    ) -> str:
        """Push the table to the Hub as a dataset, in one commit.

        The dataset contains the two files of ``save``, the same table as Parquet for ``datasets.load_dataset``, and a
        card.

        Args:
            repo_id: "org/name", created if it does not exist; "name" alone is a repository of the user that the token
                belongs to.
            model: Hub id of the model that learned the embeddings, for the card.
            private: whether a new repository is private; None uses the default of the account.
            revision: branch to push to.
            token: token with write access; by default that of the user who is logged in.
            message: summary line of the commit.
            parent_commit: full id of the commit that must be the last one of the branch, so that no other push is
                overwritten.

        Returns:
            The address of the commit.

        Raises:
            ConflictError: ``parent_commit`` is not the last commit of the branch.
            HubError: nobody is logged in, the Hub refuses the push, or it does not answer.
            ValueError: ``repo_id`` has another form; nothing is written.
            UnsafeRepositoryError: a name could not be read back.
        """
        from metaeval_hub.task_data import embeddings_on_hub as hub

        return hub.push(
            self,
            repo_id,
            model=model,
            private=private,
            revision=revision,
            token=token,
            message=message,
            parent_commit=parent_commit,
        )

    @classmethod
    def from_hub(
        cls,
        repo_id: str,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: Path | str | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
    ) -> TaskEmbeddings:
        """Load a table that ``push_to_hub`` pushed.

        Args:
            repo_id: the dataset, "org/name".
            revision: branch, tag or commit; by default the main branch.
            token: token for private repositories.
            cache_dir: cache folder for downloads; None uses that of huggingface_hub.
            force_download: download the files again even if they are in the cache.
            local_files_only: send no request, and use only files in the cache.

        Raises:
            ValueError: both ``force_download`` and ``local_files_only`` are set.
            UnsafeRepositoryError: the repository contains code, or its files have another form.
            HubError: the repository cannot be downloaded, or is not in the cache although it should be.
        """
        from metaeval_hub.task_data import embeddings_on_hub as hub

        cache = hub.CacheOptions(cache_dir, force_download, local_files_only)
        return cls.load(hub.fetch_table(repo_id, revision, token, cache))


def _read_names(path: Path) -> tuple[str, ...]:
    content = read_json(path)
    for key in content.keys() - {"names"}:
        raise unknown_key(path.name, key)
    names = content.get("names")
    if not isinstance(names, list) or not names:
        raise UnsafeRepositoryError(f"{path.name}: names is not a list of strings")
    return tuple(check_name(name, f"{path.name}: names[{i}]") for i, name in enumerate(names))
