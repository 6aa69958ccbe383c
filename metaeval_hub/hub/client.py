"""The one file that talks to the Hub: fetch a snapshot, push files in one commit, tag it.

The client library leaves much to its callers (measured with huggingface_hub 0.36): a download that is cut off is not
tried again, nor is a request answered with 429, ``Retry-After`` is not read, and a commit whose answer was lost may
have been made. Here each of these is tried again, a few times, and an error that remains says what failed and why.
"""

from __future__ import annotations

import errno
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from fnmatch import fnmatch
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Literal, TypeVar

import requests
from huggingface_hub import (
    CommitInfo,
    CommitOperationAdd,
    CommitOperationDelete,
    DatasetInfo,
    HfApi,
    ModelInfo,
    SpaceInfo,
    constants,
    get_token,
    snapshot_download,
)
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import HFValidationError, validate_repo_id

from metaeval_datasets.sources.transport import (
    PATIENCE_SECONDS,
    HubAnswerError,
    SlowHubError,
    bounded,
    commit_of,
    is_unreachable,
    is_unwritable,
    spare_cache,
    understood,
    why_silent,
)
from metaeval_hub.safe_files.printable import printable

logger = logging.getLogger(__name__)
RepoType = Literal["model", "dataset", "space"]
T = TypeVar("T")

WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds before each new attempt, unless the Hub names others
MAX_WAIT = 120.0  # seconds; a Hub that asks for more is left alone
MAX_FETCH_BYTES = 16 * 2**30
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_NEVER_SENT = ("**/.git/**", "**/.cache/huggingface/**", "**/__pycache__/**", "**/.DS_Store")


class HubError(OSError):
    """A call to the Hub failed for good; the message says which, for which repository, and why, on a printable line."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class ConflictError(HubError):
    """Someone else has pushed since the commit that a push was to follow."""


# --- names ---


def check_repo_id(repo_id: str) -> None:
    """Check that a name has the form of a Hub id: "org/name", or "name" alone.

    Raises:
        ValueError: it has not; says what is wrong.
    """
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        why = " ".join(str(error).split()).removesuffix(".")
        raise ValueError(f'{repo_id!r} is not the id of a repository, expected "org/name": {why[:300]}') from error


def looks_like_repo_id(name: str) -> bool:
    """Tell whether ``name`` has the form of a Hub id: "org/name", or "name" alone."""
    try:
        check_repo_id(name)
    except ValueError:
        return False
    return True


def local_folder(name: Path | str, what: str = "", *, needs_owner: bool = True, others: str = "") -> Path | None:
    """Return the folder that a name stands for, or None where it is a Hub id.

    Args:
        name: a path, or a Hub id. A folder that exists comes first.
        what: word before the name in an error.
        needs_owner: whether a Hub id has the form "org/name"; those of some encoders are a name alone.
        others: what else the name may be, for the error.

    Raises:
        ValueError: it is neither, so that the Hub is not asked about a path that was mistyped.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    written = str(name)
    if isinstance(name, str) and ("/" in written or not needs_owner) and looks_like_repo_id(written):
        return None
    why = "it is a file" if folder.exists() else "there is no such folder"
    form = '"org/name"' if needs_owner else '"org/name" or "name"'
    named = f"{what} {written!r}".lstrip()
    raise ValueError(
        f"{named} is neither a folder nor a Hub id{others}: {why}, and a Hub id has the form {form}; check the path"
    )


def push_target(repo_id: str, token: str | bool | None = None) -> str:
    """Return the full id of the repository that a push goes to; call it before building what is pushed.

    Args:
        repo_id: "org/name"; "name" alone is a repository of the user that the token belongs to.
        token: with write access; the one logged in by default.

    Raises:
        ValueError: the id has another form.
        HubError: nobody is logged in; or there is no owner in the id, and the Hub does not tell whose the token is.
    """
    check_repo_id(repo_id)
    _check_logged_in(repo_id, token)
    if "/" in repo_id:
        return repo_id
    full = f"{_whoami(repo_id, token)['name']}/{repo_id}"
    check_repo_id(full)
    return full


