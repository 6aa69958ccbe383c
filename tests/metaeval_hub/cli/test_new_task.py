"""`metaeval new-task` looks at data and adds an entry to a task file that loads."""

import io

import pytest

from metaeval_datasets.task_file import read_entries
from metaeval_hub.cli import main
from tests.metaeval_datasets.conftest import numbered, parquet
from tests.metaeval_datasets.test_own import csv_text


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    (tmp_path / "tickets.csv").write_text(csv_text())
    (tmp_path / "doubtful.csv").write_text(
        "subject,details,kind,team\n"
        + "".join(f"subject number {i},details of this ticket {i},{'ab'[i % 2]},{'xyz'[i % 3]}\n" for i in range(30))
    )
    return tmp_path


def answers(monkeypatch, *lines):
    monkeypatch.setattr("sys.stdin", Terminal("".join(f"{line}\n" for line in lines)))


def test_a_clear_file_needs_no_answers(folder, capsys):
    assert main(["new-task", "tickets.csv", "--name", "acme/tickets"]) == 0
    printed = capsys.readouterr().out
    for line in ("tickets.csv: first 10 rows", "ticket number 9  billing", "text: message", "label: topic",
                 "added acme/tickets to tasks.yaml", "metaeval show acme/tickets --task-file tasks.yaml",
                 "metaeval fit MODEL acme/tickets --out NEW_MODEL --task-file tasks.yaml"):  # fmt: skip
        assert line in printed
    assert ["billing", "20"] in [line.split() for line in printed.splitlines()]
    assert read_entries(folder / "tasks.yaml") == {
        "acme/tickets": {
            "files": "tickets.csv", "text": "message", "label": "topic", "names": ["billing", "bug", "delivery"]
        }
    }  # fmt: skip
    assert main(["show", "acme/tickets", "--task-file", "tasks.yaml"]) == 0
    assert "source   tickets.csv (SHA-256" in capsys.readouterr().out
    assert main(["tasks", "--task-file", "tasks.yaml", "acme"]) == 0
    assert main(["show", "acme/tickets"]) == 1  # registered for one command only


def test_other_entries_and_comments_stay(folder, capsys):
    kept = "# our tasks\nacme/old:  # a comment\n  files: tickets.csv\n  text: message\n  label: topic"
    (folder / "tasks.yaml").write_text(kept)
    assert main(["new-task", "tickets.csv", "--type", "emotion"]) == 0
    text = (folder / "tasks.yaml").read_text()
    assert text == (
        f"{kept}\n\nmy/tickets:\n  files: tickets.csv\n  text: message\n  label: topic\n  type: emotion\n"
        "  names: [billing, bug, delivery]\n"
    )
    assert main(["new-task", "tickets.csv"]) == 1
    assert "tasks.yaml already declares my/tickets; edit its entry" in capsys.readouterr().err
    (folder / "flow.yaml").write_text("{acme/old: {files: tickets.csv, text: message}}\n")
    assert main(["new-task", "tickets.csv", "--out", "flow.yaml"]) == 1
    assert (folder / "flow.yaml").read_text().startswith("{acme/old")


def test_without_a_terminal_a_doubt_names_the_option(folder, capsys):
    assert main(["new-task", "doubtful.csv"]) == 1
    error = capsys.readouterr().err
    doubts = "2 columns look like labels (kind, team); 2 columns look like texts (subject, details); name the columns"
    assert f"{doubts}, for example --label kind --text details; name several columns after --text to join them" in error
    assert "or add --second-text if the task is over pairs" in error
    assert main(["new-task", "doubtful.csv", "--text", "subject", "details"]) == 1
    assert (
        "2 columns look like labels (kind, team); name the columns, for example --label kind" in capsys.readouterr().err
    )
    assert not (folder / "tasks.yaml").exists()
    assert main(["new-task", "doubtful.csv", "--text", "subject", "details", "--label", "team"]) == 0
    assert read_entries(folder / "tasks.yaml")["my/doubtful"]["text"] == ["subject", "details"]


def test_a_test_file_and_groups_are_written_to_the_entry(folder, capsys):
    (folder / "more").mkdir()
    (folder / "more" / "test.csv").write_text("message,topic\nanother ticket,billing\none more,bug\n")
    command = ["new-task", "tickets.csv", "--test", "more/test.csv", "--groups", "message"]
    assert main(command) == 0
    assert ["billing", "21"] in [line.split() for line in capsys.readouterr().out.splitlines()]
    entry = read_entries(folder / "tasks.yaml")["my/tickets"]
    assert (entry["files"], entry["groups"]) == ({"train": "tickets.csv", "test": "more/test.csv"}, "message")
    assert main(["show", "my/tickets", "--task-file", "tasks.yaml"]) == 0
    assert ["test", "2", "official", "test"] in [line.split()[:4] for line in capsys.readouterr().out.splitlines()]


