"""Publish the metric of metaeval as a Space that `evaluate` loads. It works without metaeval."""

from __future__ import annotations

import re
from pathlib import Path
from pprint import pformat

from metaeval_datasets.metric import FOLDER
from metaeval_datasets.metric.class_names import CLASS_NAMES
from metaeval_hub.hub.card_templates import python_string, template, yaml_text
from metaeval_hub.hub.login import push_target
from metaeval_hub.hub.spaces import CARD, push_space

METRIC_TAG = "metaeval-metric"  # in the card of every Space that contains the metric
MODULE, PARTS = "metric.py", ("scores.py", "class_names.py")


def metric_files(repo_id: str, version: str) -> dict[str, Path | str]:
    """Return the files of the Space: path -> local file, or content.

    Args:
        repo_id: "org/name" of the Space. `evaluate` expects the metric in ``name.py``.
        version: version of metaeval, for the card.

    Raises:
        ValueError: the name cannot be that of a Python file next to the others.
    """
    name = repo_id.rsplit("/", 1)[-1]
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or f"{name}.py" in PARTS:
        raise ValueError(
            f"a metric cannot be called {name!r}, because its file is {name}.py; expected letters, digits, - and _, "
            "and another name than scores or class_names"
        )
    names = pformat(dict(CLASS_NAMES), width=110, sort_dicts=False)
    heading = f"Class names of the tasks of metaeval {version}, by number."
    return {
        f"{name}.py": FOLDER / MODULE,
        "scores.py": FOLDER / "scores.py",
        "class_names.py": f'"""{heading}"""\n\nCLASS_NAMES = {names}\n',
        "requirements.txt": "datasets\nevaluate\nnumpy\n",
        CARD: metric_card(repo_id, version),
    }


def metric_card(repo_id: str, version: str) -> str:
    """Return the card of the Space."""
    metadata = {
        "title": "Scores of metaeval's tasks",
        "emoji": "🎯",
        "colorFrom": "blue",
        "colorTo": "yellow",
        "sdk": "static",
        "pinned": False,
        "license": "mit",
        "tags": ["evaluate", "metric", "metaeval", METRIC_TAG],
    }
    return template("metric.md").substitute(
        metadata=yaml_text(metadata), repo_id=python_string(repo_id), tasks=len(CLASS_NAMES), version=version
    )


def push_metric(repo_id: str, version: str, *, private: bool | None = None) -> str:
    """Publish the metric as a Space; see ``push_space`` for the arguments, the result and the errors."""
    repo_id = push_target(repo_id)
    message = f"Publish the metric of metaeval {version}"
    return push_space(metric_files(repo_id, version), repo_id, mark=METRIC_TAG, message=message, private=private)
