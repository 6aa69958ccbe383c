"""A published copy gives the rows of its sources, at one commit; copies that cannot be used are refused."""

import re

import pytest
from datasets import load_dataset, load_dataset_builder

from metaeval_datasets import NoSourceError, publish, read_report
from metaeval_datasets.record import dump_records
from metaeval_datasets.spec import PaperEdition, Source
from tests.metaeval_datasets.conftest import numbered, parquet, task

NAME = "made_up/task"


@pytest.fixture
def copy(hub, declare, tmp_path):
    """Publish a made-up task in several files a split, past the command; returns ``send`` and the repository."""
    repo, source = hub.name("copy"), hub.name("source")

    def send(rows=60, edition="careful", **fields):
        hub.add_repo(source, {"train.parquet": parquet(numbered(0, rows), ("no", "yes"))}, repo_type="dataset")
        declare(task(**{"sources": (Source(source),), "splits": ("train",), **fields}))
        record = publish.build_task(NAME, tmp_path, edition, rebuild=True)
        files = {name: (tmp_path / name).read_bytes() for name in record.paths}
        files["tasks.json"] = dump_records([record])
        hub.add_repo(repo, files, repo_type="dataset")
        return record

    send.repo, send.source = repo, source
    return send


@pytest.fixture(autouse=True)
def _small_files(monkeypatch):
    monkeypatch.setattr(publish, "GROUP_ROWS", 10)
    monkeypatch.setattr(publish, "FILE_BYTES", 700)


def rows_of(loaded):
    return {split: rows.to_list() if hasattr(rows, "to_list") else list(rows) for split, rows in loaded.items()}


def test_a_copy_gives_what_the_source_gives(copy, hub):
    record = copy()
    assert len(record.splits["train"].files) > 1
    expected = load_dataset("metaeval", NAME)
    hub.requests.clear()
    loaded = load_dataset("metaeval", NAME, source=copy.repo)
    assert hub.requests.count(copy.source) == 0
    assert rows_of(loaded) == rows_of(expected)
    assert loaded["train"].features == expected["train"].features
    report, original = (read_report(found["train"].info) for found in (loaded, expected))
    commit = hub.repo(copy.repo, "dataset").commit("main").sha
    assert report.copy == f"{copy.repo} (made_up-task), commit {commit}"
    assert report.lines()[:2] == [f"Read from the copy {report.copy}.", original.lines()[0]]
    report.copy = None
    assert report == original


@pytest.mark.parametrize("options", [{"streaming": True}, {"num_proc": 2}, {"revision": "main", "streaming": True}])
def test_every_way_of_loading_gives_the_same(copy, options, hub):
    copy()
    hub.requests.clear()
    loaded = load_dataset("metaeval", NAME, source=copy.repo, **options)
    assert rows_of(loaded) == rows_of(load_dataset("metaeval", NAME))
    if "streaming" in options:
        assert all(request.range for request in hub.requests.select(".parquet", method="GET"))


def test_a_copy_is_read_at_its_commit(copy, hub):
    copy(rows=60)
    first = hub.repo(copy.repo, "dataset").commit("main").sha

    def total(**options):
        return sum(map(len, load_dataset("metaeval", NAME, source=copy.repo, **options).values()))

    assert total() == 60
    copy(rows=70, notes="Published again.")
    assert total() == 70  # and not what is in the cache from before
    copy(rows=60)
    assert total(revision=first) == 60
    builder = load_dataset_builder("metaeval", NAME, source=copy.repo, revision=first)
    assert builder.config.revision == first


def test_a_copy_and_its_source_do_not_share_a_cache(copy):
    copy()
    folders = [load_dataset_builder("metaeval", NAME, **options).cache_dir for options in ({}, {"source": copy.repo})]
    assert folders[0] != folders[1]


def test_offline_from_the_cache(copy, hub, monkeypatch):
    copy()
    online = load_dataset("metaeval", NAME, source=copy.repo)
    hub.requests.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    assert rows_of(load_dataset("metaeval", NAME, source=copy.repo)) == rows_of(online)
    assert len(hub.requests) == 0


def test_a_failing_hub_is_survived(copy, hub, fast_retries, monkeypatch):
    copy()
    monkeypatch.setattr("metaeval_datasets.sources.asking.time.sleep", fast_retries.append)
    faults = [
        hub.faults.add(route="info", status=503),
        hub.faults.add("tasks.json", method="GET", reset=True),
        hub.faults.add("train-00000", method="HEAD", status=429, retry_after=1),
        hub.faults.add(route="cdn", truncate=50),
    ]
    assert sum(map(len, load_dataset("metaeval", NAME, source=copy.repo).values())) == 60
    assert [fault.hits for fault in faults] == [1, 1, 1, 1]


