"""Bodies of requests: what is read, and what the errors say."""

import json

import pytest

from metaeval_hub.serve.limits import Limits
from metaeval_hub.serve.requests import Question, RequestError, read_question
from tests.metaeval_hub.serve.running import FIELDS, LABELS

LIMITS = Limits(characters=10, texts=3, queue=3)


def read(value):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_question(body, LABELS, FIELDS, LIMITS)


def test_both_forms():
    assert read({"task": "x/pair", "texts": [["a", "b"]]}) == Question(["x/pair"], [("a", "b")], one_task=True)
    assert read({"task": "x/any", "texts": ["a", ["b", "c"]]}).texts == ["a", ("b", "c")]
    inputs = [{"task": "x/one", "text": "é"}, {"task": "x/pair", "text": ["", "b"]}]
    assert read({"inputs": inputs}) == Question(["x/one", "x/pair"], ["é", ("", "b")], one_task=False)
    assert read(b'\xef\xbb\xbf{"task": "x/one", "texts": ["a"]}').texts == ["a"]  # a byte order mark


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON (Expecting value, line 1, column 1); expected {"),
        (b'{"task": "x/one",\n}', "line 2, column 1"),
        (b'{"task": "x/one", "texts": ["\xe9"]}', "the body is not UTF-8 (byte 0xe9 at place 30); send JSON in UTF-8"),
        (b"[" * 100_000, "too many levels of lists and objects"),
        (b"9" * 10_000, "a number that is too long"),
    ],
)
def test_bodies_that_are_not_json(body, message):
    with pytest.raises(RequestError) as caught:
        read(body)
    assert caught.value.status == 400
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (["x"], None, "the body is ['x']; expected an object"),
        ({"texts": ["a"]}, "task", "the body lacks the key 'task'"),
        ({"task": "x/one", "text": ["a"]}, "text", "the body has the unknown key 'text'; did you mean 'texts'?"),
        ({"task": "x/one", "texts": "a"}, "texts", "texts is 'a'; expected a list, also for a single text"),
        ({"task": "x/one", "texts": []}, "texts", "texts is empty"),
        ({"task": "x/one", "texts": ["a"] * 4}, "texts", "texts has 4 texts; this server takes at most 3 per request"),
        ({"task": "x/onee", "texts": ["a"]}, "task", "no task 'x/onee' among the 3 of this model; closest: x/one"),
        ({"task": 3, "texts": ["a"]}, "task", "task is 3; expected the name of a task; GET /tasks lists"),
        ({"task": "x" * 999_999, "texts": ["a"]}, "task", "expected the name of a task"),
        ({"task": "x/one", "texts": ["a", 5]}, "texts[1]", "texts[1] is 5; x/one classifies single texts"),
        ({"task": "x/one", "texts": [["a", "b"]]}, "texts[0]", "texts[0] is a pair of texts; x/one classifies single"),
        ({"task": "x/pair", "texts": ["a", "b"]}, "texts[0]", 'one text; x/pair classifies pairs of texts, such as ["'),
        ({"task": "x/any", "texts": [["a", "b", "c"]]}, "texts[0]", "x/any classifies a text or a pair of texts"),
        ({"task": "x/one", "texts": ["a" * 11]}, "texts[0]", "has 11 characters; this server takes at most 10"),
        ({"task": "x/pair", "texts": [["a" * 6, "b" * 5]]}, "texts[0]", "has 11 characters"),
        ({"task": "x/one", "texts": ["a\ud800"]}, "texts[0]", "half of a surrogate pair at character 1"),
        ({"inputs": ["a"]}, "inputs[0]", "inputs[0] is 'a'; expected {"),
        ({"inputs": [{"task": "x/one"}]}, "inputs[0].text", "inputs[0] lacks the key 'text'"),
        ({"inputs": [{"task": "x", "text": "a"}]}, "inputs[0].task", "no task 'x'"),
        ({"inputs": [{"task": "x/one", "text": 1}]}, "inputs[0].text", "inputs[0].text is 1"),
        ({"inputs": [], "task": "x/one"}, "task", "the body has the unknown key 'task'; expected 'inputs'"),
    ],
)
def test_invalid_requests(body, field, message):
    with pytest.raises(RequestError) as caught:
        read(body)
    assert (caught.value.status, caught.value.field) == (422, field)
    assert message in caught.value.message
    assert len(caught.value.message) < 500
