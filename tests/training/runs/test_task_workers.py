"""Processes that work on tasks. Most tests fork them, which is faster than to spawn them; the last one spawns."""

import contextlib
import gc
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from metaeval_training.commands import probes
from metaeval_training.config import ConfigError
from metaeval_training.runs import per_task, task_workers
from metaeval_training.runs.folder import RunError
from metaeval_training.runs.task_answers import TaskEnd
from metaeval_training.runs.task_workers import long_lived_objects, work_in_processes

from tests.training.conftest import ROOT, kill

forks = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")


@pytest.fixture
def forked(monkeypatch):
    monkeypatch.setattr(task_workers, "SPAWN", multiprocessing.get_context("fork"))


@contextmanager
def opened():
    """Answer a task by the meaning of its name."""

    def work(name, show):
        show(f"at {name}")
        if name == "dies":
            os._exit(3)
        if name == "disk":
            raise OSError(28, "No space left on device")
        if name == "waits":
            time.sleep(60)
        return TaskEnd(name, failed="no rows") if name == "fails" else TaskEnd(name, f"by {os.getpid()}")

    yield work


@contextmanager
def unusable():
    raise ConfigError("--encoder nothing: not found")
    yield


@contextmanager
def broken():
    os._exit(4)
    yield


@forks
def test_each_task_ends_once_and_a_failed_or_dead_one_costs_no_other(forked):
    notes = []
    names = ["a", "fails", "dies", "b", "c"]
    ends = {end.name: end for end in work_in_processes(opened, names, 2, 1, notes.append)}
    assert sorted(ends) == sorted(names)
    assert {name: end.failed for name, end in ends.items() if end.failed} == {
        "fails": "no rows", "dies": "its process ended with exit code 3",
    }  # fmt: skip
    processes = {ends[name].shown for name in "abc"}
    assert processes
    assert f"by {os.getpid()}" not in processes
    assert "at a" in notes


@forks
@pytest.mark.parametrize(
    ("open_work", "names", "error", "message"),
    [
        (opened, ["disk"], OSError, "No space left"),
        (unusable, ["a"], ConfigError, "--encoder nothing: not found"),
        (broken, ["a", "b"], RunError, "no task was started: its process ended with exit code 4"),
    ],
)
def test_an_error_that_concerns_all_tasks_ends_the_work(forked, open_work, names, error, message):
    with pytest.raises(error, match=message):
        list(work_in_processes(open_work, names, 1, 1, print))
    assert not multiprocessing.active_children()


@forks
def test_closing_stops_the_processes(forked):
    ends = work_in_processes(opened, ["a", "waits"], 2, 1, print)
    started = time.monotonic()
    assert next(ends).name == "a"
    ends.close()
    assert not multiprocessing.active_children()
    assert time.monotonic() - started < 30


@forks
def test_a_stopped_process_ends_in_order(forked):
    ours, theirs = task_workers.SPAWN.Pipe()
    process = task_workers.SPAWN.Process(target=task_workers._serve, args=(theirs, opened), daemon=True)
    process.start()
    assert ours.recv() == ("ready", None)
    process.terminate()
    process.join(10)
    assert process.exitcode == 128 + signal.SIGTERM  # not -15: it has released its semaphores


