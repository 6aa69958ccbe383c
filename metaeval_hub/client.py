"""The one file that talks to the Hub: fetch a snapshot, push a folder in one commit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from huggingface_hub import CommitInfo, HfApi, snapshot_download
from huggingface_hub.utils import HFValidationError, validate_repo_id

logger = logging.getLogger(__name__)
RepoType = Literal["model", "dataset", "space"]


def looks_like_repo_id(name: str) -> bool:
    """Tell whether ``name`` has the form of a Hub id, such as "org/name"."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def fetch(
    repo_id: str,
    *,
    revision: str | None = None,
    allow_patterns: Sequence[str],
    repo_type: RepoType = "model",
    token: str | bool | None = None,
) -> Path:
    """Download the files that match ``allow_patterns`` at one commit, into the Hub cache.

    Returns:
        The snapshot's folder; its name is the commit's full id.

    Raises:
        huggingface_hub.errors.RepositoryNotFoundError: the repository does not exist, or not for this token.
        huggingface_hub.errors.RevisionNotFoundError: the revision does not exist.
        huggingface_hub.errors.LocalEntryNotFoundError: the Hub cannot be reached and nothing is cached.
    """
    folder = snapshot_download(
        repo_id, repo_type=repo_type, revision=revision, allow_patterns=list(allow_patterns), token=token
    )
    return Path(folder)


def push_folder(
    folder: Path | str,
    repo_id: str,
    *,
    repo_type: RepoType = "model",
    private: bool | None = None,
    revision: str | None = None,
    message: str,
    token: str | bool | None = None,
) -> CommitInfo:
    """Create the repository if needed and send a folder in one commit; unchanged files are not sent again.

    Args:
        folder: what to send, with its README.md.
        repo_id: "org/name".
        repo_type: "model", "dataset" or "space".
        private: whether a repository made by this call is private; None leaves it to the account's default.
        revision: a branch; it is made if it does not exist.
        message: summary line of the commit.
        token: with write access; the one logged in by default.

    Returns:
        The commit: ``oid``, ``commit_url``.

    Raises:
        huggingface_hub.errors.HfHubHTTPError: the Hub refused, with its reason (no write access, say).
    """
    api = HfApi(token=token)
    api.create_repo(repo_id, repo_type=repo_type, private=private, exist_ok=True)
    if revision is not None:
        api.create_branch(repo_id, branch=revision, repo_type=repo_type, exist_ok=True)
    commit = api.upload_folder(
        folder_path=folder, repo_id=repo_id, repo_type=repo_type, revision=revision, commit_message=message
    )
    logger.info("pushed %s to %s at %s", folder, repo_id, commit.oid)
    return commit
