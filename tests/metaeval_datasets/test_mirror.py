"""Real rows: every task that the mirror has loads, and its counts and labels are those of the mirror's manifest.

The manifest was written with the mirror, from the original distributions, before there was any declaration.
"""

import json
from collections import Counter

import pytest

from metaeval_datasets import list_tasks, load_dataset
from metaeval_datasets.catalog import get_task
from metaeval_datasets.report import read_report
from tests.conftest import MIRROR

MANIFEST = MIRROR / "manifest.json"
ENTRIES = (
    {name: entry for name, entry in json.loads(MANIFEST.read_text(encoding="utf-8")).items() if entry["present"]}
    if MANIFEST.is_file()
    else {}
)
pytestmark = pytest.mark.mirror


def mirror_splits(spec, entry, official):
    """The splits of the mirror that make up an official split of ours, as far as it has them."""
    source = next((source for source in spec.sources if source.repo == entry["repo"]), spec.sources[0])
    return [name for name in source.source_splits(official) if name in entry["rows_kept"]]


def declared_class(spec, written):
    """The class that a label of the manifest (a name, or a number as text) stands for."""
    keys = [written, int(written)] if written.lstrip("-").isdecimal() else [written]
    for key in keys:
        if key in spec.label_values:
            return spec.label_values[key]
    if written in spec.names:
        return written
    return spec.names[int(written)] if written.isdecimal() else None


def test_the_manifest_names_tasks_of_the_catalogue(mirror):
    assert set(ENTRIES) <= set(list_tasks())


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("name", ENTRIES)
def test_rows_and_labels_agree_with_the_manifest(name, tmp_path):
    spec, entry = get_task(name), ENTRIES[name]
    loaded = load_dataset("metaeval", name, cache_dir=str(tmp_path))
    report = read_report(next(iter(loaded.values())).info)
    assert report.source.startswith(entry["repo"])
    for official, counts in report.official.items():
        splits = mirror_splits(spec, entry, official)
        assert counts.read == sum(entry["rows_kept"][split] for split in splits)
        ours = [split for split, taken in report.splits.items() if taken.official == official]
        assert sum(len(loaded[split]) for split in ours) == counts.read - sum(counts.dropped.values())
        whole = all(entry["rows_kept"][split] == entry["full_rows"][split] for split in splits)
        distributions = [(entry["label_distribution_full"] or {}).get(split) for split in splits]
        if whole and all(distributions) and not spec.distinct and spec.has_labels:
            expected = Counter()
            for distribution in distributions:
                for written, count in distribution.items():
                    expected[declared_class(spec, written)] += count
            expected.pop(None, None)
            found = Counter(spec.names[label] for split in ours for label in loaded[split]["label"])
            lost = sum(count for reason, count in counts.dropped.items() if reason.startswith("empty"))
            assert sum((expected - found).values()) == lost
            assert not found - expected
