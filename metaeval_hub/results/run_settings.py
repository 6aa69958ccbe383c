"""Check the settings that results.json repeats from the config.json of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from metaeval_hub.results.json_values import MAX_COUNT, FormError, a_count, a_size, a_text, mapping_of, shown

Setting = None | bool | int | float | str | list[Any]


def parse_settings(value: Any) -> dict[str, Setting]:
    """Check settings: those that reports use have their declared type, all others are JSON scalars or flat lists."""
    found = mapping_of(value, "config", _parse_setting)
    for name, check in _USED_SETTINGS.items():
        if found.get(name) is not None:
            check(found[name], f"config[{name!r}]")
    return found


def _parse_setting(value: Any, where: str) -> Setting:
    flat = isinstance(value, list) and not any(isinstance(entry, (list, dict)) for entry in value)
    for entry in value if flat else [value]:
        if isinstance(entry, str):
            a_text(entry, where)
        elif isinstance(entry, (list, dict)):
            raise FormError(f"{where} is {shown(value)}; expected a single value or a flat list")
        elif isinstance(entry, (int, float)) and not abs(entry) <= MAX_COUNT:
            raise FormError(f"{where} is {shown(value)}; expected a finite number")
    found: Setting = value
    return found


_USED_SETTINGS: Mapping[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(("conditioning", "conditioning_vectors", "task_features", "edition"), a_text),
    **dict.fromkeys(
        (
            "embeddings_per_task",
            "batch_size",
            "adapter_size",
            "dim_table",
            "steps",
            "max_train_rows",
            "max_eval_rows",
            "max_length",
        ),
        a_count,
    ),
    **dict.fromkeys(("epochs", "adapter_lr"), a_size),
}