def check_token(repo_id: str, token: str | bool | None = None) -> None:
    """Ask the Hub whether a token is valid and may write, before hours are spent on what is to be pushed with it.

    Raises:
        HubError: it is not, or may only read; or the Hub cannot be reached. A Hub that is busy may answer later, and
            nothing is raised.
    """
    _check_logged_in(repo_id, token)
    try:
        role = _whoami(repo_id, token).get("auth", {}).get("accessToken", {}).get("role")
    except HubError as error:
        if _status(error.__cause__) not in _TRANSIENT:
            raise
        logger.warning("it is not known whether the token may write to %s: %s", repo_id, error)
        return
    except AttributeError:  # a Hub that says less about its tokens
        return
    if role == "read":
        raise HubError(f"the token for {repo_id} may only read; log in with one that may write, or set HF_TOKEN")


def _check_logged_in(repo_id: str, token: str | bool | None) -> None:
    if not (token if isinstance(token, str) else token is not False and get_token()):
        raise HubError(f"nobody is logged in to push to {repo_id}; log in (hf auth login), or set HF_TOKEN")


def _whoami(repo_id: str, token: str | bool | None) -> dict[str, Any]:
    def ask() -> dict[str, Any]:
        with understood("the owner of the token"):
            answer = HfApi(token=token).whoami()
            check_repo_id("/".join((answer["name"], "name")))
            return answer

    return _retry(ask, "asking whose the token is, to push to", repo_id)


# --- read ---


def fetch(
    repo_id: str,
    *,
    revision: str | None = None,
    allow_patterns: Sequence[str],
    repo_type: RepoType = "model",
    token: str | bool | None = None,
    check_names: Callable[[list[str]], None] | None = None,
    max_bytes: int = MAX_FETCH_BYTES,
    cache_dir: Path | None = None,
) -> Path:
    """Download the files that match ``allow_patterns`` at one commit, into the Hub cache.

    Where the Hub cannot be reached, the copy in the cache is used if there is one, and a warning says so. Where the
    cache cannot be written, the files go into one that is gone when this process ends.

    Args:
        repo_id: "org/name".
        revision: branch, tag or commit.
        allow_patterns: of the files to download.
        repo_type: "model", "dataset" or "space".
        token: for private repositories.
        check_names: called with the names of all files in the repository, before any is downloaded.
        max_bytes: of the files to download together.
        cache_dir: a cache of one's own, such as an empty folder for reading everything anew.

    Returns:
        The snapshot's folder; its name is the commit's full id.

    Raises:
        ValueError: ``repo_id`` has another form.
        HubError: the repository or revision does not exist, or not for this token; more than ``max_bytes`` are to be
            downloaded; or the Hub does not answer and nothing is in the cache.
    """
    check_repo_id(repo_id)

    def download(cache_dir: Path | None) -> Path:
        try:
            info = _info(api, repo_id, repo_type, revision)
        except requests.ConnectionError as error:
            if is_unreachable(error) and (cached := from_cache(error)):
                return cached
            raise
        files = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or []}
        if check_names is not None:
            check_names(sorted(files))
        chosen = {name: size for name, size in files.items() if any(fnmatch(name, each) for each in allow_patterns)}
        if sum(chosen.values()) > max_bytes:
            largest = max(chosen, key=lambda name: chosen[name])
            raise HubError(
                f"{repo_id}: {len(chosen)} files of {sum(chosen.values()):,} bytes together ({largest} the largest) "
                f"are more than the {max_bytes:,} bytes that are fetched"
            )
        folder = Path(
            snapshot_download(
                repo_id,
                repo_type=repo_type,
                revision=revision,
                allow_patterns=list(allow_patterns),
                token=token,
                cache_dir=cache_dir,
            )
        )
        # an answer that fails makes the library return what it has of an earlier commit, or of half a download
        if folder.name != info.sha or not all((folder / name).is_file() for name in chosen):
            raise _IncompleteError(f"{folder.name} was received in part, or is not {info.sha}")
        return folder

    def from_cache(error: Exception) -> Path | None:
        try:
            cached = snapshot_download(
                repo_id, repo_type=repo_type, revision=revision, token=token, cache_dir=cache_dir, local_files_only=True
            )
        except LocalEntryNotFoundError:
            return None
        logger.warning("%s: the Hub does not answer, the cache's copy of %s is used (%s)", repo_id, cached, error)
        return Path(cached)

    api = HfApi(token=token)
    try:
        return _retry(lambda: download(cache_dir), "downloading", repo_id, hasty=_may_be_a_path(repo_id))
    except HubError as error:
        cause = error.__cause__
        silent = cause is not None and (_may_pass(cause) or isinstance(cause, OfflineModeIsEnabled))
        if silent and (copy := from_cache(error)):
            return copy
        if is_unwritable(cause) and cache_dir is None:
            logger.warning("%s; set HF_HUB_CACHE to a folder that can be written, or it is fetched every time", error)
            return _retry(lambda: download(spare_cache()), "downloading", repo_id)
        raise


