"""Downloading from a Hub that fails in every way it can."""

import pytest

from metaeval_datasets.sources.transport import LIBRARY_RETRIES
from metaeval_hub.hub import retry
from metaeval_hub.hub.download import CacheOptions, fetch
from metaeval_hub.hub.retry import HubError
from tests.metaeval_hub.hub.conftest import ALL, FILES, content

RESUMED = [[]] if LIBRARY_RETRIES else []  # the waits of this package where huggingface_hub resumes a download itself
FAULTS = {
    "list 503": ({"route": "info", "status": 503}, [1.0]),
    "list 500 twice": ({"route": "info", "status": 500, "times": 2}, [1.0, 2.0]),
    "list reset": ({"route": "info", "reset": True}, [1.0]),
    "list 429": ({"route": "info", "status": 429, "retry_after": 7}, [7.0]),
    # Some releases of huggingface_hub retry these themselves, so the waits of this package are not compared.
    "head 429": ({"route": "resolve", "method": "HEAD", "status": 429, "retry_after": 3}, None),
    "head 502": ({"route": "resolve", "method": "HEAD", "status": 502}, None),
    "head reset": ({"route": "resolve", "method": "HEAD", "reset": True}, None),
    "file 500": ({"match": "config.json", "route": "resolve", "method": "GET", "status": 500}, None),
    "large file 429": ({"route": "cdn", "status": 429, "retry_after": 2}, None),
    "file cut off": (
        {"match": "config.json", "route": "resolve", "method": "GET", "truncate": 3},
        *(RESUMED or [[1.0]]),
    ),
    "large file cut off": ({"route": "cdn", "truncate": 50_000}, *(RESUMED or [[1.0]])),
    "large file cut off twice": ({"route": "cdn", "truncate": 10_000, "times": 2}, *(RESUMED or [[1.0, 2.0]])),
}


@pytest.mark.parametrize("name", FAULTS)
def test_download_survives(name, hub, repo, waits):
    fault, expected = FAULTS[name]
    struck = hub.faults.add(**fault)
    found = fetch(repo, allow_patterns=ALL)
    assert content(found) == FILES
    assert found.name == hub.repo(repo).commit("main").sha
    assert struck.hits == fault.get("times", 1)
    assert expected is None or waits == expected


def test_hub_that_stays_away_is_reported(hub, repo, waits):
    hub.faults.add(route="info", status=503, times=None)
    with pytest.raises(HubError, match=rf"downloading {repo} failed 5 times; the last: .*503"):
        fetch(repo, allow_patterns=ALL)
    assert waits == list(retry.WAITS)


def test_hub_that_asks_for_an_hour_is_left_alone(hub, repo, waits):
    hub.faults.add(route="info", status=429, retry_after=3600, times=None)
    with pytest.raises(HubError, match=rf"downloading {repo} failed: .*429.*asks to wait 3600 seconds"):
        fetch(repo, allow_patterns=ALL)
    assert waits == []


@pytest.mark.parametrize("fault", [{"route": "resolve", "method": "HEAD"}, {"route": "cdn"}])
def test_file_that_asks_for_an_hour_is_not_waited_for_by_the_library_either(fault, hub, repo, waits, fast_retries):
    hub.faults.add(**fault, status=429, retry_after=3600, times=None)
    with pytest.raises(HubError, match=rf"downloading {repo} failed: .*429.*asks to wait 3600 seconds"):
        fetch(repo, allow_patterns=ALL)
    assert waits == []
    assert max(fast_retries, default=0) < 60


@pytest.mark.parametrize(
    ("token", "reason"),
    [("hf_wrong", "the token is not valid"), (False, "no such repository, or the token may not see it")],
)
def test_refusals_are_not_tried_again(token, reason, hub, waits):
    private = hub.name("private")
    hub.add_repo(private, FILES, private=True)
    with pytest.raises(HubError, match=rf"downloading {private} failed: .*{reason}"):
        fetch(private, allow_patterns=ALL, token=token)
    assert waits == []
    assert hub.requests.count(route="info") == 1


def test_what_is_not_there_is_named(hub, repo, waits):
    with pytest.raises(HubError, match="no such repository"):
        fetch(f"{repo}-none", allow_patterns=ALL)
    with pytest.raises(HubError, match="no such branch, tag or commit"):
        fetch(repo, revision="none", allow_patterns=ALL)
    hub.add_repo(gated := hub.name("gated"), FILES, gated="manual")
    token = hub.add_user("visitor")
    with pytest.raises(HubError, match="conditions to be accepted"):
        fetch(gated, allow_patterns=ALL, token=token)
    assert waits == []


def test_copy_in_the_cache_is_used_when_the_hub_falls_silent(hub, repo, waits, caplog):
    before = fetch(repo, allow_patterns=ALL)
    hub.faults.add(reset=True, times=None)
    assert fetch(repo, allow_patterns=ALL) == before
    assert "the cache's copy of" in caplog.text
    assert waits == list(retry.WAITS)


