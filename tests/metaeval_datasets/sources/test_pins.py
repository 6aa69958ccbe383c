"""Pin files: what is written, what is refused, and that loads keep to them."""

import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from metaeval_datasets import NoSourceError, load_dataset, read_report
from metaeval_datasets.publish import build_task, locked
from metaeval_datasets.sources.asking import SourceError
from metaeval_datasets.sources.hub_files import Access
from metaeval_datasets.sources.pins import Pins, PinsError, find_pins, pinned, read_pins, write_pins
from metaeval_datasets.sources.revisions import Revisions, ask_once, find_revisions
from metaeval_datasets.spec import Embedded, Source
from tests.metaeval_datasets.conftest import numbered, parquet, task

OLD, NEW = "0123456789abcdef" * 2 + "01234567", "f" * 40


@pytest.fixture
def moved(hub, declare, tmp_path):
    """A task whose source has moved: name, repository, its commits, and a file that pins the first."""
    repo = hub.name("pinned")
    old = hub.add_repo(repo, {"train.parquet": parquet(numbered(0, 30))}, repo_type="dataset").commit().sha
    new = hub.add_repo(repo, {"train.parquet": parquet(numbered(0, 10))}, repo_type="dataset").commit().sha
    name = declare(task(sources=(Source(repo),), splits=("train",)))
    path = tmp_path / "pins.json"
    write_pins(path, {repo: old})
    return name, repo, old, new, path


def rows(loaded):
    return sum(map(len, loaded.values()))


def test_a_file_has_a_version_and_one_sorted_line_per_source(tmp_path):
    path = tmp_path / "pins.json"
    write_pins(path, {"b/b@refs/convert/parquet": NEW, "a/a": OLD})
    assert path.read_text(encoding="utf-8").splitlines() == [
        "{",
        ' "version": 1,',
        ' "sources": {',
        f'  "a/a": "{OLD}",',
        f'  "b/b@refs/convert/parquet": "{NEW}"',
        " }",
        "}",
    ]
    pins = read_pins(path)
    assert pins.commit(Source("b/b", revision="refs/convert/parquet")) == NEW
    assert pins.commit(Source("b/b")) is None
    write_pins(path, {})
    assert read_pins(path).commits == {}
    assert os.listdir(tmp_path) == ["pins.json"]


def test_a_file_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    path = tmp_path / "pins.json"
    write_pins(path, {"a/a": OLD})

    def fail(*places):
        raise OSError("full")

    monkeypatch.setattr("metaeval_datasets.sources.pins.os.replace", fail)
    with pytest.raises(OSError, match="full"):
        write_pins(path, {"a/a": NEW})
    assert read_pins(path).commits == {"a/a": OLD}
    assert os.listdir(tmp_path) == ["pins.json"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Expecting value"),
        ("[]", r"expected an object with the keys 'version' and 'sources', got \[\]"),
        ("{}", "expected an object with the keys"),
        ('{"version": 2, "sources": {}}', "it has version 2, expected 1; use another release"),
        ('{"version": true, "sources": {}}', "it has version True, expected 1"),
        ('{"version": 1}', "'sources' must be an object with one commit per source, got None"),
        ('{"version": 1, "sources": {}, "more": 1}', "unknown key 'more'"),
        (f'{{"version": 1, "sources": {{"glue": "{OLD}"}}}}', "'glue' is not a source; expected 'owner/name'"),
        ('{"version": 1, "sources": {"a/a": "main"}}', "the commit of a/a must be a full commit id .* got 'main'"),
        ('{"version": 1, "sources": {"a/a": 7}}', "the commit of a/a must be a full commit id"),
        (f'{{"version": 1, "sources": {{"a/a": "{OLD}", "a/a": "{NEW}"}}}}', "'a/a' occurs twice"),
        (f'{{"version": 1, "sources": {{"a/a@{OLD}": "{NEW}"}}}}', "its revision is already a commit"),
        ("[" * 100_000, "recursion"),
        ("\x00", "Expecting value"),
        (b"\xff\xfe\x00", "malformed"),
    ],
)
def test_a_malformed_file_is_refused_with_its_name_and_the_reason(text, problem, tmp_path):
    path = tmp_path / "pins.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PinsError, match=problem) as error:
        load_dataset("metaeval", "demo/manners", pins=path)
    message = str(error.value)
    assert message.startswith(f"the pin file {path} is malformed: ")
    assert message.endswith("; write it with `metaeval check-sources --pin FILE`")
    assert len(message) < 500


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PinsError, match=r"none\.json cannot be read \(No such file or directory\)"):
        find_pins(tmp_path / "none.json")


