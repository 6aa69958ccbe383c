"""List and download files of dataset repositories on the Hub: listings, facts, ranges of bytes, whole files."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import DatasetInfo, HfApi, constants, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from metaeval_datasets.sources.answer_limits import MAX_FILE_BYTES
from metaeval_datasets.sources.asking import SourceError, ask_hub, may_pass, offline
from metaeval_datasets.sources.layout import MAX_CARD_BYTES, Card, read_card
from metaeval_datasets.sources.listings import (
    Listing,
    keep_card_text,
    keep_listing,
    read_card_text,
    read_listing,
)
from metaeval_datasets.sources.transport import commit_of, is_unwritable, spare_cache, understood

logger = logging.getLogger(__name__)

Token = str | bool | None


@dataclass(frozen=True)
class Access:
    """Describe how to access the Hub.

    Args:
        token: token for private repositories.
        remote: read files over the network instead of downloading them.
        force: download files again even if they are in the cache.
        cache_dir: cache folder that the caller requested; used if the default ones are not writable.
        silent: use only the caches, because the Hub did not answer a moment ago.
        local_files_only: use only the caches, because the caller asked for it.
    """

    token: Token = None
    remote: bool = False
    force: bool = False
    cache_dir: str | None = None
    silent: bool = False
    local_files_only: bool = False

    @property
    def cache_only(self) -> str | None:
        """Why only the caches are used; None if the Hub may be asked."""
        if self.local_files_only:
            return "local_files_only=True"
        if self.silent:
            return "the Hub does not answer"
        return f"offline ({variable})" if (variable := offline()) else None

    def check_remote(self) -> None:
        """Check that files are not to be read over the network if the caller asked for the caches only.

        Raises:
            SourceError: they are.
        """
        if self.remote and self.local_files_only:
            raise SourceError("local_files_only=True, but streaming reads over the network; load it without streaming")


def list_files(repo: str, revision: str | None = None, access: Access | None = None) -> Listing:
    """Return commit and files of a repository at a revision, and cache them for when the Hub cannot be reached.

    Args:
        repo: dataset repository.
        revision: branch, tag or commit; None is the main branch.
        access: how to access the Hub; None uses the stored token and the usual cache.

    Raises:
        SourceError: the repository does not exist, cannot be read, or is not cached and the Hub is not reached.
    """
    access = access or Access()
    kept = read_listing(repo, revision, access.cache_dir)
    if why := access.cache_only:
        if kept is None:
            raise SourceError(
                f"{why}, and the list of its files is not in the cache; load it once while the Hub can be reached"
            )
        return kept
    api = HfApi(token=access.token)

    def ask() -> Listing:
        with understood(repo):
            info = api.dataset_info(repo, revision=revision, files_metadata=True)
            entries = info.siblings or ()
            sizes = {str(entry.rfilename): entry.size for entry in entries if isinstance(entry.size, int)}
            return Listing(commit_of(info.sha, repo), tuple(str(entry.rfilename) for entry in entries), sizes)

    try:
        listing = ask_hub(ask, hasty=kept is not None)
    except SourceError as error:
        if kept is None or not may_pass(error.__cause__):
            raise
        logger.warning("%s: %s; using its files at commit %s, as last cached", repo, error, kept.commit)
        return kept
    if listing != kept:
        keep_listing(listing, repo, revision, access.cache_dir)
    return listing


@dataclass(frozen=True)
class RepoFacts:
    """Describe a repository at a revision, without any of its data.

    Args:
        name: current name; differs from the requested name if the repository was renamed.
        commit: full commit id of the revision.
        sizes: path -> bytes of each file.
        gated: whether users have to accept its conditions.
        card: parsed README at that commit.
        licenses: licences in the README, or in the repository's tags if the revision states none.
    """

    name: str
    commit: str
    sizes: Mapping[str, int]
    gated: bool
    card: Card
    licenses: tuple[str, ...]


def repo_facts(repo: str, revision: str | None = None, token: Token = None) -> RepoFacts:
    """Request the facts about a repository with two requests and without caching.

    Raises:
        SourceError: the repository does not exist or cannot be read; the message says why.
    """

    def ask() -> tuple[DatasetInfo, str, dict[str, int]]:
        with understood(repo):
            info = HfApi(token=token).dataset_info(repo, revision=revision, files_metadata=True)
            sizes = {str(entry.rfilename): int(entry.size or 0) for entry in info.siblings or ()}
            return info, commit_of(info.sha, repo), sizes

    info, commit, sizes = ask_hub(ask)
    card = Card()
    if readme := sizes.get("README.md"):
        text = read_range(repo, "README.md", commit, 0, min(readme, MAX_CARD_BYTES), token)
        card = read_card(text.decode("utf-8", errors="replace"))
    tags = (str(tag).partition(":") for tag in info.tags or ())
    licenses = card.licenses or tuple(value for kind, _, value in tags if kind == "license")
    return RepoFacts(info.id or repo, commit, sizes, bool(info.gated), card, licenses)


def read_range(repo: str, path: str, commit: str, start: int, stop: int, token: Token = None) -> bytes:
    """Return the bytes of a file from ``start`` up to, not including, ``stop``, with one request.

    Raises:
        SourceError: the Hub does not return them; the message says why.
    """
    url = hf_hub_url(repo, path, repo_type="dataset", revision=commit)
    headers = {**build_hf_headers(token=token), "Range": f"bytes={start}-{stop - 1}"}

    def attempt() -> bytes:
        answer = get_session().get(url, headers=headers)
        hf_raise_for_status(answer)
        content: bytes = answer.content
        return content if answer.status_code == 206 else content[start:stop]

    return ask_hub(attempt)


def read_card_of(repo: str, listing: Listing, access: Access) -> Card:
    """Return the card of a repository at a commit, from a cache or with one request.

    The Hub's client would send two requests for the file, and a card is read before anything else can be.

    Raises:
        SourceError: the card cannot be read, or is not cached and the Hub is not reached; the message says why.
    """
    size = listing.sizes.get("README.md", MAX_CARD_BYTES)
    if "README.md" not in listing.files or not size:
        return Card()
    text = None if access.force else read_card_text(repo, listing.commit, access.cache_dir)
    cached = try_to_load_from_cache(repo, "README.md", revision=listing.commit, repo_type="dataset")
    if text is None and (access.cache_only or isinstance(cached, str)):
        with open(fetch_file(repo, "README.md", listing.commit, access), encoding="utf-8", errors="replace") as file:
            text = file.read(MAX_CARD_BYTES)
    elif text is None:
        content = read_range(repo, "README.md", listing.commit, 0, min(size, MAX_CARD_BYTES), access.token)
        text = content.decode("utf-8", errors="replace")
        keep_card_text(text, repo, listing.commit, access.cache_dir)
    return read_card(text)


def fetch_file(repo: str, path: str, commit: str, access: Access, max_bytes: int = MAX_FILE_BYTES) -> str:
    """Return the local path of a file in the Hub client's cache, after downloading it if necessary.

    If that cache is not writable, the file is stored in the cache that the caller requested, or in a temporary cache
    that is deleted when this process ends.

    Raises:
        SourceError: the file does not exist or cannot be downloaded; the message says why.
    """
    stored = access.cache_only is not None
    force = access.force and not stored

    def download(cache_dir: str | Path | None) -> str:
        return ask_hub(
            lambda: hf_hub_download(
                repo,
                path,
                repo_type="dataset",
                revision=commit,
                token=access.token,
                force_download=force,
                local_files_only=stored,
                cache_dir=cache_dir,
            ),
            max_bytes=max_bytes,
        )

    own = None if access.cache_dir is None or "://" in access.cache_dir else Path(access.cache_dir).expanduser() / "hub"
    if own is not None and not force:
        found = try_to_load_from_cache(repo, path, own, commit, "dataset")
        if isinstance(found, str):
            return found
    for cache_dir in dict.fromkeys((None, own)):
        try:
            return download(cache_dir)
        except SourceError as error:
            if access.local_files_only:
                raise SourceError(
                    f"local_files_only=True, and {path} is not in the cache; load it once while the Hub can be reached"
                ) from error
            if not is_unwritable(error.__cause__):
                raise
            logger.info("%s", error)
    spare = spare_cache()
    logger.warning(
        "%s is not writable; set HF_HUB_CACHE to a writable folder, or %s is downloaded each time",
        constants.HF_HUB_CACHE,
        repo,
    )
    return download(spare)


def fetch_whole(repo: str, path: str, commit: str, size: int | None, access: Access) -> str:
    """Fetch a file as ``fetch_file`` does, check its size, and download it again if the size is wrong.

    A truncated file in the cache could be read as if it had fewer rows.

    Raises:
        SourceError: the file cannot be downloaded, or it is truncated in the cache and the Hub cannot be reached.
    """
    local = fetch_file(repo, path, commit, access)
    if size is None or os.path.getsize(local) == size:
        return local
    problem = f"{local} has {os.path.getsize(local):,} bytes; expected {size:,}"
    if access.cache_only is None:
        logger.warning("%s; downloading it again", problem)
        local = fetch_file(repo, path, commit, dataclasses.replace(access, force=True))
        if os.path.getsize(local) == size:
            return local
    raise SourceError(
        f'{problem}; delete it, or load with download_mode="force_redownload" while the Hub can be reached'
    )
