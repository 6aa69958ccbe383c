"""Check what a run needs before minutes are spent on its data."""

from __future__ import annotations

import torch

from metaeval_training.config import ConfigError, TrainConfig
from metaeval_training.runs.machine import default_device_type
from metaeval_training.runs.new_model import check_model
from metaeval_training.runs.pushing import prepare_pushing
from metaeval_training.runs.reporter import Reporter
from metaeval_training.runs.tracking import check_tracker


def check_early(config: TrainConfig, reporter: Reporter) -> None:
    """Check the tracker, the compiler, the Hub login and the model's settings; warn if the push at the end would fail.

    Raises:
        ConfigError: the tracker or a compiler is not installed, or the encoder cannot be loaded or does not support the
            settings.
    """
    check_tracker(config)
    if config.compile:
        check_compiler(torch.device(default_device_type()))
    if config.push_to_hub:
        prepare_pushing(config, reporter)
    if not config.from_model:
        check_model(config)


def check_compiler(device: torch.device) -> None:
    """Compile and run a small function, so that a missing compiler is found before the data is loaded.

    Raises:
        ConfigError: torch cannot compile on this machine.
    """
    try:
        torch.compile(_double)(torch.ones(2, device=device))
    except Exception as error:  # of many kinds, one per step of the compiler
        lines = (line.strip() for line in str(error).splitlines())
        # torch begins some messages with a line such as "backend='inductor' raised:"
        reason = next((line.rstrip(".") for line in lines if line and not line.endswith(":")), type(error).__name__)
        raise ConfigError(
            f"--compile: torch.compile does not work on this machine: {reason}. Install what it needs (on a CPU a C++ "
            "compiler such as g++ and the header files of Python, on a GPU Triton), or leave out --compile"
        ) from error


def _double(values: torch.Tensor) -> torch.Tensor:
    return values * 2
