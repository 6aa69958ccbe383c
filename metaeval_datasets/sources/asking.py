"""Send requests to the Hub, retry temporary failures, and turn other failures into reasons that users understand."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import TypeVar

import datasets
from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from metaeval_datasets.sources.answer_limits import MAX_FILE_BYTES, HubAnswerError, SlowHubError
from metaeval_datasets.sources.failures import asked_wait, status_of
from metaeval_datasets.sources.transport import (
    PATIENCE_SECONDS,
    bounded,
    failure_of,
    is_unreachable,
    why_silent,
)

logger = logging.getLogger(__name__)

ATTEMPTS = 5
RETRY_STATUS = {408, 429, 500, 502, 503, 504}
MAX_WAIT_SECONDS = 30.0

T = TypeVar("T")
_unreachable = [float("-inf")]  # time of the last failure to reach the Hub


class SourceError(RuntimeError):
    """Raised if a source cannot be used for a task; the message says why."""


class SilentHubError(SourceError):
    """Raised if the Hub does not answer, for this source or any other."""


class NoSourceError(SourceError):
    """Raised if none of a task's sources can be used; the message lists each with its reason."""


def offline() -> str | None:
    """Return the environment variable that makes this process work offline; None if it may use the network."""
    if constants.HF_HUB_OFFLINE:
        names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
        return next((name for name in names if os.environ.get(name)), names[0])
    return "HF_DATASETS_OFFLINE" if datasets.config.HF_HUB_OFFLINE else None


def ask_hub(call: Callable[[], T], *, hasty: bool = False, max_bytes: int = MAX_FILE_BYTES) -> T:
    """Send a request to the Hub and retry it if the failure may be temporary.

    Args:
        call: sends the request and returns the result.
        hasty: give up at once if the Hub cannot be reached, because the caller can proceed without an answer. This is
            also done if the Hub could not be reached a moment ago, so that a hundred tasks do not wait a hundred times.
        max_bytes: largest size of a downloaded file.

    Raises:
        SilentHubError: the Hub does not answer.
        SourceError: the Hub refuses the request, or the request fails for another reason; the message says why.
    """
    started = time.monotonic()
    hasty = hasty or started - _unreachable[0] < PATIENCE_SECONDS
    for attempt in range(ATTEMPTS):
        try:
            with bounded(max_bytes):
                return call()
        except Exception as error:
            root = _root(error)
            wait = _wait_seconds(root, attempt, time.monotonic() - started)
            if wait is None or attempt == ATTEMPTS - 1 or (hasty and is_unreachable(root)):
                if is_unreachable(root):
                    _unreachable[0] = time.monotonic()
                # A Hub that limits the rate for one source limits it for all others.
                silent = why_silent(root) is not None or status_of(root) == 429
                raise (SilentHubError if silent else SourceError)(_reason(error)) from root
            logger.info("the Hub did not answer (%s); next attempt in %.1f s", _reason(error), wait)
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def may_pass(error: BaseException | None) -> bool:
    """Return whether a failure is temporary: the Hub does not answer, is busy or has an internal error."""
    return status_of(error) in RETRY_STATUS or why_silent(error) is not None


def _root(error: BaseException) -> BaseException:
    """Return the failed request that the client hides behind the error about a file missing in the cache."""
    cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else None
    return error if cause is None else _root(cause)


def _wait_seconds(error: BaseException, attempt: int, seconds: float) -> float | None:
    """Return the seconds to wait before the next attempt; None if it would fail too, or if too much time has passed."""
    never = (OfflineModeIsEnabled, LocalEntryNotFoundError, HubAnswerError, SlowHubError)
    if offline() or isinstance(error, never):
        return None
    status, backoff = status_of(error), 0.5 * 2**attempt
    if status is not None:
        asked = asked_wait(getattr(error, "response", None))
        if status not in RETRY_STATUS or max(seconds, asked or 0.0) > PATIENCE_SECONDS:
            return None
        return backoff if asked is None else min(asked, MAX_WAIT_SECONDS)
    return backoff if failure_of(error) is not None and seconds <= PATIENCE_SECONDS / 2 else None


def _reason(error: BaseException) -> str:
    if isinstance(error, GatedRepoError):
        return "gated: accept its conditions on the Hub and pass a token"
    if isinstance(error, RepositoryNotFoundError):
        return "no such repository, or a private one that the token cannot access"
    if isinstance(error, RevisionNotFoundError):
        return "no such revision"
    if isinstance(error, HFValidationError):
        return f"not a valid repository name: {error}".splitlines()[0]
    root = _root(error)
    if silent := why_silent(root):
        return silent
    if isinstance(root, (LocalEntryNotFoundError, OfflineModeIsEnabled)):
        why = f"offline ({variable})" if (variable := offline()) else "the Hub does not answer"
        return why + (", and a file of it is not in the cache" if isinstance(error, LocalEntryNotFoundError) else "")
    if isinstance(root, HubAnswerError):
        return str(root)
    if isinstance(root, EntryNotFoundError):
        return f"no such file: {root}".splitlines()[0]
    if isinstance(root, HfHubHTTPError) and root.response is not None:
        wait = asked_wait(root.response)
        return f"the Hub answered {root.response.status_code}" + (f" and asks to wait {wait:.0f} s" if wait else "")
    return f"{type(root).__name__}: {root}".splitlines()[0]
