"""Who pushes where is clear before anything is built or sent."""

import pytest

from metaeval_hub.hub.download import fetch
from metaeval_hub.hub.login import check_token, push_target
from metaeval_hub.hub.repo_state import repo_state
from metaeval_hub.hub.retry import HubError
from metaeval_hub.hub.upload import create_repo, push_folder
from tests.metaeval_hub.hub.conftest import ALL, FILES, stored

BAD_IDS = ["", " ", "a b", "org/my model", "a/b/c", "org/name/", "/name", "org/", "org//name", "../name", "a" * 120]


@pytest.mark.parametrize("repo_id", BAD_IDS)
def test_bad_id_is_refused_before_the_hub_is_asked(repo_id, hub, folder, waits):
    for call in (
        lambda: push_target(repo_id),
        lambda: push_folder(folder, repo_id, message="x"),
        lambda: create_repo(repo_id),
        lambda: repo_state(repo_id),
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
        check_token("org/name", hub.add_user("reader", role="read"))
