"""Rows of a loaded task are traced back to their file and to their group."""

import numpy as np
import pytest

from metaeval_datasets import task_from
from metaeval_datasets.catalog import registered
from metaeval_datasets.row_sources import find_groups, name_of_rows
from metaeval_datasets.spec import RowModulus, SameRow

CUSTOMERS = {"train": ["ann", "bob", "ann", "eve"], "validation": ["bob", "joe"]}
ROWS = (["train", "train", "validation", "train", "validation"], np.array([0, 1, 0, 2, 1]))


@pytest.fixture
def declare(tmp_path):
    """Return a function that declares a task over two files with a column of customers."""
    for split, customers in CUSTOMERS.items():
        lines = [f"text {i},{'ab'[i % 2]},{customer}\n" for i, customer in enumerate(customers)]
        (tmp_path / f"{split}.csv").write_text("text,label,customer\n" + "".join(lines))
    paths = {split: tmp_path / f"{split}.csv" for split in CUSTOMERS}

    def of(groups, **options):
        spec = task_from(options.pop("data", paths), name="acme/grouped", text="text", groups=groups, **options)
        return registered([spec])

    return of


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (None, None),
        ("customer", [0, 1, 1, 0, 2]),  # ann, bob, bob, ann, joe: also across files
        (SameRow(), [0, 1, 2, 3, 4]),
        (RowModulus(2), [0, 1, 2, 0, 3]),
    ],
)
def test_groups_of_rows(declare, groups, expected):
    with declare(groups):
        found = find_groups("acme/grouped", *ROWS)
    assert (found if found is None else found.tolist()) == expected


def test_rows_are_named_by_their_file_if_it_is_one(declare, tmp_path):
    with declare(None):
        assert name_of_rows("acme/grouped", "validation") == "validation.csv"
    with declare(None, data={"train": [tmp_path / "train.csv", tmp_path / "validation.csv"]}):
        assert name_of_rows("acme/grouped", "train") == "train"
    rows = [{"text": "x", "label": label} for label in "ab"]
    with declare(None, data=rows):
        assert name_of_rows("acme/grouped", "train") == "train"
    assert name_of_rows("demo/topics", "train") == "train"
