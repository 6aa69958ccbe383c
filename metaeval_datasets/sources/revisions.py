"""Find the commits at which the sources of a task are read: the pinned ones, or those of their branches now."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from huggingface_hub.errors import RevisionNotFoundError

from metaeval_datasets.sources.asking import SilentHubError, SourceError
from metaeval_datasets.sources.hub_files import Access, list_files
from metaeval_datasets.sources.listings import Listing
from metaeval_datasets.sources.pins import Pins, source_name
from metaeval_datasets.spec import Source, TaskSpec

_COMMIT = re.compile(r"[0-9a-f]{40}")
_Answer = Listing | SourceError


class _Shared:
    """Answers that all loads share while `ask_once` is active, also those in other threads."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str | None], Listing] = {}
        self._locks: dict[tuple[str, str | None], threading.Lock] = {}

    def lock(self, key: tuple[str, str | None]) -> threading.Lock:
        """Return the lock to hold while a branch is asked for, so that other threads wait for its answer."""
        return self._locks.setdefault(key, threading.Lock())


_shared: list[_Shared] = []  # empty unless `ask_once` is active


class PinnedCommitError(SourceError):
    """Raised if the commit at which a source is pinned does not exist any more."""


@contextmanager
def ask_once() -> Iterator[None]:
    """Ask for the commit of each branch only once in a ``with`` block, so that all its loads read the same commits."""
    if _shared:
        yield
        return
    _shared.append(_Shared())
    try:
        yield
    finally:
        _shared.clear()


@dataclass(frozen=True)
class Revisions:
    """Contain the pins of a load and the answers of the Hub that it already has.

    Args:
        pins: commits at which sources are pinned.
        commit: commit of the first source that exists, or of its pin; None if it is not known.
        source: that source.
        others: pins of the sources after it, as ``name=commit``.
        answers: name of a source -> its files, or why they cannot be listed. Each answer is used once.
    """

    pins: Pins = field(default_factory=Pins)
    commit: str | None = None
    source: Source | None = None
    others: tuple[str, ...] = ()
    answers: dict[str, _Answer] = field(default_factory=dict)

    @property
    def folder_suffix(self) -> str:
        """Return the end of the name of a cache folder: the commit and a digest of the other pins that matter."""
        if self.commit is None:
            return ""
        others = hashlib.sha256("\n".join(self.others).encode()).hexdigest()[:8]
        return f"-{self.commit[:12]}" + (f"-{others}" if self.others else "")

    def listing(self, source: Source, access: Access) -> Listing:
        """Return the files of a source at its pinned commit, or at the commit of its branch.

        Raises:
            PinnedCommitError: the pinned commit does not exist.
            SourceError: the repository does not exist or cannot be read.
        """
        pinned = self.pins.commit(source)
        if pinned is None:
            answer = self.answers.pop(source_name(source.repo, source.revision), None)
            return _given(answer or _ask(source, access))
        try:
            return list_files(source.repo, pinned, access)
        except SourceError as error:
            if isinstance(error.__cause__, RevisionNotFoundError):
                raise PinnedCommitError(gone(self.pins, source)) from error
            raise


def moved_to(source: Source, commit: str, access: Access) -> str | None:
    """Return the commit of a source's branch if it is another one than given, and if the Hub answers."""
    if access.cache_only or (source.revision and _COMMIT.fullmatch(source.revision)):
        return None
    answer = _ask(source, access)
    return answer.commit if isinstance(answer, Listing) and answer.commit != commit else None


def gone(pins: Pins, source: Source) -> str:
    """Return the message about a pinned commit that does not exist."""
    return (
        f"the commit {pins.commit(source)} at which {pins.path} pins {source_name(source.repo, source.revision)} does "
        "not exist any more; write the file again with `metaeval check-sources --pin FILE`, or load without it"
    )


def find_revisions(spec: TaskSpec, pins: Pins, access: Access) -> Revisions:
    """Find the commit of the first source that exists, with one request unless it is pinned or declared.

    A Hub that does not answer is not asked for further sources.
    """
    answers: dict[str, _Answer] = {}
    sources = [source for source in spec.sources if isinstance(source, Source)]
    for number, source in enumerate(sources):
        names = [(source_name(other.repo, other.revision), pins.commit(other)) for other in sources[number + 1 :]]
        others = tuple(f"{name}={commit}" for name, commit in names if commit)
        declared = source.revision if source.revision and _COMMIT.fullmatch(source.revision) else None
        if known := pins.commit(source) or declared:
            return Revisions(pins, known, source, others, answers)
        answer = answers[source_name(source.repo, source.revision)] = _ask(source, access)
        if isinstance(answer, Listing):
            return Revisions(pins, answer.commit, source, others, answers)
        if isinstance(answer, SilentHubError) or access.cache_only:
            break
    return Revisions(pins, answers=answers)


def _ask(source: Source, access: Access) -> _Answer:
    """Return the files of a source at its declared revision, or the error."""
    key = (source.repo, source.revision)
    shared = _shared[0] if _shared else _Shared()
    with shared.lock(key):
        if key in shared.answers:
            return shared.answers[key]
        try:
            answer = shared.answers[key] = list_files(source.repo, source.revision, access)
        except SourceError as error:
            return error
        return answer


def _given(answer: _Answer) -> Listing:
    if isinstance(answer, SourceError):
        raise answer
    return answer
