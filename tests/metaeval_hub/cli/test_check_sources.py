"""`metaeval check-sources`: its output for terminals, pipes and as JSON, and its exit status."""

import io
import json
from types import SimpleNamespace

import pytest
from rich.cells import cell_len
from rich.console import Console

from metaeval_datasets.sources import asking
from metaeval_datasets.spec import PaperEdition, Source
from metaeval_hub.cli import check_sources, main
from tests.metaeval_datasets.conftest import declare, numbered, parquet, task  # noqa: F401

GONE = Source("nobody/nothing")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(asking.time, "sleep", lambda seconds: None)


@pytest.fixture
def repo(hub):
    name = hub.name("listed")
    content = parquet(numbered(0, 10), ("no", "yes"))
    hub.add_repo(
        name, {f"c/{split}.parquet": content for split in ("train", "validation", "test")}, repo_type="dataset"
    )
    return name


@pytest.fixture
def three(repo, declare):  # noqa: F811
    """Declare a task as its source has it, one whose second source has other rows, and one without a source."""
    good = Source(repo, config="c")
    declare(task(name="made_up/good", sources=(good, GONE), citation="wang2019glue"))
    declare(task(name="made_up/other", sources=(GONE, good), rows={"train": 12}))
    declare(task(name="made_up/gone", sources=(Source(repo, config="d"), GONE)))
    return repo


def test_pipe_gets_one_line_per_source_worst_first(three, capsys):
    assert main(["check-sources", "made_up"]) == 1
    header, *lines, blank, tasks, asked = capsys.readouterr().out.splitlines()
    assert header.split() == ["status", "task", "source", "what", "is", "found"]
    gone, nothing, first, second = (" ".join(line.split()) for line in lines)
    assert gone == f"not usable made_up/gone {three} (d) has no config 'd'; it has 'c'"
    assert nothing == "not usable made_up/gone nobody/nothing no such repository, or a private one"
    assert first == "differs made_up/other nobody/nothing no such repository, or a private one"
    assert second == f"differs made_up/other {three} (c) used; train 10 rows (declared 12)"
    assert (blank, tasks) == ("", "3 tasks: 1 as declared, 1 usable but differ, 1 not usable")
    assert asked.startswith("6 sources: read 2 repositories and 3 files, ")


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_terminal_of_any_width_shows_every_name_whole(three, width, monkeypatch, capsys):
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=width, color_system=None, highlight=False, markup=False)
    monkeypatch.setattr(check_sources, "make_console", lambda: console)
    assert main(["check-sources", "made_up", "--all"]) == 1
    lines = shown.getvalue().splitlines()
    assert all(cell_len(line) <= width for line in lines)
    titles = [line for line in lines if line.isupper() or line[:1].isupper()]
    assert titles == ["NOT USABLE (1)", "DIFFERS (1)", "USABLE (1)"]
    together = "".join("".join(lines).split())
    for text in (
        "made_up/gone",
        "made_up/other",
        "made_up/good",
        f"{three}(c)",
        "asdeclared;train10,validation10,test10",
    ):
        assert text in together
    assert "3 tasks" in capsys.readouterr().out


def test_exit_status_is_0_if_every_task_has_a_source(three, capsys):
    assert main(["check-sources", "made_up/good", "made_up/other"]) == 0
    assert "2 tasks: 1 as declared, 1 usable but differ, 0 not usable" in capsys.readouterr().out
    assert main(["check-sources", "made_up/good"]) == 0
    assert (
        "as declared; train 10, validation 10, test 10; commit " in capsys.readouterr().out
    )  # a single run is always shown


def test_paper_edition_is_listed_if_its_result_differs(repo, declare, capsys):  # noqa: F811
    good = Source(repo, config="c")
    declare(
        task(name="made_up/same", sources=(good,), rows={"train": 1}, paper=PaperEdition("A text.", sentence="text"))
    )
    declare(task(name="made_up/not_same", sources=(good,), paper=PaperEdition("Another source.", sources=(GONE,))))
    assert main(["check-sources", "made_up"]) == 1
    printed = capsys.readouterr().out
    assert "made_up/not_same (paper)" in printed
    assert "made_up/same (paper)" not in printed
    assert "2 tasks: 1 as declared, 1 usable but differ, 0 not usable\n2 editions of the paper: 0 as" in printed
    assert main(["check-sources", "made_up", "--edition", "careful"]) == 0
    assert main(["check-sources", "demo/manners", "--edition", "paper"]) == 1
    assert "none of demo/manners has its own 'paper' edition; leave out --edition" in capsys.readouterr().err