def test_a_terminal_is_asked(folder, capsys, monkeypatch):
    answers(monkeypatch, "detals", "details", "", "acme/asked")
    assert main(["new-task", "doubtful.csv"]) == 0
    printed = capsys.readouterr().out
    assert "no column 'detals' (closest: 'details'); the columns are subject, details, kind, team" in printed
    entry = read_entries(folder / "tasks.yaml")["acme/asked"]
    assert (entry["text"], entry["label"]) == ("details", "kind")


def test_a_file_of_another_program(folder, capsys, caplog):
    rows = "".join(f"it\u2019s text {i};{'Bug' if i % 2 else 'bug'}\n" for i in range(12))
    (folder / "old.csv").write_bytes(("message;topic\n" + rows).encode("cp1252"))
    assert main(["new-task", "old.csv"]) == 0
    assert "the classes 'Bug' and 'bug' differ only in case or blanks" in caplog.text
    assert "it’s text 0" in capsys.readouterr().out
    entry = read_entries(folder / "tasks.yaml")["my/old"]
    assert (entry["encoding"], entry["delimiter"], entry["names"]) == ("cp1252", ";", ["Bug", "bug"])
    assert main(["show", "my/old", "--task-file", "tasks.yaml"]) == 0


def test_a_dataset_on_the_hub(folder, hub, capsys):
    repo = hub.name("own")
    rows = {**numbered(0, 40), "label": [1 + i % 2 for i in range(40)]}
    hub.add_repo(repo, repo_type="dataset", files={"train.parquet": parquet(rows)})
    assert main(["new-task", repo, "--name", "my/hub"]) == 0
    entry = read_entries(folder / "tasks.yaml")["my/hub"]
    assert entry == {
        "hub": repo, "text": "text", "label": "label", "names": ["1", "2"], "splits": ["train"],
        "label_values": {"1": "1", "2": "2"},
    }  # fmt: skip
    hub.requests.clear()
    assert main(["tasks", "my", "--task-file", "tasks.yaml"]) == 0
    assert len(hub.requests) == 0
    assert main(["show", "my/hub", "--task-file", "tasks.yaml"]) == 0
    assert "50.0%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch.csv"], "nosuch.csv does not exist"),
        (["."], "is a folder; give one of its files (doubtful.csv, tickets.csv)"),
        (["tickets.csv", "--name", "glue/cola"], "belongs to a task of the catalogue"),
        (["tickets.csv", "--label", "topc"], "no column 'topc' (closest: 'topic'); the columns are message, topic"),
        (["tickets.csv", "--groups", "custmer"], "no column 'custmer'; the columns are message, topic"),
        (["tickets.csv", "--test", "nosuch.csv"], "nosuch.csv does not exist"),
        (["acme/tickets", "--test", "tickets.csv"], "--test is for files; name the splits of a dataset on the Hub"),
        (["tickets.csv", "--config", "x"], "--config is for datasets on the Hub"),
        (
            ["tickets.csv", "--out", "nowhere/t.yaml"],
            "--out nowhere/t.yaml: the folder nowhere does not exist; create it",
        ),
        (["tickets.csv", "--type", "x"], "`type` is 'x'; expected one of acceptability"),
    ],
)
def test_errors_are_one_line_and_write_nothing(arguments, message, folder, capsys):
    assert main(["new-task", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "tasks.yaml").exists()


def test_quotation_marks_that_are_part_of_the_texts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("message;topic\n" + '"open one;x\nno "two" here;y\n' * 3)
    command = ["new-task", "a.csv", "--name", "my/a", "--text", "message", "--label", "topic"]
    assert main(command) == 1
    assert "--quote none" in capsys.readouterr().err
    assert main([*command, "--quote", "none"]) == 0
    assert "quote: none" in capsys.readouterr().out
    entry = read_entries(tmp_path / "tasks.yaml")["my/a"]
    assert (entry["quote"], entry["delimiter"]) == (None, ";")
    assert main(["new-task", "ORG/NAME", "--quote", "none"]) == 1
    assert "--quote is for CSV files; leave it out for ORG/NAME" in capsys.readouterr().err
