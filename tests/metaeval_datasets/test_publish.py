"""Tasks built as folders of Parquet files, and compared with a copy."""

import hashlib
import json
import struct

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaeval_datasets import load_dataset, publish
from metaeval_datasets.publish import Digest, build_task, differences, in_order, locked
from metaeval_datasets.record import RecordError, TaskRecord, dump_records, load_records
from metaeval_datasets.spec import PaperEdition, Source
from metaeval_hub.hub.dataset_card import dataset_card
from tests.metaeval_datasets.conftest import numbered, parquet, task

NAME = "demo/photo_nli"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with one task, not to be changed, and its record."""
    folder = tmp_path_factory.mktemp("built")
    return folder, build_task(NAME, folder)


@pytest.fixture
def made_up(hub, declare):
    """A declared task whose source is on the Hub; returns its name."""

    def make(rows=30, others=(), **fields):
        repo = hub.name("source")
        columns = fields.pop("columns", numbered(0, rows))
        hub.add_repo(repo, {"test.parquet": parquet(columns, ("no", "yes"))}, repo_type="dataset")
        return declare(task(sources=(*others, Source(repo)), splits=("test",), **fields))

    return make


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


# --- Building -------------------------------------------------------------------------------------------------------


def test_files_hold_the_rows_and_the_class_names(built):
    folder, record = built
    loaded = load_dataset("metaeval", NAME)
    assert sorted(content(folder)) == sorted(record.paths)
    assert sorted(record.paths) == [
        f"demo-photo_nli/{s}-00000-of-00001.parquet" for s in ("test", "train", "validation")
    ]
    for split, rows in loaded.items():
        table = pq.read_table(folder / f"demo-photo_nli/{split}-00000-of-00001.parquet")
        assert datasets.Features.from_arrow_schema(table.schema) == rows.features
        assert table.to_pylist() == rows.to_list()
        assert record.splits[split].rows == len(rows)


def test_same_rows_give_the_same_bytes_whatever_their_batches(built, tmp_path, monkeypatch):
    folder, record = built
    loaded = load_dataset("metaeval", NAME)
    cut = datasets.DatasetDict(
        {
            split: datasets.concatenate_datasets([rows.select(range(7)), rows.select(range(7, len(rows)))])
            for split, rows in loaded.items()
        }
    )
    monkeypatch.setattr(publish, "load_dataset", lambda *_, **__: cut)
    assert build_task(NAME, tmp_path) == record
    assert content(tmp_path) == content(folder)


def test_large_splits_are_several_files_of_equal_row_groups(made_up, tmp_path, monkeypatch):
    monkeypatch.setattr(publish, "GROUP_ROWS", 10)
    monkeypatch.setattr(publish, "FILE_BYTES", 1_000)
    record = build_task(made_up(95), tmp_path)
    files = list(record.splits["test"].files)
    # 95 rows of 36 bytes: 14 of the text, 4 of its length, 8 of the label, 8 of the number, less for short numbers
    assert record.splits["test"].num_bytes == 95 * (12 + 4 + 8 + 8) + 95 + 85
    assert files == [f"test-{number:05d}-of-00004.parquet" for number in range(4)]
    groups = [pq.ParquetFile(tmp_path / record.config / name).metadata for name in files]
    rows = [[group.row_group(i).num_rows for i in range(group.num_row_groups)] for group in groups]
    assert rows == [[10, 10, 10], [10, 10, 10], [10, 10, 10], [5]]
    read = [number for name in files for number in pq.read_table(tmp_path / record.config / name)["idx"].to_pylist()]
    assert read == list(range(95))


def test_an_unchanged_task_is_not_built_again(built, monkeypatch):
    folder, record = built
    monkeypatch.setattr(publish, "load_dataset", None)
    assert build_task(NAME, folder) == record


def test_a_changed_declaration_is_built_again(made_up, declare, tmp_path):
    name = made_up()
    first = build_task(name, tmp_path)
    assert build_task(name, tmp_path).fingerprint == first.fingerprint
    declare(task(sources=publish.get_task(name).sources, splits=("test",), notes="Now with a note."))
    again = build_task(name, tmp_path)
    assert again.fingerprint != first.fingerprint
    assert again.notes == "Now with a note."


@pytest.mark.parametrize("damage", ["cut", "bit", "gone", "record", "folder"])
def test_what_is_not_whole_is_built_again(damage, made_up, tmp_path):
    name = made_up()
    record = build_task(name, tmp_path)
    before, path = content(tmp_path), tmp_path / next(iter(record.paths))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "bit":
        path.write_bytes(bytes([*path.read_bytes()[:99], path.read_bytes()[99] ^ 1, *path.read_bytes()[100:]]))
    elif damage == "gone":
        path.unlink()
    elif damage == "record":
        (path.parent / ".record.json").write_text("{}")
    else:
        path.parent.rename(path.parent.with_name(f".{path.parent.name}.partial"))
    assert build_task(name, tmp_path) == record
    assert content(tmp_path) == before
    assert not list(tmp_path.glob("*.partial"))


def test_an_interrupted_build_leaves_what_was_there(made_up, declare, tmp_path, monkeypatch):
    name = made_up()
    build_task(name, tmp_path)
    before = content(tmp_path / "made_up-task")
    declare(task(sources=publish.get_task(name).sources, splits=("test",), notes="Changed."))

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publish, "_write_split", interrupt)
        with pytest.raises(KeyboardInterrupt):
            build_task(name, tmp_path)
    assert content(tmp_path / "made_up-task") == before
    assert build_task(name, tmp_path).notes == "Changed."


def test_rebuild_reads_the_source_again(hub, made_up, tmp_path):
    name = made_up()
    first = build_task(name, tmp_path)
    repo = publish.get_task(name).sources[0].repo
    hub.add_repo(repo, {"test.parquet": parquet(numbered(0, 40), ("no", "yes"))}, repo_type="dataset")
    assert build_task(name, tmp_path) == first
    assert build_task(name, tmp_path, rebuild=True).rows == 40


def test_the_record_tells_the_edition_and_how_the_paper_differs(made_up, tmp_path):
    name = made_up(paper=PaperEdition(why="The paper keeps one of equal rows.", distinct=True), notes="Short.")
    careful = build_task(name, tmp_path / "careful")
    assert (careful.edition, careful.notes, careful.paper) == (
        "careful",
        "Short.",
        "The paper keeps one of equal rows.",
    )
    paper = build_task(name, tmp_path / "paper", "paper")
    assert (paper.edition, paper.notes, paper.paper) == ("paper", "Short. The paper keeps one of equal rows.", "")
    assert careful.fingerprint != paper.fingerprint


def test_why_a_source_did_not_serve_stays_here(made_up, tmp_path):
    record = build_task(made_up(others=(Source("nobody/gone"),)), tmp_path)
    assert record.report.passed_over == [{"source": "nobody/gone", "reason": "could not be used"}]


def test_a_folder_is_built_in_by_one_at_a_time(tmp_path):
    with locked(tmp_path / "new"), pytest.raises(BlockingIOError, match="in use by another"), locked(tmp_path / "new"):
        pass
    with locked(tmp_path / "new"):
        pass


# --- Digest and records ---------------------------------------------------------------------------------------------


def digest_of(tables):
    digest = Digest(("text", "label"))
    for table in tables:
        digest.add(table)
    return digest.hexdigest()


def table_of(texts, labels):
    return pa.table({"text": pa.array(texts, pa.string()), "label": pa.array(labels, pa.int64())})


def test_digest_is_the_one_of_its_definition():
    texts, labels = ["ab", "", None, "zoë"], [1, 0, 3, None]
    lengths = struct.pack("<4i", 2, 0, -1, 4)
    numbers = struct.pack("<4q", 1, 0, 3, -(2**63))
    columns = [("text", lengths, "abzoë".encode()), ("label", b"", numbers)]
    hexes = [[name, hashlib.sha256(one).hexdigest(), hashlib.sha256(two).hexdigest()] for name, one, two in columns]
    assert digest_of([table_of(texts, labels)]) == hashlib.sha256(json.dumps([4, hexes]).encode()).hexdigest()


def test_digest_depends_on_rows_alone():
    whole = table_of(["a", "bc", "d", "é"], [0, 1, 0, 1])
    large = whole.set_column(0, "text", whole["text"].cast(pa.large_string()))
    others = [[whole.slice(0, 3), whole.slice(3)], [large], [pa.concat_tables([whole.slice(0, 1), whole.slice(1)])]]
    assert {digest_of(tables) for tables in others} == {digest_of([whole])}
    different = [
        table_of(["ab", "c", "d", "é"], [0, 1, 0, 1]),
        table_of(["bc", "a", "d", "é"], [0, 1, 0, 1]),
        table_of(["a", "bc", "d", "é"], [0, 1, 1, 1]),
        table_of([None, "abc", "d", "é"], [0, 1, 0, 1]),
        table_of(["", "abc", "d", "é"], [0, 1, 0, 1]),
        whole.slice(0, 3),
    ]
    assert len({digest_of([table]) for table in [whole, *different]}) == 7


def test_records_come_back_as_they_were(built):
    _, record = built
    text = dump_records([record])
    assert load_records(text) == {NAME: record}
    assert dump_records(load_records(text).values()) == text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(format=2), "has format 2, expected 1"),
        (lambda data: data.pop("tasks"), "not as expected: KeyError"),
        (lambda data: data["tasks"][0].pop("names"), "a record is not as expected: KeyError: 'names'"),
        (lambda data: data["tasks"][0].update(splits=3), "a record is not as expected: TypeError"),
        (lambda data: data["tasks"][0].update(report={}), "a record is not as expected: KeyError"),
        (lambda data: data.update(tasks=3), "`tasks` is a int, expected a list"),
        (lambda data: data.update(tasks=None), "`tasks` is a NoneType, expected a list"),
        (lambda data: data.update(format=["x" * 9999]), "has format .{80}, expected 1"),
        (lambda data: data["tasks"][0].update(names=3), "a record is not as expected: TypeError"),
        (lambda data: data["tasks"][0].update(license=[]), r"record\.license has a value of the wrong type"),
        (
            lambda data: data["tasks"][0]["report"].update(missing="x"),
            r"record\.report\.missing has a value of the wrong type",
        ),
        (
            lambda data: data["tasks"][0]["splits"]["test"].update(rows="1"),
            r"record\.splits\['test'\]\.rows has a value of the wrong type",
        ),
        (lambda data: data["tasks"][0].update(task="../../x/y"), "has an invalid task name or file name"),
        (
            lambda data: data["tasks"][0]["splits"]["test"].update(files={"../x": 1}),
            "has an invalid task name or file name",
        ),
    ],
)
def test_records_that_cannot_be_read_say_why(change, message, built):
    data = json.loads(dump_records([built[1]]))
    change(data)
    with pytest.raises(RecordError, match=message):
        load_records(json.dumps(data))
    for text in ("<html>", b"\xff", "[" * 100_000):
        with pytest.raises(RecordError, match="not as expected"):
            load_records(text)


def test_records_are_in_catalogue_order(built):
    data = built[1].to_dict()
    records = [TaskRecord.from_dict({**data, "task": name}) for name in ("z/z", "demo/spam", "a/new", "glue/cola")]
    assert [record.task for record in in_order(records)] == ["glue/cola", "demo/spam", "a/new", "z/z"]


# --- Comparing ------------------------------------------------------------------------------------------------------


@pytest.fixture
def copy(built, tmp_path):
    """A copy of a repository with one task, to be damaged; and the record of what was built."""
    folder, record = built
    for name in record.paths:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "README.md").write_text(dataset_card("org/name", [record]), encoding="utf-8")
    return tmp_path, record


def rewrite(copy, split, change):
    path = copy[0] / f"demo-photo_nli/{split}-00000-of-00001.parquet"
    pq.write_table(change(pq.read_table(path)), path)


def replace_in_card(copy, old, new):
    path = copy[0] / "README.md"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def other_text(table):
    texts = table["sentence2"].to_pylist()
    return table.set_column(1, table.schema.field(1), [[texts[0] + "!", *texts[1:]]])


def test_an_equal_copy_has_no_differences(copy):
    assert differences(copy[1], copy[0]) == []


def test_a_copy_in_other_files_has_none_either(copy):
    path = copy[0] / "demo-photo_nli/train-00000-of-00001.parquet"
    table = pq.read_table(path)
    path.unlink()
    pq.write_table(table.slice(0, 33), path.with_name("train-00000-of-00002.parquet"), compression="snappy")
    pq.write_table(table.slice(33), path.with_name("train-00001-of-00002.parquet"), row_group_size=9)
    assert differences(copy[1], copy[0]) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda c: rewrite(c, "test", other_text), ["test: has the expected number of rows, but with other content"]),
        (
            lambda c: rewrite(c, "test", lambda table: table.slice(1)),
            ["test: has 199 rows; expected 200"],
        ),
        (
            lambda c: replace_in_card(c, "num_examples: 200", "num_examples: 201"),
            ["test: the card states 201 rows; expected 200"],
        ),
        (
            lambda c: replace_in_card(c, "          '0': entailment", "          '0': entails"),
            [
                f"{split}: has class names ['entails', 'neutral', 'contradiction']; expected "
                "['entailment', 'neutral', 'contradiction']"
                for split in ("train", "validation", "test")
            ],
        ),
        (
            lambda c: replace_in_card(c, "  - split: test\n    path: demo-photo_nli/test-*\n", ""),
            ["has splits train, validation; expected train, validation, test"],
        ),
        (
            lambda c: replace_in_card(c, "  - name: idx\n    dtype: int64", "  - name: idx\n    dtype: int32"),
            [f"{split}: column idx is of type int32" for split in ("train", "validation", "test")],
        ),
    ],
)
def test_differences_are_told(change, expected, copy):
    change(copy)
    assert differences(copy[1], copy[0]) == expected


def test_what_cannot_be_read_is_told(copy):
    path = copy[0] / "demo-photo_nli/train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    (text,) = [text for text in differences(copy[1], copy[0]) if text.startswith("train")]
    assert text.startswith("train: cannot be read beyond row 0: ")
    replace_in_card(copy, "config_name: demo-photo_nli", "config_name: other")
    (text,) = differences(copy[1], copy[0])
    assert text.startswith("cannot be loaded: ")
    assert "demo-photo_nli" in text


def test_rows_without_labels_are_compared_too(hub, declare, tmp_path):
    repo = hub.name("hidden")
    table = {"text": ["a", "b", "c"], "label": [-1, -1, -1]}
    hub.add_repo(repo, {"test.parquet": parquet(table, ("no", "yes"))}, repo_type="dataset")
    record = build_task(declare(task(sources=(Source(repo),), splits=("test",), unlabelled=("test",))), tmp_path)
    (tmp_path / "README.md").write_text(dataset_card("org/name", [record]), encoding="utf-8")
    assert differences(record, tmp_path) == []
