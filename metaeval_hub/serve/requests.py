"""Read the body of a request for predictions, and say what is wrong with it.

A body has one of two forms: ``{"task": ..., "texts": [...]}`` for texts of one task, or ``{"inputs": [{"task": ...,
"text": ...}, ...]}`` for texts of several tasks. A text is a string, or a list of two strings for a task over pairs.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metaeval_datasets.catalog import UnknownTaskError, unknown_task
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.serve.limits import Limits

LONGEST_NAME = 256  # characters of a task's name, as in a stored model
ONE_TASK, MANY_TASKS = ("task", "texts"), ("inputs",)
SHAPES = '{"task": "NAME", "texts": ["...", "..."]} or {"inputs": [{"task": "NAME", "text": "..."}]}'
_FORMS = {1: 'single texts, such as "..."', 2: 'pairs of texts, such as ["...", "..."]'}


class RequestError(Exception):
    """Raised for a request that cannot be answered as it is.

    Args:
        status: HTTP status, 400 to 599.
        message: what is wrong, what was expected, and what to do.
        field: the part of the body that is wrong, such as "texts[2]"; None if it is not a part of the body.
        headers: further headers of the answer.
    """

    def __init__(
        self, status: int, message: str, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.headers = status, message, field, dict(headers or {})

    def content(self) -> dict[str, Any]:
        """Return the JSON of the answer."""
        return {"error": {"message": self.message, "field": self.field}}


@dataclass(frozen=True)
class Question:
    """What a request asks for.

    Args:
        tasks: the task of each text.
        texts: strings, or pairs of strings.
        one_task: whether the request has the form with one task.
    """

    tasks: Sequence[str]
    texts: Sequence[str | tuple[str, str]]
    one_task: bool


def read_question(
    body: bytes, labels: Mapping[str, Sequence[str]], fields: Mapping[str, int], limits: Limits
) -> Question:
    """Read and check the body of a request.

    Args:
        body: the body.
        labels: task name -> class names.
        fields: task name -> 1 (a text) or 2 (a pair); tasks that accept both are missing.
        limits: the limits of the server.

    Raises:
        RequestError: the body is not JSON (status 400), or is not a valid request (422).
    """
    value = _parse(body)
    if not isinstance(value, dict):
        raise RequestError(422, f"the body is {shown(value)}; expected an object: {SHAPES}")
    names = MANY_TASKS if "inputs" in value else ONE_TASK
    _check_keys(value, names, "")
    if names == ONE_TASK:
        task = check_task(value["task"], labels, "task")
        texts = _list(value["texts"], "texts", limits)
        found = [_text(text, f"texts[{i}]", task, fields, limits) for i, text in enumerate(texts)]
        return Question([task] * len(found), found, one_task=True)
    tasks, found = [], []
    for i, each in enumerate(_list(value["inputs"], "inputs", limits)):
        place = f"inputs[{i}]"
        if not isinstance(each, dict):
            raise RequestError(422, f'{place} is {shown(each)}; expected {{"task": "NAME", "text": "..."}}', place)
        _check_keys(each, ("task", "text"), place)
        task = check_task(each["task"], labels, f"{place}.task")
        tasks.append(task)
        found.append(_text(each["text"], f"{place}.text", task, fields, limits))
    return Question(tasks, found, one_task=False)


def check_task(name: object, labels: Mapping[str, Sequence[str]], place: str | None, status: int = 422) -> str:
    """Return the name of a task of the model.

    Args:
        name: the name.
        labels: the tasks of the model.
        place: the part of the body with the name; None if it comes from the address.
        status: HTTP status of the error.

    Raises:
        RequestError: the model has no such task; the message names the closest tasks.
    """
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        raise RequestError(
            422, f"{place} is {shown(name)}; expected the name of a task; GET /tasks lists the names", place
        )
    if name not in labels:
        error: UnknownTaskError = unknown_task(name, labels, "of this model")
        raise RequestError(status, f"{error}; GET /tasks lists all names", place)
    return name


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RequestError(
            400,
            f"the body is not UTF-8 (byte 0x{body[error.start]:02x} at place {error.start + 1}); send JSON in UTF-8",
        ) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise RequestError(400, f"the body is not JSON ({error.msg}, {where}); expected {SHAPES}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or lists thousands of levels deep
        problem = "the body has a number that is too long or too many levels of lists and objects"
        raise RequestError(400, f"{problem}; expected {SHAPES}") from None


def _check_keys(value: Mapping[str, Any], names: Sequence[str], place: str) -> None:
    where = f"{place} " if place else "the body "
    prefix = f"{place}." if place else ""
    for key in value:
        if key not in names:
            near = difflib.get_close_matches(key[:LONGEST_NAME], names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected {' and '.join(map(repr, names))}"
            raise RequestError(422, f"{where}has the unknown key {shown(key)}; {hint}", f"{prefix}{key[:LONGEST_NAME]}")
    for name in names:
        if name not in value:
            shape = f'{{"task": "NAME", "text": "..."}}' if place else SHAPES  # noqa: F541
            raise RequestError(422, f"{where}lacks the key {name!r}; expected {shape}", f"{prefix}{name}")


def _list(value: object, place: str, limits: Limits) -> list[Any]:
    if not isinstance(value, list):
        raise RequestError(422, f"{place} is {shown(value)}; expected a list, also for a single text", place)
    if not value:
        raise RequestError(422, f"{place} is empty; expected at least one text", place)
    if len(value) > limits.texts:
        raise RequestError(
            422,
            f"{place} has {len(value):,} texts; this server takes at most {limits.texts:,} per request; send them in "
            "several requests",
            place,
        )
    return value


def _text(value: object, place: str, task: str, fields: Mapping[str, int], limits: Limits) -> str | tuple[str, str]:
    """Check one text: its type, its form, its length, and that a tokenizer can read it."""
    if isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value):
        given, parts = 2, value
    elif isinstance(value, str):
        given, parts = 1, [value]
    else:
        expected = _FORMS[fields[task]] if task in fields else 'a text or a pair of texts, such as ["...", "..."]'
        raise RequestError(422, f"{place} is {shown(value)}; {task} classifies {expected}", place)
    if given != fields.get(task, given):
        form = "one text" if given == 1 else "a pair of texts"
        raise RequestError(422, f"{place} is {form}; {task} classifies {_FORMS[fields[task]]}", place)
    length = sum(map(len, parts))
    if length > limits.characters:
        raise RequestError(
            422,
            f"{place} has {length:,} characters; this server takes at most {limits.characters:,} per text; shorten it",
            place,
        )
    for part in parts:
        try:
            part.encode()
        except UnicodeEncodeError as error:
            raise RequestError(
                422,
                f"{place} contains half of a surrogate pair at character {error.start}, which is not valid text; "
                "replace it",
                place,
            ) from None
    return value if isinstance(value, str) else (parts[0], parts[1])
