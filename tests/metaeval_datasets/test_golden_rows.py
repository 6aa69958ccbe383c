"""Three rows of every task in the schema of its source, and what a person says they become.

``golden_rows.jsonl`` holds one task a line: its source rows (written for these tests, no row of the data), the class
names that the source's files carry for its numbers, and the rows expected, with labels by name. The second test serves
the same rows as the task's first source, so that every declaration is read over HTTP once, whole.
"""

import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from metaeval_datasets import list_tasks, load_dataset
from metaeval_datasets.cast import cast_table, label_source
from metaeval_datasets.catalog import get_task
from metaeval_datasets.report import read_report
from metaeval_datasets.schema import check_rows, to_schema
from metaeval_datasets.spec import rows_per_source_row

GOLDEN = {
    row["task"]: row
    for line in (Path(__file__).parents[1] / "data" / "golden_rows.jsonl").read_text(encoding="utf-8").splitlines()
    for row in [json.loads(line)]
}


def named(rows, names):
    """Rows with their labels by name; None is no label."""
    return [{**row, "label": names[row["label"]] if row["label"] >= 0 else None} for row in rows]


def cast(golden, spec, source):
    """The golden rows as a table of the schema."""
    table = pa.Table.from_pylist(golden["source"])
    table = cast_table(table, spec, source, 0, golden["config"], golden["label_names"])
    usable, dropped = check_rows(table, spec, keep_unlabelled=spec.unlabelled == spec.splits)
    assert not dropped
    return to_schema(table.filter(usable), spec)


def test_every_task_has_golden_rows():
    assert set(GOLDEN) == set(list_tasks())
    assert {len(golden["source"]) for golden in GOLDEN.values()} == {3}


@pytest.mark.parametrize("name", GOLDEN)
def test_rows_are_cast_as_expected(name):
    spec, golden = get_task(name), GOLDEN[name]
    rows = cast(golden, spec, spec.sources[0])
    assert len(rows) == 3 * rows_per_source_row(spec.sources[0])
    assert named(rows.to_pylist(), spec.names)[:3] == golden["expected"]


@pytest.mark.parametrize("name", [name for name, golden in GOLDEN.items() if "expected_paper" in golden])
def test_the_paper_edition_casts_the_same_rows_its_own_way(name):
    spec, golden = get_task(name).edition("paper"), GOLDEN[name]
    source = next(source for source in spec.sources if source.repo == get_task(name).sources[0].repo)
    assert named(cast(golden, spec, source).to_pylist(), spec.names) == golden["expected_paper"]


def write_source(root, spec, golden):
    """The golden rows as the files of the task's first source, in each split that it declares."""
    source = spec.sources[0]
    table = pa.Table.from_pylist(golden["source"])
    label = label_source(spec, source)
    if golden["label_names"] and label:
        features = datasets.Features.from_arrow_schema(table.schema)
        features[label] = datasets.ClassLabel(names=golden["label_names"])
        table = table.cast(features.arrow_schema)
    for config in source.configs:
        for split in (name for ours in spec.splits for name in source.source_splits(ours)):
            pattern = source.files.get(split, (f"{{config}}/{split}-00000-of-00001.parquet",))[0]
            path = root / "datasets" / source.repo / pattern.replace("{config}", config or "data")
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".csv":
                pyarrow.csv.write_csv(table, path)
            else:
                pq.write_table(table, path)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_first_source_serves_over_http(name, hub, tmp_path, monkeypatch):
    # A cache of its own: a revision that is a commit id is fetched once and for all, from whichever test comes first.
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    spec, golden = get_task(name), GOLDEN[name]
    write_source(tmp_path, spec, golden)
    with hub.only_folder(tmp_path):
        loaded = load_dataset("metaeval", name, cache_dir=str(tmp_path / "cache"))
    report = read_report(next(iter(loaded.values())).info)
    assert (report.missing, report.passed_over) == ([], [])
    assert not any(official.dropped for official in report.official.values())
    rows = [
        {key: value for key, value in row.items() if key != "idx"}
        for split in loaded.values()
        for row in named(split.to_list(), spec.names)
    ]
    for expected in golden["expected"]:
        assert {key: value for key, value in expected.items() if key != "idx"} in rows
