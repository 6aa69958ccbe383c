"""Features of tasks as a matrix: the order of the tasks, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from metaeval_hub.conditional.feature_matrix import feature_matrix


def test_features_by_task_are_put_in_order_and_what_is_missing_is_named():
    table = {"b": [1, 2], "a": [3.0, 4.0], "unused": [5, 6]}
    assert feature_matrix(table, ("a", "b")).tolist() == [[3, 4], [1, 2]]
    with pytest.raises(ValueError, match="task_features lacks 2 of 3 tasks: c, d"):
        feature_matrix(table, ("c", "a", "d"))
    with pytest.raises(
        ValueError,
        match=r"task_features of b has shape \(3,\); expected one dimension, .* as a, which has shape \(2,",
    ):
        feature_matrix({"a": [1, 2], "b": [1, 2, 3]}, ("a", "b"))
    with pytest.raises(ValueError, match="task_features of b: feature 1 is nan"):
        feature_matrix({"a": [1, 2], "b": [1, np.nan]}, ("a", "b"))


def test_features_in_a_table_are_refused():
    """Its rows or columns may be named by tasks, in another order."""
    with pytest.raises(ValueError, match="task_features is a DataFrame; expected task -> features"):
        feature_matrix(pd.DataFrame(np.eye(2), index=["b", "a"]), ("a", "b"))
