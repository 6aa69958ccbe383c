import json
import threading
import time

import datasets
import pytest
from datasets import Dataset, DatasetDict
from metaeval_training.data import rows as module
from metaeval_training.data.cache import DataCache
from metaeval_training.data.rows import (
    DataError,
    RowChoice,
    TaskRows,
    expand_tasks,
    find_contaminated,
    keep_rows,
    load_task,
    load_tasks,
    prepared_digest,
    rows_digest,
    texts,
)

from metaeval_datasets import Report, UnknownTaskError, list_tasks, load_dataset
from metaeval_datasets.overlap import Rules, rows_to_leave_out
from metaeval_datasets.sources.pins import pinned, write_pins
from tests.metaeval_datasets.conftest import parquet
from tests.training.rows import TEXTS, dataset


@pytest.fixture
def tasks(monkeypatch):
    """A stand-in for the catalogue: task name -> the rows, or the error that loading raises."""
    known = {
        "x/good": DatasetDict(train=dataset(), test=dataset()),
        "x/no_train": DatasetDict(test=dataset()),
        "x/hidden": DatasetDict(train=dataset(), validation=dataset(), test=dataset(labels=(-1, -1, -1, -1))),
        "x/down": ConnectionError("no route"),
    }

    def load(path, name, edition):
        assert (path, edition) == ("metaeval", "careful")
        if isinstance(known[name], Exception):
            raise known[name]
        return known[name]

    monkeypatch.setattr(module, "load_dataset", load)
    monkeypatch.setattr(module, "read_report", lambda info: Report("x", "careful", "org/rows", "c0ffee"))
    return known


def test_rows_kept_are_drawn_with_the_seed_and_stay_in_order():
    rows = Dataset.from_dict({"idx": list(range(100))})
    kept = keep_rows(rows, 30, 0, "task", "train")["idx"][:]
    assert len(kept) == 30
    assert kept == sorted(kept) != list(range(30))
    assert kept == keep_rows(rows, 30, 0, "task", "train")["idx"][:]
    assert kept != keep_rows(rows, 30, 1, "task", "train")["idx"][:]
    assert keep_rows(rows, 100, 0) is rows


def test_rows_are_cut_by_split_and_counted(tasks):
    task = load_task("x/good", RowChoice(max_train_rows=3, max_eval_rows=2))
    assert {split: len(rows) for split, rows in task.splits.items()} == {"train": 3, "test": 2}
    assert task.available == {"train": 4, "test": 4}
    assert task.labels == ("no", "yes")
    assert (task.origin["source"], task.origin["commit"]) == ("org/rows", "c0ffee")


def test_a_split_with_hidden_labels_is_not_scored(tasks):
    assert load_task("x/hidden", RowChoice()).splits.keys() == {"train", "validation"}


def test_all_tasks_are_tried_before_any_is_complained_about(tasks):
    with pytest.raises(DataError) as error:
        load_tasks(list(tasks), RowChoice())
    assert str(error.value).splitlines() == [
        "2 of 4 tasks cannot be trained on; add --skip-unavailable to train on the others",
        "  x/no_train: the training split is missing or empty; found test (4 rows)",
        "  x/down: ConnectionError: no route",
    ]


def test_tasks_are_loaded_at_the_same_time_and_returned_in_the_order_asked_for(tasks, monkeypatch):
    load, both = module.load_dataset, threading.Barrier(2, timeout=10)

    def load_together(path, name, edition):
        both.wait()  # breaks if one task waits for the other to be loaded
        if name == "x/good":
            time.sleep(0.05)  # so that the first task ends last
        return load(path, name, edition=edition)

    monkeypatch.setattr(module, "load_dataset", load_together)
    ended = []
    loaded, _ = load_tasks(["x/good", "x/hidden"], RowChoice(), on_task=ended.append)
    assert [task.name for task in loaded] == ["x/good", "x/hidden"]
    assert ended == ["x/hidden", "x/good"]


def test_a_stop_while_tasks_are_loaded_leaves_the_others_unread(tasks, monkeypatch):
    read = []
    tasks |= {f"x/{number}": DatasetDict(train=dataset()) for number in range(50)}
    load = module.load_dataset

    def count(path, name, edition):
        read.append(name)
        time.sleep(0.005)
        return load(path, name, edition=edition)

    monkeypatch.setattr(module, "load_dataset", count)

    def stop(name):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_tasks([f"x/{number}" for number in range(50)], RowChoice(), on_task=stop)
    assert len(read) < 30


