"""`metaeval predict`: texts from arguments and standard input, and errors in one line."""

import io
import json
import os

import pytest

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.cli import main, predict


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


def test_error_for_a_pair_without_a_tab_shows_how_to_type_one(folder, capsys):
    assert main(["predict", folder, "x/pair", r"a cat\ta dog"]) == 1
    error = capsys.readouterr().err
    assert "x/pair classifies pairs of texts, and text 1 is one text" in error
    assert r"with a tab, which bash and zsh write as $'first\tsecond'; in other quotes, \t is not a tab" in error
    assert main(["predict", folder, "x/one", "a cat\ta dog"]) == 1
    assert "tab" not in capsys.readouterr().err


def test_missing_model_gives_one_line(capsys):
    assert main(["predict", "./nowhere", "x/one", "text"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("metaeval predict: './nowhere' is neither a folder nor a Hub id: there is no such folder")
    assert error.count("\n") == 1


def test_a_folder_without_a_model_says_which_folder_is_expected(tmp_path, capsys):
    assert main(["predict", str(tmp_path), "x/one", "text"]) == 1
    expected = "is not a model or run folder: config.json is missing; expected for instance runs/NAME/model"
    assert capsys.readouterr().err == f"metaeval predict: {tmp_path} {expected}\n"


@pytest.mark.parametrize("data", [b"a\nb c\n", b"a\r\nb c\r\n", b"\xef\xbb\xbfa\nb c", b"a\nb c"])
def test_line_endings_of_all_systems_are_accepted(data, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))
    assert predict.read_lines() == ["a", "b c"]


def test_lines_that_are_not_utf_8_are_named(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("a\ntrès".encode("latin1"))))
    with pytest.raises(ValueError, match=r"line 2 of standard input is not UTF-8 \(byte 0xe8 at place 3\)"):
        predict.read_lines()
    with pytest.raises(ValueError, match="text 2 is not UTF-8"):
        predict._arguments(["a", os.fsdecode(b"\xe8")])


def test_closed_standard_input_is_reported(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ValueError, match="standard input is closed"):
        predict.read_lines()
