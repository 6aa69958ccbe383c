"""`metaeval tasks`: filters, and complete names on terminals of any width."""

import io
import json

import pytest
from rich.cells import cell_len
from rich.console import Console

from metaeval_datasets import get_task, list_tasks
from metaeval_datasets.spec import TaskType
from metaeval_hub.cli import main, tasks


def listed(capsys, *arguments):
    assert main(["tasks", *arguments, "--json"]) == 0
    return [row["name"] for row in json.loads(capsys.readouterr().out)]


def test_the_types_are_those_of_the_package():
    assert tuple(kind.value for kind in TaskType) == tasks.TYPES


def test_filters(capsys):
    everything = listed(capsys)
    assert everything == list_tasks()
    assert len(listed(capsys, "--in-101")) == 101
    assert listed(capsys, "demo") == list_tasks(group="demo")
    assert listed(capsys, "glue", "snli") == [*list_tasks(group="glue"), "snli/plain_text"]
    assert listed(capsys, "--type", "nli", "emotion") == [
        name for name in everything if get_task(name).type in (TaskType.NLI, TaskType.EMOTION)
    ]
    assert listed(capsys, "--fields", "2", "--license", "MIT") == [
        name for name in everything if get_task(name).num_text_fields == 2 and get_task(name).license == "mit"
    ]


def test_sizes(capsys):
    assert listed(capsys, "--min-rows", "1000000") == ["amazon_polarity/amazon_polarity", "discovery/discovery"]
    assert listed(capsys, "glue", "--min-rows", "635", "--max-rows", "1104") == ["glue/wnli", "glue/ax"]
    assert tasks.size(get_task("blimp_classification/syntax_semantics")) == 26_000  # 13,000 pairs
    main(["tasks", "--max-rows", "100000"])
    unknown = [name for name in list_tasks() if tasks.size(get_task(name)) is None]
    assert f"not listed: {len(unknown)} tasks whose number of rows is not declared" in capsys.readouterr().err


def test_pipe_gets_complete_cells(capsys):
    assert main(["tasks"]) == 0
    header, *lines, total = capsys.readouterr().out.splitlines()
    assert header.split() == list(tasks.COLUMNS)
    assert [line.split()[0] for line in lines] == list_tasks()
    assert all(line.endswith(get_task(line.split()[0]).license) for line in lines)
    assert total == f"{len(lines)} tasks"


@pytest.mark.parametrize(("width", "columns"), [(80, 4), (100, 5), (140, 6)])
def test_a_terminal_gets_the_columns_that_fit(width, columns, monkeypatch):
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=width, color_system=None, highlight=False, markup=False)
    monkeypatch.setattr(tasks, "make_console", lambda: console)
    assert main(["tasks"]) == 0
    header, *lines = shown.getvalue().splitlines()
    assert all(cell_len(line) <= width for line in [header, *lines])
    assert header.split() == list(tasks.COLUMNS[:columns])
    assert set(list_tasks()) <= {line.split(" ")[0] for line in lines}


def test_all_is_the_collection(capsys):
    assert main(["tasks", "all"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "107 tasks"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gluu"], "metaeval tasks: no task or group 'gluu'; closest: glue"),
        (
            ["nonexist"],
            "metaeval tasks: no task or group 'nonexist'; closest: none; run `metaeval tasks` to list them\n",
        ),
        (["--license", "gpl"], "metaeval tasks: no task has the licence 'gpl'; expected one of agpl-3.0, apache-2.0"),
    ],
)
def test_errors_are_one_line(arguments, message, capsys):
    assert main(["tasks", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1


def test_tasks_are_listed_and_filtered(capsys):
    assert main(["tasks", "demo", "--type", "nli", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert all(row["name"].startswith("demo/") and row["type"] == "nli" for row in rows)
    assert main(["tasks", "demo"]) == 0
    printed = capsys.readouterr().out
    assert all(row["name"] in printed for row in rows)