def test_unavailable_tasks_can_be_left_out(tasks):
    loaded, skipped = load_tasks(list(tasks), RowChoice(), skip_unavailable=True)
    assert [task.name for task in loaded] == ["x/good", "x/hidden"]
    assert skipped.keys() == {"x/no_train", "x/down"}


def test_no_task_left_is_an_error_all_the_same(tasks):
    with pytest.raises(DataError, match="no task is left"):
        load_tasks(["x/down"], RowChoice(), skip_unavailable=True)


def test_texts_are_those_of_the_training_rows():
    task = TaskRows("x/y", ("no", "yes"), {"train": dataset(pairs=True), "test": dataset()}, {}, {})
    assert sorted(texts([task])) == sorted(TEXTS * 2)


def test_all_is_the_collection_and_names_may_repeat():
    assert expand_tasks(["all"]) == list_tasks()
    demo = list_tasks(group="demo")
    assert expand_tasks([demo[3], "demo"]) == [demo[3], *demo[:3], *demo[4:]]
    with pytest.raises(UnknownTaskError, match="closest: demo"):
        expand_tasks(["dmo"])


def test_the_digest_of_rows_is_of_texts_labels_and_order():
    base = rows_digest(dataset())
    assert base == rows_digest(dataset())
    assert base == rows_digest(dataset().remove_columns("idx"))
    changed = [dataset((0, 1, 0, 0)), dataset(pairs=True), dataset().select([0, 1, 2]), dataset().select([1, 0, 2, 3])]
    assert len({base, *map(rows_digest, changed)}) == 5


LONG = [f"a long text with the number {i} in it" for i in range(9)]


def shared_tasks():
    """Two tasks of 4 training rows; text 0 is in the other's test split, text 1 in its own validation split."""

    def split(texts, **columns):
        return dataset().select([0] * len(texts)).remove_columns("sentence").add_column("sentence", texts, **columns)

    return {
        "x/one": DatasetDict(train=split(LONG[:4]), validation=split(LONG[1:2]), test=split(LONG[7:8])),
        "x/two": DatasetDict(train=split(LONG[4:7]), test=split([LONG[0].upper(), LONG[8]])),
        "x/short": DatasetDict(train=split(["yes", "no"]), test=split(["yes", "no"])),
    }


@pytest.fixture
def shared(tasks):
    tasks.clear()
    tasks.update(shared_tasks())
    return tasks


def test_training_rows_in_evaluation_splits_are_left_out_before_the_cut(shared):
    loaded, _ = load_tasks(list(shared), RowChoice(max_train_rows=2), decontaminate="whole")
    one, two, short = loaded
    assert (one.left_out, two.left_out, short.left_out) == (2, 0, 0)
    assert one.splits["train"]["sentence"][:] == LONG[2:4]
    assert one.available["train"] == 4
    assert len(two.splits["train"]) == 2
    kept, _ = load_tasks(list(shared), RowChoice(max_train_rows=2), decontaminate="no")
    assert [task.left_out for task in kept] == [0, 0, 0]


def test_one_task_alone_loses_what_it_loses_among_the_others(shared):
    found = find_contaminated(["x/one", "x/gone", "x/two"], "careful", "whole")
    assert {name: rows.tolist() for name, rows in found.items()} == {"x/one": [0, 1]}
    assert load_task("x/one", RowChoice(), found["x/one"]).splits["train"]["sentence"][:] == LONG[2:4]


def test_a_task_all_of_whose_training_rows_are_left_out_says_so(shared):
    shared["x/one"]["test"] = shared["x/one"]["train"]
    with pytest.raises(DataError, match="x/one: all 4 training rows are also in evaluation splits"):
        load_tasks(list(shared), RowChoice(), decontaminate="whole")


@pytest.mark.parametrize(("decontaminate", "rules"), [("whole", Rules(sentences=False)), ("sentences", Rules())])
def test_left_out_rows_of_the_demo_tasks(decontaminate, rules, tmp_path):
    """Reference: overlap.rows_to_leave_out on tasks that were loaded as users do."""
    names = list_tasks(group="demo")[:8]
    expected = rows_to_leave_out({name: load_dataset("metaeval", name) for name in names}, rules)
    loaded, _ = load_tasks(names, RowChoice(), decontaminate=decontaminate)
    assert [task.left_out for task in loaded] == [len(expected[name]) for name in names]


