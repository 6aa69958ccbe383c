import io
import os
import signal
import subprocess

import pytest
from metaeval_training.runs import process
from metaeval_training.runs.process import (
    SteadyOutput,
    Stopped,
    handle_signals,
    launcher_gone,
    requested_threads,
    stop_at_once,
)


class Failing(io.StringIO):
    """A stream whose writes fail from the second one on."""

    encoding = "ascii"

    def __init__(self, error):
        super().__init__()
        self.error, self.lines = error, []

    def write(self, text):
        text.encode(self.encoding)
        if self.lines and text:
            raise self.error
        self.lines.append(text)
        return len(text)

    def flush(self):
        if self.lines:
            raise self.error


@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError(28, "No space left"), OSError(5, "EIO"), ValueError("closed")]
)
def test_output_that_cannot_be_written_is_dropped(error):
    output = SteadyOutput(Failing(error))
    print("first", file=output, end="")
    print("second", file=output, flush=True)
    assert "".join(output.lines) == "first"


def test_characters_that_the_encoding_lacks_are_written_as_codes():
    output = SteadyOutput(Failing(None))
    print("caf\xe9 \u201cm\u201d", file=output, end="")
    assert output.lines[0] == "caf\\xe9 \\u201cm\\u201d"


def test_a_signal_stops_at_once_by_its_number():
    with pytest.raises(Stopped) as stopped, handle_signals(stop_at_once):
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_hangup_that_nohup_has_switched_off_stays_off():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handle_signals(stop_at_once):
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("launched", "parent", "gone"), [(True, 0, True), (True, None, False), (False, 0, False)])
def test_only_the_end_of_a_launcher_counts(launched, parent, gone, monkeypatch):
    monkeypatch.setattr(process, "LAUNCHED", launched)
    monkeypatch.setattr(process, "PARENT", os.getppid() if parent is None else parent)
    assert launcher_gone() == gone


@pytest.mark.parametrize(("value", "threads"), [("3", 3), ("4,2", 4), ("", 0), ("none", 0), ("-1", 0), (None, 0)])
def test_threads_of_the_environment(value, threads, monkeypatch):
    monkeypatch.setattr(process, "LAUNCHED", False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if value is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert requested_threads() == threads


@pytest.mark.parametrize(("launcher", "ours", "threads"), [("5", "5", 5), (None, "1", 0)])
def test_threads_that_a_launcher_has_chosen_are_not_the_users(launcher, ours, threads, monkeypatch):
    """The environment of the launcher decides: here that of a process that stands in for it."""
    others = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    environment = others if launcher is None else {**others, "OMP_NUM_THREADS": launcher}
    with subprocess.Popen(
        ["sh", "-c", "echo; read line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as parent:
        parent.stdout.readline()  # it has been started: /proc shows the environment
        monkeypatch.setattr(process, "LAUNCHED", True)
        monkeypatch.setattr(process, "PARENT", parent.pid)
        monkeypatch.setenv("OMP_NUM_THREADS", ours)
        assert requested_threads() == threads
        parent.communicate(b"\n")


@pytest.mark.parametrize(("value", "threads"), [("1", 0), ("2", 2)])
def test_without_proc_one_thread_may_be_the_launchers_choice(value, threads, monkeypatch):
    monkeypatch.setattr(process, "LAUNCHED", True)
    monkeypatch.setattr(process, "PARENT", -1)
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert requested_threads() == threads
