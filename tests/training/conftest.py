"""Runs of the training script on two demo tasks, in this process and in processes of their own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# Two tasks, a few steps: about a second of training.
SMALL = (
    "--tasks", "demo/film_reviews", "demo/feelings", "--steps", "24", "--batch-size", "8", "--checkpoint-every", "4",
    "--evaluate-every", "6", "--max-eval-rows", "40", "--adapter-size", "8", "--threads", "1",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let scripts that work on tasks in several processes use one by default, in which tests can replace functions."""
    from metaeval_training.runs import per_task

    monkeypatch.setattr(per_task, "available_cores", lambda: 1)


@pytest.fixture(autouse=True)
def _arithmetic() -> Iterator[None]:
    """Restore the settings that scripts change for a whole process."""
    import torch

    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    products, flash = torch.get_float32_matmul_precision(), torch.backends.cuda.flash_sdp_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    torch.set_float32_matmul_precision(products)
    torch.backends.cuda.enable_flash_sdp(flash)


@pytest.fixture
def train(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """``train(*flags) -> exit code``: the script's main function in this process, runs in tmp_path/runs."""
    from metaeval_training.commands.multitask import main

    path = list(sys.path)

    def run(*flags: str, folder: Path = tmp_path / "runs") -> int:
        return main([*SMALL, "--output-dir", str(folder), *flags])

    yield run
    sys.path[:] = path


def script(*flags: str, folder: Path, launcher: tuple[str, ...] = (sys.executable,)) -> list[str]:
    """The command that runs the script in a process of its own."""
    return [*launcher, str(ROOT / "training" / "multitask.py"), *flags, "--output-dir", str(folder)]


def start(command: list[str]) -> subprocess.Popen[str]:
    """Start a command in a session of its own, output joined."""
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, cwd=ROOT
    )


def kill(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    """Send a signal to all processes of a command."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