def test_rows_without_labels_keep_none(hub, copy):
    hidden = hub.name("hidden")
    table = {"text": ["a", "b"], "label": [-1, -1]}
    hub.add_repo(hidden, {"test.parquet": parquet(table, ("no", "yes"))}, repo_type="dataset")
    copy(sources=(Source(hidden),), splits=("test",), unlabelled=("test",))
    loaded = load_dataset("metaeval", NAME, source=copy.repo)
    assert loaded["test"]["label"][:] == [-1, -1]


# --- What is refused ------------------------------------------------------------------------------------------------


def refusal(repo, **options):
    with pytest.raises(NoSourceError) as caught:
        load_dataset("metaeval", NAME, source=repo, **options)
    start = f"task {NAME}: the copy {repo} cannot be used: "
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)


def test_what_is_no_copy_is_told(copy, hub, declare):
    copy()
    assert refusal(hub.name("gone")).startswith("no such repository")
    assert refusal(copy.source) == "has no tasks.json; expected a repository created by `metaeval publish`"
    hub.add_repo(copy.source, {"tasks.json": "[]"}, repo_type="dataset")
    assert refusal(copy.source).startswith("tasks.json is not as expected")
    with pytest.raises(NoSourceError, match=rf"the copy {copy.repo} at v9 cannot be used: no such revision"):
        load_dataset("metaeval", NAME, source=copy.repo, revision="v9")
    other = declare(task(name="made_up/other"))
    with pytest.raises(
        NoSourceError, match=r"task made_up/other: the copy .* does not contain this task among its 1 tasks"
    ):
        load_dataset("metaeval", other, source=copy.repo)


def test_another_edition_is_refused(copy):
    copy(paper=PaperEdition(why="The paper keeps one of equal rows.", distinct=True))
    assert refusal(copy.repo, edition="paper") == "contains the careful edition; expected the paper edition"
    copy(edition="paper", paper=PaperEdition(why="The paper keeps one of equal rows.", distinct=True))
    assert refusal(copy.repo) == "contains the paper edition; expected the careful edition"
    assert load_dataset("metaeval", NAME, source=copy.repo, edition="paper")["train"].num_rows


def test_other_columns_or_classes_than_declared_are_refused(copy, declare):
    copy()
    declare(task(sources=(Source(copy.source),), splits=("train",), names=("never", "always")))
    assert refusal(copy.repo) == (
        "has the class names ['no', 'yes'], but this release declares ['never', 'always']; "
        "give the revision that was published with this release"
    )
    declare(task(sources=(Source(copy.source),), splits=("train",), sentence1="text", sentence2="text"))
    assert "has the columns ['sentence'], but this release declares ['sentence1', 'sentence2']" in refusal(copy.repo)


def damaged(copy, hub, change):
    """Publish, then change one file by hand; returns its path."""
    record = copy()
    path = next(name for name in record.paths if "/test-" in name)
    hub.add_repo(copy.repo, {path: parquet(change)}, repo_type="dataset")
    return path


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"sentence": ["a"], "label": [0], "idx": [0]},
            r"test split .* has \d+ rows, but its record says 12",
        ),
        ({"sentence": ["a"], "label": [2], "idx": [0]}, r"labels from 2 to 2, 0 null; expected 0 to 1"),
        ({"sentence": ["a"], "label": [-1], "idx": [0]}, r"labels from -1 to -1, 0 null; expected 0 to 1"),
        ({"sentence": ["a"], "idx": [0]}, r"has no column 'label'; its columns are sentence, idx"),
    ],
)
def test_rows_that_are_not_those_that_were_published_are_refused(table, message, copy, hub):
    damaged(copy, hub, table)
    with pytest.raises(Exception) as caught:  # noqa: PT011 (datasets wraps what a builder raises while it prepares)
        load_dataset("metaeval", NAME, source=copy.repo)
    assert re.search(message, str(caught.value.__cause__ or caught.value))


def test_a_file_that_is_gone_is_told(copy, hub):
    record = copy()
    repo, path = hub.repo(copy.repo, "dataset"), next(iter(record.paths))
    head = repo.commit("main").sha
    repo.add_commit("refs/heads/main", {path: None}, author="user", title="By hand", parent=head)
    assert refusal(copy.repo) == f"lacks the file {path}"
