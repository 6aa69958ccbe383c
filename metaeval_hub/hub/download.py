"""Download files of a repository at one commit into the Hub cache, or use the cached copy if the Hub is silent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

from metaeval_datasets.sources.transport import is_unreachable, is_unwritable, spare_cache
from metaeval_hub.hub.names import check_repo_id, may_be_a_path
from metaeval_hub.hub.repo_state import RepoType, request_info
from metaeval_hub.hub.retry import CALL_ERRORS, MAX_FETCH_BYTES, HubError, IncompleteError, may_pass, retry

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CacheOptions:
    """Choose a cache folder, and whether files come from there or from the Hub.

    Args:
        cache_dir: cache folder; None uses that of huggingface_hub.
        force_download: download files again even if they are in the cache.
        local_files_only: send no request, and use only files in the cache.

    Raises:
        ValueError: both ``force_download`` and ``local_files_only`` are set.
    """

    cache_dir: str | Path | None = None
    force_download: bool = False
    local_files_only: bool = False

    def __post_init__(self) -> None:
        if self.force_download and self.local_files_only:
            raise ValueError("force_download and local_files_only are both True; set only one of them")

    @property
    def folder(self) -> Path:
        """The cache folder in use."""
        return Path(self.cache_dir or constants.HF_HUB_CACHE).expanduser()


_USUAL_CACHE = CacheOptions()


def fetch(
    repo_id: str,
    *,
    revision: str | None = None,
    allow_patterns: Sequence[str],
    repo_type: RepoType = "model",
    token: str | bool | None = None,
    check_names: Callable[[list[str]], None] | None = None,
    max_bytes: int = MAX_FETCH_BYTES,
    cache: CacheOptions = _USUAL_CACHE,
) -> Path:
    """Download the files that match ``allow_patterns`` at one commit into the Hub cache.

    If the Hub cannot be reached, a copy in the cache is used, and a warning says so; not with ``force_download``. If
    the default cache is not writable, the files are stored in a temporary cache that is deleted when this process ends.

    Args:
        repo_id: "org/name".
        revision: branch, tag or commit; by default the main branch.
        allow_patterns: patterns of the files to download.
        repo_type: "model", "dataset" or "space".
        token: token for private repositories.
        check_names: called with the names of all files in the repository before any is downloaded.
        max_bytes: maximum size of all downloaded files together.
        cache: the cache folder, and whether files come from there or from the Hub.

    Returns:
        The folder of the snapshot; its name is the full commit id.

    Raises:
        ValueError: ``repo_id`` has another form.
        HubError: the repository or revision does not exist or the token may not see it; the files are larger than
            ``max_bytes``; or the cache has no copy, and the Hub does not answer or is not asked.
    """
    check_repo_id(repo_id)
    request = _Request(repo_id, repo_type, revision, tuple(allow_patterns), token, check_names, max_bytes, cache)
    if cache.local_files_only:
        return _local_copy(request)
    try:
        return retry(lambda: _download(request), "downloading", repo_id, hasty=may_be_a_path(repo_id))
    except HubError as error:
        cause = error.__cause__
        silent = cause is not None and (may_pass(cause) or isinstance(cause, OfflineModeIsEnabled))
        if silent and (copy := _cached_copy(request, error)):
            return copy
        if isinstance(cause, OfflineModeIsEnabled):
            raise HubError(
                f"{error}, and the cache has no copy of {repo_id}; load it once while the Hub can be reached"
            ) from cause
        if not is_unwritable(cause):
            raise
        if cache.cache_dir is not None:
            raise HubError(
                f"downloading {repo_id} failed: cache_dir {cache.folder} cannot be written ({cause})"
            ) from cause
        logger.warning("%s; set HF_HUB_CACHE to a writable folder, or it is downloaded each time", error)
        spare = replace(request, cache=replace(cache, cache_dir=spare_cache()))
        return retry(lambda: _download(spare), "downloading", repo_id)


@dataclass(frozen=True)
class _Request:
    """Contain the arguments of ``fetch``, and the files that the Hub has listed so far."""

    repo_id: str
    repo_type: RepoType
    revision: str | None
    allow_patterns: tuple[str, ...]
    token: str | bool | None
    check_names: Callable[[list[str]], None] | None
    max_bytes: int
    cache: CacheOptions
    listed: dict[str, list[str]] = field(default_factory=dict)  # commit -> names of the files to download


def _download(request: _Request) -> Path:
    """List the files, check their names and sizes, and download the chosen ones."""
    try:
        info = request_info(HfApi(token=request.token), request.repo_id, request.repo_type, request.revision)
    except CALL_ERRORS as error:
        if is_unreachable(error) and (copy := _cached_copy(request, error)):
            return copy
        raise
    files = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or []}
    if request.check_names is not None:
        request.check_names(sorted(files))
    chosen = {name: size for name, size in files.items() if _is_chosen(name, request)}
    if sum(chosen.values()) > request.max_bytes:
        largest = max(chosen, key=lambda name: chosen[name])
        raise HubError(
            f"{request.repo_id}: {len(chosen)} files of {sum(chosen.values()):,} bytes together "
            f"({largest} the largest) are more than the {request.max_bytes:,} bytes that are fetched"
        )
    request.listed[str(info.sha)] = list(chosen)
    folder = _snapshot(request, local=False)
    # If a request fails, the Hub client may return the files of an earlier commit, or only some of the files.
    if folder.name != info.sha or not _is_whole(folder, request):
        raise IncompleteError(f"{folder.name} was received in part, or is not {info.sha}")
    return folder


def _is_chosen(name: str, request: _Request) -> bool:
    return any(fnmatch(name, pattern) for pattern in request.allow_patterns)


def _snapshot(request: _Request, *, local: bool) -> Path:
    return Path(
        snapshot_download(
            request.repo_id,
            repo_type=request.repo_type,
            revision=request.revision,
            allow_patterns=list(request.allow_patterns),
            token=request.token,
            cache_dir=request.cache.folder,
            force_download=request.cache.force_download,
            local_files_only=local,
        )
    )


def _is_whole(snapshot: Path, request: _Request) -> bool:
    """Return whether a snapshot contains all files to download, as far as the Hub has listed those of its commit."""
    return all((snapshot / name).is_file() for name in request.listed.get(snapshot.name, ()))


def _local_copy(request: _Request) -> Path:
    """Return the copy in the cache, without a request."""
    found = _snapshot_in_cache(request)
    names = [] if found is None else [path.relative_to(found).as_posix() for path in found.rglob("*")]
    if found is None or not any(_is_chosen(name, request) for name in names):
        at = f" at {request.revision}" if request.revision else ""
        raise HubError(
            f"files of {request.repo_id}{at} are not in the cache {request.cache.folder}, and local_files_only=True; "
            "load it once without local_files_only"
        )
    return found


def _snapshot_in_cache(request: _Request) -> Path | None:
    try:
        return _snapshot(request, local=True)
    except LocalEntryNotFoundError:
        return None


def _cached_copy(request: _Request, error: Exception) -> Path | None:
    """Return the copy in the cache, with a warning that names the error; None if it is missing or not wanted."""
    if request.cache.force_download or (cached := _snapshot_in_cache(request)) is None:
        return None
    if not _is_whole(cached, request):
        return None
    logger.warning("%s: the Hub does not answer, the cache's copy of %s is used (%s)", request.repo_id, cached, error)
    return cached
