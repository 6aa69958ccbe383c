"""Parse the learning rates to try, store what each of them gave, and choose by validation accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from metaeval_hub.results.results_json import parse_task, task_to_json
from metaeval_hub.results.schema import TaskResult, mean
from metaeval_training.config import ConfigError
from metaeval_training.engine.loop import TrainingError

Method = Literal["full", "adapter"]
RATES: dict[Method, float] = {"full": 5e-5, "adapter": 1e-3}  # of the encoder, of the adapter


@dataclass(frozen=True)
class Tried:
    """A model that was trained on one task with one learning rate.

    Attributes:
        result: its scores; None if the training failed.
        failed: the reason; "" if the training did not fail.
        steps: optimizer steps.
        seconds: time of the training.
        encoder: identity of the encoder (``BaseEncoder.to_dict``).
        fisher: Fisher vector of the task, H numbers; None if it was not asked for.
    """

    result: TaskResult | None = None
    failed: str = ""
    steps: int = 0
    seconds: float = 0.0
    encoder: Mapping[str, Any] | None = None
    fisher: Sequence[float] | None = None

    @property
    def validation(self) -> float | None:
        """Accuracy on validation; None if there is none."""
        scores = None if self.result is None else self.result.validation
        return None if scores is None else scores.accuracy

    def to_json(self) -> dict[str, Any]:
        """Return the values as they are stored in the file of a task."""
        if self.result is None:
            return {"failed": self.failed}
        values = {
            "row": task_to_json(self.result), "steps": self.steps, "seconds": self.seconds, "encoder": self.encoder,
        }  # fmt: skip
        return values if self.fisher is None else {**values, "fisher": list(self.fisher)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Tried:
        """Return what ``to_json`` has stored."""
        if "failed" in values:
            return cls(failed=values["failed"])
        names = ("steps", "seconds", "encoder")
        return cls(parse_task(values["row"]), fisher=values.get("fisher"), **{name: values[name] for name in names})


def parse_rates(words: Sequence[str], methods: Sequence[Method]) -> dict[Method, list[float]]:
    """Parse the learning rates to try, by method.

    Args:
        words: "5e-5" if there is only one method; or "full=2e-5,5e-5".
        methods: to train; methods without a word get the default rate.

    Raises:
        ConfigError: a rate is not a number above 0, or belongs to no method.
    """
    rates: dict[str, list[float]] = {}
    for word in words:
        method, sign, values = word.rpartition("=")
        if not sign and len(methods) > 1:
            raise ConfigError(
                f"--rates {word}: several methods are trained; name the method, such as {methods[0]}={word}"
            )
        method = method or methods[0]
        if method not in methods:
            raise ConfigError(f"--rates {word}: {method!r} is not among the --methods {' '.join(methods)}")
        for value in values.split(","):
            try:
                rate = float(value)
            except ValueError:
                rate = 0.0
            if not 0 < rate < float("inf"):
                raise ConfigError(f"--rates {word}: {value!r} is not a learning rate; expected a number above 0")
            rates.setdefault(method, []).append(rate)
    return {method: rates.get(method, [RATES[method]]) for method in methods}


def show_rate(rate: float) -> str:
    """Format a rate as 5e-5."""
    return np.format_float_scientific(rate, trim="-", exp_digits=1).replace("e+", "e")


def pick_rates(tried: Mapping[str, Mapping[str, Tried]], pick: str) -> tuple[dict[str, str], dict[str, float | None]]:
    """Choose the learning rate of each task by validation accuracy.

    Args:
        tried: task -> rate -> the trained model, all with the same rates.
        pick: "method": one rate for all tasks, with the best mean over tasks among the rates that trained every task;
            "task": the best rate for each task. In a tie, or without validation scores, the first rate is chosen.

    Returns:
        Task -> rate; and rate -> mean validation accuracy over the tasks that were trained with it.

    Raises:
        TrainingError: with "method", no rate trained every task.
    """
    rates = list(dict.fromkeys(rate for by_rate in tried.values() for rate in by_rate))
    trained = {rate: [each[rate] for each in tried.values() if not each[rate].failed] for rate in rates}
    means = {rate: mean(each.validation for each in found) for rate, found in trained.items()}
    if pick == "task":
        by_task = {
            name: {rate: each.validation for rate, each in by_rate.items() if not each.failed}
            for name, by_rate in tried.items()
        }
        return {name: _highest(accuracies) for name, accuracies in by_task.items()}, means
    whole = [rate for rate in rates if len(trained[rate]) == len(tried)]
    if not whole:
        listed = ", ".join(f"{rate} failed on {len(tried) - len(found)}" for rate, found in trained.items())
        raise TrainingError(
            f"no learning rate trained all {len(tried)} tasks ({listed}); lower --rates, or use --pick task"
        )
    return dict.fromkeys(tried, _highest({rate: means[rate] for rate in whole})), means


def _highest(accuracies: Mapping[str, float | None]) -> str:
    return max(accuracies, key=lambda rate: -1.0 if (accuracy := accuracies[rate]) is None else accuracy)