def _may_be_a_path(repo_id: str) -> bool:
    """Tell whether a Hub id is perhaps a path that was mistyped: its first part is a folder here."""
    return "/" in repo_id and Path(repo_id).parent.is_dir()


@dataclass(frozen=True)
class RepoState:
    """A repository at one commit.

    Args:
        commit: full id.
        private: whether only its members see it.
        files: path -> what the Hub says of it.
    """

    commit: str
    private: bool
    files: Mapping[str, RepoSibling]


def repo_state(
    repo_id: str, *, repo_type: RepoType = "model", revision: str | None = None, token: str | bool | None = None
) -> RepoState | None:
    """What a repository holds, in one request; None where there is none of that name, or the token may not see it.

    Raises:
        ValueError: ``repo_id`` has another form.
        HubError: it is gated, there is no such revision, or the Hub does not answer.
    """
    check_repo_id(repo_id)
    api = HfApi(token=token)
    try:
        info = _retry(
            lambda: _info(api, repo_id, repo_type, revision), "looking at", repo_id, hasty=_may_be_a_path(repo_id)
        )
    except HubError as error:
        if isinstance(error.__cause__, RepositoryNotFoundError) and not isinstance(error.__cause__, GatedRepoError):
            return None
        raise
    return _state(info)


def changed_files(files: Mapping[str, Path], state: RepoState | None) -> list[str]:
    """Names of the files that a repository does not have, or has with other content; no file is downloaded."""
    return [name for name, path in files.items() if state is None or not _is_same(path, state.files.get(name))]


