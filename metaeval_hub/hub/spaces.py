"""Publish files as a Space, and never replace a Space that metaeval did not create."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from metaeval_hub.hub.download import fetch
from metaeval_hub.hub.login import push_target
from metaeval_hub.hub.repo_state import repo_state
from metaeval_hub.hub.upload import SpaceSDK, create_repo, push_files

CARD = "README.md"


def push_space(
    files: Mapping[str, Path | str],
    repo_id: str,
    *,
    mark: str,
    message: str,
    private: bool | None = None,
    sdk: SpaceSDK = "static",
    remove: Sequence[str] = (),
) -> str:
    """Publish files as a Space, which is created if it does not exist.

    Args:
        files: path in the Space -> local file, or the content as text. Includes a card that contains ``mark``.
        repo_id: "org/name" of the Space.
        mark: text in the card of every Space of this kind.
        message: message of the commit.
        private: whether a new Space is private; None uses the default of the account.
        sdk: what a new Space runs: "static" shows plain files, "gradio" runs a program.
        remove: patterns of files that the same commit deletes from the Space, unless they are in ``files``.

    Returns:
        URL of the commit.

    Raises:
        ValueError: the Space exists and contains something else; or it is public and ``private`` is True.
        HubError: the Hub refuses the commit or does not answer.
    """
    repo_id = push_target(repo_id)
    state = repo_state(repo_id, repo_type="space")
    if state is None:
        create_repo(repo_id, repo_type="space", private=private, sdk=sdk)
    else:
        folder = fetch(repo_id, revision=state.commit, allow_patterns=[CARD], repo_type="space")
        card = folder / CARD
        if not card.is_file() or mark not in card.read_text(encoding="utf-8", errors="replace"):
            raise ValueError(
                f"metaeval did not create the Space {repo_id}, and pushing would replace its page; give another name"
            )
        if private and not state.private:
            raise ValueError(
                f"{repo_id} is public, and --private applies to new Spaces only; make it private on the Hub first"
            )
    with tempfile.TemporaryDirectory() as folder_name:
        paths = {}
        for name, content in files.items():
            paths[name] = content if isinstance(content, Path) else Path(folder_name, name)
            if isinstance(content, str):
                paths[name].write_text(content, encoding="utf-8")
        parent = None if state is None else state.commit
        made = push_files(paths, repo_id, repo_type="space", message=message, parent_commit=parent, remove=remove)
    return str(made.commit_url)
