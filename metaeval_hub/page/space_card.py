"""Write the card of a static Space with a map of tasks."""

from __future__ import annotations

from metaeval_hub.hub.card_templates import template, yaml_text

SPACE_TAG = "metaeval-task-map"  # in the card of every Space with a map of tasks


def space_card(title: str) -> str:
    """Return the card of a static Space with a map of tasks.

    Args:
        title: title of the Space.
    """
    metadata = {
        "title": title,
        "emoji": "🗺️",
        "colorFrom": "blue",
        "colorTo": "yellow",
        "sdk": "static",
        "app_file": "index.html",
        "pinned": False,
        "tags": ["metaeval", SPACE_TAG],
    }
    return template("space.md").substitute(metadata=yaml_text(metadata), title=" ".join(title.split()))
