"""Finding the files of a split: from the card, else from the usual layouts."""

import pytest

from metaeval_datasets.layout import Card, find_splits, kind_of, lookup, matching, missing_shards, read_card

HUB = ["README.md", "cola/train-00000-of-00001.parquet", "cola/test-00000-of-00001.parquet", "ax/test.parquet"]
CONVERTED = ["cola/train/0001.parquet", "cola/train/0000.parquet", "cola/partial-train/0000.parquet"]
PLAIN = ["train.jsonl", "test.jsonl", "dev.csv", "setup.py", "data.txt"]
DATA = ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "other/train.csv"]


@pytest.mark.parametrize(
    ("files", "config", "expected"),
    [
        (HUB, "cola", {"train": (HUB[1],), "test": (HUB[2],)}),
        (HUB, "ax", {"test": ("ax/test.parquet",)}),
        (HUB, "mrpc", {}),
        (CONVERTED, "cola", {"train": ("cola/train/0000.parquet", "cola/train/0001.parquet")}),
        (PLAIN, None, {"train": ("train.jsonl",), "test": ("test.jsonl",), "dev": ("dev.csv",)}),
        (PLAIN, "default", {"train": ("train.jsonl",), "test": ("test.jsonl",), "dev": ("dev.csv",)}),
        (DATA, None, {"train": tuple(DATA[:2])}),
        (DATA, "plain_text", {}),
        (["a/train.csv", "a/train.parquet"], "a", {"train": ("a/train.parquet",)}),
        (["train_r1-00000-of-00001.parquet"], None, {"train_r1": ("train_r1-00000-of-00001.parquet",)}),
        ([], None, {}),
    ],
)
def test_usual_layouts(files, config, expected):
    assert find_splits(files, Card(), config) == expected


CARD = """---
license: mit
configs:
- config_name: listed
  data_files:
  - split: train
    path: "x/*.parquet"
  - split: test
    path: ["y/a.csv", "y/b.csv"]
- config_name: plain
  data_files: "x/one.parquet"
- config_name: mapped
  data_files: {train: x/one.parquet}
- config_name: folder
  data_dir: y
- config_name: under
  data_dir: x
  data_files: "*.parquet"
  default: true
dataset_info:
- config_name: listed
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '1': 'yes'
          '0': 'no'
          '10': other
---
# Title
"""
FILES = ["x/one.parquet", "x/two.parquet", "x/deep/three.parquet", "y/a.csv", "y/b.csv", "y/train.csv", "y/notes.md"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("listed", {"train": ("x/one.parquet", "x/two.parquet"), "test": ("y/a.csv", "y/b.csv")}),
        ("plain", {"train": ("x/one.parquet",)}),
        ("mapped", {"train": ("x/one.parquet",)}),
        ("folder", {"a": ("y/a.csv",), "b": ("y/b.csv",), "train": ("y/train.csv",)}),
        ("under", {"train": ("x/one.parquet", "x/two.parquet")}),
        (None, {"train": ("x/one.parquet", "x/two.parquet")}),
    ],
)
def test_cards(config, expected):
    assert find_splits(FILES, read_card(CARD), config) == expected


def test_cards_hold_label_names_in_index_order():
    assert read_card(CARD).label_names == {("listed", "label"): ("no", "yes", "other")}


def test_a_single_config_is_the_one_meant():
    card = read_card("---\nconfigs:\n- config_name: only\n  data_files: a.csv\n---\n")
    assert find_splits(["a.csv"], card, None) == {"train": ("a.csv",)}


@pytest.mark.parametrize(
    "text", ["", "# Title", "---\n: : [\n---\n", "---\n- a list\n---\n", "---\nconfigs: word\ndataset_info: 3\n---\n"]
)
def test_cards_that_say_nothing(text):
    assert read_card(text) == Card()


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("x/*.parquet", ["x/one.parquet", "x/two.parquet"]),
        ("**/*.parquet", ["x/deep/three.parquet", "x/one.parquet", "x/two.parquet"]),
        ("x/**", ["x/deep/three.parquet", "x/one.parquet", "x/two.parquet"]),
        ("y/[ab].csv", ["y/a.csv", "y/b.csv"]),
        ("y/[!a].csv", ["y/b.csv"]),
        ("y/?.csv", ["y/a.csv", "y/b.csv"]),
        ("./y/a.csv", ["y/a.csv"]),
        ("y/*", ["y/a.csv", "y/b.csv", "y/train.csv"]),
        ("y/a.cs", []),
    ],
)
def test_patterns(pattern, matched):
    assert list(matching(FILES, [pattern])) == matched


def test_other_names_of_splits():
    assert lookup({"dev": ("d.csv",)}, "validation") == ("d.csv",)
    assert lookup({"dev": ("d.csv",), "validation": ("v.csv",)}, "validation") == ("v.csv",)
    assert lookup({"dev": ("d.csv",)}, "test") == ()


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        (["a/train-00000-of-00002.parquet", "a/train-00001-of-00002.parquet"], None),
        (["a/train-00001-of-00002.parquet"], "1 of 2 files a/train-*"),
        (["a/train.parquet"], None),
    ],
)
def test_incomplete_sets_of_files_are_noticed(files, missing):
    assert missing_shards(files) == missing


@pytest.mark.parametrize(("path", "kind"), [("a.TSV", "csv"), ("a/b.jsonl", "json"), ("a.py", None), ("a.zip", None)])
def test_kinds(path, kind):
    assert kind_of(path) == kind
