"""The `metaeval` command, called as the console script calls it."""

import io
import json
import sys
from importlib.metadata import version

import pytest

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.cli import main


def test_tasks_are_listed_and_filtered(capsys):
    assert main(["tasks", "demo", "--type", "nli", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert all(row["name"].startswith("demo/") and row["type"] == "nli" for row in rows)
    assert main(["tasks", "demo"]) == 0
    printed = capsys.readouterr().out
    assert all(row["name"] in printed for row in rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    labels = {"x/one": ("no", "yes"), "x/pair": ("same", "other")}
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)
    model = ConditionalAdapterModel.create(
        "tiny", labels, config, vocabulary=["a cat sat", "a dog ran"], fields={"x/one": 1, "x/pair": 2}
    )
    return str(model.save_pretrained(tmp_path_factory.mktemp("model")))


def test_predict_reads_arguments_and_standard_input(folder, capsys, monkeypatch):
    assert main(["predict", folder, "x/one", "a cat", "a dog"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[2] for line in printed] == ["a cat", "a dog"]
    monkeypatch.setattr("sys.stdin", io.StringIO("a cat\ta dog\na dog\ta dog\n"))
    assert main(["predict", folder, "x/pair", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == ["a cat\ta dog", "a dog\ta dog"]
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x/onee", "text"], "metaeval predict: no task 'x/onee' among the 2 of this model; closest: x/one"),
        (["x/one", "text", "a\tpair"], "metaeval predict: x/one classifies single texts, and text 2 is a pair"),
    ],
)
def test_errors_are_one_line_and_status_1(folder, arguments, message, capsys):
    assert main(["predict", folder, *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_pair_without_a_tab_is_told_how_to_type_one(folder, capsys):
    assert main(["predict", folder, "x/pair", r"a cat\ta dog"]) == 1
    error = capsys.readouterr().err
    assert "x/pair classifies pairs of texts, and text 1 is one text" in error
    assert r"with a tab, which bash and zsh write as $'first\tsecond'; in other quotes, \t is not a tab" in error
    assert main(["predict", folder, "x/one", "a cat\ta dog"]) == 1
    assert "tab" not in capsys.readouterr().err


def test_a_missing_model_is_one_line_too(capsys):
    assert main(["predict", "./nowhere", "x/one", "text"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("metaeval predict: './nowhere' is neither a folder nor a Hub id: there is no such folder")
    assert error.count("\n") == 1


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
