"""The `metaeval` command as a whole: bugs end in a traceback, mistakes of users in one line."""

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
