"""`metaeval fit`: rows of a task file become a task of a model, with a report that finds wrong labels."""

import json
import shutil

import numpy as np
import pytest
import torch

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.cli import main
from metaeval_hub.model import fit_comparison, logistic

WORDS = {"bug": ("crash", "error", "freeze"), "billing": ("refund", "invoice", "charge")}
TEXTS = [(f"{word} of the {thing} {i}", topic) for i in range(8) for topic, words in WORDS.items() for word in words
         for thing in ("app",)]  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)
    vocabulary = [text for text, _ in TEXTS]
    model = ConditionalAdapterModel.create("tiny", {"x/one": ("no", "yes")}, config, vocabulary=vocabulary)
    return str(model.save_pretrained(tmp_path_factory.mktemp("model")))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(fit_comparison, "FOLDS_OF_FEW_ROWS", 3)
    monkeypatch.setattr(logistic, "REPEATS", 1)
    monkeypatch.chdir(tmp_path)
    wrong = [(text, "billing" if i == 6 else topic) for i, (text, topic) in enumerate(TEXTS)]
    (tmp_path / "tickets.csv").write_text("text,label\n" + "".join(f"{text},{topic}\n" for text, topic in wrong))
    (tmp_path / "tasks.yaml").write_text("acme/tickets:\n  files: tickets.csv\n  text: text\n  label: label\n")
    return tmp_path


def test_fit_reports_and_writes_a_model_with_the_task(model, folder, capsys):
    command = ["fit", model, "acme/tickets", "--task-file", "tasks.yaml", "--out", "new", "--all-rows"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    for line in ("acme/tickets\nfitted to ", "3-fold cross-validation", "given \\ predicted  billing  bug\n",
                 "most confidently wrong", "wrote new with 2 tasks, and new/fit_report.json"):  # fmt: skip
        assert line in printed
    facts = json.loads((folder / "new" / "fit_report.json").read_text())
    assert facts["cut_texts"] == {"rows": 0, "max_length": 16, "side": "right"}
    assert "long texts" not in printed
    assert sum(facts["splits"].values()) == facts["rows"] == len(TEXTS)
    assert sum(map(sum, facts["confusion"])) == len(TEXTS)
    assert facts["methods"]["fit"]["accuracy"] > 0.9 > 0.6 > facts["methods"]["majority"]["accuracy"]
    first = facts["confidently_wrong"][0]
    assert (first["row"], first["given"], first["predicted"]) == (6, "billing", "bug")  # the wrong label of the file
    assert first["source"] == "tickets.csv"
    before, after = (ConditionalAdapterModel.from_pretrained(each) for each in (model, folder / "new"))
    assert torch.equal(before.logits("x/one", ["crash"]), after.logits("x/one", ["crash"]))
    assert after.predict("acme/tickets", ["error of the app 3", "refund of the app 3"]).labels == ["bug", "billing"]


def test_test_rows_are_scored_only(model, folder, capsys):
    assert main(["fit", model, "acme/tickets", "--task-file", "tasks.yaml", "--out", "new", "--max-rows", "20"]) == 0
    printed = capsys.readouterr().out
    facts = json.loads((folder / "new" / "fit_report.json").read_text())
    assert (facts["rows"], facts["splits"]["drawn"]) == (20, 20)
    assert facts["methods"]["fit"]["test"]["rows"] == facts["splits"]["test"] > 0
    assert f"test rows scored only: {facts['splits']['test']}" in printed
    command = ["fit", "new", "acme/tickets", "--task-file", "tasks.yaml", "--out", "newer"]
    assert main(command) == 1
    assert "new has a task 'acme/tickets' already; give the model that it was added to" in capsys.readouterr().err


def test_doubtful_rows_are_named_by_their_file_and_groups_reach_the_folds(model, folder, monkeypatch, capsys):
    (folder / "more.csv").write_text(
        f"text,label,by\nerror of the app 70,billing,ann\nrefund of the app 71{' app' * 16},billing,ann\n"
    )
    lines = (folder / "tickets.csv").read_text().splitlines()[1:]
    rows = "".join(f"{line},{'ann' if i < 9 else i}\n" for i, line in enumerate(lines) if i != 6)
    (folder / "tickets.csv").write_text("text,label,by\n" + rows)
    (folder / "tasks.yaml").write_text(
        "acme/tickets:\n  files: {train: tickets.csv, validation: more.csv, test: more.csv}\n  text: text\n"
        "  label: label\n  groups: by\n"
    )
    given = []
    monkeypatch.setattr(
        fit_comparison, "folds_by_group", lambda *arguments: given.append(arguments[1]) or np.arange(49) % 3
    )
    assert main(["fit", model, "acme/tickets", "--task-file", "tasks.yaml", "--out", "new", "--wrong", "1"]) == 0
    facts = json.loads((folder / "new" / "fit_report.json").read_text())
    [first] = facts["confidently_wrong"]
    assert f"long texts: 1 of {facts['rows']} rows have more than 16 tokens; the encoder reads only the first 16" in (
        capsys.readouterr().out
    )
    assert (first["source"], first["row"], first["text"]) == ("more.csv", 0, "error of the app 70")
    assert np.bincount(given[0]).max() == 10  # 8 rows of ann in one file and 2 in the other


@pytest.mark.parametrize(
    "command", [["fit", "nosuch", "a/b", "--out", "new"], ["suggest", "nosuch", "--unlabelled", "x"]]
)
def test_a_mistyped_model_is_reported_before_anything_is_read(folder, command, capsys):
    assert main(command) == 1  # the task and the file do not exist either
    assert "'nosuch' is neither a folder nor a Hub id" in capsys.readouterr().err


def test_a_model_is_never_replaced(model, folder, capsys):
    shutil.copytree(model, "run/model")
    shutil.copytree(model, "other")
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for given, out, message in (
        ("run/model", "run/../run/model", "--out run/../run/model contains the model itself, which would be replaced"),
        ("run", "run", "--out run contains the model itself"),
        ("run", "run/model", "--out run/model contains the model itself"),
        ("run", "other", "--out other contains a model that `metaeval fit` did not write, which would be replaced"),
    ):
        assert main(["fit", given, "acme/tickets", "--out", out, "--task-file", "tasks.yaml"]) == 1
        assert message in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["acme/ticket", "--out", "new"], "no task 'acme/ticket' among"),
        (["acme/tickets", "--out", "new", "--start", "x/two"], "no task 'x/two' among the 1 of this model"),
        (["acme/tickets", "--out", "new", "--wrong", "-1"], "--wrong must not be negative, got -1"),
        (["acme/tickets", "--out", "tasks.yaml/new"], "--out tasks.yaml/new: files cannot be written into"),
    ],
)
def test_errors_are_one_line(model, folder, arguments, message, capsys):
    assert main(["fit", model, *arguments, "--task-file", "tasks.yaml"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("metaeval fit: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "new").exists()
