"""Open, create, lock and resume the run of a command; report how it ended in a message and an exit code.

Multitask runs and runs that take one task at a time both go through ``run_command``.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path

from safetensors import SafetensorError

from metaeval_datasets.sources.pins import PinsError, pinned
from metaeval_datasets.sources.revisions import ask_once
from metaeval_datasets.task_file import task_file
from metaeval_training.atomic_files import DamagedFileError
from metaeval_training.config import ConfigError
from metaeval_training.data.rows import DataError
from metaeval_training.runs import process
from metaeval_training.runs.folder import (
    RunError,
    RunFolder,
    check_output_dir,
    find_folder,
    new_run,
    unfinished_run,
)
from metaeval_training.runs.lock import locked, owner
from metaeval_training.runs.process import Interrupted, exit_code, handle_signals, steady_output, stop_at_once
from metaeval_training.runs.reporter import Reporter
from metaeval_training.runs.restart import resume_command

DONE, FAILED, NOT_PUSHED = 0, 1, 3  # exit codes; 2 is wrong usage, 128 + n a stop by signal n


class Session:
    """The run that a command works on, from its command line to its exit code.

    Args:
        reporter: shows messages.
        command: name of the training command, such as "multitask".
        locks: keeps the lock of the run until the command ends.

    Attributes:
        run: the folder; None until the run is opened or created.
    """

    def __init__(self, reporter: Reporter, command: str, locks: ExitStack) -> None:
        self.reporter = reporter
        self._command, self._locks = command, locks
        self.run: RunFolder | None = None

    def open(self, resume: str | None, output_dir: str, name: str) -> RunFolder | None:
        """Find the run to resume.

        Args:
            resume: folder of the run; "": the newest unfinished run of this name; None for a new run.
            output_dir: folder that contains the run folders.
            name: name of the run.

        Returns:
            The folder; None for a new run.

        Raises:
            RunError: there is no such run.
        """
        self.run = None if resume is None else find_folder(resume, Path(output_dir), name)
        return self.run

    def lock(self, output_dir: str, finished: bool) -> None:
        """Lock the run unless it is finished; for a new run, check that its folder can be created.

        Raises:
            RunError: another process works on the run, or the folder cannot be written.
        """
        if self.run is None:
            check_output_dir(Path(output_dir))
        elif not finished:
            self._locks.enter_context(locked(self.run.path, self.reporter.warn))

    def create(self, output_dir: str, name: str, write_settings: Callable[[RunFolder], None]) -> RunFolder:
        """Create the folder of a new run, lock it and write its settings.

        Raises:
            RunError: the folder cannot be created.
        """
        before = unfinished_run(Path(output_dir), name)
        if before and not owner(before.path):
            self.reporter.line(f"{before.path} is unfinished; to go on with it: {self.resume_command(before)}")
        run = new_run(Path(output_dir), name)
        self._locks.enter_context(locked(run.path, self.reporter.warn))
        write_settings(run)
        self.run = run
        return run

    def use_pins(self, path: str) -> None:
        """Read the sources of all tasks at the commits of a pin file until the command ends; do nothing for "".

        Raises:
            ConfigError: the file cannot be read or is malformed.
        """
        try:
            self._locks.enter_context(pinned(path))
        except PinsError as error:
            raise ConfigError(f"--pins: {error}") from error

    def use_task_file(self, path: str, requested: Collection[str]) -> None:
        """Add the tasks of a task file to the catalogue until the command ends; do nothing for "".

        Tasks whose entry is wrong are left out. The main process warns of them.

        Args:
            path: the file.
            requested: tasks and groups of the run. If their entry is wrong, the error of the run says so.

        Raises:
            ConfigError: the file cannot be read.
        """
        if not path:
            return
        try:
            self._locks.enter_context(task_file(path, requested if self.reporter.main else None))
        except ValueError as error:
            raise ConfigError(f"--task-file: {error}") from error

    def resume_command(self, run: RunFolder | None = None) -> str:
        """Return the shell command that resumes a run (default: this one); see ``resume_command``."""
        return resume_command(run or self.run, self._command)


def run_command(work: Callable[[Session], int], reporter: Reporter, command: str, kept: str = "") -> int:
    """Do the work of a command and return its exit code. Report expected errors in one line, without a traceback.

    Args:
        work: opens or creates the run, does its work and returns the exit code.
        reporter: shows messages.
        command: name of the training command; see ``resume_command``.
        kept: what an interrupted run keeps, in words, such as "finished tasks are kept".
    """
    with steady_output(), handle_signals(stop_at_once), ask_once(), ExitStack() as locks:
        try:
            return _work(work, Session(reporter, command, locks), kept)
        except KeyboardInterrupt as stopped:  # a second one, while the first was being reported
            return exit_code(stopped)


def _work(work: Callable[[Session], int], session: Session, kept: str) -> int:
    reporter = session.reporter
    try:
        return work(session)
    except Interrupted as stopped:
        cause = "the end of its launcher" if process.launcher_gone() else signal.Signals(stopped.signal).name
        reporter.warn(f"stopped by {cause} after step {stopped.step}; a checkpoint was written")
        code = exit_code(stopped)
    except KeyboardInterrupt as stopped:
        reporter.warn(f"interrupted; {kept}" if kept else "interrupted")
        code = exit_code(stopped)
    except (ConfigError, RunError, DataError, DamagedFileError) as error:
        reporter.error(str(error))
        return FAILED
    except (OSError, SafetensorError) as error:
        reporter.error(f"{type(error).__name__}: {error}")
        code = FAILED
    if session.run:
        reporter.line(f"resume with: {session.resume_command()}")
    return code
