"""`metaeval train` starts the training commands, in one process or through `accelerate launch`."""

import shlex
import subprocess
import sys

import pytest
from metaeval_training.__main__ import COMMANDS
from metaeval_training.runs import restart

from metaeval_hub.cli import main, train


@pytest.fixture
def started(monkeypatch):
    """``started(*arguments)``: the command that would replace this process, and its environment."""

    def start(*arguments):
        found = []
        monkeypatch.setattr(train, "_become", lambda *given: found.append(given) or 0)
        assert main(["train", *arguments]) == 0
        return found[0]

    return start


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["multitask"]),
        (["--preset", "small"], ["multitask", "--preset", "small"]),
        (["probes", "--processes", "2"], ["probes", "--processes", "2"]),
        (["task-vectors", "fisher", "--help"], ["task-vectors", "fisher", "--help"]),
    ],
)
def test_words_after_the_options_are_those_of_the_training_command(started, arguments, expected):
    command, _ = started(*arguments)
    assert command == [sys.executable, "-m", "metaeval_training", *expected]


def test_several_processes_are_started_by_accelerate(started):
    command, environment = started("--processes", "2", "--launch=--mixed-precision bf16", "multitask", "--steps", "8")
    assert command[1:4] == ["-m", "accelerate.commands.launch", "--quiet"]
    assert command[-5:] == ["-m", "metaeval_training", "multitask", "--steps", "8"]
    flags = command[4:-5]
    assert flags[flags.index("--num_processes") + 1] == "2"
    assert {"--multi_gpu", "--num_machines", "--dynamo_backend"} <= {*flags}
    assert "--mixed_precision" not in flags  # given in the launcher's other spelling
    words = shlex.split(environment[train.STARTED_WITH])
    assert words[-5:] == ["train", "--processes", "2", "--launch", "--mixed-precision bf16"]


def test_a_configuration_of_the_launcher_keeps_its_number_of_processes(started):
    command, _ = started("--launch", "--config_file mine.yaml")
    assert command[4:-3] == ["--config_file", "mine.yaml"]


def test_unknown_commands_and_numbers_are_refused(capsys):
    assert main(["train", "single_task"]) == 2
    assert "'single_task'; did you mean single-task?" in capsys.readouterr().err
    assert main(["train", "foo"]) == 2
    expected = "multitask, single-task, probes, task-vectors, few-shot, zero-shot"
    assert capsys.readouterr().err == f"metaeval train: unknown training command 'foo'; expected one of {expected}\n"
    assert main(["train", "--processes", "0"]) == 2
    assert "--processes must be at least 1, got 0" in capsys.readouterr().err


def test_both_packages_agree():
    assert train.TRAINING_COMMANDS == COMMANDS
    assert train.STARTED_WITH == restart.STARTED_WITH


def test_the_exit_status_and_messages_are_those_of_the_training():
    command = [sys.executable, "-m", "metaeval_hub", "train", "--steps", "many"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "metaeval_hub train multitask: error: argument --steps: invalid int value: 'many'" in done.stderr
