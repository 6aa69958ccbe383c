"""Loading tasks through ``datasets``, over the test Hub: from declaration to rows, cached, streamed, explained."""

import dataclasses
import json
import logging
from collections import Counter
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
from datasets import get_dataset_config_names, load_dataset, load_dataset_builder

import metaeval_datasets
from metaeval_datasets import NoSourceError, UnknownTaskError, read_report
from metaeval_datasets.catalog import all_tasks
from metaeval_datasets.fingerprint import rows_version
from metaeval_datasets.sources.asking import SourceError
from metaeval_datasets.spec import Join, Orient, PaperEdition, SameRow, SameText, Source, Stack
from tests.metaeval_datasets.conftest import numbered, parquet, task


@pytest.fixture
def made_up(hub, declare):
    """Put files on the Hub and declare a task that reads them; returns its name."""

    def make(files, **fields):
        repo = hub.name("source")
        hub.add_repo(repo, files, repo_type="dataset")
        source = Source(repo, **fields.pop("source", {}))
        others = fields.pop("others", ())
        return declare(task(sources=(source, *others), **fields))

    return make


def files(train=30, validation=10, test=10, label_names=("no", "yes")):
    """One Parquet file a split, the texts numbered through."""
    sizes = {"train": train, "validation": validation, "test": test}
    starts = {"train": 0, "validation": train, "test": train + validation}
    return {
        f"{split}.parquet": parquet(numbered(starts[split], starts[split] + size), label_names)
        for split, size in sizes.items()
        if size
    }


def lengths(loaded):
    return {split: len(rows) for split, rows in loaded.items()}


# --- What comes out -------------------------------------------------------------------------------------------------


def test_official_splits_come_as_they_are(made_up):
    loaded = load_dataset("metaeval", made_up(files()))
    assert lengths(loaded) == {"train": 30, "validation": 10, "test": 10}
    assert loaded["train"].features == datasets.Features(
        {
            "sentence": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["no", "yes"]),
            "idx": datasets.Value("int64"),
        }
    )
    assert loaded["test"][3] == {"sentence": "text number 43", "label": 1, "idx": 3}


