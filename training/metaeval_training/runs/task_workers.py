"""Work on tasks in several processes, each on one task at a time.

The processes are spawned, because a fork of a process with threads can hang. The main process hands out the tasks and
receives how each of them ended. If a process dies, its task has failed, and a new process takes its place. If the main
process dies, the others end at once, because nothing would stop them and the run is no longer locked.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

from metaeval_training.config import ConfigError
from metaeval_training.data.rows import DataError
from metaeval_training.runs.folder import RunError
from metaeval_training.runs.process import Stopped, launcher_gone
from metaeval_training.runs.task_answers import Show, TaskEnd

TaskWork = Callable[[str, Show], TaskEnd]  # name of a task, function that shows progress
OpenWork = Callable[[], AbstractContextManager[TaskWork]]

SPAWN = multiprocessing.get_context("spawn")
NOTE_SECONDS = 0.5  # least time between two progress notes of a process
PATIENCE = 10.0  # seconds to wait for the end of a process before it is killed
# Libraries read them when they are loaded; each would otherwise use all cores in every process.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")


def work_in_processes(
    open_work: OpenWork, names: Sequence[str], workers: int, threads: int, show: Show
) -> Iterator[TaskEnd]:
    """Work on tasks in several processes; yield how each task ended, in the order in which they end.

    Close the generator to stop the processes.

    Args:
        open_work: called in each process; must be picklable.
        names: the tasks.
        workers: number of processes.
        threads: number of threads of each.
        show: called with the progress of any task.

    Raises:
        ConfigError, DataError, OSError, RunError: a process could not start its work, or could not store an answer.
    """
    waiting, active = deque(names), []
    try:
        active = [_Worker(open_work, threads, waiting.popleft()) for _ in range(min(workers, len(waiting)))]
        while active:
            if launcher_gone():
                raise Stopped(signal.SIGTERM)
            for pipe in wait([worker.pipe for worker in active], timeout=1):
                worker = next(each for each in active if each.pipe is pipe)
                end = worker.receive(show)
                if end is None:
                    continue
                if not worker.alive:
                    active.remove(worker)
                    if waiting:
                        active.append(_Worker(open_work, threads, waiting.popleft()))
                elif waiting:
                    worker.give(waiting.popleft())
                else:
                    active.remove(worker)
                    worker.finish()
                yield end
    finally:
        for worker in active:
            worker.process.terminate()
        for worker in active:
            worker.end()


class _Worker:
    """A process, as the main process sees it.

    Args:
        open_work: called in the process.
        threads: number of its threads.
        task: its first task.

    Attributes:
        pipe: connection to the process.
        process: the process.
        alive: whether the process can take another task.
    """

    def __init__(self, open_work: OpenWork, threads: int, task: str) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=_serve, args=(theirs, open_work), daemon=True)
        with _interrupts_blocked(), _environment(dict.fromkeys(THREAD_VARIABLES, str(threads))):
            self.process.start()
        theirs.close()  # so that the end of the process ends the connection
        self.alive, self._ready = True, False
        self.give(task)

    def give(self, task: str) -> None:
        """Send a task to the process."""
        self._task, self._since = task, time.monotonic()
        with contextlib.suppress(OSError):  # the process has died; ``receive`` reports it
            self.pipe.send(task)

    def receive(self, show: Show) -> TaskEnd | None:
        """Receive one message; return how the task ended, or None if it has not.

        Raises:
            Exception: what the process has raised.
            RunError: the process died before its first task.
        """
        try:
            kind, value = self.pipe.recv()
        except (EOFError, OSError):
            return self._died()
        if kind == "error":
            raise value
        if kind == "note":
            show(value)
        self._ready = True
        return value if kind == "end" else None

    def _died(self) -> TaskEnd:
        self.alive = False
        self.end()
        cause = f"its process ended with exit code {self.process.exitcode}"
        if self.process.exitcode == -getattr(signal, "SIGKILL", 9):
            cause += " (killed; if memory ran out, use fewer --workers)"
        if not self._ready:
            raise RunError(f"no task was started: {cause}. Try again with --workers 1")
        return TaskEnd(self._task, failed=cause, seconds=time.monotonic() - self._since)

    def finish(self) -> None:
        """Let the process end after its last task."""
        with contextlib.suppress(OSError):
            self.pipe.send("")
        self.end()

    def end(self) -> None:
        """Wait for the end of the process, and kill it if it does not end."""
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


def _serve(pipe: Connection, open_work: OpenWork) -> None:
    """Work on the tasks that the pipe names, until it names the empty one."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the main process decides
    signal.signal(signal.SIGTERM, _end_in_order)
    threading.Thread(target=_end_with_main, daemon=True).start()
    sent = 0.0

    def show(text: str) -> None:
        nonlocal sent
        if time.monotonic() - sent >= NOTE_SECONDS:
            sent = time.monotonic()
            pipe.send(("note", text))

    try:
        with open_work() as work, long_lived_objects():
            pipe.send(("ready", None))
            while name := pipe.recv():
                pipe.send(("end", work(name, show)))
    except (ConfigError, DataError, RunError) as error:
        pipe.send(("error", type(error)(str(error))))
    except OSError as error:
        pipe.send(("error", error))
    except Exception as error:
        pipe.send(("error", RunError(f"{type(error).__name__}: {error}")))
        raise


def _end_in_order(number: int, frame: FrameType | None) -> None:
    """Let the process release its semaphores; otherwise Python warns of them after the last line of the command."""
    sys.exit(128 + number)


def _end_with_main() -> None:
    main = multiprocessing.parent_process()
    if main is not None:
        main.join()
        os._exit(1)


@contextmanager
def long_lived_objects() -> Iterator[None]:
    """Exempt the objects that exist now from garbage collection within ``with``.

    The memory of each trained model is freed by a full collection, which visits all objects of all imported libraries
    otherwise: for a small model, that takes a sixth of the time.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block Ctrl-C within ``with``, so that a process started there never receives it; the main process ends it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before: dict[str, Any] = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
