"""Pushing to a Hub that fails in every way it can."""

import threading

import pytest

from metaeval_hub.hub import retry
from metaeval_hub.hub.retry import ConflictError, HubError
from metaeval_hub.hub.upload import push_folder
from tests.metaeval_hub.hub.conftest import FILES, stored

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
    assert waits == list(retry.WAITS)
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
