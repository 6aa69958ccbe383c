"""Rows that cannot be used are found and counted by reason; the others reach the schema."""

import datasets
import pyarrow as pa
import pytest

from metaeval_datasets.schema import FILTERED, LEFT_OUT, UNKNOWN, UNLABELLED, check_rows, features, is_blank, to_schema
from tests.metaeval_datasets.conftest import task

PAIR = task(sentence1="a", sentence2="b")


def cast(**columns):
    rows = len(next(iter(columns.values())))
    columns.setdefault("idx", range(rows))
    types = {"label": pa.int64(), "idx": pa.int64()}
    return pa.table({name: pa.array(list(values), types.get(name, pa.string())) for name, values in columns.items()})


def test_features_follow_the_declaration():
    assert features(PAIR) == datasets.Features(
        {
            "sentence1": datasets.Value("string"),
            "sentence2": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["no", "yes"]),
            "idx": datasets.Value("int64"),
        }
    )
    assert list(features(task())) == ["sentence", "label", "idx"]


def test_each_row_counts_once_under_its_first_reason():
    table = cast(
        sentence1=["fine", None, "", " \n", "x", "x", "x", "x", None],
        sentence2=["fine", "x", None, "x", "", "x", "x", "x", "x"],
        label=[1, 0, 0, 0, 0, UNLABELLED, LEFT_OUT, UNKNOWN, FILTERED],
    )
    usable, dropped = check_rows(table, PAIR)
    assert usable.to_pylist() == [True] + [False] * 8
    assert dropped == {
        "empty sentence1": 3,
        "empty sentence2": 1,
        "no label": 1,
        "label left out by declaration": 1,
        "label outside the names": 1,
        "filtered by declaration": 1,
    }


def test_nothing_dropped_counts_nothing():
    usable, dropped = check_rows(cast(sentence=["a", "b"], label=[0, 1]), task())
    assert usable.to_pylist() == [True, True]
    assert not dropped


def test_no_rows():
    usable, dropped = check_rows(cast(sentence=[], label=[]), task())
    assert len(usable) == 0
    assert not dropped


def test_unlabelled_rows_may_be_kept():
    usable, dropped = check_rows(cast(sentence=["a", "b"], label=[-1, UNKNOWN]), task(), keep_unlabelled=True)
    assert usable.to_pylist() == [True, False]
    assert dropped == {"label outside the names": 1}


def test_fields_that_may_be_empty_keep_their_rows_and_become_text():
    spec = task(sentence1="a", sentence2="b", may_be_empty=("sentence2",))
    table = cast(sentence1=["x", None], sentence2=[None, "y"], label=[0, 0])
    usable, dropped = check_rows(table, spec)
    assert usable.to_pylist() == [True, False]
    assert dropped == {"empty sentence1": 1}
    assert to_schema(table.filter(usable), spec)["sentence2"].to_pylist() == [""]


@pytest.mark.parametrize(
    ("text", "blank"), [(None, True), ("", True), (" ", True), ("\t\u00a0\n", True), ("a", False), (" a ", False)]
)
def test_blank(text, blank):
    assert is_blank(pa.array([text], pa.string())).to_pylist() == [blank]


def test_schema_drops_what_casting_carried_and_keeps_order():
    table = cast(idx=[7], label=[1], sentence=["a"]).append_column("_group", pa.array([3]))
    result = to_schema(table, task())
    assert result.schema.names == ["sentence", "label", "idx"]
    assert datasets.Features.from_arrow_schema(result.schema) == features(task())
    assert result.to_pylist() == [{"sentence": "a", "label": 1, "idx": 7}]
