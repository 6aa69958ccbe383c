"""The `metaeval` command as a whole: bugs end in a traceback, mistakes of users in one line."""

import sys
from importlib.metadata import version

import pytest

from metaeval_hub import cli
from metaeval_hub.cli import main, tasks


@pytest.mark.parametrize(
    ("error", "caught"),
    [(ValueError("x"), True), (OSError("x"), True), (KeyError("x"), False), (TypeError("x"), False),
     (AttributeError("x"), False), (RuntimeError("x"), False)],
)  # fmt: skip
def test_bugs_end_in_a_traceback_and_user_errors_in_one_line(error, caught, monkeypatch, capsys):
    def fail(options):
        raise error

    monkeypatch.setattr(tasks, "run", fail)
    if caught:
        assert main(["tasks"]) == 1
        assert capsys.readouterr().err == "metaeval tasks: x\n"
        return
    with pytest.raises(type(error)):
        main(["tasks"])
    assert "a bug in metaeval; please report it" in capsys.readouterr().err


def test_long_error_message_is_shortened(monkeypatch, capsys):
    monkeypatch.setattr(tasks, "run", lambda options: (_ for _ in ()).throw(ValueError("x" * 10**6)))
    assert main(["tasks"]) == 1
    assert len(capsys.readouterr().err) < cli.MOST_CHARACTERS + 100


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("taks", "metaeval: error: unknown command 'taks'; did you mean tasks?"),
        ("xyzzy", "metaeval: error: unknown command 'xyzzy'; expected one of tasks, show, check-sources, publish, "),
    ],
)
def test_an_unknown_command_names_the_nearest(typed, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([typed])
    assert capsys.readouterr().err.splitlines()[-1].startswith(message)


def test_the_version_is_shown(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"metaeval {version('metaeval')}\n"


def test_completion_names_its_package_if_it_is_missing(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    assert "pip install 'metaeval[completion]'" in capsys.readouterr().err


def test_completion_knows_every_command(capsys):
    pytest.importorskip("shtab")
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert all(command in script for command in ("check-sources", "single-task", "--processes"))
