"""Check settings that depend on each other; each rule names the flags that do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from metaeval_hub.conditional.config import WITH_LAYER_NORM


class ConfigError(ValueError):
    """A setting is unknown or has a wrong value; the message names it and says what is allowed."""


def flag(name: str) -> str:
    """Return the command-line flag of a setting: ``max_length`` -> ``--max-length``."""
    if name == "from_model":  # "from" is a keyword of Python
        return "--from"
    return "--" + name.replace("_", "-")


def check_types(values: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    """Check that the values of settings have the types that are declared; whole numbers are also numbers.

    Args:
        values: setting -> value.
        kinds: setting -> int, float, bool, str, a Literal, or a tuple of texts.

    Raises:
        ConfigError: a value has another type, or is not among those of the Literal.
    """
    for name, kind in kinds.items():
        value, expected = values[name], ""
        if kind is int and (not isinstance(value, int) or isinstance(value, bool)):
            expected = "a whole number"
        elif kind is float and (not isinstance(value, int | float) or isinstance(value, bool)):
            expected = "a number"
        elif kind is bool and not isinstance(value, bool):
            expected = "True or False"
        elif kind is str and not isinstance(value, str):
            expected = "a text"
        elif get_origin(kind) is Literal and value not in get_args(kind):
            expected = f"one of {', '.join(get_args(kind))}"
        elif get_origin(kind) is tuple and not _is_texts(value):
            expected = "a tuple of texts"
        if expected:
            raise ConfigError(f"{flag(name)} must be {expected}, got {value!r}")


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


def check_z(values: Mapping[str, Any]) -> None:
    """Check the settings of z and of the adapters.

    Raises:
        ConfigError: two settings contradict each other.
    """
    given = [flag(name) for name in ("conditioning_vectors", "task_features") if values[name]]
    if values["embeddings_per_task"] > 1:
        given.append(flag("embeddings_per_task"))
    if values["dim_table"]:
        given.append(flag("dim_table"))
    if given and values["conditioning"] in ("adapter", "full"):
        raise ConfigError(f"--conditioning {values['conditioning']} has no task embeddings; leave out {given[0]}")
    if values["conditioning_vectors"] and len(given) > 1:
        raise ConfigError(f"{given[0]} replaces the learned embeddings, which {given[1]} needs; leave one out")
    if values["private_rank"] and values["conditioning"] == "full":
        raise ConfigError("--private-rank does not go with --conditioning full, which has no adapters; leave it out")
    if 0 < values["dim_table"] < values["dim_z"]:
        raise ConfigError(
            f"--dim-table {values['dim_table']} is less than --dim-z {values['dim_z']}; take 0 or at least that"
        )
    if values["layer_norm"] and values["conditioning"] not in WITH_LAYER_NORM:
        raise ConfigError(
            f"--layer-norm does not go with --conditioning {values['conditioning']}; expected one of "
            f"{', '.join(WITH_LAYER_NORM)}"
        )


def check_from(values: Mapping[str, Any]) -> None:
    """Check the settings of a run that continues from a model.

    Raises:
        ConfigError: two settings contradict each other.
    """
    if not values["from_model"]:
        if values["old_tasks"] != "rehearse" or values["from_sha256"]:
            raise ConfigError("--old-tasks and --from-sha256 need --from MODEL")
        return
    for name in ("conditioning_vectors", "task_features"):
        if values[name]:
            raise ConfigError(f"{flag(name)} needs a new model, and --from continues a trained one; leave one out")
    if values["old_tasks"] == "keep":
        reasons = {
            "share_labels": "would train label vectors of old tasks",
            "push_every_checkpoint": "would push a model without the old tasks",
        }
        for name, reason in reasons.items():
            if values[name]:
                raise ConfigError(f"{flag(name)} {reason}, so it does not go with --old-tasks keep; leave it out")
