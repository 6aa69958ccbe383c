import errno
import os
import signal
import subprocess
import sys

import pytest
from metaeval_training.runs import lock
from metaeval_training.runs.folder import RunError
from metaeval_training.runs.lock import LOCK, locked, owner


def test_a_second_lock_is_refused_and_names_the_owner(tmp_path):
    with locked(tmp_path):
        assert owner(tmp_path).startswith(f"process {os.getpid()} on ")
        with pytest.raises(RunError, match=rf"is in use by process {os.getpid()} on .*, since \d{{4}}-"):
            locked(tmp_path).__enter__()
    assert owner(tmp_path) == ""
    with locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path):
    code = """
import pathlib, sys, time
from metaeval_training.runs.lock import locked
with locked(pathlib.Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "locked\n"
    assert owner(tmp_path).startswith(f"process {process.pid} on ")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path):
        assert owner(tmp_path).startswith(f"process {os.getpid()} on ")


def test_a_file_that_its_owner_has_just_deleted_is_no_lock(tmp_path, monkeypatch):
    """Between opening the file and locking it, the owner before deletes it and another process makes a new one."""
    flock, calls = lock.fcntl.flock, []

    def replaced(number, how):
        calls.append(number)
        if len(calls) == 1:
            (tmp_path / LOCK).unlink()
            (tmp_path / LOCK).touch()
        flock(number, how)

    monkeypatch.setattr(lock.fcntl, "flock", replaced)
    with locked(tmp_path):
        assert len(calls) == 2
        assert owner(tmp_path)


def test_a_file_system_without_locks_is_reported(tmp_path, monkeypatch):
    def missing(number, how):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(lock.fcntl, "flock", missing)
    told = []
    with locked(tmp_path, told.append):
        pass
    assert len(told) == 1
    assert f"{tmp_path} is on a file system without locks (Function not implemented)" in told[0]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(RunError, match="none cannot be written"):
        locked(tmp_path / "none").__enter__()


def test_what_is_in_a_foreign_file_cannot_reach_the_terminal(tmp_path):
    with locked(tmp_path):
        (tmp_path / LOCK).write_text("a\x1b]0;title\x07\nb" * 1000)
        assert owner(tmp_path).isprintable()
        assert len(owner(tmp_path)) <= 200
