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

from metaeval_datasets.sources.asking import SourceError, ask_hub, may_pass, offline
from metaeval_datasets.sources.layout import MAX_CARD_BYTES, Card, read_card
from metaeval_datasets.sources.listings import Listing, keep_listing, read_listing
from metaeval_datasets.sources.transport import MAX_FILE_BYTES, commit_of, is_unwritable, spare_cache, understood

logger = logging.getLogger(__name__)

Token = str | bool | None


@dataclass(frozen=True)
class Access:
    """How the Hub is reached.

    Args:
        token: for private repositories.
        remote: read files where they lie, instead of downloading them.
        force: download files again that are in the cache.
        cache_dir: the cache that the caller has asked for; used where the usual ones cannot be written.
        silent: the Hub gave no answer a moment ago: take what is in the caches, and do not ask.
    """

    token: Token = None
    remote: bool = False
    force: bool = False
    cache_dir: str | None = None
    silent: bool = False


def list_files(
    repo: str, revision: str | None, token: Token, cache_dir: str | None = None, *, silent: bool = False
) -> Listing:
    """Commit and files of a repository at a revision; kept, so that they are known where the Hub cannot be asked.

    Args:
        repo: dataset repository.
        revision: branch, tag or commit; None is the main branch.
        token: for private repositories.
        cache_dir: cache that the caller has asked for.
        silent: the Hub gave no answer a moment ago; do not ask.

    Raises:
        SourceError: there is none, it cannot be read, or is not known and the Hub cannot be asked; says why.
    """
    kept = read_listing(repo, revision, cache_dir)
    if silent or offline():
        if kept is None:
            why = "the Hub gives no answer" if silent else f"offline ({offline()})"
            raise SourceError(f"{why}, and the cache has no list of its files: it was never read here, or is damaged")
        return kept
    api = HfApi(token=token)

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
        logger.warning("%s: %s; its files are taken to be those of commit %s, as last seen", repo, error, kept.commit)
        return kept
    if listing != kept:
        keep_listing(listing, repo, revision, cache_dir)
    return listing


@dataclass(frozen=True)
class RepoFacts:
    """What the Hub says of a repository at a revision, without any of its data.

    Args:
        name: its name today; another than was asked for where it was moved.
        commit: full id of the revision's commit.
        sizes: path -> bytes of each file.
        gated: whether its conditions have to be accepted.
        card: its README at that commit, as far as it is understood.
        licenses: of the README, or of the repository's tags where the revision has no README.
    """

    name: str
    commit: str
    sizes: Mapping[str, int]
    gated: bool
    card: Card
    licenses: tuple[str, ...]


def repo_facts(repo: str, revision: str | None = None, token: Token = None) -> RepoFacts:
    """Ask the Hub about a repository: two requests, nothing kept.

    Raises:
        SourceError: there is none, or it cannot be read; says why.
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
    """Bytes ``start`` to ``stop`` (not included) of a file, in one request.

    Raises:
        SourceError: the Hub does not give them; says why.
    """
    url = hf_hub_url(repo, path, repo_type="dataset", revision=commit)
    headers = {**build_hf_headers(token=token), "Range": f"bytes={start}-{stop - 1}"}

    def attempt() -> bytes:
        answer = get_session().get(url, headers=headers)
        hf_raise_for_status(answer)
        content: bytes = answer.content
        return content if answer.status_code == 206 else content[start:stop]

    return ask_hub(attempt)


def fetch_file(repo: str, path: str, commit: str, access: Access, max_bytes: int = MAX_FILE_BYTES) -> str:
    """Local path of a file in the Hub client's cache, downloaded if it is not there.

    Where that cache cannot be written, the file goes into the cache that the caller has asked for, or into one that is
    gone when this process ends.

    Raises:
        SourceError: it is not there, or the Hub does not give it; says why.
    """
    stored = access.silent or offline() is not None
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
            if not is_unwritable(error.__cause__):
                raise
            logger.info("%s", error)
    spare = spare_cache()
    logger.warning("%s cannot be written; set HF_HUB_CACHE, or %s is fetched again", constants.HF_HUB_CACHE, repo)
    return download(spare)


def fetch_whole(repo: str, path: str, commit: str, size: int | None, access: Access) -> str:
    """As ``fetch_file``, and see that the file has the size that it should have; fetch it again where it has not.

    A file that was cut off in the cache could be read as if it had fewer rows.

    Raises:
        SourceError: the Hub does not give it, or the one in the cache is cut off and the Hub cannot be asked.
    """
    local = fetch_file(repo, path, commit, access)
    if size is None or os.path.getsize(local) == size:
        return local
    problem = f"{local} has {os.path.getsize(local):,} bytes; expected {size:,}"
    if not constants.HF_HUB_OFFLINE:
        logger.warning("%s; it is downloaded again", problem)
        local = fetch_file(repo, path, commit, dataclasses.replace(access, force=True))
        if os.path.getsize(local) == size:
            return local
    raise SourceError(
        f'{problem}; delete it, or load with download_mode="force_redownload" while the Hub can be reached'
    )
