"""Handle the signals, the standard output, the launcher and the threads of the process of a script."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TextIO

PARENT = os.getppid()
# torchrun sets the first, `accelerate launch` the second. Other parents, such as a shell, may end before the script.
LAUNCHED = bool({"TORCHELASTIC_RUN_ID", "ACCELERATE_MIXED_PRECISION"} & os.environ.keys())
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

Handler = Callable[[int, "FrameType | None"], Any]


class Stopped(KeyboardInterrupt):
    """A signal asked the process to stop at once.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


class Interrupted(Exception):  # noqa: N818 - not an error
    """A signal asked the run to stop; it stopped after a whole step and wrote a checkpoint.

    Attributes:
        signal: number of the signal.
        step: steps done.
    """

    def __init__(self, number: int, step: int) -> None:
        super().__init__(number, step)
        self.signal, self.step = number, step


def start_script() -> None:
    """Prepare the process of a script, before imports that take seconds.

    Until ``handle_signals`` takes over, an interrupt ends the script without a traceback. Closed standard streams are
    replaced by /dev/null: otherwise a file of the run could get their number, and output would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest free number
    signal.signal(signal.SIGINT, _end)
    sys.excepthook = _report


def _end(number: int, frame: FrameType | None) -> None:
    with contextlib.suppress(OSError):
        os.write(1, b"interrupted\n")
    os._exit(128 + number)  # a module that is being imported could catch or show an exception


def _report(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Print one line for a library that an extra of the package installs, and a traceback for any other error."""
    from metaeval_datasets.extras import missing

    message = missing(error, "train") if isinstance(error, ModuleNotFoundError) else None
    if message:
        print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr)  # noqa: T201 - a script without a reporter yet
    else:
        sys.__excepthook__(kind, error, traceback)


def stop_at_once(number: int, frame: FrameType | None) -> None:
    """Raise ``Stopped``, as a signal handler."""
    raise Stopped(number)


@contextmanager
def handle_signals(handler: Handler) -> Iterator[None]:
    """Handle SIGINT, SIGTERM and SIGHUP with ``handler``; signals that ``nohup`` ignores stay ignored."""
    before: dict[int, Any] = {}
    for number in SIGNALS:
        current = signal.getsignal(number)
        if number == signal.SIGINT or current is not signal.SIG_IGN:
            before[number] = signal.SIG_DFL if current is None else current
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def exit_code(stopped: BaseException) -> int:
    """Return the exit code of a script that a signal stopped: 128 + the signal's number (default: Ctrl-C)."""
    return 128 + int(getattr(stopped, "signal", signal.SIGINT))


def launcher_gone() -> bool:
    """Return whether the launcher of this process has ended, so that the process can no longer be stopped."""
    return LAUNCHED and os.getppid() != PARENT


class StopRequest:
    """Record signals within ``with``, so that the training loop can stop after a step; a second SIGINT stops at once.

    A second SIGINT within one second is ignored: a launcher forwards the signal that the terminal has already sent to
    all processes. The end of the launcher counts as SIGTERM, because its workers must stop. SIGHUP is sent when a
    terminal is closed.
    """

    def __init__(self) -> None:
        self._signal = 0
        self._since = 0.0
        self._handled = ExitStack()

    @property
    def signal(self) -> int:
        """Number of the signal that asked the run to stop; 0: none."""
        if not self._signal and launcher_gone():
            self._signal = signal.SIGTERM
        return self._signal

    def __enter__(self) -> StopRequest:
        self._handled.enter_context(handle_signals(self._note))
        return self

    def __exit__(self, *error: object) -> None:
        self._handled.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._signal == signal.SIGINT and number == signal.SIGINT and time.monotonic() - self._since > 1:
            raise Stopped(number)
        if not self._signal:
            self._since = time.monotonic()
        self._signal = number


def requested_threads() -> int:
    """Return the OMP_NUM_THREADS that the user has set, or 0.

    Launchers set it to 1 if the user has not; the user's value is in the launcher's own environment.
    """
    value = os.environ.get("OMP_NUM_THREADS", "")
    if LAUNCHED:
        try:
            entries = Path(f"/proc/{PARENT}/environ").read_bytes().split(b"\0")
        except OSError:  # not on Linux, or the launcher has ended: 1 may be the launcher's choice
            value = "" if value == "1" else value
        else:
            found = dict(entry.split(b"=", 1) for entry in entries if b"=" in entry)
            value = found.get(b"OMP_NUM_THREADS", b"").decode("ascii", "replace")
    first = value.split(",")[0].strip()  # a list has one number per level of nesting
    return int(first) if first.isascii() and first.isdigit() else 0


class SteadyOutput:
    r"""A text stream that never fails: it drops output that can no longer be read.

    Characters that the stream's encoding lacks are written as ``\xe9``. After the first failed write, the file
    descriptor points to /dev/null, so that the interpreter's last flush does not fail either.

    Args:
        stream: standard output or standard error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write the text if possible; return its length."""
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            encoding = self._stream.encoding or "ascii"
            self.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError):
            self._drop()
        return len(text)

    def flush(self) -> None:
        """Flush if possible."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._drop()

    def _drop(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            number = os.open(os.devnull, os.O_WRONLY)
            os.dup2(number, self._stream.fileno())
            os.close(number)


@contextmanager
def steady_output() -> Iterator[None]:
    """Replace standard output and standard error by a ``SteadyOutput`` within ``with``."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (  # type: ignore[assignment]
        None if stream is None else SteadyOutput(stream) for stream in before
    )
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before