def test_the_name_works_with_functions_imported_before(run_python):
    """As in the README, in a new process and in a folder that has a folder of the same name in it."""
    code = """
import os
os.makedirs("metaeval/data")
for path in ("metaeval/data/train.csv", "train.csv"):
    open(path, "w").write("a,b\\n1,2\\n")
from datasets import load_dataset, get_dataset_config_names
import metaeval_datasets
from metaeval_datasets.tasks import demo
print(load_dataset("metaeval", demo.TASKS[0].name, split="train").column_names[-2:])
print(demo.TASKS[0].name in get_dataset_config_names("metaeval"))
assert metaeval_datasets.load_dataset is load_dataset
"""
    done = run_python(code, env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert done.stdout.split("\n")[:2] == ["['label', 'idx']", "True"]


def test_other_datasets_load_as_before(hub):
    repo = hub.name("other")
    hub.add_repo(repo, {"train.csv": "a,b\n1,2\n"}, repo_type="dataset")
    assert load_dataset(repo, split="train").to_list() == [{"a": 1, "b": 2}]


def test_every_task_of_the_catalogue_is_a_config():
    assert get_dataset_config_names("metaeval") == list(all_tasks())


def test_splits_are_derived_and_disjoint(made_up):
    loaded = load_dataset("metaeval", made_up(files(1000, 0, 0), splits=("train",)))
    assert lengths(loaded) == {"train": 640, "validation": 160, "test": 200}
    numbers = Counter(number for rows in loaded.values() for number in rows["idx"])
    assert numbers == Counter(range(1000))
    assert loaded["train"][0]["sentence"] == f"text number {loaded['train'][0]['idx']}"


def test_classes_are_in_each_derived_split_or_the_report_says_so(made_up, caplog):
    rows = {"text": [f"text {row}" for row in range(40)], "label": [0] * 34 + [1] * 5 + [2]}
    name = made_up({"train.parquet": parquet(rows)}, splits=("train",), names=("no", "yes", "maybe"))
    loaded = load_dataset("metaeval", name)
    found = {split: Counter(part["label"]) for split, part in loaded.items()}
    assert found == {"train": {0: 22, 1: 3, 2: 1}, "validation": {0: 5, 1: 1}, "test": {0: 7, 1: 1}}
    report = read_report(loaded["test"].info)
    assert {split: made.lacks for split, made in report.splits.items()} == {
        "train": [],
        "validation": ["maybe"],
        "test": ["maybe"],
    }
    assert "the test split has no row of maybe" in caplog.text
    assert "test has no row of maybe" in loaded["test"].info.description


def test_validation_becomes_test_where_test_is_hidden(made_up):
    loaded = load_dataset("metaeval", made_up(files(50, 20, 20), unlabelled=("test",)))
    assert lengths(loaded) == {"train": 40, "validation": 10, "test": 20}
    assert loaded["test"]["sentence"][0] == "text number 50"
    report = read_report(loaded["train"].info)
    assert report.unlabelled == {"test": 20}
    assert {name: (split.official, split.derived) for name, split in report.splits.items()} == {
        "train": ("train", False),
        "validation": ("train", True),
        "test": ("validation", False),
    }


def test_diagnostic_sets_are_test_only(made_up):
    assert lengths(load_dataset("metaeval", made_up(files(0, 0, 10), splits=("test",)))) == {"test": 10}


def test_a_task_without_any_label_keeps_its_rows(made_up):
    hidden = {"test.parquet": parquet({"text": ["a", "b", ""], "label": [-1, -1, -1]}, ("no", "yes"))}
    loaded = load_dataset("metaeval", made_up(hidden, splits=("test",), unlabelled=("test",)))
    assert loaded["test"]["label"] == [-1, -1]
    assert read_report(loaded["test"].info).official["test"].dropped == {"empty sentence": 1}


def test_dropped_rows_are_counted_logged_and_kept_in_the_info(made_up, caplog):
    rows = {"text": ["a", "b", "", None, "e", "f"], "label": ["yes", None, "no", "no", "maybe", "skip"]}
    content = files() | {"train.parquet": parquet(rows), "test.parquet": parquet({"text": ["x"], "label": ["no"]})}
    name = made_up(content, label_values={"skip": None})
    with caplog.at_level(logging.WARNING, "metaeval_datasets"):
        loaded = load_dataset("metaeval", name)
    assert loaded["train"].to_list() == [{"sentence": "a", "label": 1, "idx": 0}]
    report = read_report(loaded["train"].info)
    assert report.official["train"].read == 6
    assert report.official["train"].dropped == {
        "no label": 1,
        "empty sentence": 2,
        "label outside the names": 1,
        "label left out by declaration": 1,
    }
    assert report.official["validation"].dropped == {}
    assert report.splits["train"].rows == 1
    assert "of 6 rows of the official train split, these were dropped: " in caplog.text
    assert "2 (empty sentence)" in caplog.text


def test_a_split_without_one_usable_row_is_an_error(made_up):
    hidden = parquet({"text": ["a", "b"], "label": [-1, -1]}, ("no", "yes"))
    with pytest.raises(
        ValueError, match=r"none of the 2 rows of the official test split.*list the split in `unlabelled`"
    ):
        load_dataset("metaeval", made_up(files() | {"test.parquet": hidden}))
    with pytest.raises(ValueError, match="none of the 2 rows of the official train split"):
        load_dataset("metaeval", made_up({"train.parquet": hidden}, splits=("train",)))


def test_sets_too_small_for_a_split_go_without_it(made_up, caplog):
    assert lengths(load_dataset("metaeval", made_up(files(2, 0, 0), splits=("train",)))) == {"train": 2}
    assert "too few rows for a test split" in caplog.text


def test_pairs_stay_on_one_side(made_up):
    pairs = {"good": [f"good {row}" for row in range(200)], "bad": [f"bad {row}" for row in range(200)]}
    name = made_up(
        {"train.parquet": parquet(pairs)},
        source={"steps": (Stack({"good": "yes", "bad": "no"}),)},
        splits=("train",),
        sentence="sentence",
        groups=SameRow(),
    )
    loaded = load_dataset("metaeval", name)
    assert lengths(loaded) == {"train": 256, "validation": 64, "test": 80}
    for rows in loaded.values():
        assert set(Counter(rows["idx"]).values()) == {2}
        assert sum(rows["label"]) * 2 == len(rows)


def test_repeats_go_where_declared_and_others_stay_together(made_up):
    texts = [f"text {row % 60}" for row in range(180)]
    content = {"train.parquet": parquet({"text": texts, "label": [row % 120 >= 60 for row in range(180)]})}
    once = load_dataset("metaeval", made_up(content, name="made_up/once", splits=("train",), distinct=True))
    assert sum(lengths(once).values()) == 120  # 60 texts with two labels each
    assert read_report(once["train"].info).official["train"].dropped == {"same texts and label as an earlier row": 60}
    twice = load_dataset("metaeval", made_up(content, name="made_up/twice", splits=("train",)))
    assert sum(lengths(twice).values()) == 180
    for loaded in (once, twice):
        texts = [set(rows["sentence"]) for rows in loaded.values()]
        assert sum(map(len, texts)) == len(set.union(*texts)) == 60


def test_the_order_of_rows_changes_nothing(made_up):
    table = pa.table(numbered(0, 300) | {"article": [f"article {row // 4}" for row in range(300)]})
    fields = {"splits": ("train",), "groups": SameText("article")}
    sides = []
    for number, order in enumerate((range(300), range(299, -1, -1))):
        content = {"train.parquet": parquet(table.take(list(order)))}
        loaded = load_dataset("metaeval", made_up(content, name=f"made_up/order{number}", **fields))
        sides.append({split: sorted(rows["sentence"]) for split, rows in loaded.items()})
    assert sides[0] == sides[1]


# --- Editions, revisions, caches ------------------------------------------------------------------------------------


def test_editions_differ_and_are_cached_apart(made_up):
    content = {
        "train.parquet": parquet({"good": ["g"] * 9, "bad": list("abcdefghi")}),
        "test.parquet": parquet({"good": ["g"], "bad": ["b"]}),
    }
    name = made_up(
        content,
        source={"steps": (Orient("good", "bad", labels=("yes", "no")),)},
        splits=("train", "test"),
        sentence1="good",
        sentence2="bad",
        paper=PaperEdition(why="One text.", sentence=Join("good", "bad")),
    )
    careful, paper = load_dataset("metaeval", name), load_dataset("metaeval", name, edition="paper")
    assert careful["test"].column_names == ["sentence1", "sentence2", "label", "idx"]
    assert paper["test"].column_names == ["sentence", "label", "idx"]
    assert "One text." in paper["test"].info.description
    assert read_report(paper["test"].info).edition == "paper"


def test_of_a_prepared_task_only_the_commit_is_asked_for(made_up, hub, caplog):
    name = made_up(files())
    load_dataset("metaeval", name)
    hub.requests.clear()
    caplog.clear()
    loaded = load_dataset("metaeval", name, split="test")
    assert len(hub.requests) == hub.requests.count(route="info") == 1
    assert caplog.text == ""
    assert read_report(loaded.info).splits["test"].rows == 10


def test_a_changed_declaration_is_never_answered_with_old_rows(made_up, declare):
    name = made_up(files())
    spec = all_tasks()[name]
    assert load_dataset("metaeval", name, split="test")[0]["label"] == 0
    declare(dataclasses.replace(spec, names=("yes", "no"), canonical=()))
    changed = load_dataset("metaeval", name, split="test")
    assert (changed[0]["label"], changed.features["label"].names) == (1, ["yes", "no"])


def test_changed_code_is_never_answered_with_old_rows(made_up, monkeypatch):
    name = made_up(files())
    before = load_dataset_builder("metaeval", name).cache_dir
    assert rows_version() in before
    monkeypatch.setattr("metaeval_datasets.hook.rows_version", lambda: "rows-0")
    assert load_dataset_builder("metaeval", name).cache_dir != before


def test_cache_folders_are_flat_whatever_the_name(made_up):
    builder = load_dataset_builder("metaeval", made_up(files(), name="made_up/syntax+semantics"))
    folder = builder.cache_dir.split("/metaeval/")[1].split("/")
    assert folder[0].startswith("made_up-syntax+semantics-")
    assert len(folder) == 3


def test_a_revision_reaches_the_source(made_up, hub):
    name = made_up(files())
    repo = all_tasks()[name].sources[0].repo
    first = hub.repo(repo, "dataset").commit().sha
    hub.add_repo(repo, {"train.parquet": parquet(numbered(0, 5))}, repo_type="dataset")
    assert lengths(load_dataset("metaeval", name))["train"] == 5
    old = load_dataset("metaeval", name, revision=first)
    assert lengths(old)["train"] == 30
    assert read_report(old["train"].info).commit == first
    with pytest.raises(NoSourceError, match="no such revision"):
        load_dataset("metaeval", name, revision="never-made")


@pytest.mark.parametrize("revision", ["main", "v1"])
def test_a_branch_that_has_moved_is_not_answered_with_old_rows(made_up, hub, revision):
    name = made_up(files(9, 0, 0, None), splits=("train",))
    repo = all_tasks()[name].sources[0].repo
    options = {} if revision == "main" else {"revision": revision}
    if options:
        hub.add_repo(repo, {"train.parquet": parquet(numbered(0, 9))}, repo_type="dataset", **options)
    assert sum(lengths(load_dataset("metaeval", name, revision=revision)).values()) == 9
    hub.add_repo(repo, {"train.parquet": parquet(numbered(0, 5))}, repo_type="dataset", **options)
    moved = load_dataset("metaeval", name, revision=revision)
    assert sum(lengths(moved).values()) == 5
    commit = read_report(moved["train"].info).commit
    hub.requests.clear()
    assert lengths(load_dataset("metaeval", name, revision=commit)) == lengths(moved)
    assert len(hub.requests) == 0  # a commit does not move


def test_a_load_says_that_the_branch_has_moved(made_up, hub, caplog):
    name = made_up(files())
    repo = all_tasks()[name].sources[0].repo
    old = read_report(load_dataset("metaeval", name)["train"].info).commit
    assert "moved" not in caplog.text
    new = hub.add_repo(repo, {"train.parquet": parquet(numbered(0, 7))}, repo_type="dataset").commit().sha
    assert lengths(load_dataset("metaeval", name))["train"] == 7
    assert f"{name}: {repo} has moved from commit {old} to {new} since this task was prepared" in caplog.text
    caplog.clear()
    assert lengths(load_dataset("metaeval", name))["train"] == 7  # both are prepared now
    assert lengths(load_dataset("metaeval", name, revision=old))["train"] == 30
    assert caplog.text == ""


def test_a_load_says_that_the_branch_of_a_later_source_has_moved(made_up, hub, caplog):
    """Rows of a source that is not the first are kept, because the name of the cache folder has the first's commit."""
    other = hub.name("other")
    hub.add_repo(other, files(), repo_type="dataset")
    name = made_up({"README.md": b"no data"}, others=(Source(other),))
    old = read_report(load_dataset("metaeval", name)["train"].info).commit
    new = hub.add_repo(other, {"train.parquet": parquet(numbered(0, 7))}, repo_type="dataset").commit().sha
    caplog.clear()
    assert lengths(load_dataset("metaeval", name))["train"] == 30
    assert f"{name}: {other} has moved from commit {old} to {new} since this task was prepared" in caplog.text
    assert lengths(load_dataset("metaeval", name, download_mode="force_redownload"))["train"] == 7


def test_copies_prepared_before_folders_had_a_commit_are_used_at_that_commit(made_up, hub):
    name = made_up(files())
    folder = Path(load_dataset("metaeval", name)["train"].cache_files[0]["filename"]).parents[2]
    unnamed = folder.with_name(folder.name.rpartition("-")[0])
    folder.rename(unnamed)
    hub.requests.clear()
    assert str(unnamed) in load_dataset("metaeval", name)["train"].cache_files[0]["filename"]
    assert len(hub.requests) == hub.requests.count(route="info") == 1
    hub.add_repo(all_tasks()[name].sources[0].repo, {"train.parquet": parquet(numbered(0, 7))}, repo_type="dataset")
    assert lengths(load_dataset("metaeval", name))["train"] == 7


def test_a_prepared_task_loads_without_the_hub_and_without_a_listing(made_up, monkeypatch):
    name = made_up(files())
    online = load_dataset("metaeval", name)
    monkeypatch.setattr("metaeval_datasets.sources.hub_files.read_listing", lambda *where: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert lengths(load_dataset("metaeval", name)) == lengths(online)


def test_offline_from_the_cache(made_up, hub, monkeypatch):
    paper = PaperEdition(why="Other.", names=("n", "y"), label_values={"no": "n", "yes": "y"})
    name = made_up(files(40, 10, 0), splits=("train", "validation"), paper=paper)
    online = load_dataset("metaeval", name)
    hub.requests.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    assert lengths(load_dataset("metaeval", name)) == lengths(online)
    # The other edition was never prepared, but its files are there.
    assert load_dataset("metaeval", name, edition="paper", split="test").features["label"].names == ["n", "y"]
    assert len(hub.requests) == 0


def test_what_a_killed_process_left_does_not_stay_in_the_cache(made_up):
    name = made_up(files(100, 0, 0), splits=("train",))
    folder = Path(load_dataset_builder("metaeval", name).cache_dir)
    left = Path(f"{folder}.incomplete") / ".making-left"
    left.mkdir(parents=True)
    (left / "0.arrow").write_bytes(b"half a file")
    assert lengths(load_dataset("metaeval", name)) == {"train": 64, "validation": 16, "test": 20}
    kept = {path.name for path in folder.rglob("*")}
    expected = {f"metaeval-{split}.arrow" for split in ("train", "validation", "test")}
    assert kept - {"LICENSE"} == expected | {"dataset_info.json"}


def test_loading_does_not_import_what_it_has_no_use_for(run_python):
    """`datasets` would import scipy and pandas' readers to replace functions that the builder does not call."""
    code = "import sys, metaeval_datasets as m; m.load_dataset('metaeval', 'demo/tense'); print('scipy' in sys.modules)"
    assert run_python(code).stdout.strip() == "False"


# --- Ways of loading ------------------------------------------------------------------------------------------------


def sharded(rows=90, shards=3):
    size = rows // shards
    return {
        f"data/train-{number:05d}-of-{shards:05d}.parquet": parquet(numbered(number * size, (number + 1) * size))
        for number in range(shards)
    }


@pytest.mark.parametrize("fields", [{"splits": ("train",)}, {"splits": ("train",), "distinct": True}])
def test_streaming_gives_the_same_rows_and_downloads_nothing(made_up, hub, fields):
    name = made_up(sharded(), **fields)
    hub.requests.clear()
    streamed = load_dataset("metaeval", name, streaming=True)
    rows = {split: list(part) for split, part in streamed.items()}
    assert all(request.range for request in hub.requests.select(".parquet", method="GET"))
    loaded = load_dataset("metaeval", name)
    assert rows == {split: part.to_list() for split, part in loaded.items()}
    assert streamed["train"].features == loaded["train"].features


def test_streaming_an_official_split_reads_none_that_is_derived(made_up, monkeypatch):
    """No pass over the train split to derive what nobody asked for."""
    monkeypatch.setattr("metaeval_datasets.metaeval.assign", lambda *_: pytest.fail("read to derive splits"))
    name = made_up(files(4000, 10, 0), splits=("train", "validation"))
    streamed = load_dataset("metaeval", name, streaming=True, split="test")
    assert next(iter(streamed))["sentence"] == "text number 4000"
    assert read_report(streamed.info).splits["test"].official == "validation"


@pytest.mark.parametrize("num_proc", [None, 2])
def test_processes_change_nothing(made_up, num_proc):
    content = sharded()
    content["data/test-00000-of-00002.parquet"] = parquet(numbered(90, 95))
    content["data/test-00001-of-00002.parquet"] = parquet({"text": ["", "a", None], "label": [0, 1, 1]})
    name = made_up(content, name=f"made_up/processes{num_proc}", splits=("train", "test"))
    loaded = load_dataset("metaeval", name, num_proc=num_proc)
    assert lengths(loaded) == {"train": 72, "validation": 18, "test": 6}
    assert loaded["train"]["idx"] == sorted(loaded["train"]["idx"])
    assert loaded["test"]["idx"] == [0, 1, 2, 3, 4, 6]
    assert read_report(loaded["test"].info).official["test"].dropped == {"empty sentence": 2}
    assert read_report(loaded["test"].info).official["test"].read == 8


def test_slices_and_sums_of_splits(made_up):
    name = made_up(files())
    assert len(load_dataset("metaeval", name, split="train[:20%]+test")) == 16


# --- Telling the user -----------------------------------------------------------------------------------------------


def test_a_fallback_is_told_each_time(made_up, hub, caplog):
    repo = hub.name("fallback")
    hub.add_repo(repo, files(), repo_type="dataset")
    name = made_up({"readme.txt": "empty"}, others=(Source(repo),))
    for streaming in (False, False, True):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "metaeval_datasets"):
            load_dataset("metaeval", name, streaming=streaming)
        assert "cannot be used: has none of the splits" in caplog.text
        assert f"rows come from {repo}" in caplog.text
    report = read_report(load_dataset("metaeval", name, split="train").info)
    assert report.source == repo
    assert "has none of the splits" in report.passed_over[0]["reason"]
    assert report.commit == hub.repo(repo, "dataset").commit().sha


def damaged(content):
    """A Parquet file whose footer and first pages are whole and whose last page is not."""
    return content[: len(content) // 2] + bytes(100) + content[len(content) // 2 + 100 :]


def late(bad):
    """A JSON-lines file whose first rows, as far as opening looks, are as declared."""
    return "".join(json.dumps({"text": f"text {row}", "label": row % 2}) + "\n" for row in range(40)) + bad


FAIL_LATE = {
    "damaged page": ({"train.parquet": damaged(parquet(numbered(0, 20_000)))}, "train.parquet"),
    "not JSON": ({"train.jsonl": late("{")}, "line 41"),
    "other labels": ({"train.jsonl": late('{"text": "a", "label": "No"}\n' * 40)}, "'No'"),
    "other columns": (
        {"a.parquet": parquet(numbered(0, 9)), "b.parquet": parquet({"text": ["a"], "gold": [0]})},
        "has no column 'label'; its columns are text, gold",
    ),
    "no rows": ({"train.parquet": parquet({"text": pa.array([], pa.string()), "label": [][:0]})}, "has no rows"),
    "other type": (
        {"a.parquet": parquet(numbered(0, 9)), "b.parquet": parquet({"text": ["a"], "label": [[0]]})},
        "b.parquet: column 'label' contains list<",
    ),
}


@pytest.mark.parametrize("num_proc", [None, 2])
@pytest.mark.parametrize("fault", FAIL_LATE)
def test_a_source_that_fails_late_is_passed_over(made_up, hub, monkeypatch, fault, num_proc):
    monkeypatch.setattr("metaeval_datasets.sources.readers.BLOCK_BYTES", 1000)
    repo = hub.name("fallback")
    hub.add_repo(repo, files(30, 0, 10), repo_type="dataset")
    content, reason = FAIL_LATE[fault]
    first = {"files": {"train": "*.*", "test": "test/*.parquet"}}
    extra = {f"test/{number}.parquet": parquet(numbered(number, number + 5)) for number in (0, 5)}
    name = made_up(content | extra, source=first, others=(Source(repo),), splits=("train", "test"))
    loaded = load_dataset("metaeval", name, num_proc=num_proc)
    assert lengths(loaded) == {"train": 24, "validation": 6, "test": 10}
    report = read_report(loaded["train"].info)
    assert report.source == repo
    assert reason in report.passed_over[0]["reason"]


def test_labels_that_only_streaming_meets_end_it(made_up, monkeypatch):
    """There is no way back to another source from the middle of a stream."""
    monkeypatch.setattr("metaeval_datasets.sources.readers.BLOCK_BYTES", 1000)
    bad = '{"text": "a", "label": "No"}\n' * 40
    for number, splits in enumerate((("test",), ("train",))):
        name = made_up({f"{splits[0]}.jsonl": late(bad)}, name=f"made_up/late{number}", splits=splits)
        streamed = load_dataset("metaeval", name, streaming=True, split="test")
        with pytest.raises(SourceError, match=f"{splits[0]}: 40 of 80 labels are outside the declared names"):
            list(streamed)


def test_missing_splits_are_told(made_up, caplog):
    name = made_up(files(30, 10, 0))
    loaded = load_dataset("metaeval", name)
    assert lengths(loaded) == {"train": 24, "validation": 6, "test": 10}
    assert "lacks split 'test', so the splits differ from those of the complete task" in caplog.text
    assert read_report(loaded["test"].info).missing == ["split 'test'"]


def test_errors_name_every_source(declare):
    name = declare(task(sources=(Source("not/there"), Source("nor/here"))))
    with pytest.raises(NoSourceError) as raised:
        load_dataset("metaeval", name)
    assert "- not/there: no such repository" in str(raised.value)
    assert "- nor/here: no such repository" in str(raised.value)


def test_unknown_names_and_arguments(made_up):
    name = made_up(files())
    with pytest.raises(UnknownTaskError, match=f"no task 'made_up/tusk' .*closest: .*{name}"):
        load_dataset("metaeval", "made_up/tusk")
    with pytest.raises(UnknownTaskError, match="no task given"):
        load_dataset("metaeval")
    with pytest.raises(ValueError, match=r"unknown edition 'upstream'; expected one of"):
        load_dataset("metaeval", name, edition="upstream")
    with pytest.raises(ValueError, match="data_files"):
        load_dataset("metaeval", name, data_files="x.csv")


@pytest.mark.parametrize("streaming", [False, True])
def test_features_of_another_task_are_refused(made_up, streaming):
    name = made_up(files())
    own = {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    own["idx"] = datasets.Value("int64")
    loaded = load_dataset("metaeval", name, features=datasets.Features(own), streaming=streaming)
    assert next(iter(loaded["test"]))["label"] == 0
    for column, kind in (("label", datasets.ClassLabel(names=["yes", "no"])), ("sentence", datasets.Value("int64"))):
        with pytest.raises(ValueError, match=rf"features= differs from the task's own in {column}; expected"):
            load_dataset("metaeval", name, features=datasets.Features({**own, column: kind}), streaming=streaming)


def test_the_info_holds_licence_and_reference(made_up):
    info = load_dataset("metaeval", made_up(files(), license="mit", citation="wang2019glue"), split="test").info
    assert info.license == "mit"
    assert info.citation.startswith("@misc{wang2019glue,\n  author = {{Wang} and {Singh} and ")
    other = made_up(files(), name="made_up/other", citation="nobody2000")  # of a task that a user has declared
    assert load_dataset("metaeval", other, split="test").info.citation == "nobody2000"


def test_public_names():
    assert all(hasattr(metaeval_datasets, name) for name in metaeval_datasets.__all__)


# --- Real rows ------------------------------------------------------------------------------------------------------


@pytest.mark.mirror
def test_a_real_task_through_the_whole_path(mirror, declare):
    spec = task(
        name="pragmeval/sarcasm",
        sources=(Source("sileod/pragmeval", config="sarcasm"),),
        sentence1="sentence1",
        sentence2="sentence2",
        names=("notsarc", "sarc"),
    )
    loaded = load_dataset("metaeval", declare(spec))
    assert lengths(loaded) == {"train": 3754, "validation": 469, "test": 469}
    assert set(loaded["test"]["label"]) == {0, 1}
