"""Read the features of tasks as a matrix and check them.

Axes: n or m tasks, F features of a task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metaeval_hub.task_data.task_embeddings import TaskEmbeddings

Features: TypeAlias = ArrayLike | Mapping[str, ArrayLike] | TaskEmbeddings


def feature_matrix(task_features: Features, tasks: Sequence[str]) -> NDArray[np.float64]:
    """Return the features of tasks as a matrix.

    Args:
        task_features: (n, F) in the order of ``tasks``, or task -> (F,), which may contain further tasks.
        tasks: names of n tasks.

    Returns:
        (n, F).

    Raises:
        ValueError: a task is missing or has another number of features, or a value is not finite; the message names the
            task. Or the features are a table such as a DataFrame, whose order of tasks is not known.
    """
    if isinstance(task_features, TaskEmbeddings):
        task_features = dict(zip(task_features.names, task_features.values, strict=True))
    if hasattr(task_features, "columns"):  # its rows or its columns may be tasks, in any order
        raise ValueError(
            f"task_features is a {type(task_features).__name__}; expected task -> features, such as "
            "dict(zip(table.index, table.to_numpy())), or an array in the order of the tasks"
        )
    if isinstance(task_features, Mapping):
        missing = [task for task in tasks if task not in task_features]
        if missing:
            raise ValueError(
                f"task_features lacks {len(missing)} of {len(tasks)} tasks: {', '.join(missing[:3])}"
                + (", ..." if len(missing) > 3 else "")
            )
        vectors = [np.asarray(task_features[task]) for task in tasks]
        for task, vector in zip(tasks, vectors, strict=True):
            if vector.shape != vectors[0].shape or vector.ndim != 1:
                raise ValueError(
                    f"task_features of {task} has shape {vector.shape}; expected one dimension, and as many features "
                    f"as {tasks[0]}, which has shape {vectors[0].shape}"
                )
        task_features = np.stack(vectors)
    return finite_matrix(task_features, (len(tasks), None), "task_features", tasks)


def finite_matrix(
    values: ArrayLike | None, shape: tuple[int | None, int | None], what: str, names: Sequence[str] | None = None
) -> NDArray[np.float64]:
    """Return values as a finite float64 matrix.

    Args:
        values: the values.
        shape: the shape to expect; None stands for any number from 1 on.
        what: what an error message calls the values.
        names: names of the lines of the matrix, for the error message.

    Raises:
        ValueError: the values are not numbers, have another shape, or are not finite.
    """
    matrix = np.asarray(values)
    expected = ", ".join("any" if size is None else str(size) for size in shape)
    if matrix.dtype.kind not in "fiub" or matrix.ndim != 2:
        raise ValueError(
            f"{what} is of {matrix.dtype} with shape {matrix.shape}; expected numbers of shape ({expected})"
        )
    if 0 in matrix.shape or any(size not in (None, found) for size, found in zip(shape, matrix.shape, strict=True)):
        raise ValueError(f"{what} has shape {matrix.shape}; expected ({expected})")
    matrix = matrix.astype(np.float64)
    if not np.isfinite(matrix).all():
        line, column = (int(i) for i in np.argwhere(~np.isfinite(matrix))[0])
        name = names[line] if names is not None else f"row {line}"
        raise ValueError(f"{what} of {name}: feature {column} is {matrix[line, column]}; expected finite numbers")
    return matrix
