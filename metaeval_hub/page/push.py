"""The page on the Hub: as a static Space of its own, or as a file beside a model."""

from __future__ import annotations

import tempfile
from pathlib import Path

from metaeval_hub.hub.client import create_repo, fetch, push_files, push_target, repo_state
from metaeval_hub.page.space_card import SPACE_TAG, space_card

INDEX = "index.html"  # what a static Space shows
BESIDE = "task_map.html"  # in the repository of a model
CARD = "README.md"


def push_space(page: Path, repo_id: str, *, title: str, private: bool | None = None) -> str:
    """Send a page as a static Space, made if there is none of that name.

    Args:
        page: the file.
        repo_id: "org/name" of the Space.
        title: of the Space.
        private: whether a Space made by this call is private; None leaves it to the account's default.

    Returns:
        Address of the commit.

    Raises:
        ValueError: there is a Space of that name with something else in it; or it is public, and ``private`` is on.
        HubError: the Hub refused, or does not answer.
    """
    repo_id = push_target(repo_id)
    state = repo_state(repo_id, repo_type="space")
    if state is None:
        create_repo(repo_id, repo_type="space", private=private)
    else:
        folder = fetch(repo_id, revision=state.commit, allow_patterns=[CARD], repo_type="space")
        card = folder / CARD
        if not card.is_file() or SPACE_TAG not in card.read_text(encoding="utf-8", errors="replace"):
            raise ValueError(
                f"{repo_id} is a Space that was not made here, and its page would be replaced; give another name"
            )
        if private and not state.private:
            raise ValueError(f"{repo_id} is public; --private is for new Spaces, make it private on the Hub first")
    with tempfile.TemporaryDirectory() as folder_name:
        card = Path(folder_name, CARD)
        card.write_text(space_card(title), encoding="utf-8")
        files = {INDEX: page, CARD: card}
        parent = None if state is None else state.commit
        made = push_files(files, repo_id, repo_type="space", message=title, parent_commit=parent)
    return str(made.commit_url)


def push_beside(page: Path, repo_id: str) -> str:
    """Send a page into the repository of a model that is there; nothing else in it changes.

    Returns:
        Address of the commit.

    Raises:
        ValueError: there is no such model.
        HubError: the Hub refused, or does not answer.
    """
    repo_id = push_target(repo_id)
    if repo_state(repo_id) is None:
        raise ValueError(f"there is no model {repo_id}, or the token may not see it; push the model first")
    return str(push_files({BESIDE: page}, repo_id, message="Add a map of the tasks").commit_url)
