"""Open or create the folder of a multitask run, on any number of processes."""

from __future__ import annotations

from pathlib import Path

import torch
from accelerate import Accelerator

from metaeval_training.config import TrainConfig, check_resume, read_config
from metaeval_training.flags import CommandLine
from metaeval_training.runs.folder import RunFolder
from metaeval_training.runs.lifecycle import Session
from metaeval_training.runs.machine import from_main
from metaeval_training.runs.prepared import Prepared
from metaeval_training.runs.provenance import check_or_write_data, describe_data


def open_run(session: Session, command: CommandLine) -> tuple[TrainConfig, RunFolder | None]:
    """Return the settings of a run, and its folder if it is resumed.

    Raises:
        RunError: there is no such run.
        ConfigError: its settings cannot be read, or differ from the flags given now.
    """
    run = session.open(command.resume, command.config.output_dir, command.config.name)
    return (command.config, None) if run is None else (check_resume(read_config(run.config), command.flags), run)


def create_run(session: Session, config: TrainConfig, accelerator: Accelerator) -> RunFolder:
    """Create the folder of a new run on the main process, and send its number to the others."""
    number = 0
    if accelerator.is_main_process:
        run = session.create(config.output_dir, config.name, lambda run: run.write_json(run.config, config.to_dict()))
        number = int(run.path.name.rsplit("-", 1)[1])
    session.run = RunFolder(Path(config.output_dir) / f"{config.name}-{from_main(number, accelerator)}")
    return session.run


def record_start(session: Session, run: RunFolder, prepared: Prepared, accelerator: Accelerator, resumed: bool) -> None:
    """Store data, versions and the first task embeddings of a new run; compare those of a resumed run.

    Raises:
        RunError, DamagedFileError: see ``check_or_write_data``.
    """
    if not accelerator.is_main_process:
        return
    counts = {"processes": accelerator.num_processes, "threads": torch.get_num_threads()}
    facts = describe_data(prepared.tasks, prepared.skipped, prepared.model) | counts
    check_or_write_data(run, facts, resumed, session.reporter)
    if prepared.model.config.has_task_embeddings:
        prepared.model.task_embeddings.save(run.start_embeddings)
