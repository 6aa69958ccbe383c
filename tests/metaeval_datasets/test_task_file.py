"""Task files: entries, their checks, and paths next to the file."""

import pytest

from metaeval_datasets import get_task, list_tasks, load_dataset, select_tasks
from metaeval_datasets.catalog import LeftOutTaskError, registered
from metaeval_datasets.spec import Join, SameText
from metaeval_datasets.task_file import MAX_BYTES, TaskFileError, add_entry, read_entries, read_task_file, task_file
from tests.metaeval_datasets.conftest import numbered, parquet
from tests.metaeval_datasets.test_own import csv_text
from tests.metaeval_datasets.test_safe_yaml import BOMB


@pytest.fixture
def write(tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "tickets.csv").write_text(csv_text())

    def write(text):
        path = tmp_path / "tasks.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_an_entry_becomes_a_task(write, tmp_path, monkeypatch):
    path = write(
        "# a comment\nacme/tickets:\n  files: rows/tickets.csv\n  text: message\n  label: topic\n"
        "  names: [billing, bug, delivery]\n  type: other\n  groups: topic\n"
        "  distinct: true\n  may_be_empty: [sentence]\n"
        "  label_values: {Bug: bug, spam: null}\n  license: mit\n  notes: 'no: notes'\n"
    )
    monkeypatch.chdir(tmp_path.parent)  # paths are relative to the file
    (spec,) = read_task_file(path)
    assert (spec.names, spec.distinct, spec.license) == (("billing", "bug", "delivery"), True, "mit")
    assert dict(spec.label_values) == {"Bug": "bug", "spam": None}
    assert (spec.groups, spec.notes) == (SameText("topic"), "no: notes")
    assert spec.sources[0].all_paths() == [str(tmp_path / "rows" / "tickets.csv")]


def test_an_entry_without_names_is_loaded_by_its_labels(write, tmp_path):
    (tmp_path / "test.tsv").write_text("a\tb\ttopic\nx\ty\tno\nz\tu\tbilling\n")
    path = write(
        "acme/tickets:\n  files: {train: [rows/tickets.csv], test: test.tsv}\n  text: message\n  label: topic\n"
        "acme/pairs:\n  files: {test: test.tsv}\n  text: [a, b]\n  second_text: b\n  label: topic\n"
    )
    with pytest.raises(TaskFileError, match=r"tasks\.yaml: .*test\.tsv: has no column 'message'"):
        read_task_file(path)
    (tmp_path / "test.tsv").write_text("message\ta\tb\ttopic\nm\tx\ty\tno\nn\tz\tu\tbilling\n")
    tickets, pairs = read_task_file(path)
    assert tickets.names == ("billing", "bug", "delivery", "no")
    assert pairs.texts == {"sentence1": Join("a", "b"), "sentence2": "b"}
    with registered([pairs]):
        assert load_dataset("metaeval", "acme/pairs")["test"]["label"] == [1, 0]


def test_a_repository_with_numbers(write, hub):
    repo = hub.name("own")
    hub.add_repo(repo, repo_type="dataset", files={"train.parquet": parquet({**numbered(0, 20), "label": [1, 2] * 10})})
    path = write(
        f"my/sides:\n  hub: {repo}\n  text: text\n  names: [left, right]\n  splits: [train]\n"
        "  label_values: {1: left, 2: right}\n"
    )
    with registered(read_task_file(path)):
        loaded = load_dataset("metaeval", "my/sides")
        assert all(row["label"] == row["idx"] % 2 for rows in loaded.values() for row in rows)


