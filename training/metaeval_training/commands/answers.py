"""Answers to held-out tasks: the result of a task, or the reason why a method has none; stored as JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metaeval_hub.results.results_json import parse_task, task_to_json
from metaeval_hub.results.schema import TaskResult


@dataclass(frozen=True)
class Unanswered:
    """A task that a method cannot answer, and the reason."""

    reason: str


HeldOutAnswer = TaskResult | Unanswered


def answer_to_json(answer: HeldOutAnswer) -> dict[str, Any]:
    """Return the JSON values of an answer."""
    return {"unanswered": answer.reason} if isinstance(answer, Unanswered) else task_to_json(answer)


def parse_answer(values: Mapping[str, Any]) -> HeldOutAnswer:
    """Return the answer that ``answer_to_json`` has stored."""
    return Unanswered(values["unanswered"]) if "unanswered" in values else parse_task(values)


def separate(answers: Mapping[str, HeldOutAnswer]) -> tuple[dict[str, TaskResult], dict[str, str]]:
    """Separate the answers of a method into task -> result and task -> why there is none."""
    results = {name: each for name, each in answers.items() if isinstance(each, TaskResult)}
    return results, {name: each.reason for name, each in answers.items() if isinstance(each, Unanswered)}
