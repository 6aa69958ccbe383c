"""The `metaeval` command, called as the console script calls it."""

import io
import json
import sys

import pytest

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.cli import main
from metaeval_hub.cli.predict import read_lines
from metaeval_hub.cli.terminal import make_console, make_table, print_table, protect_output


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
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a cat\ta dog\na dog\ta dog\n")))
    assert main(["predict", folder, "x/pair", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == ["a cat\ta dog", "a dog\ta dog"]
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x/onee", "text"], "metaeval predict: no task 'x/onee' among the 2 of this model; closest: x/one"),
        (["x/one", "text", "a\tpair"], "metaeval predict: texts[1] is ('a', 'pair'); expected all texts, or all pairs"),
    ],
)
def test_errors_are_one_line_and_status_1(folder, arguments, message, capsys):
    assert main(["predict", folder, *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_pair_without_a_tab_is_told_how_to_type_one(folder, capsys):
    assert main(["predict", folder, "x/pair", r"a cat\ta dog"]) == 1
    error = capsys.readouterr().err
    assert "x/pair is a task over pairs of texts, and texts[0] is one text" in error
    assert r"a tab in between, which bash and zsh write as $'first\tsecond'; a backslash and a t" in error
    assert main(["predict", folder, "x/one", "a cat\ta dog"]) == 1
    assert "tab" not in capsys.readouterr().err


def test_a_missing_model_is_one_line_too(capsys):
    assert main(["predict", "./nowhere", "x/one", "text"]) == 1
    told = 'there is no such folder, and a Hub id has the form "org/name"; check the path'
    assert capsys.readouterr().err == f"metaeval predict: './nowhere' is neither a folder nor a Hub id: {told}\n"


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\r\ntwo", ["one", "two"]),
        (b"\xef\xbb\xbfone\n\ntwo\n", ["one", "", "two"]),
        ("a\u2028b\x85c\n".encode(), ["a\u2028b\x85c"]),
        (b"", []),
    ],
)
def test_lines_of_standard_input_end_in_any_way(content, texts):
    assert read_lines(content) == texts


def test_a_line_that_is_not_utf_8_is_named():
    with pytest.raises(ValueError, match="line 2 of standard input is not UTF-8: byte 0xe8 at place 3"):
        read_lines(b"w1\ntr\xe8s\n")


def test_the_folder_of_a_run_stands_for_its_model(folder, tmp_path, capsys):
    (tmp_path / "model").symlink_to(folder)
    assert main(["predict", str(tmp_path), "x/one", "a cat"]) == 0
    assert capsys.readouterr().out.endswith("a cat\n")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_any_encoding_of_the_output_will_do(encoding, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding))
    assert main(["tasks", "demo"]) == 0
    protect_output()
    print("a \u2013 \u4e2d")
    sys.stdout.flush()
    assert raw.getvalue().decode(encoding).endswith("\\u4e2d\n")


def test_faults_of_our_own_keep_their_traceback(monkeypatch):
    def run(options):
        raise KeyError("a bug")

    monkeypatch.setattr("metaeval_hub.cli.tasks.run", run)
    with pytest.raises(KeyError, match="a bug"):
        main(["tasks"])


def test_control_characters_never_reach_the_terminal():
    shown = io.StringIO()
    console = make_console()
    console.file = shown
    table = make_table("name\x1b[31m")
    table.add_row("a\x1b]0;owned\x07b\u202e")
    print_table(console, table)
    console.print("x\x1b[2Jy", style="bold")
    assert shown.getvalue().replace("\n", "").isprintable()
    assert "a]0;ownedb" in shown.getvalue()
