"""The service over real HTTP: answers, errors, and what happens if clients or the model misbehave."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from metaeval_hub.serve.limits import Limits
from tests.metaeval_hub.serve.running import LengthEngine, running

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def client():
    limits = Limits(characters=100, texts=8, body=4_000, queue=64, wait_ms=0, body_seconds=0.5)
    with running(LengthEngine(), limits) as client:
        yield client


def test_texts_of_one_task_and_of_several(client):
    status, answer = client.predict({"task": "x/one", "texts": ["a b c", "a"]})
    assert status == 200
    assert answer == {
        "task": "x/one",
        "predictions": [
            {"label": "yes", "probabilities": {"no": 0.25, "yes": 0.75}},
            {"label": "no", "probabilities": {"no": 0.5, "yes": 0.5}},
        ],
    }
    inputs = [{"task": "x/pair", "text": ["a", "b c"]}, {"task": "x/one", "text": "a"}]
    status, answer = client.predict({"inputs": inputs})
    assert status == 200
    assert [each["task"] for each in answer["predictions"]] == ["x/pair", "x/one"]
    assert answer["predictions"][0]["probabilities"] == {"same": 0.25, "other": 0.375, "none": 0.375}


def test_descriptions_of_tasks_and_of_the_service(client):
    tasks = client.ask("GET", "/tasks")[1]["tasks"]
    assert tasks[0] == {"name": "x/one", "classes": ["no", "yes"], "form": "text"}
    assert [task["form"] for task in tasks] == ["text", "pair", "text or pair"]
    assert client.ask("GET", "/tasks/x/pair")[1] == tasks[1]
    assert client.ask("GET", "/healthz")[:2] == (200, {"status": "ok"})
    document = client.ask("GET", "/openapi.json")[1]
    assert set(document["paths"]) == {"/predict", "/tasks", "/tasks/{name}", "/healthz", "/metrics"}
    assert "x/one" not in json.dumps(document)
    assert "swagger" in client.ask("GET", "/docs")[1]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/tasks/x/onee", 404, "no task 'x/onee' among the 3 of this model; closest: x/one"),
        ("GET", "/nowhere", 404, "no such address; expected POST /predict"),
        ("GET", "/predict", 405, "expected POST for /predict"),
    ],
)
def test_wrong_addresses(client, method, path, status, message):
    found, answer, _ = client.ask(method, path)
    assert found == status
    assert message in answer["error"]["message"]


def test_bodies_that_are_not_read(client):
    assert client.predict(b'{"task": "x/one",', Content_Type="application/json")[0] == 400
    status, answer = client.predict(b'{"task": "x/one", "texts": ["a"]}', Content_Type="text/plain")
    assert status == 415
    assert "--json" in answer["error"]["message"]
    for size in (5_000, 60_000):  # read and dropped
        status, answer, headers = client.ask("POST", "/predict", b" " * size)
        assert (status, headers["Connection"]) == (413, "close")
        assert answer["error"]["message"] == "the body is larger than 4,000 bytes; send the texts in several requests"


def test_a_body_of_gigabytes_is_refused_by_its_declared_length(client):
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
        connection.sendall(b"Content-Length: 2000000000\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_body_of_undeclared_length_is_limited(client):
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
        connection.sendall(b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b" " * 4096 + b"\r\n" + b"0\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_arrive_gets_408(client):
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
        head = (
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
        )
        connection.sendall(head + b"{")
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_a_text_that_the_tokenizer_refuses_costs_only_its_request(client):
    status, answer = client.predict({"task": "x/one", "texts": ["a", "untokenizable"]})
    assert (status, answer["error"]["field"]) == (422, "texts")
    assert "texts[1] is 'untokenizable'" in answer["error"]["message"]
    assert client.metric("metaeval_queue_texts") == 0


def test_a_pass_that_fails_gets_500_and_the_server_goes_on(client, caplog):
    failed = client.metric("metaeval_failed_batches_total")
    big = " ".join("a" * 666)
    with running(LengthEngine(), Limits(characters=2_000, wait_ms=0)) as other:
        status, answer = other.predict({"task": "x/one", "texts": [big]})
        assert status == 500
        assert answer["error"]["message"] == ("computing this batch failed with MemoryError; the server's log has more")
        assert other.predict({"task": "x/one", "texts": ["a"]})[0] == 200
        assert other.metric("metaeval_failed_batches_total") == 1
    assert "no memory for 666 tokens" in caplog.text
    assert client.metric("metaeval_failed_batches_total") == failed


def test_only_the_names_of_this_machine_are_answered_without_a_token(client):
    status, answer, _ = client.ask("GET", "/tasks", Host="evil.example")
    assert status == 421
    assert "answers only to localhost" in answer["error"]["message"]
    for host in ("localhost:8000", "LOCALHOST", "127.0.0.1", "[::1]:8000"):
        assert client.ask("GET", "/tasks", Host=host)[0] == 200


def test_no_other_origin_may_read_answers(client):
    headers = client.ask("OPTIONS", "/predict", Origin="http://evil.example", Access_Control_Request_Method="POST")[2]
    assert not [name for name in headers if name.lower().startswith("access-control")]


def test_token():
    with running(LengthEngine(), token=TOKEN) as client:
        for given in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": f"Basic {TOKEN}"}):
            status, answer, headers = client.ask("GET", "/tasks", **given)
            assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
            assert "Authorization: Bearer TOKEN" in answer["error"]["message"]
        assert client.predict({"task": "x/one", "texts": ["a"]})[0] == 401
        assert client.ask("GET", "/tasks", Authorization=f"Bearer {TOKEN}", Host="api.example")[0] == 200
        assert client.ask("GET", "/healthz")[0] == 200
        assert client.ask("GET", "/openapi.json")[1]["security"] == [{"token": []}]


def test_full_queue_gets_503_and_later_requests_are_answered():
    engine = LengthEngine(threading.Event())
    with running(engine, Limits(texts=2, queue=2, batch=1, wait_ms=0)) as client, ThreadPoolExecutor(3) as pool:
        first = pool.submit(client.predict, {"task": "x/one", "texts": ["a"]})
        assert engine.started.wait(10)  # taken out of the queue
        second = pool.submit(client.predict, {"task": "x/one", "texts": ["a", "a b"]})
        client.wait_for("metaeval_queue_texts", 2)
        status, answer, headers = client.ask("POST", "/predict", {"task": "x/one", "texts": ["a"]})
        assert (status, headers["Retry-After"]) == (503, "1")
        assert answer["error"]["message"].startswith("2 texts wait, and the queue has room for 2")
        engine.held.set()
        assert first.result()[0] == second.result()[0] == 200
        assert client.predict({"task": "x/one", "texts": ["a"]})[0] == 200


def test_a_client_that_hangs_up_costs_nothing():
    engine = LengthEngine(threading.Event())
    with running(engine, Limits(batch=1, wait_ms=0)) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.predict, {"task": "x/one", "texts": ["a"]})
        assert engine.started.wait(10)
        body = b'{"task": "x/one", "texts": ["a b", "a b c"]}'
        head = (
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", client.port)) as connection:
            connection.sendall(head % len(body) + body)
            client.wait_for("metaeval_queue_texts", 2)
        client.wait_for("metaeval_hang_ups_total", 1)
        with socket.create_connection(("127.0.0.1", client.port)) as connection:  # in the middle of the body
            connection.sendall(head % len(body) + body[:9])
        client.wait_for("metaeval_hang_ups_total", 2)
        engine.held.set()
        assert first.result()[0] == 200
        assert client.predict({"task": "x/one", "texts": ["a"]})[0] == 200
    assert engine.sizes == [1, 1]  # the texts of the client that hung up were not computed


def test_200_clients_at_once_get_their_own_answers():
    engine = LengthEngine()

    def ask(number):
        words = number % 17 + 1
        task = ("x/one", "x/any")[number % 2]
        status, answer = client.predict({"task": task, "texts": [" ".join("a" * words)]})
        return status, answer["task"] == task, answer["predictions"][0]["probabilities"], 1 / (1 + words)

    with running(engine, Limits(wait_ms=20)) as client, ThreadPoolExecutor(200) as pool:
        for status, same, probabilities, first in pool.map(ask, range(200)):
            assert (status, same) == (200, True)
            assert next(iter(probabilities.values())) == pytest.approx(first)
        assert client.metric('metaeval_requests_total{path="/predict",status="200"}') == 200
        assert client.metric("metaeval_predict_seconds_count") == 200
        assert client.metric("metaeval_batch_texts_sum") == 200
    assert max(engine.sizes) > 1


def test_stopping_answers_what_was_accepted():
    engine = LengthEngine(threading.Event())
    with running(engine, Limits(batch=1, wait_ms=0)) as client, ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(client.predict, {"task": "x/one", "texts": ["a", "a b"]}) for _ in range(2)]
        assert engine.started.wait(10)
        client.wait_for("metaeval_queue_texts", 3)
        client.server.should_exit = True
        engine.held.set()
        assert [answer.result()[0] for answer in answers] == [200, 200]
    assert engine.sizes == [1, 1, 1, 1]
