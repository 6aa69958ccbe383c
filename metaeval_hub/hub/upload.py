"""Create a repository, push files to it in one commit, and tag the commit."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi

from metaeval_hub.hub.login import push_target
from metaeval_hub.hub.names import check_repo_id
from metaeval_hub.hub.repo_state import RepoType, changed_files, request_info, state_of
from metaeval_hub.hub.retry import ConflictError, retry

SpaceSDK = Literal["static", "gradio"]

logger = logging.getLogger(__name__)
_NEVER_SENT = ("**/.git/**", "**/.cache/huggingface/**", "**/__pycache__/**", "**/.DS_Store")


def push_folder(
    folder: Path | str,
    repo_id: str,
    *,
    repo_type: RepoType = "model",
    private: bool | None = None,
    revision: str | None = None,
    message: str,
    token: str | bool | None = None,
    remove: Sequence[str] = (),
    parent_commit: str | None = None,
) -> CommitInfo:
    """Create the repository if needed and push a folder in one commit; unchanged files are not sent again.

    The commit follows the one that the files were compared with, so that it never mixes two pushes. If someone else
    pushes at the same time, the push starts again from their commit, or fails if ``parent_commit`` was given.

    Args:
        folder: folder to push, with its README.md.
        repo_id: "org/name"; "name" alone is a repository of the user that the token belongs to.
        repo_type: "model", "dataset" or "space".
        private: whether a repository that this call creates is private; None uses the default of the account.
        revision: branch; it is created if it does not exist.
        message: summary line of the commit.
        token: token with write access; by default that of the user who is logged in.
        remove: patterns of files that the same commit deletes from the repository, unless the folder contains them.
        parent_commit: full id of the commit that must be the last one of the branch.

    Returns:
        The commit: ``oid``, ``commit_url``. It is the last commit of the branch if nothing has changed.

    Raises:
        ConflictError: ``parent_commit`` is not, or no longer, the last commit of the branch.
        HubError: the Hub refuses the push, for example without write access, or does not answer.
        ValueError: the metadata of the card is not valid, or ``repo_id`` has another form.
    """
    repo_id = push_target(repo_id, token)
    api = HfApi(token=token)
    files = dict(_files(Path(folder)))
    create_repo(repo_id, repo_type=repo_type, private=private, token=token)
    if revision is not None:
        retry(
            lambda: api.create_branch(repo_id, branch=revision, repo_type=repo_type, exist_ok=True),
            f"making the branch {revision} of",
            repo_id,
        )
    return push_files(
        files,
        repo_id,
        repo_type=repo_type,
        revision=revision,
        message=message,
        token=token,
        remove=remove,
        parent_commit=parent_commit,
    )


def create_repo(
    repo_id: str,
    *,
    repo_type: RepoType = "model",
    private: bool | None = None,
    token: str | bool | None = None,
    sdk: SpaceSDK = "static",
) -> None:
    """Create a repository unless it exists.

    Args:
        repo_id: "org/name".
        repo_type: "model", "dataset" or "space".
        private: whether the new repository is private; None uses the default of the account.
        token: token with write access; by default that of the user who is logged in.
        sdk: what a new Space runs; other repositories ignore it.

    Raises:
        ValueError: ``repo_id`` has another form.
        HubError: the Hub refuses, or does not answer.
    """
    check_repo_id(repo_id)
    api = HfApi(token=token)
    space_sdk = sdk if repo_type == "space" else None
    retry(
        lambda: api.create_repo(repo_id, repo_type=repo_type, private=private, exist_ok=True, space_sdk=space_sdk),
        "creating",
        repo_id,
    )


def push_files(
    files: Mapping[str, Path],
    repo_id: str,
    *,
    repo_type: RepoType = "model",
    revision: str | None = None,
    message: str,
    token: str | bool | None = None,
    remove: Sequence[str] = (),
    parent_commit: str | None = None,
) -> CommitInfo:
    """Push files to an existing repository in one commit; see ``push_folder`` for the result and the other arguments.

    Args:
        files: name in the repository -> local path.
        repo_id: "org/name".
        repo_type: "model", "dataset" or "space".
        revision: an existing branch; by default the main branch.
        message: summary line of the commit.
        token: token with write access; by default that of the user who is logged in.
        remove: patterns of files that the same commit deletes from the repository, unless they are in ``files``.
        parent_commit: full id of the commit that must be the last one of the branch.

    Raises:
        ConflictError: ``parent_commit`` is not, or no longer, the last commit of the branch.
        HubError: the Hub refuses the push, or does not answer.
        ValueError: the metadata of the card is not valid.
    """
    api = HfApi(token=token)
    parents: list[str] = []  # the last commits of the branch before each attempt

    def commit() -> CommitInfo:
        state = state_of(request_info(api, repo_id, repo_type, revision))
        head = state.commit
        stale = [name for name in sorted(state.files.keys() - files.keys()) if _matches(name, remove)]
        # If everything is as it should be, an earlier attempt has made the commit and its answer was lost.
        if parents and head not in parents and not stale and not changed_files(files, state):
            return _made_commit(api, repo_id, repo_type, head, message)
        if parent_commit is not None and head != parent_commit:
            raise ConflictError(
                f"pushing to {repo_id} was to follow {parent_commit}, and the last commit is {head}: someone else has "
                "pushed; fetch that, and push again on top of it"
            )
        parents.append(head)
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in files.items()
        ]
        operations += [CommitOperationDelete(path_in_repo=name) for name in stale]
        return api.create_commit(
            repo_id, operations, repo_type=repo_type, revision=revision, commit_message=message, parent_commit=head
        )

    made = retry(commit, "pushing to", repo_id, commits=True)
    logger.info("pushed %d files to %s at %s", len(files), repo_id, made.oid)
    return made


def tag_commit(
    repo_id: str,
    tag: str,
    commit: str,
    *,
    repo_type: RepoType = "model",
    move: bool = False,
    token: str | bool | None = None,
) -> str:
    """Tag a commit. A tag of that name on another commit stays there unless ``move`` is set.

    Args:
        repo_id: "org/name".
        tag: name of the tag.
        commit: full commit id.
        repo_type: "model", "dataset" or "space".
        move: move an existing tag to the commit.
        token: token with write access; by default that of the user who is logged in.

    Returns:
        Full id of the commit that the tag is on in the end.

    Raises:
        HubError: the Hub refuses, for example because of the name, or does not answer.
    """
    api = HfApi(token=token)

    def place() -> str:
        refs = api.list_repo_refs(repo_id, repo_type=repo_type)
        found = next((ref.target_commit for ref in refs.tags if ref.name == tag), None)
        if found is not None and (found == commit or not move):
            return str(found)
        if found is not None:
            api.delete_tag(repo_id, tag=tag, repo_type=repo_type)
        api.create_tag(repo_id, tag=tag, revision=commit, repo_type=repo_type)
        return commit

    return retry(place, f"tagging {tag} in", repo_id)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name in the repository and the path of each file that is sent."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not _matches(f"/{name}", _NEVER_SENT):
            yield name, path


def _made_commit(api: HfApi, repo_id: str, repo_type: RepoType, commit: str, message: str) -> CommitInfo:
    """Return what the Hub would have answered about a commit."""
    url = api.endpoint + ("" if repo_type == "model" else f"/{repo_type}s")
    return CommitInfo(
        commit_url=f"{url}/{repo_id}/commit/{commit}", commit_message=message, commit_description="", oid=commit
    )