# --- write ---


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
    """Create the repository if needed and send a folder in one commit; unchanged files are not sent again.

    The commit follows the one that the files were compared with, so that it never mixes two pushes: of two at a time
    the later one starts anew from the earlier one's commit, or gives up where ``parent_commit`` was given.

    Args:
        folder: what to send, with its README.md.
        repo_id: "org/name"; "name" alone is a repository of the user that the token belongs to.
        repo_type: "model", "dataset" or "space".
        private: whether a repository made by this call is private; None leaves it to the account's default.
        revision: a branch; it is made if it does not exist.
        message: summary line of the commit.
        token: with write access; the one logged in by default.
        remove: patterns of files in the repository that go, in the same commit, where the folder has none of that
            name.
        parent_commit: full id of the commit that must be the branch's last.

    Returns:
        The commit: ``oid``, ``commit_url``. It is the branch's last commit where nothing has changed.

    Raises:
        ConflictError: ``parent_commit`` is not the branch's last commit, or no longer.
        HubError: the Hub refused (no write access, say), or does not answer.
        ValueError: the card's metadata is not valid, or ``repo_id`` has another form.
    """
    repo_id = push_target(repo_id, token)
    api = HfApi(token=token)
    files = dict(_files(Path(folder)))
    create_repo(repo_id, repo_type=repo_type, private=private, token=token)
    if revision is not None:
        _retry(
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
    repo_id: str, *, repo_type: RepoType = "model", private: bool | None = None, token: str | bool | None = None
) -> None:
    """Make a repository if there is none of that name; ``private`` as for ``push_folder``. A Space is a static one.

    Raises:
        ValueError: ``repo_id`` has another form.
        HubError: the Hub refused, or does not answer.
    """
    check_repo_id(repo_id)
    api = HfApi(token=token)
    sdk = "static" if repo_type == "space" else None  # plain files, the only kind of Space that is made here
    _retry(
        lambda: api.create_repo(repo_id, repo_type=repo_type, private=private, exist_ok=True, space_sdk=sdk),
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
    """Send files, name in the repository -> where each lies, to an existing repository; else as ``push_folder``."""
    api = HfApi(token=token)
    tried: list[str] = []  # the commits that attempts were to follow

    def commit() -> CommitInfo:
        state = _state(_info(api, repo_id, repo_type, revision))
        stale = sorted(
            name for name in state.files.keys() - files.keys() if any(fnmatch(name, pattern) for pattern in remove)
        )
        head = state.commit
        # an earlier attempt whose answer was lost has made the commit if all is as it should be
        if tried and head not in tried and not stale and not changed_files(files, state):
            url = api.endpoint + ("" if repo_type == "model" else f"/{repo_type}s")
            address = f"{url}/{repo_id}/commit/{head}"
            return CommitInfo(commit_url=address, commit_message=message, commit_description="", oid=head)
        if parent_commit is not None and head != parent_commit:
            raise ConflictError(
                f"pushing to {repo_id} was to follow {parent_commit}, and the last commit is {head}: someone else has "
                "pushed; fetch that, and push again on top of it"
            )
        tried.append(head)
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in files.items()
        ]
        operations += [CommitOperationDelete(path_in_repo=name) for name in stale]
        return api.create_commit(
            repo_id,
            operations,
            repo_type=repo_type,
            revision=revision,
            commit_message=message,
            parent_commit=head,
        )

    made = _retry(commit, "pushing to", repo_id, conflicts=True)
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
    """Give a commit a tag. A tag of that name on another commit stays there, unless it is to be moved.

    Returns:
        Full id of the commit that the tag is on in the end.

    Raises:
        HubError: the Hub refused (the name, say), or does not answer.
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

    return _retry(place, f"tagging {tag} in", repo_id)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(fnmatch(f"/{name}", pattern) for pattern in _NEVER_SENT):
            yield name, path


def _is_same(path: Path, found: RepoSibling | None) -> bool:
    """Tell whether the repository's file has the content of the local one, by size and digest."""
    if found is None or found.size != path.stat().st_size:
        return False
    if found.lfs is not None:
        return bool(found.lfs.sha256 == _digest(path, "sha256"))
    return found.blob_id == _digest(path, "sha1", f"blob {found.size}\0".encode())  # as git counts


