"""`metaeval suggest`: rows to label next, as CSV."""

import csv
import io

import pytest

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.cli import main
from metaeval_hub.model import logistic

WORDS = {"bug": ("crash", "error"), "billing": ("refund", "invoice")}
LABELLED = [(f"{word} of the app {i}", topic) for i in range(5) for topic, words in WORDS.items() for word in words]
NEW = [f"{word} of the site {i}" for i in range(4) for words in WORDS.values() for word in words]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=8)
    vocabulary = [text for text, _ in LABELLED] + NEW
    model = ConditionalAdapterModel.create("tiny", {"x/one": ("no", "yes")}, config, vocabulary=vocabulary)
    return str(model.save_pretrained(tmp_path_factory.mktemp("model")))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(logistic, "REPEATS", 1)
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{text},{topic}\n" for text, topic in LABELLED)
    (tmp_path / "tickets.csv").write_text("message,topic\n" + rows)
    (tmp_path / "tasks.yaml").write_text("acme/tickets:\n  files: tickets.csv\n  text: message\n  label: topic\n")
    lines = [LABELLED[0][0], *NEW, NEW[0], ""]
    (tmp_path / "new.csv").write_text("id,message\n" + "".join(f"{i},{line}\n" for i, line in enumerate(lines)))
    return tmp_path


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_typical_rows_without_any_label(model, folder, capsys):
    assert main(["suggest", model, "--unlabelled", "new.csv", "-n", "4"]) == 0
    out = capsys.readouterr()
    found = read(out.out)
    assert list(found[0]) == ["file", "row", "text", "label", "score"]
    for each in found:
        assert each["file"] == "new.csv"
        assert each["text"] == [LABELLED[0][0], *NEW][int(each["row"])]
    assert out.err.endswith("4 of 18 texts: typical texts, because nothing is labelled yet\n")


@pytest.mark.parametrize("task", [["acme/tickets", "--task-file", "tasks.yaml"], ["tickets.csv", "--label", "topic"]])
def test_uncertain_rows_of_a_task_or_a_file_with_labels(model, folder, task, capsys):
    command = ["suggest", model, *task, "--unlabelled", "new.csv", "-n", "16", "--out", "next.csv"]
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("wrote next.csv with 16 of 18 texts: uncertain after ")
    found = read((folder / "next.csv").read_text())
    assert list(found[0])[:5] == ["file", "row", "message", "topic", "score"]  # so that a task can read both files
    assert {each["message"] for each in found} == set(NEW)  # neither the labelled text nor the repeated one
    assert {found[0]["class_1"], found[0]["class_2"]} == {"bug", "billing"}
    assert float(found[0]["score"]) == pytest.approx(
        1 - float(found[0]["probability_1"]) + float(found[0]["probability_2"]), abs=2e-3
    )
    assert all(each["topic"] == "" for each in found)


def test_the_labelled_suggestions_become_rows_of_the_task(model, folder, capsys):
    command = ["suggest", model, "acme/tickets", "--task-file", "tasks.yaml", "--unlabelled", "new.csv", "-n", "2"]
    assert main([*command, "--out", "next.csv"]) == 0
    first, second, third = (folder / "next.csv").read_text().splitlines()
    (folder / "next.csv").write_text(f"{first}\n{second.replace(',,', ',bug,')}\n{third}\n")  # one label is written
    entry = (folder / "tasks.yaml").read_text()
    (folder / "tasks.yaml").write_text(entry.replace("tickets.csv", "{train: [tickets.csv, next.csv]}"))
    assert main(["show", "acme/tickets", "--task-file", "tasks.yaml"]) == 0
    assert "dropped  1 of 22 rows of official train: no label" in capsys.readouterr().out


