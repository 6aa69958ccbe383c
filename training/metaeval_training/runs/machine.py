"""Set up the machine of a run: processes, device, threads, precision and reproducible arithmetic."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import datasets
import torch
import transformers
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, broadcast

from metaeval_hub.utils.products import set_products
from metaeval_training.config import ConfigError, TrainConfig
from metaeval_training.runs.folder import RunError
from metaeval_training.runs.process import Interrupted, requested_threads

# How long a process waits for the others. The default of NCCL, 10 minutes, is too short where processes work on tasks
# of different sizes. The launcher stops all processes when one of them fails, however long they would wait.
LONGEST_WAIT = timedelta(hours=6)


def is_main() -> bool:
    """Return whether this is the process that writes; known before the processes have found each other."""
    return os.environ.get("RANK", "0") == "0"


def start_accelerator(config: TrainConfig) -> Accelerator:
    """Set up processes, threads, precision and reproducible arithmetic.

    Raises:
        RunError: the launcher was asked for several processes and started one.
        ConfigError: the batch is smaller than the number of processes, or the device lacks the precision.
    """
    _check_launcher()
    # Without cpu=True, processes on a CPU would not find each other, and each would train a model of its own.
    try:
        accelerator = Accelerator(
            mixed_precision=config.mixed_precision,
            cpu=default_device_type() == "cpu",
            kwargs_handlers=[InitProcessGroupKwargs(timeout=LONGEST_WAIT)],
        )
    except ValueError as error:  # the device does not have this precision
        raise ConfigError(f"--mixed-precision {config.mixed_precision}: {error}") from error
    _check_processes(accelerator.num_processes, config.batch_size)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(config.threads or requested_threads() or max(available_cores() // local, 1))
    set_arithmetic(config, accelerator.device.type)
    if accelerator.device.type == "cpu":
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    transformers.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    logging.getLogger("metaeval_datasets").setLevel(logging.ERROR)  # each task's report contains its warnings
    return accelerator


@contextmanager
def common_work(accelerator: Accelerator) -> Iterator[None]:
    """Disconnect the processes of a run after their common work, whether it is done or was interrupted.

    Otherwise gloo's threads would still run when the interpreter ends, which can abort the process. After an error,
    the processes stay connected: the others may be waiting for this one, until the launcher stops all of them.
    """
    try:
        yield
    except Interrupted:
        _disconnect(accelerator)
        raise
    _disconnect(accelerator)


def _disconnect(accelerator: Accelerator) -> None:
    if accelerator.num_processes > 1:
        accelerator.state.destroy_process_group()


def _check_launcher() -> None:
    requested_several = "ACCELERATE_MIXED_PRECISION" in os.environ and "MASTER_PORT" in os.environ
    if requested_several and not {"WORLD_SIZE", "RANK", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE"} & os.environ.keys():
        raise RunError(
            "`accelerate launch` was asked for several processes and started one, because it found fewer than two "
            "GPUs. Start them with: torchrun --standalone --nproc_per_node N training/multitask.py ..."
        )


def _check_processes(count: int, batch_size: int) -> None:
    expected = int(os.environ.get("WORLD_SIZE", "1"))
    if count != expected:
        raise RunError(
            f"the launcher started {expected} processes, but {count} joined the run. Start all of them with one "
            "launcher command"
        )
    if batch_size < count:
        raise ConfigError(
            f"--batch-size {batch_size} is smaller than the number of processes, {count}; it counts the examples of "
            "all processes together. Raise it, or start fewer processes"
        )


def set_arithmetic(config: TrainConfig, device_type: str) -> None:
    """Choose how this process multiplies matrices, with fused attention except on a CPU that multiplies with oneDNN."""
    exact = config.matmul_precision == "highest" and config.mixed_precision == "no"
    set_products(config.matmul_precision, device_type != "cpu" or exact)


def from_main(number: int, accelerator: Accelerator) -> int:
    """Return the number that the main process has passed, on every process."""
    value = torch.tensor([number], device=accelerator.device)
    return int(broadcast(value) if accelerator.num_processes > 1 else value)


def describe_machine(config: TrainConfig, accelerator: Accelerator, workers: int = 1) -> str:
    """Return one line with the number of processes, the device, the threads and the precision.

    Args:
        config: settings of the run.
        accelerator: the Accelerator of the run.
        workers: number of processes that work on different tasks, each with as many threads as this one.
    """
    count, threads = accelerator.num_processes * workers, torch.get_num_threads()
    precision = "fp32" if config.mixed_precision == "no" else config.mixed_precision
    return (
        f"{count} process{'es' * (count > 1)} on {accelerator.device.type}, "
        f"{threads} thread{'s' * (threads > 1)}{' each' * (count > 1)}, precision {precision}"
        + ("" if config.matmul_precision == "highest" else f", {config.matmul_precision} matmul precision")
    )


def default_device_type() -> str:
    """Return the device type that torch computes on: "cuda", "mps", ..., or "cpu" if there is no accelerator."""
    found = torch.accelerator.current_accelerator() if hasattr(torch, "accelerator") else None  # torch 2.6 and later
    return found.type if found is not None else "cuda" if torch.cuda.is_available() else "cpu"


def device_name(device: torch.device) -> str:
    """Return the model of the GPU, or the device type for other devices."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
