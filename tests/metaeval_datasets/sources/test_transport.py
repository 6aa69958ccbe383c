"""A Hub that is slow, endless, lying or away: every load ends soon, with a reason, and nothing is written elsewhere."""

import gzip
import json
import socket
import threading
import time
from time import sleep as pause  # which the tests of waiting do not replace

import pytest
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download
from huggingface_hub.utils import _http, get_session

from metaeval_datasets.sources import answer_limits, asking
from metaeval_datasets.sources.answer_limits import HubAnswerError
from metaeval_datasets.sources.asking import NoSourceError, SilentHubError, SourceError
from metaeval_datasets.sources.hub_files import Access, fetch_file, list_files, repo_facts
from metaeval_datasets.sources.opening import open_source
from metaeval_datasets.sources.transport import CERTIFICATE_VARIABLE, HTTP_ERRORS, bounded, is_unreachable, why_silent
from metaeval_datasets.spec import Source
from tests.metaeval_datasets.conftest import task

SHA = "a" * 40
INFO = {"id": "made/up", "sha": SHA, "siblings": [{"rfilename": "train.csv"}], "private": False, "tags": []}


def send(connection, body, *headers, length=None):
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body) if length is None else length}", *headers]
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)


@pytest.fixture
def serve(monkeypatch):
    """Be the Hub: call with what to do with a connection, a method and a path; returns the requests so far."""
    listening = socket.create_server(("127.0.0.1", 0))
    opened, asked = [], []

    def start(respond):
        def talk(connection):
            opened.append(connection)
            try:
                with connection.makefile("rb") as lines:
                    while line := lines.readline():
                        method, path, _ = line.decode().split()
                        while lines.readline().strip():
                            pass
                        asked.append((method, path))
                        respond(connection, method, path)
            except OSError:
                pass

        def accept():
            while True:
                try:
                    connection = listening.accept()[0]
                except OSError:
                    return
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        return asked

    yield start
    listening.close()
    for connection in opened:
        connection.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch, fast_retries):
    """Tenths of seconds instead of many seconds."""
    for name, value in {"SILENT_SECONDS": 0.2, "GRACE_SECONDS": 0.3}.items():
        monkeypatch.setattr(answer_limits, name, value)
    for name in ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"):  # those of the Hub client
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", 0.2)
    monkeypatch.setattr(asking, "PATIENCE_SECONDS", 0.8)
    monkeypatch.setattr(asking.time, "sleep", lambda seconds: None)


def drip(connection, text):
    for character in text:
        connection.sendall(character.encode())
        pause(0.05)


SLOW = {
    "silent": lambda connection, *_: pause(5),
    "slow status": lambda connection, *_: drip(connection, "HTTP/1.1 200 OK\r\nX: " + "y" * 100),
    "slow body": lambda connection, *_: (send(connection, b"", length=9_999), drip(connection, " " * 100)),
}


def listed(repo):
    return list_files(repo, None, Access())


@pytest.mark.parametrize("how", SLOW)
@pytest.mark.parametrize("ask", [listed, repo_facts])
def test_a_slow_hub_is_given_up(ask, how, serve):
    serve(SLOW[how])
    started = time.monotonic()
    with pytest.raises(SilentHubError, match=r"the Hub at http://127\.0\.0\.1:\d+ does not answer, or too slowly"):
        ask("made/up")
    assert time.monotonic() - started < 4


def test_a_silent_hub_is_not_asked_for_the_other_sources(serve):
    asked = serve(SLOW["silent"])
    with pytest.raises(NoSourceError) as caught:
        open_source(task(sources=(Source("made/up"), Source("made/other"))))
    assert {path.lower() for _, path in asked} == {"/api/datasets/made/up?blobs=true"}
    assert "- made/other: the Hub does not answer, and the list of its files is not in the cache" in str(caught.value)


@pytest.mark.parametrize("how", ["silent", "slow body"])
@pytest.mark.parametrize("remote", [False, True])
def test_a_slow_file_is_given_up(how, remote, serve, fast_retries):
    def respond(connection, method, path):
        if "/tree/" in path or "/paths-info/" in path:
            send(connection, json.dumps([{"type": "file", "path": "train.csv", "size": 9_999, "oid": SHA}]).encode())
        elif path.startswith("/api/"):
            send(connection, json.dumps(INFO).encode())
        elif method == "HEAD":
            send(connection, b"", f"X-Repo-Commit: {SHA}", 'ETag: "abc"', length=9_999)
        else:
            SLOW[how](connection)

    serve(respond)
    started = time.monotonic()
    with pytest.raises(SourceError, match="does not answer, or too slowly"):
        asking.ask_hub(lambda: read(remote))
    assert time.monotonic() - started < 5


def read(remote):
    if not remote:
        return hf_hub_download("made/up", "slow.csv", repo_type="dataset", revision=SHA)
    files = HfFileSystem(skip_instance_cache=True)
    with files.open(f"datasets/made/up@{SHA}/train.csv", size=9_999) as file:
        return file.read()


ENDLESS = b"10000\r\n" + b" " * 65_536 + b"\r\n"


def endless(connection, *_):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(ENDLESS)


def bomb(connection, *_):
    send(connection, gzip.compress(b" " * 2_000_000), "Content-Encoding: gzip")


