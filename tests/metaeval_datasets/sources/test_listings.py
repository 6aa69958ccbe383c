"""Kept listings help where the Hub cannot be asked, and are never the reason for a failure."""

import json
import threading

import pytest
from datasets import DownloadConfig, load_dataset

from metaeval_datasets.sources import asking, listings
from metaeval_datasets.sources.asking import NoSourceError, SourceError
from metaeval_datasets.sources.hub_files import Access, fetch_file, list_files, read_card_of
from metaeval_datasets.sources.layout import Card
from metaeval_datasets.sources.listings import (
    Listing,
    keep_card_text,
    keep_listing,
    read_card_text,
    read_listing,
)
from metaeval_datasets.sources.opening import open_source
from metaeval_datasets.spec import Source
from tests.metaeval_datasets.conftest import numbered, parquet, task

NOWHERE = "/proc/no-such-place"  # not even root can write there
KEPT = Listing("a" * 40, ("train.csv",))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "usual"))
    monkeypatch.setattr(asking.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(asking, "_unreachable", [float("-inf")])
    return tmp_path / "usual"


@pytest.fixture
def repo(hub):
    name = hub.name("listed")
    hub.add_repo(name, {"train.parquet": parquet(numbered(0, 60), ("no", "yes"))}, repo_type="dataset")
    return name


def test_kept_and_read_back(cache):
    keep_listing(KEPT, "made/up", None)
    assert read_listing("made/up", None) == KEPT
    assert read_listing("made/up", "main") is None
    assert [path.suffix for path in cache.rglob("*") if path.is_file()] == [".json"]  # nothing is left beside it


def test_the_cache_that_was_asked_for_comes_first(cache, tmp_path):
    keep_listing(KEPT, "made/up", None, str(tmp_path / "mine"))
    assert not cache.exists()
    assert read_listing("made/up", None, str(tmp_path / "mine")) == KEPT
    assert read_listing("made/up", None) is None


def test_no_cache_can_be_written(monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", NOWHERE)
    for cache_dir in (None, NOWHERE, "s3://bucket/cache"):
        keep_listing(KEPT, "made/up", None, cache_dir)
        assert read_listing("made/up", None, cache_dir) is None


@pytest.mark.parametrize(
    "content",
    [b"", b'{"commit": "aa', b"[]", b"null", b'{"commit": 1, "files": []}', b"\xff", b"[" * 100_000]
    + [json.dumps({"commit": "a" * 40, "files": files}).encode() for files in (None, "train.csv", [1])]
    + [json.dumps({"commit": "../..", "files": []}).encode()],
)
def test_a_damaged_listing_is_as_if_there_were_none(content, cache, repo, monkeypatch):
    expected = list_files(repo)
    (path,) = cache.rglob("*.json")
    path.write_bytes(content)
    assert read_listing(repo, None) is None
    with monkeypatch.context() as context:
        context.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(SourceError, match=r"offline \(HF_HUB_OFFLINE\), and the list of its files is not in"):
            list_files(repo, None, Access())
    assert list_files(repo, None, Access()) == expected == read_listing(repo, None)  # and is written again


def test_threads_keep_one_listing(cache):
    failed = []

    def keep():
        try:
            for _ in range(30):
                keep_listing(KEPT, "made/up", None)
                assert read_listing("made/up", None) == KEPT
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=keep) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(list((cache / listings.FOLDER).iterdir())) == 1


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"])
def test_every_variable_for_working_offline_counts(variable, repo, hub, monkeypatch):
    spec = task(sources=(Source(repo),), splits=("train",))
    commit = open_source(spec).commit
    hub.requests.clear()
    monkeypatch.setenv(variable, "1")
    library = "datasets.config" if variable == "HF_DATASETS_OFFLINE" else "huggingface_hub.constants"
    monkeypatch.setattr(f"{library}.HF_HUB_OFFLINE", True)
    assert open_source(spec).commit == commit
    for ask in (
        lambda: list_files("never/read", None, Access()),
        lambda: fetch_file(repo, "other.csv", commit, Access()),
        lambda: open_source(spec, Access(remote=True)),
    ):
        with pytest.raises(SourceError, match=rf"offline \({variable}\)"):
            ask()
    assert len(hub.requests) == 0


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429}, {"reset": True}, "away"])
def test_what_was_listed_serves_where_the_hub_does_not(fault, repo, hub, monkeypatch, caplog):
    before = list_files(repo, None, Access())
    if fault == "away":
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    else:
        hub.faults.add(route="info", times=None, **fault)
    assert list_files(repo, None, Access()) == before
    assert f"using its files at commit {before.commit}, as last cached" in caplog.text


