"""Retry calls to the Hub that failed for a moment, and explain the failures that remain.

huggingface_hub 0.x retries little. From version 1 on, it retries downloads and uploads of files, but not the requests
for facts about a repository, commits and tags. No version knows whether a commit was made if the answer was lost.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from metaeval_datasets.sources.answer_limits import MAX_WAIT_SECONDS, HubAnswerError, LimitError
from metaeval_datasets.sources.failures import asked_wait, status_of
from metaeval_datasets.sources.transport import (
    HTTP_ERRORS,
    LIBRARY_RETRIES,
    PATIENCE_SECONDS,
    bounded,
    failure_of,
    is_unreachable,
    is_unwritable,
    why_silent,
)
from metaeval_hub.safe_files.printable import printable

logger = logging.getLogger(__name__)
T = TypeVar("T")

WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds before each new attempt, unless the Hub asks for another wait
MAX_FETCH_BYTES = 16 * 2**30
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
CALL_ERRORS: tuple[type[Exception], ...] = (*HTTP_ERRORS, OSError)
_TRANSIENT_FAILURES = frozenset({"slow", "broken", "not connected", "not connected in time"})


class HubError(OSError):
    """Raised if a call to the Hub failed for good; one printable line names the call, the repository and the reason."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class ConflictError(HubError):
    """Raised if someone else has pushed since the commit that a push was meant to follow."""


class IncompleteError(Exception):
    """Raised if a download ended without an error and without all the files."""


_CAUGHT: tuple[type[Exception], ...] = (*CALL_ERRORS, RuntimeError, IncompleteError)


def retry(call: Callable[[], T], doing: str, repo_id: str, *, commits: bool = False, hasty: bool = False) -> T:
    """Call a function, and call it again after a wait if the failure may be temporary.

    Args:
        call: the function; each attempt calls it from its start.
        doing: what an error message says was being done, such as "downloading".
        repo_id: the repository.
        commits: whether the call makes a commit. It is then also retried if someone else's commit came first,
            and however long the upload before it took.
        hasty: give up at once if the Hub does not answer, because the id may be a mistyped path.

    Raises:
        HubError: the call failed for good; the last error is its cause.
    """
    started = monotonic()
    note = "; if it is a path, check it: there is no such folder" if hasty else ""
    for attempt, wait in enumerate((*WAITS, None), start=1):
        try:
            with bounded(MAX_FETCH_BYTES):
                return call()
        except _CAUGHT as error:
            root = root_of(error)
            if isinstance(error, HubError) or not isinstance(root, (*CALL_ERRORS, IncompleteError)):
                raise
            failed = f"{doing} {repo_id} failed"
            if not may_pass(root) and not (commits and status_of(root) == 412):
                raise HubError(f"{failed}: {_reason(root)}{note}") from root
            seconds = 0.0 if commits else monotonic() - started
            if wait is None or _is_hopeless(root, attempt, hasty, seconds):
                times = "" if attempt == 1 else f" {attempt} times; the last"
                raise HubError(f"{failed}{times}: {_reason(root)}{note}") from root
            asked = asked_wait(getattr(root, "response", None))
            if asked is not None and asked > MAX_WAIT_SECONDS:
                raise HubError(f"{failed}: {_reason(root)}; the Hub asks to wait {asked:.0f} seconds") from root
            logger.info("%s %s: %s; attempt %d follows", doing, repo_id, _reason(root), attempt + 1)
            sleep(wait if asked is None else asked)
    raise AssertionError("the last attempt returns or raises")


def _is_hopeless(error: BaseException, attempt: int, hasty: bool, seconds: float) -> bool:
    """Return whether to give up before all attempts are made.

    Args:
        error: the failure of the last attempt.
        attempt: its number, from 1.
        hasty: as for ``retry``.
        seconds: time since the first attempt began.
    """
    is_silent = why_silent(error) is not None
    if (is_silent or LIBRARY_RETRIES) and seconds > PATIENCE_SECONDS / 2:  # huggingface_hub has retried for that long
        return True
    return is_silent and (hasty or (is_unreachable(error) and attempt == 3))


def root_of(error: BaseException) -> BaseException:
    """Return the failure that an error of the Hub client was made from."""
    wrapped = isinstance(error, LocalEntryNotFoundError) or not isinstance(error, (*HTTP_ERRORS, LimitError))
    return root_of(error.__cause__) if wrapped and error.__cause__ is not None else error


def may_pass(error: BaseException) -> bool:
    """Return whether the same call may succeed a little later."""
    # the Hub client checks the size of what it downloads, and raises a plain OSError
    cut_off = isinstance(error, IncompleteError) or "Consistency check failed" in str(error)
    return cut_off or failure_of(error) in _TRANSIENT_FAILURES or status_of(error) in TRANSIENT_STATUS


def _reason(error: BaseException) -> str:
    """Return why a call failed, in words that say what to do."""
    status = status_of(error)
    answer = " ".join(str(error).split())[:300] or type(error).__name__
    if isinstance(error, GatedRepoError):
        return f"its owner asks for conditions to be accepted on the Hub first ({answer})"
    if isinstance(error, RepositoryNotFoundError):
        return f"there is no such repository, or the token may not see it ({answer})"
    if isinstance(error, RevisionNotFoundError):
        return f"there is no such branch, tag or commit ({answer})"
    if status == 401:
        return f"the token is not valid, or there is none ({answer})"
    if status == 403:
        return f"the token has no right to it ({answer})"
    if isinstance(error, OfflineModeIsEnabled):
        return "the Hub is switched off here (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE)"
    if isinstance(error, LocalTokenNotFoundError):
        return "nobody is logged in; log in (hf auth login), or set HF_TOKEN"
    if isinstance(error, HubAnswerError):
        return str(error)
    if is_unwritable(error):
        return f"the cache {constants.HF_HUB_CACHE} cannot be written ({answer}); set HF_HUB_CACHE to another folder"
    if getattr(error, "errno", None) == errno.ENOSPC:
        return f"the disk of the cache {constants.HF_HUB_CACHE} is full; free some space, or set HF_HUB_CACHE"
    return why_silent(error) or f"{type(error).__name__}: {answer}"
