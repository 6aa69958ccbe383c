"""`metaeval show`: numbers, examples and source of a task."""

import io
import json

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from metaeval_datasets import get_task, list_tasks, load_dataset
from metaeval_datasets.spec import PaperEdition, Source
from metaeval_datasets.summary import summarise
from metaeval_hub.cli import main, show
from tests.metaeval_datasets.conftest import declare, numbered, parquet, task  # noqa: F401


def test_a_demo_task_needs_no_hub(hub, capsys):
    assert main(["show", "demo/film_reviews"]) == 0
    printed = capsys.readouterr().out
    loaded = load_dataset("metaeval", "demo/film_reviews")
    share = np.mean(np.array(loaded["train"]["label"]) == 0)
    assert f"negative  {share:.1%}" in printed
    for line in ("emotion, one text, 2 classes; careful edition", "dropped  nothing", "licence  mit"):
        assert line in printed
    assert "@misc{sileo2022analysis," in printed
    assert printed.count("\n  - ") == 6
    assert len(hub.requests) == 0


ONE_TEXT, TWO_TEXTS = (
    next(name for name in list_tasks(group="demo") if get_task(name).num_text_fields == fields) for fields in (1, 2)
)


@pytest.mark.parametrize("name", [ONE_TEXT, TWO_TEXTS])
@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_terminal_of_any_width_is_not_overrun(name, width, monkeypatch):
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=width, color_system=None, highlight=False, markup=False)
    monkeypatch.setattr(show, "make_console", lambda: console)
    assert main(["show", name]) == 0
    before_reference = shown.getvalue().split("@misc")[0]
    assert all(cell_len(line) <= width for line in before_reference.splitlines())


def test_numbers_agree_with_the_rows(capsys):
    assert main(["show", "demo/feelings", "--json", "--examples", "2"]) == 0
    facts = json.loads(capsys.readouterr().out)
    loaded = load_dataset("metaeval", "demo/feelings")
    for split, rows in loaded.items():
        found = facts["splits"][split]
        labels = [facts["classes"][label] for label in rows["label"]]
        assert found["labels"] == {name: labels.count(name) for name in facts["classes"]}
        words = np.array([len(text.split()) for text in rows["sentence"]])
        expected = np.quantile(words, [0.25, 0.5, 0.75], method="inverted_cdf")
        assert list(found["words"]["sentence"].values()) == [*expected, words.max()]
    for name, examples in facts["examples"].items():
        assert len(examples) == 2
        for example in examples:
            row = next(row for row in loaded["train"] if row["idx"] == example["idx"])
            assert (row["sentence"], facts["classes"][row["label"]]) == (example["sentence"], name)
    assert facts["report"]["task"] == "demo/feelings"


def test_long_splits_are_sampled_for_their_lengths(monkeypatch):
    monkeypatch.setattr("metaeval_datasets.summary.MEASURED_ROWS", 100)
    loaded = load_dataset("metaeval", "demo/feelings")
    found = summarise(loaded, get_task("demo/feelings"))
    assert {split: numbers.every for split, numbers in found.splits.items()} == {"train": 4, "validation": 2, "test": 2}
    words = [len(text.split()) for text in loaded["train"]["sentence"][::4]]
    assert found.splits["train"].words["sentence"].longest == max(words)
    assert sum(found.splits["train"].labels.values()) == 400


def test_one_split(capsys):
    assert main(["show", "demo/manners", "--split", "test"]) == 0
    printed = capsys.readouterr().out
    assert "examples (test)" in printed
    assert "validation" not in printed


@pytest.fixture
def odd(hub, declare):  # noqa: F811
    """Declare a task with dropped rows, a hidden split, a missing source, long texts and an edition of the paper."""
    name = hub.name("odd")
    rows = numbered(0, 20)
    rows["text"][3] = ""
    rows["text"][4] = "一二三四五六七八九十 " * 30
    test = {"text": ["a"] * 7, "label": [-1] * 7}
    files = {
        "train.parquet": parquet(rows),
        "validation.parquet": parquet(numbered(20, 30)),
        "test.parquet": parquet(test),
    }
    hub.add_repo(name, files, repo_type="dataset")
    sources = (Source("nobody/nothing"), Source(name))
    edition = PaperEdition("The paper swaps the names.", names=("yes", "no"))
    spec = task(
        name="made_up/odd", sources=sources, unlabelled=("test",), paper=edition, notes="A note.", citation="li2002trec"
    )
    declare(spec)
    return name


def test_source_and_dropped_rows_are_shown(odd, capsys):
    assert main(["show", "made_up/odd"]) == 0
    printed = capsys.readouterr().out
    for text in (
        f"source    {odd}, commit ",
        "not used: nobody/nothing: no such repository",
        "dropped   1 of 20 rows of official train: empty sentence",
        "not read  official test, labels hidden (7 rows)",
        "licence   cc0-1.0",
        "notes     A note.",
        "paper     The paper swaps the names. (--edition paper)",
        "@misc{li2002trec,",
        "derived from train",
        "official validation",
    ):
        assert text in printed
    assert main(["show", "made_up/odd", "--edition", "paper"]) == 0
    printed = capsys.readouterr().out
    assert "paper edition" in printed
    assert "The paper swaps the names.\n" in printed


def test_messages_are_shown_or_logged_but_not_both(odd, capfd):
    assert main(["show", "made_up/odd", "--json"]) == 0
    captured = capfd.readouterr()
    assert captured.err == ""
    assert json.loads(captured.out)["report"]["official"]["train"]["dropped"] == {"empty sentence": 1}


def test_declaration_is_shown_if_a_task_cannot_be_loaded(declare, capsys):  # noqa: F811
    declare(task(name="made_up/gone", sources=(Source("nobody/nothing"), Source("nobody/else")), citation="li2002trec"))
    assert main(["show", "made_up/gone"]) == 1
    captured = capsys.readouterr()
    assert "classes        no, yes" in captured.out
    assert "official rows  unknown" in captured.out
    assert captured.err.startswith(
        "metaeval show: task made_up/gone: none of its sources can be used: nobody/nothing: no such"
    )
    assert captured.err.count("\n") == 1
    assert main(["show", "made_up/gone", "--json"]) == 1
    assert capsys.readouterr().out == ""


def test_missing_split_gives_one_line(odd, declare, capsys):  # noqa: F811
    declare(task(name="made_up/diagnostic", sources=(Source(odd),), splits=("test",), unlabelled=("test",)))
    assert main(["show", "made_up/diagnostic", "--split", "train"]) == 1
    assert capsys.readouterr().err == "metaeval show: made_up/diagnostic has no split 'train'; it has test\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo/maners"], "no task 'demo/maners' among "),
        (["nosuch"], "no task 'nosuch' among 124; closest: none; run `metaeval tasks` to list them\n"),
        (["demo/manners", "--examples", "-1"], "--examples must not be negative, got -1"),
    ],
)
def test_errors_are_one_line(arguments, message, capsys):
    assert main(["show", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"metaeval show: {message}")
    assert error.count("\n") == 1
