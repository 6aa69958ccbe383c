"""The parts of the OpenAPI document that describe requests and answers."""

from __future__ import annotations

from typing import Any

_STRING = {"type": "string"}
_TEXT: dict[str, Any] = {
    "description": "A text, or a pair of texts for a task over pairs.",
    "anyOf": [_STRING, {"type": "array", "items": _STRING, "minItems": 2, "maxItems": 2}],
}
_ONE_TASK = {
    "title": "Texts of one task",
    "type": "object",
    "additionalProperties": False,
    "required": ["task", "texts"],
    "properties": {"task": _STRING, "texts": {"type": "array", "minItems": 1, "items": _TEXT}},
}
_MANY_TASKS = {
    "title": "Texts of several tasks",
    "type": "object",
    "additionalProperties": False,
    "required": ["inputs"],
    "properties": {
        "inputs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["task", "text"],
                "properties": {"task": _STRING, "text": _TEXT},
            },
        }
    },
}
_EXAMPLES = {
    "one task": {"value": {"task": "group/name", "texts": ["a text", "another text"]}},
    "pairs": {"value": {"task": "group/pairs", "texts": [["first text", "second text"]]}},
    "several tasks": {
        "value": {
            "inputs": [{"task": "group/name", "text": "a text"}, {"task": "group/pairs", "text": ["first", "second"]}]
        }
    },
}
BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"oneOf": [_ONE_TASK, _MANY_TASKS]}, "examples": _EXAMPLES}},
    }
}

_PREDICTION = {
    "type": "object",
    "required": ["label", "probabilities"],
    "properties": {
        "task": {**_STRING, "description": "Only in answers to requests for several tasks."},
        "label": {**_STRING, "description": "The most probable class."},
        "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
    },
}
_PREDICTIONS = {
    "type": "object",
    "required": ["predictions"],
    "properties": {
        "task": {**_STRING, "description": "Only in answers to requests for one task."},
        "predictions": {"type": "array", "items": _PREDICTION, "description": "In the order of the texts."},
    },
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "field"],
            "properties": {
                "message": {**_STRING, "description": "What is wrong, what was expected, and what to do."},
                "field": {"type": ["string", "null"], "description": "The part of the body that is wrong."},
            },
        }
    },
}
_TASK = {
    "type": "object",
    "required": ["name", "classes", "form"],
    "properties": {
        "name": _STRING,
        "classes": {"type": "array", "items": _STRING},
        "form": {"type": "string", "enum": ["text", "pair", "text or pair"]},
    },
}
_TASKS = {"type": "object", "required": ["tasks"], "properties": {"tasks": {"type": "array", "items": _TASK}}}


def answers(success: dict[str, Any], **errors: str) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of an endpoint.

    Args:
        success: schema of the answer with status 200.
        errors: "s404" -> when a request gets the status 404.
    """
    return {
        200: {"description": "OK", "content": {"application/json": {"schema": success}}},
        **{
            int(status[1:]): {"description": text, "content": {"application/json": {"schema": _ERROR}}}
            for status, text in errors.items()
        },
    }


PREDICT = answers(
    _PREDICTIONS,
    s400="The body is not JSON.",
    s401="The token is missing or wrong.",
    s408="The body did not arrive in time.",
    s413="The body is too large.",
    s415="The body is not declared as JSON.",
    s422="A key, task or text of the body is not valid.",
    s500="The model failed.",
    s503="The queue is full; Retry-After has the seconds to wait.",
)
TASKS = answers(_TASKS, s401="The token is missing or wrong.")
TASK = answers(_TASK, s401="The token is missing or wrong.", s404="The model has no such task.")