def test_without_a_network_the_cache_is_used_at_once(hub, repo, run_python):
    before = fetch(repo, allow_patterns=ALL)
    code = f"""
from metaeval_hub.hub import download, retry
retry.sleep = None  # would fail
print(download.fetch({repo!r}, allow_patterns={ALL!r}))
try:
    retry.WAITS = ()
    download.fetch("nobody/nothing", allow_patterns=("*",))
except retry.HubError as error:
    print(error)
"""
    for variables in ({"HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}):
        lines = run_python(code, env=variables).stdout.splitlines()
        assert lines[0] == str(before)
        assert lines[1].startswith("downloading nobody/nothing failed")
    assert lines[1] == (
        "downloading nobody/nothing failed: the Hub is switched off here (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE), and "
        "the cache has no copy of nobody/nothing; load it once while the Hub can be reached"
    )


def test_half_a_snapshot_in_the_cache_is_not_taken_for_a_whole_one(hub, repo, waits):
    fetch(repo, allow_patterns=("config.json",))
    hub.faults.add(route="info", status=500, skip=1)  # the library's own list; it would return what it has
    assert content(fetch(repo, allow_patterns=ALL)) == FILES
    assert waits == [1.0]


def test_snapshot_is_of_the_commit_that_was_listed(hub, repo, waits):
    fetch(repo, allow_patterns=ALL)
    hub.add_repo(repo, {"config.json": b'{"a": 2}'})
    hub.faults.add(route="info", stale=True)
    found = fetch(repo, allow_patterns=ALL)
    assert found.name == hub.repo(repo).commit("main").sha
    assert waits == [1.0]


def test_names_and_sizes_are_checked_before_anything_is_downloaded(hub, repo, waits):
    with pytest.raises(HubError, match=r"2 files of 102,4\d\d bytes together \(model.safetensors the largest\)"):
        fetch(repo, allow_patterns=("*.json", "*.safetensors"), max_bytes=100_000)
    seen = []

    def refuse(names):
        seen.extend(names)
        raise ValueError("not these")

    with pytest.raises(ValueError, match="not these"):
        fetch(repo, allow_patterns=ALL, check_names=refuse)
    assert set(FILES) <= set(seen)
    assert hub.requests.count(route="resolve") == 0


def test_answer_of_another_form_is_a_reason(repo, waits, monkeypatch):
    monkeypatch.setattr("huggingface_hub.hf_api.ModelInfo.__init__", lambda self, **facts: facts.pop("no id"))
    with pytest.raises(HubError, match=r"is not that of a Hub \(KeyError: 'no id'\)"):
        fetch(repo, allow_patterns=ALL)
    assert waits == []


def test_cache_that_cannot_be_written_is_done_without(repo, waits, monkeypatch, caplog):
    for place in ("constants", "_snapshot_download.constants"):
        monkeypatch.setattr(f"huggingface_hub.{place}.HF_HUB_CACHE", "/proc/no-such-place")
    assert content(fetch(repo, allow_patterns=ALL)) == FILES
    assert "the cache /proc/no-such-place cannot be written" in caplog.text
    assert "set HF_HUB_CACHE to a" in caplog.text


def test_another_cache_folder_is_used_and_named_if_it_cannot_be_written(hub, repo, waits, tmp_path):
    found = fetch(repo, allow_patterns=ALL, cache=CacheOptions(str(tmp_path / "mine")))
    assert content(found) == FILES
    assert found.is_relative_to(tmp_path / "mine")
    (tmp_path / "file").touch()
    with pytest.raises(HubError, match=rf"failed: cache_dir {tmp_path}/file/mine cannot be written"):
        fetch(repo, allow_patterns=ALL, cache=CacheOptions(tmp_path / "file" / "mine"))


def test_local_files_only_sends_no_request_and_says_what_is_missing(hub, repo):
    cache = CacheOptions(local_files_only=True)
    with pytest.raises(
        HubError, match=rf"files of {repo} are not in the cache .*, and local_files_only=True; load it once"
    ):
        fetch(repo, allow_patterns=ALL, cache=cache)
    assert len(hub.requests) == 0
    found = fetch(repo, allow_patterns=("*.json", "*.md"))
    hub.requests.clear()
    assert fetch(repo, allow_patterns=("*.json", "*.md"), cache=cache) == found
    for missing in ({"revision": "v2"}, {"allow_patterns": ("*.safetensors",)}):
        with pytest.raises(HubError, match="are not in the cache"):
            fetch(repo, **{"allow_patterns": ALL, **missing}, cache=cache)
    assert len(hub.requests) == 0


def test_force_download_replaces_the_copy_in_the_cache_and_never_falls_back_to_it(hub, repo, waits):
    file = fetch(repo, allow_patterns=ALL) / "config.json"
    file.write_bytes(b"damaged")
    assert (fetch(repo, allow_patterns=ALL) / "config.json").read_bytes() == b"damaged"
    fetch(repo, allow_patterns=ALL, cache=CacheOptions(force_download=True))
    assert file.read_bytes() == FILES["config.json"]
    hub.faults.add(reset=True, times=None)
    with pytest.raises(HubError, match=f"downloading {repo} failed"):
        fetch(repo, allow_patterns=ALL, cache=CacheOptions(force_download=True))


def test_contradicting_options_are_refused():
    with pytest.raises(ValueError, match="force_download and local_files_only are both True"):
        CacheOptions(force_download=True, local_files_only=True)
