"""Tasks that installed packages contribute."""

import logging

import pytest

from metaeval_datasets import UnknownTaskError, get_task, list_tasks, plug_ins, select_tasks
from tests.metaeval_datasets.test_own import csv_text

MODULE = """
from pathlib import Path
from metaeval_datasets import task_from
HERE = Path(__file__).parent
FILE = HERE / "tasks.yaml"

def tasks():
    yield task_from(HERE / "rows.csv", name="corp/made", text="message", label="topic")

def broken():
    raise RuntimeError("no licence server")

LISTED = [3]

def taken():
    import dataclasses
    return [dataclasses.replace(spec, name="glue/cola") for spec in tasks()]
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package whose entry points are the given ones."""
    (tmp_path / "corp_tasks.py").write_text(MODULE)
    (tmp_path / "rows.csv").write_text(csv_text())
    (tmp_path / "tasks.yaml").write_text("corp/filed:\n  files: rows.csv\n  text: message\n  label: topic\n")
    info = tmp_path / "corp_tasks-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: corp-tasks\nVersion: 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plug_ins, "_found", [])
    monkeypatch.delitem(__import__("sys").modules, "corp_tasks", raising=False)

    def install(*names):
        lines = [f"{name} = corp_tasks:{name}" for name in names]
        (info / "entry_points.txt").write_text("[metaeval.tasks]\n" + "\n".join(lines) + "\n")

    return install


def test_functions_and_files_contribute_tasks(install):
    install("tasks", "FILE")
    assert list_tasks(own=True) == ["corp/made", "corp/filed"]
    assert get_task("corp/filed").names == ("billing", "bug", "delivery")
    assert select_tasks(["corp"]) == ["corp/made", "corp/filed"]
    assert "corp/made" not in select_tasks("all")
    with pytest.raises(UnknownTaskError, match="closest: corp/made"):
        get_task("corp/mad")


def test_a_wrong_entry_of_a_file_leaves_out_its_task_only(install, tmp_path, caplog):
    install("FILE")
    with (tmp_path / "tasks.yaml").open("a") as file:
        file.write("corp/wrong:\n  files: rows.csv\n")
    assert list_tasks(own=True) == ["corp/filed"]
    (record,) = caplog.records
    assert "task corp/wrong: `text` is missing" in record.getMessage()


def test_a_broken_plug_in_is_named_and_the_others_work(install, caplog):
    install("broken", "LISTED", "taken", "nosuch", "tasks")
    with caplog.at_level(logging.WARNING):
        assert list_tasks(own=True) == ["corp/made"]
    found = [record.getMessage() for record in caplog.records]
    assert found == [
        "tasks of the plug-in broken of corp-tasks (corp_tasks:broken) cannot be used: RuntimeError: no licence server",
        "tasks of the plug-in LISTED of corp-tasks (corp_tasks:LISTED) cannot be used: TypeError: expected TaskSpec, a "
        "path of a task file, or a function that returns them, got 3",
        *[text for text in found if "taken" in text and "task glue/cola: `name` belongs to a task" in text],
        *[text for text in found if "nosuch" in text and "AttributeError" in text],
    ]
    assert len(found) == 4


def test_entry_points_are_not_read_for_tasks_of_the_catalogue(install):
    install("broken")
    get_task("glue/cola")
    select_tasks(["glue", "all", "demo/topics"])
    list_tasks(own=False)
    assert plug_ins._found == []
