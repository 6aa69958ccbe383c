"""Versions of cached data: the output on fixed input is that which was recorded for the version.

When a test here fails and the change is intended, raise the version that it names and add the new digest to
``tests/data/versions.json``; the digests of earlier versions stay.
"""

import hashlib
import json
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
from metaeval_training.data.rows import KEPT_VERSION, keep_rows

from metaeval_datasets import catalog, demo, fingerprint
from metaeval_datasets.aspects import count_words, median_of, quartile_cuts, quartiles
from metaeval_datasets.overlap import Rules, rows_to_leave_out
from metaeval_datasets.spec import Embedded
from metaeval_datasets.splits import content_hashes, cut
from tests.metaeval_datasets.conftest import task

DATA = Path(__file__).parents[1] / "data"
TEXTS = ["A cat sat.", "A cat  sat", "a dog, barking", "", "Two\nlines", "naïve café", "A cat sat.", "word " * 40]


def rows():
    """What the golden rows become (test_golden_rows.py compares them with the code), and cut splits."""
    golden = [json.loads(line) for line in (DATA / "golden_rows.jsonl").read_text(encoding="utf-8").splitlines()]
    expected = [[row["task"], row["expected"], row.get("expected_paper")] for row in golden]
    table = pa.table({"sentence": [f"text {i % 180}" for i in range(200)]})
    contents, labels = content_hashes(table, task()), np.arange(200) % 7 % 3
    groups = np.arange(200) // 5
    parts = [cut(contents, given, ("test", "validation"), labels).tolist() for given in (None, groups)]
    return [expected, parts]


def demo_rows():
    """All rows of all demo tasks."""
    made = {name: demo.generate(name) for name in demo.demo_names()}
    return {name: {split: table.to_pydict() for split, table in tables.items()} for name, tables in made.items()}


def aspects():
    counts = np.bincount(count_words(pa.array(TEXTS)).tolist())
    cuts = quartile_cuts([1, 2, 3, 5, 8, 13, 21])
    return [counts.tolist(), median_of(counts), cuts.tolist(), quartiles([2, 6, 30], cuts).tolist()]


def overlap():
    def split(first, second):
        return datasets.Dataset.from_dict({"sentence1": first, "sentence2": second, "label": [0] * len(first)})

    tasks = {"t": {"train": split(TEXTS, TEXTS[::-1]), "test": split(TEXTS[4:7], TEXTS[3:0:-1])}}
    found = [
        rows_to_leave_out(tasks, rules)["t"] for rules in (Rules(min_length=3), Rules(min_length=3, sentences=False))
    ]
    return [[each.positions.tolist(), each.whole.tolist()] for each in found]


def kept():
    return keep_rows(datasets.Dataset.from_dict({"n": list(range(100))}), 20, "seed", 0)["n"][:]


MADE = {
    "rows": (rows, fingerprint.ROWS_VERSION),
    "demo": (demo_rows, Embedded().version),
    "aspects": (aspects, fingerprint.ASPECTS_VERSION),
    "overlap": (overlap, fingerprint.OVERLAP_VERSION),
    "kept": (kept, KEPT_VERSION),
}


@pytest.mark.parametrize("kind", MADE)
def test_the_output_is_that_of_its_version(kind):
    make, version = MADE[kind]
    recorded = json.loads((DATA / "versions.json").read_text(encoding="utf-8"))[kind]
    digest = hashlib.sha256(json.dumps(make(), sort_keys=True).encode()).hexdigest()
    assert list(recorded) == [str(number) for number in range(1, version + 1)]
    assert recorded[str(version)] == digest, f"{kind}: other output; raise its version and record {digest}"
    assert len(set(recorded.values())) == len(recorded)


def test_a_version_is_part_of_what_names_a_task(monkeypatch):
    spec = catalog.get_task("demo/topics")
    before = fingerprint.task_hash(spec, fingerprint.rows_version())
    monkeypatch.setattr(fingerprint, "ROWS_VERSION", 999)
    assert fingerprint.task_hash(spec, fingerprint.rows_version()) != before