def test_a_task_of_the_model_needs_no_labelled_rows(model, folder, capsys):
    command = ["suggest", model, "x/one", "--unlabelled", "new.csv", "--text", "message", "-n", "2", "--max-rows", "9"]
    assert main(command) == 0
    out = capsys.readouterr()
    assert {found["class_1"] for found in read(out.out)} <= {"no", "yes"}
    assert "2 of 9 texts, drawn from 18: uncertain for the classifier of the model" in out.err
    assert "the texts that x/one was fitted to are unknown" in out.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-n", "17"], "17 suggestions are wanted, and 16 of 18 texts can be suggested (1 repeat another text, 1 are"),
        (["--text", "mesage"], "has no column 'mesage' (closest: 'message')"),
        (["-n", "0"], "-n is 0 and --max-rows 10000; expected 1 or more"),
        (["--unlabelled", "old.csv"], "old.csv does not exist; give a file of texts"),
        (["--second-text", "id"], "--second-text id needs --text"),
        (
            ["--text", "message", "--second-text", "id"],
            "acme/tickets is over single texts, and new.csv was read as pairs",
        ),
        (["--out", "."], "--out . is a folder; give the name of a file"),
        (["--out", "new.csv"], "--out new.csv exists, and its rows or labels would be lost; give another name"),
        (["--out", "tasks.yaml"], "--out tasks.yaml exists, and"),
        (["-n", "3", "--max-rows", "2"], "-n 3 asks for more rows than --max-rows 2 looks at; raise --max-rows"),
        (["--text", "words"], "its columns are id, message; name the columns of the texts with --text"),
    ],
)
def test_errors_are_one_line(model, folder, arguments, message, capsys):
    files = {path: path.read_bytes() for path in folder.iterdir()}
    command = ["suggest", model, "acme/tickets", "--task-file", "tasks.yaml", "--unlabelled", "new.csv", *arguments]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert error.startswith("metaeval suggest: ")
    assert message in error
    assert error.count("\n") == 1
    assert {path: path.read_bytes() for path in folder.iterdir()} == files


def test_the_folder_of_the_file_is_created(model, folder):
    assert main(["suggest", model, "--unlabelled", "new.csv", "-n", "1", "--out", "round/one.csv"]) == 0
    assert len(read((folder / "round" / "one.csv").read_text())) == 1


def test_unknown_tasks_and_tasks_of_one_class(model, folder, capsys):
    assert main(["suggest", model, "acme/tickets", "--unlabelled", "new.csv"]) == 1
    assert "no task 'acme/tickets'" in capsys.readouterr().err
    (folder / "one.csv").write_text("text,label\na film,good\na book,good\n")
    assert main(["suggest", model, "one.csv", "--unlabelled", "new.csv", "-n", "1"]) == 1
    assert "two classes" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["suggest m --unlabelled a.csv", "fit m x/y --out b"])
@pytest.mark.parametrize("seed", ["-1", "4294967296", "1e3"])
def test_seeds_are_whole_numbers_that_scikit_learn_accepts(command, seed, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([*command.split(), f"--seed={seed}"])
    assert f"argument --seed: expected a whole number from 0 to 4294967295, got '{seed}'" in capsys.readouterr().err


def test_how_csv_files_are_written_can_be_named(model, folder, capsys):
    (folder / "new.csv").write_text("message,x|n\n" + "".join(f"{line}|1\n" for line in NEW))
    command = ["suggest", model, "--unlabelled", "new.csv", "-n", "1", "--text", "message,x"]
    assert main(command) == 1
    assert "has no column 'message,x'" in capsys.readouterr().err
    (folder / "new.csv").write_text("message,x|n\n" + "".join(f'"{line}|1\n' for line in NEW))
    assert main([*command, "--delimiter", "|"]) == 1
    assert "--quote none" in capsys.readouterr().err
    assert main([*command, "--delimiter", "|", "--quote", "none"]) == 0
    assert read(capsys.readouterr().out)[0]["text"].startswith('"')
    (folder / "new.jsonl").write_text('{"message": "a text"}\n')
    assert main(["suggest", model, "--unlabelled", "new.jsonl", "--quote", "none"]) == 1
    assert "--quote is for CSV files; leave it out for new.jsonl" in capsys.readouterr().err
