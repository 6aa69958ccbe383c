"""Read and write pin files, which state the commit at which each source is read.

A pin file is JSON with one line per source, in the order of the names, so that two files compare line by line::

    {
     "version": 1,
     "sources": {
      "SetFit/sst2": "<full commit id>",
      "jhu-cogsci/hans@refs/convert/parquet": "<full commit id>"
     }
    }

A source is named by its repository, and by its declared revision if it has one. ``metaeval check-sources --pin FILE``
writes such a file.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metaeval_datasets.spec import Source

VERSION = 1
VARIABLE = "METAEVAL_PINS"  # environment variable with the path of the pin file to use
MAX_BYTES = 16 << 20

_COMMIT = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"[A-Za-z0-9_.\-]+/[A-Za-z0-9_.\-]+(@[^\s@]+)?")
_ADVICE = "write it with `metaeval check-sources --pin FILE`"


class PinsError(ValueError):
    """Raised if a pin file cannot be read; the message names the file and what is wrong with it."""


@dataclass(frozen=True)
class Pins:
    """Contain the commits of a pin file.

    Args:
        path: path of the file, for messages; empty if no file is used.
        commits: name of a source -> full commit id.
    """

    path: str = ""
    commits: Mapping[str, str] = field(default_factory=dict)

    def commit(self, source: Source) -> str | None:
        """Return the commit at which a source is pinned; None if it is not pinned."""
        return self.commits.get(source_name(source.repo, source.revision))


def source_name(repo: str, revision: str | None) -> str:
    """Return the name of a source in a pin file: the repository, with ``@`` and the declared revision if it has one."""
    return f"{repo}@{revision}" if revision else repo


def find_pins(path: str | os.PathLike[str] | None = None) -> Pins:
    """Read the given pin file, or else the one that ``METAEVAL_PINS`` names; return no pins if neither is given.

    Raises:
        PinsError: the file cannot be read or is malformed.
    """
    given = os.fspath(path) if path else os.environ.get(VARIABLE)
    return read_pins(given) if given else Pins()


@contextmanager
def pinned(path: str | os.PathLike[str] | None) -> Iterator[None]:
    """Use a pin file for all loads in a ``with`` block, also in processes that start there; None or "" changes nothing.

    Raises:
        PinsError: the file cannot be read or is malformed.
    """
    if not path:
        yield
        return
    read_pins(path)
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(Path(path).expanduser().absolute())
    try:
        yield
    finally:
        del os.environ[VARIABLE]
        if before is not None:
            os.environ[VARIABLE] = before


def read_pins(path: str | os.PathLike[str]) -> Pins:
    """Read a pin file.

    Raises:
        PinsError: the file cannot be read or is malformed.
    """
    place = os.fspath(path)
    try:
        with Path(place).expanduser().open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PinsError(f"the pin file {place} cannot be read ({error.strerror or error}); {_ADVICE}") from error
    try:
        if len(content) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
        return Pins(place, _parse(json.loads(content, object_pairs_hook=_unique)))
    except (ValueError, RecursionError) as error:
        raise PinsError(
            f"the pin file {place} is malformed: {' '.join(str(error).split())[:300]}; {_ADVICE}"
        ) from error


def write_pins(path: str | os.PathLike[str], commits: Mapping[str, str]) -> None:
    """Write a pin file as a whole: readers see the earlier file or the new one.

    Args:
        path: path of the file; a leading ``~`` is the home folder.
        commits: name of a source -> full commit id.

    Raises:
        OSError: the file cannot be written; an earlier file is unchanged.
    """
    lines = [f"  {json.dumps(name)}: {json.dumps(commits[name])}" for name in sorted(commits)]
    sources = "{\n" + ",\n".join(lines) + "\n }" if lines else "{}"
    place = Path(path).expanduser()
    aside = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    try:
        aside.write_text(f'{{\n "version": {VERSION},\n "sources": {sources}\n}}\n', encoding="utf-8")
        os.replace(aside, place)
    finally:
        aside.unlink(missing_ok=True)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} occurs twice")
    return found


def _parse(data: Any) -> dict[str, str]:
    if not isinstance(data, dict) or "version" not in data:
        raise ValueError(f"expected an object with the keys 'version' and 'sources', got {_shown(data)}")
    if data["version"] != VERSION or isinstance(data["version"], bool):
        raise ValueError(
            f"it has version {_shown(data['version'])}, expected {VERSION}; use another release of metaeval"
        )
    if unknown := sorted(data.keys() - {"version", "sources"}):
        raise ValueError(f"unknown key {_shown(unknown[0])}")
    sources = data.get("sources")
    if not isinstance(sources, dict):
        raise ValueError(f"'sources' must be an object with one commit per source, got {_shown(sources)}")
    for name, commit in sources.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{_shown(name)} is not a source; expected 'owner/name' or 'owner/name@revision'")
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise ValueError(
                f"the commit of {name} must be a full commit id (40 hexadecimal digits), got {_shown(commit)}"
            )
        declared = name.partition("@")[2]
        if _COMMIT.fullmatch(declared) and declared != commit:
            raise ValueError(f"{name} has the commit {commit}, but its revision is already a commit")
    return sources


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
