"""The report travels in the dataset info, as sentences and as data."""

import dataclasses

import datasets
import pytest

from metaeval_datasets.report import OfficialReport, Report, SplitReport, describe, read_report
from tests.metaeval_datasets.conftest import task

REPORT = Report(
    task="made_up/task",
    edition="careful",
    source="made/up (cola)",
    commit="abc123",
    missing=["split 'test'"],
    passed_over=[{"source": "first/choice", "reason": "gone\nfor good"}],
    splits={"train": SplitReport("train", False, 1600), "test": SplitReport("train", True, None)},
    official={"train": OfficialReport(2003, {"no label": 3, "empty sentence": 0})},
    unlabelled={"validation": 1063, "test": None},
)


def test_it_comes_back_from_the_info_it_was_put_in():
    info = datasets.DatasetInfo(description=describe(task(notes="A note."), REPORT))
    assert read_report(info) == REPORT


@pytest.mark.parametrize(
    "character", [*"\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", "\r\n", "\nreport: {}\n", "\ud800", "\0"]
)
def test_it_comes_back_whatever_a_reason_holds(character):
    """Column names and file names of a source get into it."""
    report = dataclasses.replace(REPORT, passed_over=[{"source": "a/b", "reason": f"no column x{character}y"}])
    assert read_report(datasets.DatasetInfo(description=describe(task(), report))) == report


def test_it_says_all_in_words():
    text = describe(task(notes="A note."), REPORT)
    for line in (
        "made_up/task: other, one text field, classes no, yes.",
        "A note.",
        "Rows from made/up (cola), commit abc123.",
        "Not used: first/choice: gone",
        "The source lacks split 'test', so the splits differ from those of the complete task.",
        "train: 1,600 rows, the official train split.",
        "test, derived from the official train split.",
        "Dropped from official train: 3 of 2,003 rows (no label).",
        "Not read, labels hidden: official validation (1,063 rows).",
        "Not read, labels hidden: official test.",
    ):
        assert line in text


@pytest.mark.parametrize("description", ["", "Some other dataset."])
def test_other_infos_hold_none(description):
    with pytest.raises(ValueError, match="the dataset info contains no report"):
        read_report(datasets.DatasetInfo(description=description))