def test_a_second_run_reads_no_task(tmp_path, monkeypatch):
    names, choice = ["demo/manners", "demo/topics"], RowChoice(max_train_rows=50, max_eval_rows=20)
    first, _ = load_tasks(names, choice, decontaminate="whole", cache=DataCache(tmp_path))
    expected = [load_task(name, choice) for name in names]
    with monkeypatch.context() as patch:
        patch.setattr(module, "load_dataset", None)
        again, _ = load_tasks(names, choice, decontaminate="whole", cache=DataCache(tmp_path))
    for a, b, c in zip(first, again, expected, strict=True):
        assert (a.name, a.labels, a.available, a.origin, a.text_columns, dict(a.digests)) == (
            b.name, b.labels, b.available, b.origin, b.text_columns, dict(b.digests)
        )  # fmt: skip
        assert a.digests == {split: rows_digest(rows) for split, rows in c.splits.items()}
        for split in c.splits:
            assert b.splits[split][:] == c.splits[split][:]
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("change", [{"max_train_rows": 51}, {"max_eval_rows": 21}, {"seed": 1}])
def test_another_choice_of_rows_is_not_taken_from_the_cache(change, tmp_path):
    cache = DataCache(tmp_path)
    choice = {"max_train_rows": 50, "max_eval_rows": 20}
    load_tasks(["demo/topics"], RowChoice(**choice), cache=cache)
    (task,), _ = load_tasks(["demo/topics"], RowChoice(**{**choice, **change}), cache=cache)
    assert dict(task.digests) == dict(load_task("demo/topics", RowChoice(**{**choice, **change})).digests)


def test_rows_prepared_from_another_source_are_read_again(tmp_path):
    load_dataset("metaeval", "demo/topics")
    before = prepared_digest("demo/topics", "careful")
    (info,) = datasets.config.HF_DATASETS_CACHE.glob("metaeval/demo-topics-*/*/*/dataset_info.json")
    kept = info.read_text()
    try:
        info.write_text(json.dumps({**json.loads(kept), "description": "from another source"}))
        assert prepared_digest("demo/topics", "careful") not in ("", before)
    finally:
        info.write_text(kept)
    assert prepared_digest("demo/topics", "careful") == before
    assert prepared_digest("demo/no_such", "careful") == ""


def test_a_known_task_whose_rows_are_gone_is_named(tmp_path, monkeypatch):
    cache = DataCache(tmp_path)
    load_tasks(["demo/topics"], RowChoice(), cache=cache)
    monkeypatch.setattr(module, "load_dataset", None)
    (task,), _ = load_tasks(["demo/topics"], RowChoice(), cache=cache)
    with pytest.raises(DataError, match="demo/topics was loaded before, but cannot be loaded again: TypeError"):
        task.splits["train"]


def test_rows_at_another_commit_have_another_digest_and_a_pin_keeps_the_first(hub, monkeypatch, tmp_path):
    """A real task, whose source is served here and then moves."""
    repo, name = "dair-ai/emotion", "emotion/default"
    texts = {"text": [f"text {number}" for number in range(12)], "label": [number % 6 for number in range(12)]}
    files = {f"split/{split}.parquet": parquet(texts) for split in ("train", "validation", "test")}
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    (tmp_path / "empty").mkdir()
    with hub.only_folder(tmp_path / "empty"):  # a mirror next to the project may have the source
        try:
            old = hub.add_repo(repo, files, repo_type="dataset").commit().sha
            before = load_task(name, RowChoice())
            assert (before.origin["commit"], before.prepared) == (old, prepared_digest(name, "careful"))
            more = parquet({column: values[:6] for column, values in texts.items()})
            hub.add_repo(repo, {"split/train.parquet": more}, repo_type="dataset")
            after = load_task(name, RowChoice())
            write_pins(tmp_path / "pins.json", {repo: old})
            with pinned(tmp_path / "pins.json"):
                again = load_task(name, RowChoice())
        finally:
            hub.remove(repo, "dataset")
    assert [len(task.splits["train"]) for task in (before, after, again)] == [12, 6, 12]
    assert again.prepared == before.prepared != after.prepared
