"""Cards, against ones that a person has read; rewrite those with METAEVAL_WRITE_CARD=1."""

import dataclasses
import os
from pathlib import Path

import pytest
import yaml
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCard

from metaeval_datasets.record import SplitRecord, TaskRecord
from metaeval_datasets.report import OfficialReport, Report, SplitReport
from metaeval_hub.hub.card_templates import code_span
from metaeval_hub.hub.dataset_card import dataset_card

STORED = Path(__file__).parents[2] / "data"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def compare(card, file):
    if os.environ.get("METAEVAL_WRITE_CARD"):
        (STORED / file).write_text(card, encoding="utf-8")
    assert card == (STORED / file).read_text(encoding="utf-8")


def record(name, splits, report, **fields):
    """A record with what a test does not care about filled in; ``splits`` gives the rows of each."""
    values = {
        "edition": "careful",
        "fingerprint": "0" * 16,
        "type": "nli",
        "fields": ("sentence1", "sentence2"),
        "names": ("entailment", "neutral", "contradiction"),
        "license": "cc-by-4.0",
        "citation": "wang2019glue",
        "in_101": True,
        "notes": "",
        "paper": "",
        **fields,
    }
    made = {
        split: SplitRecord(rows, 100 * rows, "0" * 64, {f"{split}-00000-of-00001.parquet": 10 * rows})
        for split, rows in splits.items()
    }
    return TaskRecord(task=name, canonical=values["names"], report=report, splits=made, **values)


@pytest.fixture
def records():
    whole = record(
        "glue/mnli",
        {"train": 1_000, "test": 200},
        Report(
            "glue/mnli",
            "careful",
            "nyu-mll/glue (mnli) at refs/convert/parquet",
            COMMIT,
            splits={"train": SplitReport("train", False, 1_000), "test": SplitReport("validation", False, 200)},
            official={"train": OfficialReport(1_000, {}), "validation": OfficialReport(200, {})},
            unlabelled={"test": 300},
        ),
    )
    lacking = record(
        "tricky/default",
        {"train": 640, "validation": 160, "test": 200},
        Report(
            "tricky/default",
            "careful",
            "somebody/tricky (default)",
            COMMIT,
            missing=["split 'b' of config 'default'"],
            passed_over=[{"source": "somebody/gone (x+y)", "reason": "could not serve"}],
            splits={
                "train": SplitReport("train", False, 640),
                "validation": SplitReport("train", True, 160),
                "test": SplitReport("train", True, 200),
            },
            official={"train": OfficialReport(1_003, {"empty sentence": 2, "label outside the names": 1})},
        ),
        type="other",
        fields=("sentence",),
        names=("yes", "no: never", "a|b", "'quoted'", "1", "❤"),
        license="from-a-licence-of-their-own",
        citation="nobody2000known",
        notes="Half of it is made up.",
        paper="The paper reads another column.",
    )
    made = record(
        "demo/spam",
        {"train": 1},
        Report(
            "demo/spam", "careful", "metaeval_datasets.demo", None, splits={"train": SplitReport("train", False, 1)}
        ),
        type="other",
        in_101=False,
        license="mit",
        citation="sileo2022analysis",
    )
    return [whole, lacking, made]


def test_card_is_the_stored_one(records):
    compare(dataset_card("org/name", records), "dataset_card.md")


def test_datasets_reads_features_names_sizes_and_licences(records):
    data = DatasetCard(dataset_card("org/name", records)).data
    infos = DatasetInfosDict.from_dataset_card_data(data)
    for entry in records:
        info = infos[entry.config]
        assert info.features["label"].names == list(entry.names)
        assert [name for name in info.features if name not in ("label", "idx")] == list(entry.fields)
        assert {split: found.num_examples for split, found in info.splits.items()} == {
            split: made.rows for split, made in entry.splits.items()
        }
        assert info.license == entry.license
    assert data.license == ["cc-by-4.0", "mit", "other"]


def test_the_paper_edition_says_so(records):
    paper = [dataclasses.replace(entry, edition="paper") for entry in records]
    card = dataset_card("org/name", paper)
    assert "# MetaEval, the paper's edition\n" in card
    assert "This is the paper's edition:" in card


def test_number_words(records):
    card = dataset_card("org/name", records[2:])
    assert "\n1 task with 1 row of " in card
    assert yaml.safe_load(card.split("---\n")[1])["size_categories"] == ["n<1K"]


@pytest.mark.parametrize(("text", "expected"), [("a", "`a`"), ("a`b", "`` a`b ``"), ("``", "``` `` ```")])
def test_text_is_code_in_markdown_whatever_it_holds(text, expected):
    assert code_span(text) == expected