def test_json_has_everything(three, hub, tmp_path, capsys):
    path = tmp_path / "check.json"
    main(["check-sources", "made_up", "--json", str(path)])
    facts = json.loads(path.read_text(encoding="utf-8"))
    assert {entry["task"]: entry["status"] for entry in facts["tasks"]} == {
        "made_up/good": "usable",
        "made_up/other": "differs",
        "made_up/gone": "not usable",
    }
    assert facts["endpoint"] == hub.url
    assert facts["tasks"][1]["serves"] == f"{three} (c)"
    source = facts["tasks"][0]["sources"][0]
    assert source["splits"]["train"] == {"files": 1, "bytes": source["splits"]["train"]["bytes"], "rows": 10} | {
        "declared": None,
        "hidden": False,
    }
    assert [entry.name for entry in tmp_path.iterdir()] == ["check.json"]
    capsys.readouterr()
    main(["check-sources", "made_up", "--json", "-"])
    assert json.loads(capsys.readouterr().out)["tasks"] == facts["tasks"]


def test_sources_without_an_answer_of_the_hub_are_reported(three, hub, capsys):
    hub.faults.add(three, status=503, times=None)
    assert main(["check-sources", "made_up/good"]) == 1
    printed = capsys.readouterr().out
    assert "the Hub answered 503" in printed
    assert "the Hub did not answer for 1 of 2 sources; try again later" in printed


def commit_of(hub, repo):
    return hub.repo(repo, "dataset").commit().sha


def test_pin_writes_the_commits_and_pins_compares_them_with_the_branches(three, hub, tmp_path, capsys):
    path, old = tmp_path / "pins.json", commit_of(hub, three)
    assert main(["check-sources", "made_up", "--pin", str(path)]) == 1
    assert json.loads(path.read_text(encoding="utf-8")) == {"version": 1, "sources": {three: old}}
    assert capsys.readouterr().err.splitlines() == [
        f"{path}: commits of 1 source",
        "not pinned, because they cannot be read: nobody/nothing",
    ]
    assert main(["check-sources", "made_up/good", "--pins", str(path)]) == 0
    assert "1 task: 1 as declared" in capsys.readouterr().out
    hub.add_repo(three, {"c/train.parquet": parquet(numbered(0, 3), ("no", "yes"))}, repo_type="dataset")
    assert main(["check-sources", "made_up/good", "--pins", str(path)]) == 0
    moved = f"has moved from its pinned commit {old} to {commit_of(hub, three)}"
    assert moved in " ".join(capsys.readouterr().out.split())
    assert main(["show", "made_up/good", "--json", "--pins", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["splits"]["train"]["rows"] == 10
    assert main(["show", "made_up/good", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["splits"]["train"]["rows"] == 3


def test_a_pinned_commit_that_is_gone_is_reported(three, tmp_path, capsys):
    path = tmp_path / "pins.json"
    path.write_text(json.dumps({"version": 1, "sources": {three: "f" * 40}}), encoding="utf-8")
    assert main(["check-sources", "made_up/good", "--pins", str(path)]) == 1
    found = " ".join(capsys.readouterr().out.split())
    assert f"the commit {'f' * 40} at which {path} pins {three} does not exist any more" in found
    assert main(["show", "made_up/good", "--pins", str(path)]) == 1
    assert f"pins {three} does not exist any more" in capsys.readouterr().err


def test_no_pin_file_is_written_if_the_hub_does_not_answer(three, hub, tmp_path, capsys):
    path = tmp_path / "pins.json"
    hub.faults.add(three, status=503, times=None)
    assert main(["check-sources", "made_up/good", "--pin", str(path)]) == 1
    assert f"no pin file is written, because the Hub did not answer for {three}; try again" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_malformed_pin_file_ends_a_command_in_one_line(tmp_path, capsys):
    path = tmp_path / "pins.json"
    path.write_text("{}", encoding="utf-8")
    for command in (["show", "demo/manners"], ["check-sources", "demo"], ["overlap", "demo"]):
        assert main([*command, "--pins", str(path)]) == 1
        assert capsys.readouterr().err.startswith(f"metaeval {command[0]}: the pin file {path} is malformed: ")


def test_errors_are_one_line(capsys):
    assert main(["check-sources", "gluu"]) == 1
    assert capsys.readouterr().err.startswith("metaeval check-sources: no task or group 'gluu'; closest: glue")
    assert main(["check-sources", "demo", "--workers", "0"]) == 1
    assert capsys.readouterr().err == "metaeval check-sources: --workers must be at least 1, got 0\n"


def test_editions_of_the_paper_are_counted_separately():
    tasks, paper = [SimpleNamespace(edition="careful")] * 23, [SimpleNamespace(edition="paper")] * 2
    assert check_sources._count(tasks) == "23"
    assert check_sources._count(tasks + paper) == "23 and 2 of the paper's editions"