def test_a_refusal_is_no_silence(repo, hub):
    list_files(repo, None, Access())
    hub.faults.add(route="info", times=None, status=403)
    with pytest.raises(SourceError, match="403"):
        list_files(repo, None, Access())


@pytest.mark.parametrize("given", [True, False])
def test_a_hub_cache_that_cannot_be_written_is_done_without(given, repo, hub, declare, cache, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", NOWHERE)
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", NOWHERE)
    if given:
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", NOWHERE)
    options = {"cache_dir": str(tmp_path / "mine")} if given else {}
    name = declare(task(sources=(Source(repo),), splits=("train",)))
    assert sum(map(len, load_dataset("metaeval", name, **options).values())) == 60
    hub.requests.clear()
    used = options.get("cache_dir", str(cache))
    listing = list_files(repo, None, Access(cache_dir=used))
    fetch_file(repo, "train.parquet", listing.commit, Access(cache_dir=used))
    assert hub.requests.count(route="cdn") == 0  # it was fetched once


def test_local_files_only_of_datasets_sends_no_request(repo, hub, declare, tmp_path):
    name = declare(task(sources=(Source(repo),), splits=("train",)))
    cache, local = str(tmp_path / "mine"), DownloadConfig(local_files_only=True)
    hub.requests.clear()
    with pytest.raises(NoSourceError, match=rf"{repo}: local_files_only=True, and the list of its files is not in"):
        load_dataset("metaeval", name, cache_dir=cache, download_config=local)
    assert len(hub.requests) == 0
    expected = load_dataset("metaeval", name, cache_dir=cache)
    hub.requests.clear()
    for options in ({}, {"download_mode": "force_redownload"}):
        found = load_dataset("metaeval", name, cache_dir=cache, download_config=local, **options)
        assert found["train"][:] == expected["train"][:]
    with pytest.raises(NoSourceError, match="local_files_only=True, but streaming reads over the network"):
        load_dataset("metaeval", name, cache_dir=cache, download_config=local, streaming=True)
    assert len(hub.requests) == 0
    with pytest.raises(SourceError, match=r"local_files_only=True, and other.csv is not in the cache"):
        fetch_file(repo, "other.csv", list_files(repo, None, Access()).commit, Access(local_files_only=True))


CARD = b"---\nlicense: mit\n---\n# Caf\xc3\xa9\n"


@pytest.fixture
def with_card(hub):
    name = hub.name("carded")
    hub.add_repo(name, {"train.csv": b"text,label\na,no\n", "README.md": CARD}, repo_type="dataset")
    return name


def test_a_card_takes_one_request_and_none_when_it_is_cached(with_card, hub):
    listing = list_files(with_card, None, Access())
    hub.requests.clear()
    for access in (Access(), Access(), Access(local_files_only=True)):
        assert read_card_of(with_card, listing, access).licenses == ("mit",)
    assert [request.method for request in hub.requests] == ["GET"]
    assert read_card_of(with_card, listing, Access(force=True)).licenses == ("mit",)
    assert len(hub.requests) == 2
    assert read_card_text(with_card, listing.commit) == CARD.decode()
    assert read_card_text(with_card, "b" * 40) is None


def test_a_card_that_the_hub_client_has_cached_is_used(with_card, hub):
    listing = list_files(with_card, None, Access())
    fetch_file(with_card, "README.md", listing.commit, Access())
    hub.requests.clear()
    assert read_card_of(with_card, listing, Access()).licenses == ("mit",)
    assert len(hub.requests) == 0


def test_a_card_that_is_missing_or_empty_takes_no_request(with_card, hub):
    listing = list_files(with_card, None, Access())
    hub.requests.clear()
    for other in (Listing(listing.commit, ("train.csv",)), Listing(listing.commit, ("README.md",), {"README.md": 0})):
        assert read_card_of(with_card, other, Access()) == Card()
    assert len(hub.requests) == 0
    with pytest.raises(SourceError, match=r"local_files_only=True, and README.md is not in the cache"):
        read_card_of(with_card, listing, Access(local_files_only=True))


def test_a_cached_card_that_cannot_be_read_is_read_again(with_card, cache, hub):
    listing = list_files(with_card, None, Access())
    keep_card_text("anything", with_card, listing.commit)
    (path,) = cache.rglob("*.md")
    path.write_bytes(b"\xff\xfe\xfa")
    assert read_card_of(with_card, listing, Access()).licenses == ("mit",)
    assert path.read_bytes() == CARD
