"""Ask the Hub within limits, and say in plain words why it did not answer, whichever HTTP library its client uses."""

from __future__ import annotations

import atexit
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

from metaeval_datasets.sources.answer_limits import COMMIT, MAX_FILE_BYTES, HubAnswerError, SlowHubError, limited
from metaeval_datasets.sources.failures import Failure

LIBRARY_RETRIES = int(huggingface_hub.__version__.split(".")[0]) >= 1  # the Hub client retries most requests itself

if LIBRARY_RETRIES:
    from metaeval_datasets.sources.http_httpx import CERTIFICATE_VARIABLE, HTTP_ERRORS, install, kind_of_failure
else:
    from metaeval_datasets.sources.http_requests import CERTIFICATE_VARIABLE, HTTP_ERRORS, install, kind_of_failure

PATIENCE_SECONDS = 60.0  # seconds after which no request is retried; half of it if the Hub does not answer at all
_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST})


@contextmanager
def bounded(max_file_bytes: int = MAX_FILE_BYTES) -> Iterator[None]:
    """Apply the limits of ``answer_limits`` to the Hub's answers while the block runs.

    Args:
        max_file_bytes: maximum size of a downloaded file.
    """
    install()
    with limited(max_file_bytes):
        yield


# --- Failures in words ------------------------------------------------------------------------------------------------


def failure_of(error: BaseException | None) -> Failure | None:
    """Return how a request failed before its answer was complete; None if the error has another reason."""
    if error is None or isinstance(error, OfflineModeIsEnabled):
        return None
    if isinstance(error, (SlowHubError, TimeoutError)):
        return "slow"
    if found := kind_of_failure(error):
        return found
    if isinstance(error, ConnectionRefusedError):
        return "not connected"
    return "broken" if isinstance(error, ConnectionError) else None


def why_silent(error: BaseException | None) -> str | None:
    """Return why there was no answer; None if there was one, or if the failure is of another kind."""
    failure, hub = failure_of(error), f"the Hub at {constants.ENDPOINT}"
    if failure is None:
        return None
    if failure == "slow":
        return f"{hub} does not answer, or too slowly; try again later"
    cause = "no connection in time" if failure == "not connected in time" else _cause(str(error))
    if failure == "proxy":
        return f"{hub} cannot be reached through the proxy ({cause}); check HTTP_PROXY and HTTPS_PROXY"
    if failure == "certificate":
        return f"{hub} has a certificate that cannot be verified ({cause}); check {CERTIFICATE_VARIABLE}"
    return f"{hub} cannot be reached ({cause}); check the network, and HF_ENDPOINT if it is set"


def _cause(message: str) -> str:
    """Return the innermost reason that an error message gives in a few words, such as "Connection refused"."""
    written = " ".join(message.split())
    if found := re.search(r"\[Errno -?\d+\] ([^'\")]+)", written):
        return found[1].strip()
    return "the connection was broken off" if "abort" in written or "reset" in written else written[:200]


def is_unreachable(error: BaseException | None) -> bool:
    """Return whether there was no connection: no network, unknown host, or connection refused."""
    return failure_of(error) == "not connected"


def is_unwritable(error: BaseException | None) -> bool:
    """Return whether an error means that a cache is not writable."""
    return isinstance(error, OSError) and error.errno in _UNWRITABLE


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Convert errors of the Hub client about malformed answers into a HubAnswerError.

    Args:
        what: whose answer it is, such as the name of a repository.

    Raises:
        HubAnswerError: instead of the KeyError and the like.
    """
    try:
        yield
    except (HFValidationError, UnicodeError):
        raise
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
        is_json = type(error).__name__ == "JSONDecodeError"  # `requests` derives its own from its base error
        if isinstance(error, HTTP_ERRORS) and not is_json:
            raise
        reason = f"{type(error).__name__}: {error}"[:200]
        raise HubAnswerError(
            f"the answer of {constants.ENDPOINT} about {what} is not that of a Hub ({reason}); check HF_ENDPOINT"
        ) from error


def commit_of(sha: object, what: str) -> str:
    """Return the full commit id given by the Hub.

    Args:
        sha: the value that the Hub gives as commit id.
        what: whose commit it is, such as the name of a repository.

    Raises:
        HubAnswerError: the value is not a commit id.
    """
    if isinstance(sha, str) and COMMIT.fullmatch(sha):
        return sha
    raise HubAnswerError(f"the Hub gives {str(sha)[:80]!r} as the commit of {what}; expected 40 hexadecimal digits")


# --- Caches that cannot be written ------------------------------------------------------------------------------------


@cache
def spare_cache() -> Path:
    """Return a temporary cache for use if that of the Hub client is not writable; deleted when this process ends."""
    folder, owner = Path(tempfile.mkdtemp(prefix="metaeval-cache-")), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # not in a forked process
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder
