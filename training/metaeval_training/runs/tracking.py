"""Send curves of a run to TensorBoard or Weights & Biases, in addition to metrics.jsonl."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import filter_trackers
from accelerate.utils import is_tensorboard_available, is_wandb_available

from metaeval_training.config import ConfigError, TrainConfig
from metaeval_training.runs.folder import RunFolder
from metaeval_training.runs.reporter import Reporter

AVAILABLE = {"tensorboard": is_tensorboard_available, "wandb": is_wandb_available}
PROJECT = "metaeval"  # of the runs on wandb


def check_tracker(config: TrainConfig) -> None:
    """Check that the tracker of the settings is installed.

    Raises:
        ConfigError: it is not installed.
    """
    if config.tracker != "none" and not AVAILABLE[config.tracker]():
        raise ConfigError(f"--tracker {config.tracker} needs a package; install it with: pip install {config.tracker}")


class Tracking:
    """Sends curves to the tracker, or nowhere with ``--tracker none``. A failing tracker is reported once.

    Args:
        accelerator: the Accelerator of the run.
        reporter: shows a failure.
    """

    def __init__(self, accelerator: Accelerator, reporter: Reporter) -> None:
        self.accelerator, self.reporter = accelerator, reporter

    def __enter__(self) -> Tracking:
        return self

    def __exit__(self, *error: object) -> None:
        self.finish()

    def start(self, config: TrainConfig, run: RunFolder, step: int) -> None:
        """Start, or resume after ``step`` steps: later points of the curves are drawn again."""
        if config.tracker == "none":
            return
        name = run.path.name
        options: dict[str, dict[str, Any]] = {
            "tensorboard": {"purge_step": step + 1 if step else None},
            "wandb": {"dir": str(run.path), "name": name, "resume": "allow"},
        }
        settings = {key: value if isinstance(value, (bool, int, float, str)) else " ".join(value)
                    for key, value in config.to_dict().items()}  # fmt: skip
        self.accelerator.project_configuration.set_directories(str(run.path))
        self.accelerator.log_with = filter_trackers(config.tracker, str(run.path))
        project = PROJECT if config.tracker == "wandb" else config.tracker  # tensorboard: a subfolder of the run
        self._try(
            lambda: self.accelerator.init_trackers(
                project, None if step else settings, {config.tracker: options[config.tracker]}
            )
        )

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Add a value to each named curve, at a step."""
        if self.accelerator.trackers:
            self._try(lambda: self.accelerator.log(dict(values), step=step))

    def finish(self) -> None:
        """Write the values that are still in memory."""
        for tracker in self.accelerator.trackers:
            self._try(tracker.finish)
        self.accelerator.trackers = []

    def _try(self, act: Any) -> None:
        try:
            act()
        except Exception as error:  # whatever is wrong with the tracker, training continues
            self.accelerator.trackers = []
            self.reporter.warn(
                f"the tracker failed and gets no more curves, the run continues: {type(error).__name__}: {error}"
            )
