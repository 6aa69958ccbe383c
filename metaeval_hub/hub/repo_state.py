"""Read which files a repository contains at a commit, and compare them with local files without downloading any."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import DatasetInfo, HfApi, ModelInfo, SpaceInfo
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoSibling

from metaeval_datasets.sources.transport import commit_of, understood
from metaeval_hub.hub.names import check_repo_id, may_be_a_path
from metaeval_hub.hub.retry import HubError, retry

RepoType = Literal["model", "dataset", "space"]


@dataclass(frozen=True)
class RepoState:
    """Describe a repository at one commit.

    Args:
        commit: full commit id.
        private: whether only its members see it.
        files: path -> facts about the file: size and digest.
    """

    commit: str
    private: bool
    files: Mapping[str, RepoSibling]


def repo_state(
    repo_id: str, *, repo_type: RepoType = "model", revision: str | None = None, token: str | bool | None = None
) -> RepoState | None:
    """Return the state of a repository, with one request; None if it does not exist or the token may not see it.

    Args:
        repo_id: "org/name".
        repo_type: "model", "dataset" or "space".
        revision: branch, tag or commit; by default the main branch.
        token: token for private repositories.

    Raises:
        ValueError: ``repo_id`` has another form.
        HubError: the repository is gated, the revision does not exist, or the Hub does not answer.
    """
    check_repo_id(repo_id)
    api = HfApi(token=token)
    try:
        info = retry(
            lambda: request_info(api, repo_id, repo_type, revision),
            "looking at",
            repo_id,
            hasty=may_be_a_path(repo_id),
        )
    except HubError as error:
        if isinstance(error.__cause__, RepositoryNotFoundError) and not isinstance(error.__cause__, GatedRepoError):
            return None
        raise
    return state_of(info)


def changed_files(files: Mapping[str, Path], state: RepoState | None) -> list[str]:
    """Return the names of the files that a repository lacks or has with other content; no file is downloaded.

    Args:
        files: name in the repository -> local path.
        state: the repository; None if it does not exist.
    """
    return [name for name, path in files.items() if state is None or not _is_same(path, state.files.get(name))]


def request_info(
    api: HfApi, repo_id: str, repo_type: RepoType, revision: str | None
) -> ModelInfo | DatasetInfo | SpaceInfo:
    """Request the facts about a repository and its files, once.

    Raises:
        HubAnswerError: the answer is malformed.
    """
    with understood(repo_id):
        info = api.repo_info(repo_id, repo_type=repo_type, revision=revision, files_metadata=True)
        commit_of(info.sha, repo_id)
        return info


def state_of(info: ModelInfo | DatasetInfo | SpaceInfo) -> RepoState:
    """Return the state that the Hub's facts about a repository describe."""
    return RepoState(str(info.sha), bool(info.private), {entry.rfilename: entry for entry in info.siblings or []})


def _is_same(path: Path, found: RepoSibling | None) -> bool:
    """Return whether a file of the repository has the content of the local one, by size and digest."""
    if found is None or found.size != path.stat().st_size:
        return False
    if found.lfs is not None:
        return bool(found.lfs.sha256 == _digest(path, "sha256"))
    return found.blob_id == _digest(path, "sha1", f"blob {found.size}\0".encode())  # the id of a Git blob


def _digest(path: Path, kind: str, start: bytes = b"") -> str:
    digest = hashlib.new(kind, start, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