ENTRY = "acme/tickets:\n  files: rows/tickets.csv\n  text: message\n  label: topic\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            ENTRY + "  secnd_text: x\n",
            r"tasks\.yaml: task acme/tickets: unknown field `secnd_text`; closest: `second_text`",
        ),
        (ENTRY + "  zzz: x\n", r"unknown field `zzz`; expected some of files, hub"),
        (ENTRY + "  names: billing\n", r"task acme/tickets: `names` must be a list of texts, got 'billing'"),
        (ENTRY + "  distinct: perhaps\n", r"`distinct` must be true or false, got 'perhaps'"),
        (ENTRY + "  label_values: [a]\n", r"`label_values` must be label: class name, .*, got a list of 1"),
        (ENTRY + "  hub: a/b\n", r"task acme/tickets: give either `files` or `hub`"),
        (ENTRY + "  type: ticket\n", r"tasks\.yaml: task acme/tickets: `type` is 'ticket'; expected one of"),
        (ENTRY + "  label: topc\n", r"occurs twice"),
        (ENTRY.replace("topic", "topc"), r"tickets\.csv: has no column 'topc' \(closest: 'topic'\)"),
        (ENTRY.replace("rows/", ""), r"tickets\.csv does not exist"),
        (ENTRY.replace("acme/tickets", "glue/cola"), r"task glue/cola: `name` belongs to a task of the catalogue"),
        (ENTRY.replace("acme/tickets", "tickets"), r"task 'tickets': `name` must be 'group/task'"),
        (ENTRY.replace("  text: message\n", ""), r"`text` is missing"),
        ("acme/tickets: tickets.csv\n", r"expected fields such as `files: rows.csv`, got 'tickets.csv'"),
        ("- acme/tickets\n", r"expected task names with fields below them, got a list of 1"),
        ("acme/tickets: {\n", r"is not valid: .*line 2"),
        (BOMB, r"is not valid: line 2 has the alias \*a"),
        ("#" * (MAX_BYTES + 1), r"has more than 4,194,304 bytes"),
    ],
)
def test_errors_name_the_file_the_task_and_the_field(text, message, write):
    with pytest.raises(TaskFileError, match=message):
        read_task_file(write(text))


def test_files_that_cannot_be_read(tmp_path, write):
    with pytest.raises(TaskFileError, match=r"nosuch\.yaml cannot be read: No such file"):
        read_task_file(tmp_path / "nosuch.yaml")
    assert read_task_file(write("# nothing yet\n")) == []
    (tmp_path / "tasks.yaml").write_bytes(b"a: \xff")
    with pytest.raises(TaskFileError, match="is not valid: 'utf-8' codec"):
        read_task_file(tmp_path / "tasks.yaml")


MESSAGE = r"tasks\.yaml: task corp/broken: unknown field `lable`; closest: `label`$"


def test_an_entry_that_is_wrong_leaves_out_its_task_only(write, caplog):
    path = write(ENTRY + "corp/broken:\n  files: rows/tickets.csv\n  text: message\n  lable: topic\n")
    with task_file(path):
        (record,) = caplog.records
        assert record.levelname == "WARNING"
        assert record.getMessage().startswith("corp/broken is left out: ")
        assert get_task("acme/tickets").names == ("billing", "bug", "delivery")
        assert select_tasks(["acme", "demo/topics"]) == ["acme/tickets", "demo/topics"]
        assert list_tasks(own=True) == ["acme/tickets"]
        for request in (lambda: get_task("corp/broken"), lambda: select_tasks(["demo/topics", "corp"])):
            with pytest.raises(LeftOutTaskError, match=MESSAGE):
                request()
    for requested in (["corp/broken"], ["demo/topics", "corp"], None):  # the error says it
        caplog.clear()
        with task_file(path, requested), pytest.raises(LeftOutTaskError, match=MESSAGE):
            get_task("corp/broken")
        assert not caplog.records
    with pytest.raises(KeyError, match="closest: none"):  # nothing is left of the file after the block
        get_task("corp/broken")


def test_the_task_of_the_catalogue_is_not_used_in_place_of_an_own_one(write):
    with task_file(write(ENTRY + ENTRY.replace("acme/tickets", "glue/cola"))):
        assert "glue/cola" not in list_tasks(group="glue")
        assert select_tasks(["acme"]) == ["acme/tickets"]
        for name in ("glue/cola", "glue", "all"):
            with pytest.raises(LeftOutTaskError, match="task glue/cola: `name` belongs to a task of the catalogue"):
                select_tasks([name])
        with pytest.raises(LeftOutTaskError):
            get_task("glue/cola")


def test_the_name_of_the_task_is_in_each_error(write, tmp_path):
    path = write("rows/tickets:\n  files: rows/tickets.csv\n  text: mesage\n  label: topic\n")
    with pytest.raises(TaskFileError, match=r"tasks\.yaml: task rows/tickets: .*rows/tickets\.csv: has no column"):
        read_task_file(path)


def test_an_entry_is_added_next_to_one_that_is_wrong(write):
    path = write("corp/broken: 3\n")
    add_entry(path, "acme/tickets", {"files": "rows/tickets.csv", "text": "message", "label": "topic"})
    assert list(read_entries(path)) == ["corp/broken", "acme/tickets"]
    with task_file(path):
        assert get_task("acme/tickets").label == "topic"
