"""Failures that pass are retried, and the others are explained."""

import pytest

from metaeval_hub.hub.download import fetch
from metaeval_hub.hub.repo_state import repo_state
from metaeval_hub.hub.retry import HubError
from tests.metaeval_hub.hub.conftest import ALL


def test_what_a_server_says_is_printable():
    assert str(HubError("reading org/name failed: \x1b]0;owned\x07")) == r"reading org/name failed: \x1b]0;owned\x07"


def test_id_that_may_be_a_path_is_asked_for_once(tmp_path, monkeypatch, waits):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(HubError, match=r"no such repository.*; if it is a path, check it: there is no such folder"):
        fetch("runs/missing", allow_patterns=ALL)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    for call in (lambda: fetch("runs/missing", allow_patterns=ALL), lambda: repo_state("runs/missing")):
        with pytest.raises(HubError, match=r"cannot be reached \(Connection refused\).*if it is a path, check it"):
            call()
    assert waits == []
    with pytest.raises(HubError, match=r"failed 3 times; the last: the Hub at http://127\.0\.0\.1:9 cannot be reached"):
        fetch("other/missing", allow_patterns=ALL)
    assert waits == [1.0, 2.0]
