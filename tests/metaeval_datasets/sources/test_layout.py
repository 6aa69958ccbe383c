"""Finding the files of a split: from the card, else from the usual layouts."""

import time

import pytest

from metaeval_datasets.sources.layout import Card, find_splits, kind_of, lookup, matching, missing_shards, read_card

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


ENTRY = "configs:\n- config_name: a\n  data_files: x.csv\n"
BROKEN = {
    "aliases": ENTRY + "a: &a [x]\nb: [*a, *a]\n",
    "dates": "a: 2001-99-99\nb: [2001-13-45T99:99:99]\nlicense: MIT\n",
    "deep": ENTRY + "a: " + "[" * 40 + "]" * 40 + "\n",
    "deeper": "a: " + "[" * 500_000,
    "nodes": ENTRY + "a: [" + "x," * 100_001 + "]\n",
    "number": ENTRY + "a: 1" + ":1" * 200_000 + "\n",
    "integer": ENTRY + "a: " + "9" * 5_000 + "\n",
    "key": ENTRY + "? [a]\n: b\n",
    "no end": ENTRY + "x" * 3_000_000,
    "tag": ENTRY + "a: !!python/object/apply:os.system [id]\n",
    "list": "- a\n- b\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_card_that_is_not_understood_is_as_if_it_were_not_there(name):
    started = time.process_time()
    assert read_card(f"---\n{BROKEN[name]}---\n") == (Card(licenses=("mit",)) if name == "dates" else Card())
    assert time.process_time() - started < 2


def test_of_a_card_the_entries_that_are_not_understood_are_left_out():
    card = read_card(
        "---\nlicense: [mit, {a: b}]\nconfigs:\n- config_name: [a]\n- config_name: b\n  data_files: x.csv\n- 7\n"
        "dataset_info:\n- config_name: {c: d}\n- features:\n"
        "  - {name: one, dtype: {class_label: {names: {null: a}}}}\n"
        "  - {name: two, dtype: {class_label: {names: {1: b, 0: a}}}}\n---\n"
    )
    assert card.configs == ({"config_name": "b", "data_files": "x.csv"},)
    assert card.label_names == {(None, "two"): ("a", "b")}
    assert card.licenses == ("mit",)


def test_shards_are_counted_by_stem_and_total():
    assert missing_shards(["a-00000-of-00002.csv", "a-b-00000-of-00001.csv"]) == "1 of 2 files a-*"
    assert missing_shards([f"a-0-of-{'9' * 5_000}.csv"]) is None
    started = time.process_time()
    assert missing_shards([f"x{number}-00000-of-00002.csv" for number in range(60_000)]) == "1 of 2 files x0-*"
    assert time.process_time() - started < 5
