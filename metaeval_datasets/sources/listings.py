"""Cache the commit, the files and the cards of repositories, for use when the Hub cannot be reached.

The cache is optional: if a listing or card cannot be written, read or parsed, it is treated as missing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import datasets

logger = logging.getLogger(__name__)

FOLDER = "metaeval-listings"
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Listing:
    """Contain the commit, the paths and the known sizes (path -> bytes) of a repository at a revision."""

    commit: str
    files: tuple[str, ...]
    sizes: Mapping[str, int] = field(default_factory=dict)


def read_listing(repo: str, revision: str | None, cache_dir: str | None = None) -> Listing | None:
    """Return the listing that was cached last; None if it is missing or cannot be read."""
    for path in _places(repo, revision, cache_dir):
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            commit, files = stored["commit"], stored["files"]
            if _COMMIT.fullmatch(commit) and isinstance(files, list) and all(isinstance(name, str) for name in files):
                return Listing(commit, tuple(files), _sizes(stored.get("sizes")))
            raise ValueError("not a commit and its files")
        except FileNotFoundError:
            continue
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            logger.debug("ignoring the cached listing %s: %s: %s", path, type(error).__name__, error)
    return None


def keep_listing(listing: Listing, repo: str, revision: str | None, cache_dir: str | None = None) -> None:
    """Write a listing to the first cache folder that is writable, if any."""
    _keep(json.dumps(asdict(listing)), _places(repo, revision, cache_dir))


def read_card_text(repo: str, commit: str, cache_dir: str | None = None) -> str | None:
    """Return the text of the card of a repository at a commit; None if it is not cached or cannot be read."""
    for path in _places(repo, commit, cache_dir, "md"):
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            logger.debug("no card in %s: %s: %s", path, type(error).__name__, error)
    return None


def keep_card_text(text: str, repo: str, commit: str, cache_dir: str | None = None) -> None:
    """Write the text of a card to the first cache folder that is writable, if any."""
    _keep(text, _places(repo, commit, cache_dir, "md"))


def _keep(text: str, places: list[Path]) -> None:
    for path in places:
        # Unique per call: threads share a process id, and containers that share a cache can have equal process ids.
        aside = path.with_suffix(f".{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_text(text, encoding="utf-8")
            os.replace(aside, path)
            return
        except OSError as error:
            logger.debug("not written to %s: %s", path, error)
            with suppress(OSError):
                aside.unlink(missing_ok=True)


def _sizes(stored: Any) -> dict[str, int]:
    if not isinstance(stored, dict):
        return {}
    return {name: size for name, size in stored.items() if isinstance(size, int) and not isinstance(size, bool)}


def _places(repo: str, revision: str | None, cache_dir: str | None, ending: str = "json") -> list[Path]:
    """Return the possible paths of a listing or card: in the requested cache, then in the default one."""
    # As in the cache of the Hub client, the key does not include the address of the Hub: a mirror has the same commits.
    key = hashlib.sha256(f"{repo}@{revision}".encode()).hexdigest()[:32]
    caches = dict.fromkeys(str(cache) for cache in (cache_dir, datasets.config.HF_DATASETS_CACHE) if cache)
    return [Path(cache).expanduser() / FOLDER / f"{key}.{ending}" for cache in caches if "://" not in cache]
