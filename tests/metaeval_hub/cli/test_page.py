"""`metaeval page` writes a page of its runs, or an error in one line."""

import pytest

from metaeval_hub.cli import main
from tests.metaeval_hub.demo_run import data_of, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "demo-1")


def test_the_command_writes_a_page_of_its_runs(run, tmp_path, capsys):
    other = make_run(tmp_path / "demo-1", seed=1)
    out = tmp_path / "new" / "map.html"
    assert main(["page", f"first={run}", str(other), "--out", str(out), "--title", "Two runs"]) == 0
    printed = capsys.readouterr().out
    assert f"{out}: 4 tasks, " in printed
    data = data_of(out)
    assert data["title"] == "Two runs"
    assert [each["name"] for each in data["runs"]] == ["first", "demo-1"]
    assert data["facts"][0]["examples"]
    assert "Median words" in [column["title"] for column in data["aspects"]]


def test_runs_with_the_same_name_are_labelled_by_path(run, tmp_path):
    other = make_run(tmp_path / "demo-1", seed=1)
    assert main(["page", str(run), str(other), "--out", str(tmp_path / "map.html"), "--examples", "none"]) == 0
    data = data_of(tmp_path / "map.html")
    assert [each["name"] for each in data["runs"]] == [str(run), str(other)]
    assert "examples" not in data["facts"][0]


def test_errors_are_one_line(run, tmp_path, capsys):
    missing = str(tmp_path / "none")
    assert main(["page", missing]) == 1
    assert main(["page", str(run), "--examples", "all", "--push", "org/name", "--out", str(tmp_path / "map.html")]) == 1
    printed = capsys.readouterr().err.splitlines()
    assert printed[0].startswith(f"metaeval page: {missing!r} is neither a folder nor a Hub id: there is no such")
    assert printed[0].endswith("; check the path; expected the folder of a run, such as runs/multitask-1")
    assert printed[1].startswith("metaeval page: --examples all shows texts whose licence may forbid sharing")
    assert not (tmp_path / "map.html").exists()