def _digest(path: Path, kind: str, start: bytes = b"") -> str:
    digest = hashlib.new(kind, start, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


# --- attempts ---


class _IncompleteError(Exception):
    """A download that ended without an error and without all the files."""


def _info(api: HfApi, repo_id: str, repo_type: RepoType, revision: str | None) -> ModelInfo | DatasetInfo | SpaceInfo:
    with understood(repo_id):
        info = api.repo_info(repo_id, repo_type=repo_type, revision=revision, files_metadata=True)
        commit_of(info.sha, repo_id)
        return info


def _state(info: ModelInfo | DatasetInfo | SpaceInfo) -> RepoState:
    return RepoState(str(info.sha), bool(info.private), {entry.rfilename: entry for entry in info.siblings or []})


def _retry(call: Callable[[], T], doing: str, repo_id: str, *, conflicts: bool = False, hasty: bool = False) -> T:
    """Call, again after a wait where the failure may pass.

    Args:
        call: what to do; done anew from its start.
        doing: what an error says was being done.
        repo_id: the repository.
        conflicts: whether a refusal because of another's commit is such a failure.
        hasty: what is read may as well be a path that was mistyped: give up at once where the Hub does not answer.

    Raises:
        HubError: it failed for good; the last error is its cause.
    """
    started = monotonic()
    for attempt, wait in enumerate((*WAITS, None), start=1):
        try:
            with bounded(MAX_FETCH_BYTES):
                return call()
        except (requests.RequestException, OSError, RuntimeError, _IncompleteError) as error:
            root = _root(error)
            if isinstance(error, HubError) or not isinstance(root, (OSError, _IncompleteError)):
                raise
            asked = _retry_after(root)
            note = "; if it is a path, check it: there is no such folder" if hasty else ""
            if not _may_pass(root) and not (conflicts and _status(root) == 412):
                raise HubError(f"{doing} {repo_id} failed: {_reason(root)}{note}") from root
            if wait is None or _is_hopeless(root, attempt, hasty, monotonic() - started):
                times = "" if attempt == 1 else f" {attempt} times; the last"
                raise HubError(f"{doing} {repo_id} failed{times}: {_reason(root)}{note}") from root
            if asked is not None and asked > MAX_WAIT:
                raise HubError(
                    f"{doing} {repo_id} failed: {_reason(root)}; the Hub asks to wait {asked:.0f} seconds"
                ) from root
            logger.info("%s %s: %s; attempt %d follows", doing, repo_id, _reason(root), attempt + 1)
            sleep(wait if asked is None else asked)
    raise AssertionError("the last attempt returns or raises")


def _is_hopeless(error: BaseException, attempt: int, hasty: bool, seconds: float) -> bool:
    """Tell whether to give up before all attempts are made: nobody listens, or the Hub was waited for long enough."""
    if why_silent(error) is None:
        return False
    return hasty or seconds > PATIENCE_SECONDS / 2 or (is_unreachable(error) and attempt == 3)


def _root(error: BaseException) -> BaseException:
    """Return the failure that a library's error was made from."""
    wrapped = isinstance(error, LocalEntryNotFoundError) or not isinstance(error, requests.RequestException)
    return _root(error.__cause__) if wrapped and error.__cause__ is not None else error


def _status(error: BaseException | None) -> int | None:
    response = getattr(error, "response", None)
    return None if response is None else int(response.status_code)


def _may_pass(error: BaseException) -> bool:
    """Tell whether the same call may succeed a little later."""
    if isinstance(error, (requests.exceptions.SSLError, requests.exceptions.ProxyError, OfflineModeIsEnabled)):
        return False
    if isinstance(error, SlowHubError):
        return True
    broken = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, _IncompleteError)
    # the library checks the size of what it downloads, and raises a plain OSError
    cut_off = isinstance(error, broken) or "Consistency check failed" in str(error)
    return cut_off or _status(error) in _TRANSIENT


def _retry_after(error: BaseException) -> float | None:
    """Return the seconds that the Hub asks to wait, which it gives as a number or as a date."""
    response = getattr(error, "response", None)
    written = "" if response is None else response.headers.get("Retry-After", "")
    try:
        return max(0.0, float(written))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(written) - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, TypeError):
        return None


def _reason(error: BaseException) -> str:
    status = _status(error)
    said = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, GatedRepoError):
        return f"its owner asks for conditions to be accepted on the Hub first ({said})"
    if isinstance(error, RepositoryNotFoundError):
        return f"there is no such repository, or the token may not see it ({said})"
    if isinstance(error, RevisionNotFoundError):
        return f"there is no such branch, tag or commit ({said})"
    if status == 401:
        return f"the token is not valid, or there is none ({said})"
    if status == 403:
        return f"the token has no right to it ({said})"
    if isinstance(error, OfflineModeIsEnabled):
        return "the Hub is switched off here (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE), and it is not in the cache"
    if isinstance(error, LocalTokenNotFoundError):
        return "nobody is logged in; log in (hf auth login), or set HF_TOKEN"
    if isinstance(error, HubAnswerError):
        return str(error)
    if is_unwritable(error):
        return f"the cache {constants.HF_HUB_CACHE} cannot be written ({said}); set HF_HUB_CACHE to another folder"
    if getattr(error, "errno", None) == errno.ENOSPC:
        return f"there is no space left for the cache {constants.HF_HUB_CACHE}; free some, or set HF_HUB_CACHE"
    if silent := why_silent(error):
        return silent
    return f"{type(error).__name__}: {said}"