def test_a_pinned_load_reads_the_old_commit_and_names_the_new_one(moved, caplog, hub):
    name, repo, old, new, path = moved
    loaded = load_dataset("metaeval", name, pins=path)
    assert (rows(loaded), read_report(loaded["train"].info).commit) == (30, old)
    text = f"{repo} has moved from commit {old}, at which {path} pins it, to {new}; the rows are those of the pinned"
    assert text in caplog.text
    assert rows(load_dataset("metaeval", name)) == 10
    hub.requests.clear()
    assert rows(load_dataset("metaeval", name, pins=str(path))) == 30
    assert len(hub.requests) == 0  # a prepared task at a pinned commit needs no request
    streamed = load_dataset("metaeval", name, pins=path, streaming=True)
    assert sum(1 for split in streamed.values() for _ in split) == 30
    assert rows(load_dataset("metaeval", name, pins=path, revision=new)) == 10  # revision= is more specific


def test_the_environment_variable_names_a_file_for_all_loads(moved, monkeypatch):
    name, _, _, _, path = moved
    with pinned(path):
        assert rows(load_dataset("metaeval", name)) == 30
    assert rows(load_dataset("metaeval", name)) == 10
    monkeypatch.setenv("METAEVAL_PINS", "/nowhere.json")
    with pinned(path), pinned(None):
        assert rows(load_dataset("metaeval", name)) == 30
    assert os.environ["METAEVAL_PINS"] == "/nowhere.json"
    with pytest.raises(PinsError, match=r"/nowhere\.json cannot be read"):
        load_dataset("metaeval", name)


def test_a_source_that_is_not_in_the_file_loads_as_without(moved, tmp_path):
    name, *_ = moved
    path = tmp_path / "other.json"
    write_pins(path, {"someone/else": OLD})
    loaded = load_dataset("metaeval", name, pins=path)
    assert rows(loaded) == 10
    assert loaded["train"].cache_files == load_dataset("metaeval", name)["train"].cache_files
    assert len(load_dataset("metaeval", "demo/manners", pins=path)) == 3


def test_a_pinned_commit_that_is_gone_is_reported_and_no_other_source_is_read(moved, declare, tmp_path):
    _, repo, *_ = moved
    gone = tmp_path / "gone.json"
    write_pins(gone, {repo: NEW})
    name = declare(task(sources=(Source(repo), Source(repo, config="x")), splits=("train",)))
    problem = re.escape(f"the commit {NEW} at which {gone} pins {repo} does not exist any more; write the file again")
    with pytest.raises(NoSourceError, match=rf"^task {name}: {problem}"):
        load_dataset("metaeval", name, pins=gone)


def test_pins_of_a_published_copy_are_refused(moved):
    with pytest.raises(ValueError, match="pins apply to a task's own sources; use revision="):
        load_dataset("metaeval", moved[0], source="some/copy", pins=moved[-1])


def test_a_pin_of_a_later_source_has_a_cache_folder_of_its_own():
    spec = task(sources=(Source("a/a"), Embedded()))
    one = find_revisions(spec, _pins({"a/a": OLD}), Access())
    assert (one.commit, one.folder_suffix) == (OLD, f"-{OLD[:12]}")
    both = task(sources=(Source("a/a"), Source("b/b")))
    suffixes = [
        find_revisions(both, _pins({"a/a": OLD, **more}), Access()).folder_suffix for more in ({}, {"b/b": NEW})
    ]
    assert suffixes[0] == one.folder_suffix
    assert re.fullmatch(rf"-{OLD[:12]}-[0-9a-f]{{8}}", suffixes[1])


def _pins(commits):
    return Pins("pins.json", commits)


def test_a_branch_is_asked_once_where_all_loads_shall_agree(moved, hub):
    name, repo, _, new, _ = moved
    with ask_once():
        assert rows(load_dataset("metaeval", name)) == 10
        hub.add_repo(repo, {"train.parquet": parquet(numbered(0, 5))}, repo_type="dataset")
        hub.requests.clear()
        with ask_once():
            loaded = load_dataset("metaeval", name)
        assert (rows(loaded), read_report(loaded["train"].info).commit, len(hub.requests)) == (10, new, 0)
    assert rows(load_dataset("metaeval", name)) == 5


def test_threads_that_ask_for_the_same_branch_share_one_request(moved, hub):
    _, repo, _, new, _ = moved
    hub.faults.add(route="info", times=None, delay=0.05)  # so that the others ask before the first answer
    hub.requests.clear()
    with ask_once(), ThreadPoolExecutor(4) as pool:
        listings = list(pool.map(lambda _: Revisions().listing(Source(repo), Access()), range(4)))
    assert {listing.commit for listing in listings} == {new}
    assert hub.requests.count(route="info") == 1


def test_a_published_task_is_built_again_if_it_is_pinned_at_another_commit(moved, tmp_path):
    name, _, old, new, path = moved
    with locked(tmp_path / "built"):
        assert build_task(name, tmp_path / "built").report.commit == new
        with pinned(path):
            assert build_task(name, tmp_path / "built").report.commit == old


def test_a_refusal_for_another_reason_is_not_taken_for_a_commit_that_is_gone(moved, hub):
    name, _, _, _, path = moved
    hub.faults.add(route="info", times=None, status=403)
    with pytest.raises(SourceError) as error:
        load_dataset("metaeval", name, pins=path)
    assert "any more" not in str(error.value)
    assert "403" in str(error.value)
