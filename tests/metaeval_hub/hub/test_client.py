"""Reading from the Hub and pushing to it while it fails in every way it can."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from metaeval_hub.hub import client
from metaeval_hub.hub.client import ConflictError, HubError, fetch, local_folder, push_folder, push_target

# a binary file goes through LFS, the rest through the commit itself
FILES = {
    "config.json": b'{"a": 1}',
    "model.safetensors": bytes(range(256)) * 400,
    "README.md": b"---\nlicense: mit\n---\n# A model\n",
}
ALL = ("*.json", "*.safetensors", "*.md")


@pytest.fixture
def waits(monkeypatch, fast_retries) -> list[float]:
    """Seconds that this package's own attempts would have waited for; nobody waits."""
    found: list[float] = []
    monkeypatch.setattr(client, "sleep", found.append)
    return found


@pytest.fixture
def repo(hub) -> str:
    name = hub.name("client")
    hub.add_repo(name, FILES)
    return name


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    for name, content in FILES.items():
        (path / name).write_bytes(content)
    return path


def content(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stored(hub, repo) -> dict[str, bytes]:
    files = {name: hub.repo(repo).read(name) for name in hub.repo(repo).files()}
    return {name: body for name, body in files.items() if name != ".gitattributes"}


# --- fetch ---

FAULTS = {
    "list 503": ({"route": "info", "status": 503}, [1.0]),
    "list 500 twice": ({"route": "info", "status": 500, "times": 2}, [1.0, 2.0]),
    "list reset": ({"route": "info", "reset": True}, [1.0]),
    "list 429": ({"route": "info", "status": 429, "retry_after": 7}, [7.0]),
    # which of these the library tries again by itself depends on its release
    "head 429": ({"route": "resolve", "method": "HEAD", "status": 429, "retry_after": 3}, None),
    "head 502": ({"route": "resolve", "method": "HEAD", "status": 502}, None),
    "head reset": ({"route": "resolve", "method": "HEAD", "reset": True}, None),
    "file 500": ({"match": "config.json", "route": "resolve", "method": "GET", "status": 500}, None),
    "large file 429": ({"route": "cdn", "status": 429, "retry_after": 2}, None),
    "file cut off": ({"match": "config.json", "route": "resolve", "method": "GET", "truncate": 3}, [1.0]),
    "large file cut off": ({"route": "cdn", "truncate": 50_000}, [1.0]),
    "large file cut off twice": ({"route": "cdn", "truncate": 10_000, "times": 2}, [1.0, 2.0]),
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
    with pytest.raises(HubError, match=rf"downloading {repo} failed 5 times; the last: .*503 Server Error"):
        fetch(repo, allow_patterns=ALL)
    assert waits == list(client.WAITS)


def test_hub_that_asks_for_an_hour_is_left_alone(hub, repo, waits):
    hub.faults.add(route="info", status=429, retry_after=3600, times=None)
    with pytest.raises(HubError, match=rf"downloading {repo} failed: .*429.*asks to wait 3600 seconds"):
        fetch(repo, allow_patterns=ALL)
    assert waits == []


def test_wait_may_be_given_as_a_date():
    error = OSError()
    for written, seconds in (("Fri, 31 Dec 1999 23:59:59 GMT", 0.0), ("2.5", 2.5), ("soon", None)):
        error.response = SimpleNamespace(status_code=503, headers={"Retry-After": written})
        assert client._retry_after(error) == seconds


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
    assert waits == list(client.WAITS)


def test_without_a_network_the_cache_is_used_at_once(hub, repo, run_python):
    before = fetch(repo, allow_patterns=ALL)
    code = f"""
from metaeval_hub.hub import client
client.sleep = None  # would fail
print(client.fetch({repo!r}, allow_patterns={ALL!r}))
try:
    client.WAITS = ()
    client.fetch("nobody/nothing", allow_patterns=("*",))
except client.HubError as error:
    print(error)
"""
    for variables in ({"HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}):
        lines = run_python(code, env=variables).stdout.splitlines()
        assert lines[0] == str(before)
        assert lines[1].startswith("downloading nobody/nothing failed")


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


# --- push ---

PUSH_FAULTS = {
    "create 503": ({"route": "create", "status": 503}, False),
    "create made, answer lost": ({"route": "create", "reset": True, "applied": True}, False),
    "list 502": ({"route": "info", "status": 502}, False),
    "preupload 429": ({"route": "preupload", "status": 429, "retry_after": 5}, False),
    "upload 429": ({"route": "lfs_upload", "status": 429, "retry_after": 5}, False),
    "batch reset": ({"route": "lfs_batch", "reset": True}, False),
    "commit 500": ({"route": "commit", "status": 500}, False),
    "commit reset": ({"route": "commit", "reset": True}, False),
    "commit made, answer lost": ({"route": "commit", "reset": True, "applied": True}, True),
    "commit made, answered 504": ({"route": "commit", "status": 504, "applied": True}, True),
}


@pytest.mark.parametrize("name", PUSH_FAULTS)
def test_push_survives_and_commits_once(name, hub, folder, waits):
    fault, made = PUSH_FAULTS[name]
    repo = hub.name("push")
    struck = hub.faults.add(**fault)
    commit = push_folder(folder, repo, message="Add a model")
    assert struck.hits == 1
    assert stored(hub, repo) == FILES
    history = hub.repo(repo).history(commit.oid)
    assert [each.title for each in history][:-1] == ["Add a model"]  # the last is the repository's own first
    assert hub.repo(repo).commit("main").sha == commit.oid
    assert commit.commit_url.endswith(f"{repo}/commit/{commit.oid}")
    assert hub.requests.count(route="commit") == (1 if made or fault["route"] != "commit" else 2)


def test_lost_answer_is_found_out_even_where_the_list_is_late(hub, folder, repo, waits):
    (folder / "config.json").write_bytes(b'{"a": 2}')
    hub.faults.add(route="commit", reset=True, applied=True)
    hub.faults.add(route="info", stale=True, skip=1)  # after the commit the list still shows the one before
    before = hub.repo(repo).commit("main").sha
    commit = push_folder(folder, repo, message="Change it")
    assert [each.sha for each in hub.repo(repo).history(commit.oid)][:2] == [commit.oid, before]
    assert hub.repo(repo).read("config.json") == b'{"a": 2}'


def test_own_commit_is_no_conflict_when_its_answer_was_lost(hub, folder, repo, waits):
    (folder / "config.json").write_bytes(b'{"a": 2}')
    (folder / "model.safetensors").write_bytes(b"other weights" * 1000)
    hub.add_repo(repo, {"old.json": b"{}"})
    before = hub.repo(repo).commit("main").sha
    hub.faults.add(route="commit", status=504, applied=True)
    commit = push_folder(folder, repo, message="Change it", parent_commit=before, remove=("old.json",))
    assert hub.repo(repo).commit("main").sha == commit.oid != before
    # where someone else's commit came first, the same loss of an answer hides no conflict
    hub.add_repo(repo, {"config.json": b'{"theirs": 1}'})
    hub.faults.add(route="info", stale=True)
    hub.faults.add(route="commit", reset=True)
    with pytest.raises(ConflictError):
        push_folder(folder, repo, message="Again", parent_commit=commit.oid)


def test_push_that_never_gets_through_is_reported(hub, folder, repo, waits):
    (folder / "config.json").write_bytes(b'{"a": 2}')
    hub.faults.add(route="commit", status=503, times=None)
    with pytest.raises(HubError, match=rf"pushing to {repo} failed 5 times; the last: .*503"):
        push_folder(folder, repo, message="Change it")
    assert waits == list(client.WAITS)
    assert hub.repo(repo).read("config.json") == FILES["config.json"]


def test_push_without_the_right_is_not_tried_again(hub, folder, repo, waits):
    token = hub.add_user("reader")
    with pytest.raises(HubError, match=rf"pushing to {repo} failed: the token has no right to it"):
        push_folder(folder, repo, message="Change it", token=token)
    with pytest.raises(HubError, match=rf"creating {repo} failed: the token is not valid"):
        push_folder(folder, repo, message="Change it", token="hf_wrong")
    assert waits == []


def test_card_that_is_not_valid_is_refused_as_it_was(hub, folder, repo, waits):
    (folder / "README.md").write_text("---\nlicense: [\n---\n")
    with pytest.raises(ValueError, match=r"Invalid metadata in README\.md"):
        push_folder(folder, repo, message="Change it")
    assert waits == []


def test_folder_that_is_none_is_refused(hub, tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        push_folder(tmp_path / "none", hub.name("none"), message="Add")


def test_unchanged_folder_makes_no_commit(hub, folder, repo):
    (folder / ".git").mkdir()
    (folder / ".git/config").write_text("never sent")
    head = hub.repo(repo).commit("main").sha
    assert push_folder(folder, repo, message="Nothing new", remove=("*.json",)).oid == head
    assert hub.requests.count(route="commit") == 0


def test_stale_files_go_in_the_same_commit_and_others_stay(hub, folder, repo):
    hub.add_repo(repo, {"encoder/config.json": b"{}", "encoder/model.safetensors": b"x" * 300, "map.png": b"\x89PNG"})
    before = hub.repo(repo).commit("main").sha
    commit = push_folder(folder, repo, message="Without the encoder", remove=("config.json", "encoder/*"))
    assert stored(hub, repo) == {**FILES, "map.png": b"\x89PNG"}
    assert hub.repo(repo).history(commit.oid)[1].sha == before


def test_branch_is_made_and_pushed_to(hub, folder, repo):
    (folder / "config.json").write_bytes(b'{"a": 3}')
    commit = push_folder(folder, repo, message="On a branch", revision="trial")
    assert hub.repo(repo).commit("trial").sha == commit.oid
    assert hub.repo(repo).read("config.json") == FILES["config.json"]


def test_push_that_was_to_follow_an_older_commit_conflicts(hub, folder, repo, waits):
    before = hub.repo(repo).commit("main").sha
    hub.add_repo(repo, {"config.json": b'{"theirs": 1}'})
    (folder / "config.json").write_bytes(b'{"ours": 1}')
    with pytest.raises(ConflictError, match=rf"pushing to {repo} was to follow {before}.*someone else has pushed"):
        push_folder(folder, repo, message="Ours", parent_commit=before)
    # the same where the other's commit comes between the list and the push
    hub.faults.add(route="info", stale=True)
    with pytest.raises(ConflictError):
        push_folder(folder, repo, message="Ours", parent_commit=before)
    assert hub.repo(repo).read("config.json") == b'{"theirs": 1}'
    assert hub.requests.count(route="commit") == 1


def test_push_that_follows_none_in_particular_starts_anew(hub, folder, repo, waits):
    hub.add_repo(repo, {"config.json": b'{"theirs": 1}', "extra.json": b"{}"})
    (folder / "config.json").write_bytes(b'{"ours": 1}')
    hub.faults.add(route="info", stale=True)
    push_folder(folder, repo, message="Ours", remove=("extra.json",))
    assert stored(hub, repo) == {**FILES, "config.json": b'{"ours": 1}'}
    assert hub.requests.count(route="commit") == 2


def test_of_two_pushes_at_once_one_wins(hub, tmp_path, repo, waits):
    before, outcomes, start = hub.repo(repo).commit("main").sha, {}, threading.Barrier(2)

    def push(who):
        path = tmp_path / who
        path.mkdir()
        (path / "config.json").write_text(f'{{"who": "{who}"}}')
        (path / "tokens.json").write_text(f'{{"who": "{who}"}}')
        start.wait()
        try:
            outcomes[who] = push_folder(path, repo, message=who, parent_commit=before).oid
        except ConflictError as error:
            outcomes[who] = error

    threads = [threading.Thread(target=push, args=(who,)) for who in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [who for who, outcome in outcomes.items() if isinstance(outcome, str)]
    files = stored(hub, repo)
    assert files["config.json"] == files["tokens.json"] == f'{{"who": "{winner}"}}'.encode()
    assert [each.title for each in hub.repo(repo).history(outcomes[winner])][:1] == [winner]


# --- names ---

BAD_IDS = ["", " ", "a b", "org/my model", "a/b/c", "org/name/", "/name", "org/", "org//name", "../name", "a" * 120]


@pytest.mark.parametrize("repo_id", BAD_IDS)
def test_bad_id_is_refused_before_the_hub_is_asked(repo_id, hub, folder, waits):
    for call in (
        lambda: push_target(repo_id),
        lambda: push_folder(folder, repo_id, message="x"),
        lambda: client.create_repo(repo_id),
        lambda: client.repo_state(repo_id),
        lambda: fetch(repo_id, allow_patterns=ALL),
    ):
        with pytest.raises(ValueError, match=r'is not the id of a repository, expected "org/name"'):
            call()
    assert len(hub.requests) == 0


def test_name_alone_is_a_repository_of_the_user(hub, folder, waits):
    name = hub.name("own").split("/")[1]
    push_folder(folder, name, message="x")
    assert stored(hub, f"user/{name}") == FILES
    assert push_target("org/name") == "org/name"


@pytest.mark.parametrize("fault", [{"status": 401}, {"status": 500, "times": None}, {"reset": True, "times": None}])
def test_owner_that_is_not_told_makes_no_repository(fault, hub, folder, waits):
    before = set(hub.store.repos)
    hub.faults.add(route="whoami", **fault)
    with pytest.raises(HubError, match="asking whose the token is, to push to my-model failed"):
        push_folder(folder, "my-model", message="x")
    assert set(hub.store.repos) == before


def test_owner_of_another_form_is_refused(hub, folder, waits, monkeypatch):
    for answer in ({}, {"name": None}, {"name": "a/b"}, []):
        monkeypatch.setattr("huggingface_hub.HfApi.whoami", lambda self, answer=answer: answer)
        with pytest.raises((HubError, ValueError), match=r"not that of a Hub|not the id of a repository"):
            push_target("my-model")


def test_push_without_a_token_says_how_to_log_in(hub, folder, waits, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    for repo_id, token in (("org/name", None), ("name", None), ("org/name", False)):
        with pytest.raises(HubError, match=r"nobody is logged in to push to .*name; log in \(hf auth login\)"):
            push_folder(folder, repo_id, message="x", token=token)
    assert len(hub.requests) == 0
    with pytest.raises(HubError, match="may only read"):
        client.check_token("org/name", hub.add_user("reader", role="read"))


def test_folder_comes_before_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "name").mkdir(parents=True)
    (tmp_path / "org" / "file").touch()
    assert local_folder("org/name") == Path("org/name")
    assert local_folder("other/name") is None
    assert local_folder("bert-base-uncased", needs_owner=False) is None
    for name, why in {
        "missing": "there is no such folder",
        "./missing": "there is no such folder",
        "a/b/c": "there is no such folder",
        "~/missing": "there is no such folder",
        "org/missing/": "there is no such folder",
        Path("org/missing"): "there is no such folder",
        Path("org/file"): "it is a file",
    }.items():
        with pytest.raises(
            ValueError, match=rf'is neither a folder nor a Hub id: {why}, .* form "org/name"; check the'
        ):
            local_folder(name)


def test_id_that_may_be_a_path_is_asked_for_once(tmp_path, monkeypatch, waits):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(HubError, match=r"no such repository.*; if it is a path, check it: there is no such folder"):
        fetch("runs/missing", allow_patterns=ALL)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    for call in (lambda: fetch("runs/missing", allow_patterns=ALL), lambda: client.repo_state("runs/missing")):
        with pytest.raises(HubError, match=r"cannot be reached \(Connection refused\).*if it is a path, check it"):
            call()
    assert waits == []
    with pytest.raises(HubError, match=r"failed 3 times; the last: the Hub at http://127\.0\.0\.1:9 cannot be reached"):
        fetch("other/missing", allow_patterns=ALL)
    assert waits == [1.0, 2.0]


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


def test_what_a_server_says_is_printable():
    assert str(HubError("reading org/name failed: \x1b]0;owned\x07")) == r"reading org/name failed: \x1b]0;owned\x07"
