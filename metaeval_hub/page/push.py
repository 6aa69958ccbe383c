"""Publish the page on the Hub, as a static Space or as a file in the repository of a model."""

from __future__ import annotations

from pathlib import Path

from metaeval_hub.hub.login import push_target
from metaeval_hub.hub.repo_state import repo_state
from metaeval_hub.hub.spaces import CARD
from metaeval_hub.hub.spaces import push_space as push_files_as_space
from metaeval_hub.hub.upload import push_files
from metaeval_hub.page.space_card import SPACE_TAG, space_card

INDEX = "index.html"  # page that a static Space shows
MODEL_FILE = "task_map.html"  # name of the page in the repository of a model


def push_space(page: Path, repo_id: str, *, title: str, private: bool | None = None) -> str:
    """Publish a page as a static Space, which is created if it does not exist.

    Args:
        page: HTML file.
        repo_id: "org/name" of the Space.
        title: title of the Space.
        private: whether a new Space is private; None uses the default of the account.

    Returns:
        URL of the commit.

    Raises:
        ValueError: the Space exists and contains something else; or it is public and ``private`` is True.
        HubError: the Hub refuses the commit or does not answer.
    """
    files: dict[str, Path | str] = {INDEX: page, CARD: space_card(title)}
    return push_files_as_space(files, repo_id, mark=SPACE_TAG, message=title, private=private)


def push_to_model(page: Path, repo_id: str) -> str:
    """Upload a page to the repository of an existing model, without changing its other files.

    Returns:
        URL of the commit.

    Raises:
        ValueError: the model does not exist.
        HubError: the Hub refuses the commit or does not answer.
    """
    repo_id = push_target(repo_id)
    if repo_state(repo_id) is None:
        raise ValueError(f"model {repo_id} does not exist, or your token has no access to it; push the model first")
    return str(push_files({MODEL_FILE: page}, repo_id, message="Add a map of the tasks").commit_url)
