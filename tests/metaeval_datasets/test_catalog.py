"""The catalogue as a whole, and finding tasks in it."""

import pytest

from metaeval_datasets import catalog
from metaeval_datasets.catalog import UnknownTaskError, all_tasks, collect, get_task, list_tasks, select_tasks
from metaeval_datasets.spec import SpecError, TaskSpec, TaskType
from tests.metaeval_datasets.conftest import task

SPECS = [
    task(name="glue/cola", type=TaskType.ACCEPTABILITY, license="MIT"),
    task(name="glue/mrpc", sentence1="a", sentence2="b", type=TaskType.PARAPHRASE_DETECTION),
    task(name="pragmeval/sarcasm", sentence1="a", sentence2="b", type=TaskType.DISCOURSE),
    task(name="glue/ax", splits=("test",), in_101=False, type=TaskType.NLI),
    task(name="demo/first", license="mit"),
]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(catalog, "all_tasks", lambda: collect(SPECS))


def test_every_declaration_loads_under_its_name():
    for name, spec in all_tasks().items():
        assert isinstance(spec, TaskSpec)
        assert spec.name == name
        assert get_task(name) is spec


def test_demo_tasks_come_last():
    groups = [spec.group for spec in all_tasks().values()]
    assert groups == sorted(groups, key=lambda group: group == "demo")


def test_names_are_unique():
    with pytest.raises(SpecError, match="task glue/cola: `name` is used by another declaration"):
        collect([task(name="glue/cola"), task(name="glue/mrpc"), task(name="glue/cola")])


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["glue/cola", "glue/mrpc", "pragmeval/sarcasm", "glue/ax"]),
        ({"group": "glue"}, ["glue/cola", "glue/mrpc", "glue/ax"]),
        ({"group": "demo"}, ["demo/first"]),
        ({"type": TaskType.DISCOURSE}, ["pragmeval/sarcasm"]),
        ({"type": "NLI"}, ["glue/ax"]),
        ({"fields": 2}, ["glue/mrpc", "pragmeval/sarcasm"]),
        ({"in_101": False}, ["glue/ax"]),
        ({"license": "mit"}, ["glue/cola"]),
        ({"group": "glue", "fields": 1, "in_101": True}, ["glue/cola"]),
    ],
)
def test_filters(filters, expected):
    assert list_tasks(**filters) == expected


@pytest.mark.usefixtures("small")
def test_unknown_types_are_refused():
    with pytest.raises(ValueError, match="sentiment"):
        list_tasks(type="sentiment")


@pytest.mark.usefixtures("small")
def test_selection_expands_groups_without_repeats():
    assert select_tasks(["pragmeval", "glue/mrpc", "glue"]) == [
        "pragmeval/sarcasm",
        "glue/mrpc",
        "glue/cola",
        "glue/ax",
    ]
    assert select_tasks("demo") == ["demo/first"]
    assert select_tasks(["all"]) == list_tasks()
    assert select_tasks(["demo", "all"]) == ["demo/first", *list_tasks()]
    assert select_tasks([]) == []


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("name", "nearest"),
    [("sarcasm", "pragmeval/sarcasm"), ("glue/COLA", "glue/cola"), ("glue/mprc", "glue/mrpc"), ("xyzzy", "none")],
)
def test_unknown_tasks_are_told_the_nearest(name, nearest):
    with pytest.raises(UnknownTaskError, match=rf"no task '{name}' among 5; closest: {nearest}"):
        get_task(name)
    with pytest.raises(UnknownTaskError, match=f"closest: .*{nearest}"):
        select_tasks([name])


@pytest.mark.usefixtures("small")
def test_without_a_near_name_the_command_that_lists_all_is_named():
    with pytest.raises(UnknownTaskError, match=r"^no task 'xyzzy' among 5; closest: none; run `metaeval tasks` to"):
        get_task("xyzzy")
    with pytest.raises(UnknownTaskError, match=r"^no task or group 'nonexist'; closest: none; run `metaeval tasks` to"):
        select_tasks(["nonexist"])
