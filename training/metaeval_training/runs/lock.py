"""Lock a run folder, so that at most one process trains in it and other processes can name it.

The lock is ``flock`` on ``<run>/.lock``. The system releases it however its owner ends, so a killed run never has to
be unlocked by hand. The text in the file names the owner in messages.

On NFS, Linux translates ``flock`` into a lock on the server, which other machines see. Some Lustre and FUSE mounts
support no locks: the run then warns and continues without one. Mounts with locks local to a machine (``localflock``,
``local_lock``) stop a second process on the same machine only. Windows has no ``flock``, so runs are not locked there.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from metaeval_training.runs.folder import RunError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


@contextmanager
def locked(folder: Path, warn: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Lock a run folder within ``with``.

    Args:
        folder: folder of the run.
        warn: called with a message if the file system supports no locks.

    Raises:
        RunError: another process has the lock, or the folder cannot be written.
    """
    if fcntl is None:
        yield
        return
    number = _take(folder, warn)
    try:
        os.ftruncate(number, 0)
        os.pwrite(number, describe_owner().encode(), 0)
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink()
        os.close(number)  # releases the lock


def owner(folder: Path) -> str:
    """Return who has locked a run folder, such as "process 12 on host, since ..."; "" if nobody has."""
    if fcntl is None:
        return ""
    try:
        number = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return ""
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return _named(number) if error.errno in TAKEN else ""
    finally:
        os.close(number)
    return ""


def describe_owner() -> str:
    """Return the name of this process for messages of other processes."""
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    return f"process {os.getpid()} on {socket.gethostname()}, since {now}"


def _take(folder: Path, warn: Callable[[str], None]) -> int:
    """Open the lock file and lock it; return its file descriptor."""
    for tries in itertools.count():
        try:
            number = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise RunError(
                f"{folder} cannot be written ({error.strerror}). Make the folder writable, or copy it to a writable "
                "place and give that folder to --resume"
            ) from error
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (folder / LOCK).stat().st_ino == os.fstat(number).st_ino:
                return number
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in TAKEN:
                warn(f"{folder} is on a file system without locks ({error.strerror}); start no second process there")
                return number
            name = _named(number)
            os.close(number)
            if not tries:  # ``owner`` takes the lock for a moment
                time.sleep(0.1)
                continue
            raise RunError(f"{folder} is in use by {name}. Wait until that process has ended, or stop it") from error
        os.close(number)  # the previous owner deleted the file between the two calls
    raise AssertionError  # for the type checker


def _named(number: int) -> str:
    text = os.pread(number, 200, 0).decode("utf-8", "replace")
    return "".join(letter for letter in text if letter.isprintable()) or "another process"