@pytest.mark.parametrize("respond", [endless, bomb])
def test_an_answer_in_memory_has_a_greatest_length(respond, serve, monkeypatch):
    monkeypatch.setattr(answer_limits, "MAX_ANSWER_BYTES", 1_000_000)
    serve(respond)
    with pytest.raises(SourceError, match=r"made/up.* is longer than 1,000,000 bytes"):
        list_files("made/up", None, Access())


@pytest.mark.parametrize(("promised", "most", "told"), [(5, 10**9, 5), (10**8, 70_000, 70_000)])
def test_a_file_is_no_longer_than_promised_or_allowed(promised, most, told, serve):
    def respond(connection, method, path):
        if method == "HEAD":
            send(connection, b"", f"X-Repo-Commit: {SHA}", f'ETag: "{promised}"', length=promised)
        else:
            endless(connection)

    serve(respond)
    with pytest.raises(SourceError, match=rf"longer than {told:,} bytes"):
        fetch_file("made/up", "endless.csv", SHA, Access(), max_bytes=most)


@pytest.mark.parametrize(
    "headers",
    [
        ("X-Repo-Commit: ../../../evil", 'ETag: "abc"'),
        (f"X-Repo-Commit: {SHA}", 'ETag: "../../../../evil"'),
        (f"X-Repo-Commit: {SHA}", 'ETag: W/"/evil/path"'),
        (f"X-Repo-Commit: {SHA}", 'ETag: "abc"', "X-Linked-Etag: ..\\evil"),
        (f"X-Repo-Commit: {SHA}", 'ETag: ""'),
        (f"X-Repo-Commit: {SHA}", 'ETag: "abc"', "X-Xet-Hash: ../../evil"),
    ],
)
def test_headers_that_are_paths_name_no_file(headers, serve, tmp_path):
    serve(lambda connection, method, _: send(connection, b"" if method == "HEAD" else b"abc", *headers, length=3))
    cache = tmp_path / "cache"
    with bounded(), pytest.raises(HubAnswerError, match="cannot name a file of the cache"):
        hf_hub_download("made/up", "a.csv", repo_type="dataset", revision=SHA, cache_dir=cache)
    assert list(tmp_path.rglob("*")) == []


BROKEN = {
    "no id": {key: value for key, value in INFO.items() if key != "id"},
    "array": [1],
    "number": 5,
    "commit": {**INFO, "sha": "../x"},
    "no commit": {**INFO, "sha": None},
    "date": {**INFO, "lastModified": "yesterday"},
    "files": {**INFO, "siblings": [{}]},
}


@pytest.mark.parametrize("how", [*BROKEN, "page"])
def test_an_answer_of_another_form_is_a_reason(how, serve):
    body = b"<html>Welcome</html>" if how == "page" else json.dumps(BROKEN[how]).encode()
    asked = serve(lambda connection, *_: send(connection, body))
    for ask in (listed, repo_facts):
        with pytest.raises(SourceError, match=r"is not that of a Hub|expected 40 hexadecimal digits"):
            ask("made/up")
    assert len(asked) == 2  # which another attempt would not change


def test_time_outs_are_for_requests_of_this_package_alone(serve):
    serve(lambda connection, *_: (pause(0.5), send(connection, json.dumps(INFO).encode())))
    assert HfApi().dataset_info("made/up").sha == SHA
    with bounded(), pytest.raises((OSError, *HTTP_ERRORS), match=r"timed out"):
        HfApi().dataset_info("made/up")


def test_a_hub_that_is_away_is_waited_for_once(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(asking, "_unreachable", [float("-inf")])
    waits = []
    monkeypatch.setattr(asking.time, "sleep", waits.append)
    for _ in range(3):
        with pytest.raises(
            SilentHubError, match=r"cannot be reached \(Connection refused\); check the network"
        ) as told:
            list_files("made/up", None, Access())
        assert is_unreachable(told.value.__cause__)
    assert waits == [0.5, 1.0, 2.0, 4.0]


@pytest.fixture
def new_session():
    """Make the Hub client read the environment again, before and after the test."""
    renew = getattr(_http, "close_session", None) or _http.reset_sessions
    renew()
    yield get_session
    renew()


def test_certificate_and_proxy_are_named_as_reasons(monkeypatch, new_session):
    plain = socket.create_server(("127.0.0.1", 0))
    answer = threading.Thread(target=lambda: plain.accept()[0].sendall(b"this is not TLS\r\n"))
    answer.start()
    with plain, bounded(), pytest.raises((OSError, *HTTP_ERRORS)) as caught:
        new_session().get(f"https://127.0.0.1:{plain.getsockname()[1]}")
    answer.join()
    assert "certificate that cannot be verified" in why_silent(caught.value)
    assert why_silent(caught.value).endswith(f"check {CERTIFICATE_VARIABLE}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setattr(_http, "_GLOBAL_CLIENT", None, raising=False)  # which was made before the proxy
    with bounded(), pytest.raises((OSError, *HTTP_ERRORS)) as caught:
        new_session().get("http://127.0.0.1:9")
    assert "cannot be reached through the proxy (Connection refused); check HTTP_PROXY" in why_silent(caught.value)


def test_what_is_no_silence_is_not_called_so():
    assert why_silent(None) is why_silent(ValueError("x")) is why_silent(HubAnswerError("x")) is None