def test_processes_start_with_their_number_of_threads_and_without_interrupts(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with task_workers._environment(dict.fromkeys(task_workers.THREAD_VARIABLES, "2")):
        assert {os.environ[name] for name in task_workers.THREAD_VARIABLES} == {"2"}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ
    with task_workers._interrupts_blocked():
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_long_lived_objects_are_not_collected_for_a_while():
    with long_lived_objects():
        assert gc.get_freeze_count() > 1000
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize(
    ("flags", "cores", "expected"),
    [
        ([], 8, (3, 2)),  # one per task
        ([], 2, (2, 1)),
        (["--threads", "2"], 5, (2, 2)),
        (["--tasks", "demo"], 64, (4, 16)),  # memory
        (["--threads", "9"], 4, (1, 9)),
        (["--workers", "4"], 8, (3, 2)),  # no more than tasks
        (["--workers", "3"], 2, (3, 1)),
        (["--workers", "1"], 2, (1, 2)),
    ],
)
def test_cores_are_shared_by_processes_and_threads(monkeypatch, flags, cores, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(per_task, "available_cores", lambda: cores)
    monkeypatch.setattr(per_task, "default_device_type", lambda: "cpu")
    command = per_task.parse(probes.SCRIPT, ["--tasks", "demo/spam", "demo/tense", "demo/manners", *flags])
    assert per_task.choose_workers(command, command.config) == expected
    monkeypatch.setattr(per_task, "default_device_type", lambda: "cuda")
    assert per_task.choose_workers(command, command.config)[0] == (3 if {"3", "4"} & set(flags) else 1)


def test_the_number_of_processes_is_checked(capsys):
    with pytest.raises(SystemExit) as ended:
        probes.main(["--workers", "0"])
    assert ended.value.code == 2
    assert "--workers must be at least 1, got 0" in capsys.readouterr().err


TASKS = ("demo/spam", "demo/tense", "demo/manners")
FLAGS = ("--tasks", *TASKS, "--methods", "majority", "tfidf", "--max-train-rows", "40", "--max-eval-rows", "20")


def stored(run):
    found = {}
    for path in sorted(run.glob("*/tasks/*/*.json")):
        values = json.loads(path.read_text())
        found[str(path.relative_to(run))] = {k: v for k, v in values.items() if k not in ("seconds", "sha256")}
    return found


@forks
def test_several_processes_resume_what_one_has_begun_with_the_same_answers(forked, tmp_path, capsys):
    assert probes.main([*FLAGS, "--threads", "1", "--workers", "1", "--output-dir", str(tmp_path / "one")]) == 0
    assert probes.main([*FLAGS, "--threads", "1", "--workers", "2", "--output-dir", str(tmp_path / "two")]) == 0
    one, two = tmp_path / "one" / "probes-1", tmp_path / "two" / "probes-1"
    printed = capsys.readouterr().out
    assert "2 processes on cpu, 1 thread each" in printed
    assert all(f"  {name}  majority " in printed for name in TASKS)
    assert len(stored(one)) == 6
    assert stored(two) == stored(one)
    for path in (one / "majority" / "results.json", one / "tfidf" / "results.json"):
        path.unlink()
    for name in TASKS[1:]:
        (one / "tfidf" / "tasks" / f"{name}.json").unlink()
    assert probes.main(["--resume", str(one), "--workers", "3"]) == 0
    assert "1 of 3 tasks were already done" in capsys.readouterr().out
    assert stored(one) == stored(two)
    assert list(json.loads((one / "tfidf" / "results.json").read_text())["tasks"]) == list(TASKS)


@pytest.mark.slow
def test_spawned_processes_train_the_same_bits_and_an_interrupt_keeps_finished_tasks(tmp_path):
    flags = ("--tasks", *TASKS, "--methods", "adapter", "--max-train-rows", "64", "--steps", "20", "--threads", "1")

    def command(folder, *more):
        return [sys.executable, str(ROOT / "training" / "single_task.py"), *flags, "--output-dir", str(folder), *more]

    for workers in ("1", "2"):
        subprocess.run(command(tmp_path / workers, "--workers", workers), check=True, stdout=subprocess.DEVNULL)
    one, two = (stored_training(tmp_path / workers / "single_task-1") for workers in "12")
    assert len(one) == 3
    assert one == two

    process = subprocess.Popen(
        command(tmp_path / "stopped", "--workers", "2"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, cwd=ROOT,
    )  # fmt: skip
    try:
        printed = []
        for line in process.stdout:
            printed.append(line)
            if line.startswith("1/3 "):
                os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it, to all processes
        assert process.wait(60) == 130, printed
    finally:
        with contextlib.suppress(ProcessLookupError):
            kill(process)
    assert "Traceback" not in "".join(printed)
    run = tmp_path / "stopped" / "single_task-1"
    assert len(stored_training(run)) in (1, 2)
    resume = [sys.executable, str(ROOT / "training" / "single_task.py"), "--resume", str(run), "--workers", "2"]
    subprocess.run(resume, check=True, stdout=subprocess.DEVNULL)
    assert stored_training(run) == one


def stored_training(run):
    """The stored answers without times."""
    return {
        path: {rate: {k: v for k, v in each.items() if k != "seconds"} for rate, each in values["tried"].items()}
        for path, values in stored(run).items()
    }
