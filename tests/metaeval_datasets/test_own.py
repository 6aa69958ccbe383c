"""Tasks of a user: declared from files, frames, datasets and the Hub, registered, and loaded like any other task."""

import logging

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaeval_datasets import (
    SpecError,
    UnknownTaskError,
    get_task,
    list_tasks,
    load_dataset,
    read_report,
    register_task,
    select_tasks,
    task_from,
    unregister_task,
)
from metaeval_datasets.catalog import registered
from metaeval_datasets.sources.asking import SourceError
from metaeval_datasets.spec import Join, SameText, Source
from tests.metaeval_datasets.conftest import numbered, parquet, task

TOPICS = ("billing", "bug", "delivery")


def csv_text(rows=60, names=TOPICS):
    return "message,topic\n" + "".join(f"ticket number {i},{names[i % len(names)]}\n" for i in range(rows))


@pytest.fixture(autouse=True)
def _catalogue():
    """Forget what a test registers."""
    with registered(()):
        yield


@pytest.fixture
def tickets(tmp_path):
    path = tmp_path / "tickets.csv"
    path.write_text(csv_text())
    return path


def declare(data, **fields):
    return task_from(data, **{"name": "acme/tickets", "text": "message", "label": "topic", **fields})


def load(data, **fields):
    spec = register_task(declare(data, **fields), replace=True)
    return load_dataset("metaeval", spec.name)


# --- From data to rows ---


def test_a_csv_file_is_split_like_any_other_source(tickets):
    loaded = load(tickets)
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 38, "validation": 10, "test": 12}
    assert loaded["train"].features["label"].names == list(TOPICS)
    first = loaded["train"][0]
    assert first["sentence"] == f"ticket number {first['idx']}"
    assert first["label"] == first["idx"] % 3
    spec = get_task("acme/tickets")
    assert (spec.in_101, spec.license, spec.citation, spec.type.value) == (False, "unknown", "", "other")


def test_duplicates_stay_in_one_split_and_dropped_rows_are_counted(tmp_path):
    path = tmp_path / "a.csv"
    twins = "same text,bug\n" * 9
    path.write_text(csv_text() + twins + '" ",bug\nno label,\nanother,-\n')
    loaded = load(path)
    assert sum("same text" in rows["sentence"] for rows in loaded.values()) == 1
    report = read_report(loaded["train"].info)
    assert report.official["train"].read == 72
    assert report.official["train"].dropped == {"no label": 2, "empty sentence": 1}
    assert report.source.startswith("a.csv (SHA-256 ")
    assert str(tmp_path) not in "".join(report.lines())


def test_groups_stay_in_one_split(tmp_path):
    path = tmp_path / "a.csv"
    lines = [f"text {i},{TOPICS[i % 3]},customer {i % 20}" for i in range(60)]
    path.write_text("message,topic,customer\n" + "\n".join(lines))
    loaded = load(path, groups="customer")
    assert get_task("acme/tickets").groups == SameText("customer")
    of = {split: {row % 20 for row in rows["idx"]} for split, rows in loaded.items()}
    assert not of["train"] & of["test"]
    assert not of["train"] & of["validation"]


def test_a_changed_file_is_prepared_again_and_a_moved_one_is_not(tickets, tmp_path):
    before = declare(tickets).digest()
    moved = tickets.rename(tmp_path / "other.csv")
    assert declare(moved).digest() == before
    register_task(declare(moved))
    assert "a new text" not in load_dataset("metaeval", "acme/tickets", split="test+train+validation")["sentence"]
    moved.write_text(csv_text() + "a new text,bug\n")
    assert get_task("acme/tickets").digest() != before
    assert "a new text" in load_dataset("metaeval", "acme/tickets", split="test+train+validation")["sentence"]


def test_official_splits_and_streaming(tickets, tmp_path):
    test = tmp_path / "held.jsonl"
    test.write_text('{"message": "one", "topic": "bug"}\n{"message": "two", "topic": "billing"}\n')
    loaded = load({"test": test, "train": [tickets]})
    assert loaded["test"]["sentence"] == ["one", "two"]
    stream = load_dataset("metaeval", "acme/tickets", streaming=True, split="test")
    assert [row["label"] for row in stream] == [1, 0]


def test_tables_in_memory(tmp_path):
    rows = [{"message": f"text {i}", "topic": TOPICS[i % 3], "more": {"any": i}} for i in range(30)]
    table = pa.table({"message": [row["message"] for row in rows], "topic": [row["topic"] for row in rows]})
    specs = [declare(data) for data in (rows, table, datasets.Dataset.from_list(rows))]
    assert specs[0].digest() == specs[1].digest()
    for spec in specs:
        register_task(spec, replace=True)
        assert len(load_dataset("metaeval", "acme/tickets")["test"]) == 6
    assert read_report(load_dataset("metaeval", "acme/tickets")["test"].info).source.startswith("rows in memory (")


def test_a_pandas_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"message": ["a", "b", None, "d"], "topic": [1.0, 2.0, 1.0, None]})
    assert declare(frame).names == ("1", "2")
    frame["topic"] = frame["topic"].astype("category")
    assert declare(frame).names == ("1", "2")
    frame["topic"] = [1, "2", 3, "4"]
    with pytest.raises(SpecError, match=r"train: column 'topic' cannot be stored: .*\. Convert its values to one type"):
        declare(frame)
    with pytest.raises(SpecError, match=r"no column 'mesage' \(closest: 'message'\)"):
        declare(frame, text="mesage")


def test_columns_of_a_frame_may_be_named_by_numbers():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[f"text {i}", "ab"[i % 2]] for i in range(10)])
    assert declare(frame, text="0", label="1").names == ("a", "b")


def test_missing_values_among_numbers_are_rows_without_a_label():
    rows = [{"message": f"text {i}", "topic": float("nan") if i == 0 else float(i % 2)} for i in range(10)]
    assert declare(rows).names == ("0", "1")


PAIR = [{"message": "a text", "topic": "a"}, {"message": "another", "topic": "b"}]


@pytest.mark.parametrize(
    ("rows", "fields", "message"),
    [
        ([], {}, "train: the list is empty; expected rows as dicts, or paths of files"),
        ([*PAIR, None], {}, "element 2 of the list is None; expected a dict"),
        ([*PAIR, {"message": "bad \ud800", "topic": "a"}], {}, "column 'message' cannot be stored: .*surrogates"),
        ([{"message": "a", "topic": 10**30}], {}, "column 'topic' cannot be stored: .*too large"),
        ([{"message": b"a", "topic": "a"}], {}, "column 'message' contains bytes; decode them to texts"),
        (PAIR, {"text": "topic"}, "column 'topic' is both text and label"),
        (PAIR, {"names": "ab"}, r"`names` is 'ab'; expected a list, such as \['ab'\]"),
        (PAIR, {"canonical": "ab"}, "`canonical` is 'ab'; expected a list"),
        (PAIR, {"unlabelled": "test"}, "`unlabelled` is 'test'; expected a list"),
        (PAIR, {"label_values": ["a"]}, r"`label_values` is \['a'\]; expected a dict"),
        (PAIR, {"label_values": {"a": 5}}, "`label_values` of 'a' is 5; expected a class name, or None"),
        ([{"message": "a", "topic": None}], {}, "no row has a label in column 'topic'"),
    ],
)
def test_bad_rows_and_fields_get_a_clear_answer(rows, fields, message):
    with pytest.raises(SpecError, match=message):
        declare(rows, **fields)


def test_a_dataset_keeps_the_order_of_its_classes():
    names = ["z", "a"]
    features = datasets.Features({"message": datasets.Value("string"), "topic": datasets.ClassLabel(names=names)})
    rows = datasets.Dataset.from_dict({"message": ["p", "q", "r"] * 5, "topic": [0, 1, 0] * 5}, features=features)
    loaded = load(datasets.DatasetDict(train=rows, test=rows.select([1])))
    assert loaded["train"].features["label"].names == names
    assert loaded["test"]["label"] == [1]


def test_a_repository_on_the_hub(hub):
    repo = hub.name("own")
    files = {"train.parquet": parquet(numbered(0, 60)), "test.parquet": parquet({"text": ["a"], "label": [-1]})}
    hub.add_repo(repo, repo_type="dataset", files=files)
    spec = task_from(repo, name="my/copy", text="text")
    assert (spec.names, spec.splits, spec.unlabelled) == (("0", "1"), ("train", "test"), ("test",))
    register_task(spec)
    assert len(load_dataset("metaeval", "my/copy")["test"]) == 12
    named = hub.name("named")
    hub.add_repo(named, repo_type="dataset", files={"dev.parquet": parquet(numbered(0, 6), ["no", "yes"])})
    spec = task_from(named, name="my/named", text="text", splits={"test": "dev"})
    assert (spec.names, spec.splits) == (("no", "yes"), ("test",))
    with pytest.raises(SourceError, match="no split train, validation or test was found"):
        task_from(named, name="my/named", text="text", config="nosuch")


def test_numbers_of_a_repository_that_are_no_indices(hub):
    repo = hub.name("own")
    hub.add_repo(
        repo,
        repo_type="dataset",
        files={"train.parquet": parquet({"text": list("abcdefghij"), "label": [1, 2, 3, 5, 5] * 2})},
    )
    spec = register_task(task_from(repo, name="my/stars", text="text"))
    assert (spec.names, dict(spec.label_values)) == (("1", "2", "3", "5"), {1: "1", 2: "2", 3: "3", 5: "5"})
    loaded = load_dataset("metaeval", "my/stars")
    assert {row["sentence"]: row["label"] for rows in loaded.values() for row in rows} == dict(
        zip("abcdefghij", [0, 1, 2, 3, 3] * 2, strict=True)
    )


# --- Labels ---


@pytest.mark.parametrize(
    ("labels", "names", "codes"),
    [
        ([1, 2, 3], ("1", "2", "3"), [0, 1, 2]),
        ([10, 9, 10], ("9", "10"), [1, 0, 1]),
        ([-1, 0, 1], ("-1", "0", "1"), [0, 1, 2]),
        ([0.5, 1.0, None], ("0.5", "1"), [0, 1]),
        ([True, False, True], ("false", "true"), [1, 0, 1]),
    ],
)
def test_a_number_is_the_class_that_it_spells(labels, names, codes, tmp_path):
    pq.write_table(pa.table({"message": ["a", "b", "c"], "topic": labels}), tmp_path / "a.parquet")
    loaded = load({"test": tmp_path / "a.parquet"})
    assert loaded["test"].features["label"].names == list(names)
    assert loaded["test"]["label"] == codes


def test_texts_that_spell_numbers(tmp_path):
    (tmp_path / "a.csv").write_text("message,topic\na,10\nb,9\nc,10\n")
    loaded = load({"test": tmp_path / "a.csv"})
    assert loaded["test"].features["label"].names == ["9", "10"]
    assert loaded["test"]["label"] == [1, 0, 1]


def test_given_names_are_the_meaning_of_indices(tmp_path):
    (tmp_path / "a.csv").write_text("message,topic\na,0\nb,1\n")
    assert load({"test": tmp_path / "a.csv"}, names=["bad", "good"])["test"]["label"] == [0, 1]


def test_labels_that_differ_in_case_or_blanks_stay_apart_with_a_warning(tmp_path, caplog):
    (tmp_path / "a.csv").write_text("message,topic\na,Bug\nb,bug \nc,billing\nd,Bug\n")
    with caplog.at_level(logging.WARNING):
        spec = declare(tmp_path / "a.csv")
    assert spec.names == ("Bug", "billing", "bug ")
    assert spec.canonical == ("bug", "billing", "bug_2")
    assert "the classes 'Bug' and 'bug ' differ only in case or blanks" in caplog.text
    assert "{'bug ': 'Bug'}" in caplog.text
    caplog.clear()
    merged = declare({"test": tmp_path / "a.csv"}, label_values={"bug ": "Bug"})
    assert (merged.names, caplog.text) == (("Bug", "billing"), "")
    register_task(merged)
    assert load_dataset("metaeval", "acme/tickets", split="test")["label"] == [0, 0, 1, 0]


def test_labels_can_be_left_out(tmp_path):
    (tmp_path / "a.csv").write_text(csv_text() + "x,spam\n")
    loaded = load(tmp_path / "a.csv", label_values={"spam": None})
    assert loaded["train"].features["label"].names == list(TOPICS)
    assert read_report(loaded["train"].info).official["train"].dropped == {"label left out by declaration": 1}


# --- Bad data ---


@pytest.mark.parametrize(
    ("content", "fields", "message"),
    [
        (csv_text(), {"text": "mesage"}, r"a.csv: has no column 'mesage' \(closest: 'message'\); its columns are"),
        (csv_text(), {"label": "label"}, "has no column 'label'; its columns are message, topic"),
        (csv_text(names=("bug",)), {}, "column 'topic' has only the class 'bug' in 60 labelled rows; .*at least two"),
        ("message,topic\na,\n", {}, "no row has a label in column 'topic'"),
        (csv_text(), {"text": "topic", "label": "message"}, "60 different values in 60 rows, of which 60 occur once"),
        ("", {}, "a.csv: is empty"),
        ("message,topic\n", {}, "no row has a label in column 'topic'"),
        ("message,topic\nca\u2019n\u2019t,bug\n", {}, r"a.csv: line 2 is not utf-8 \(byte 0x92\); .* cp1252"),
        ('message,topic\n"open,bug\nb,bug\n', {}, "line 3: unexpected end of data"),
        ("message,topic\na,b,c\n", {}, "line 2 has 3 columns; expected 2"),
        (csv_text(), {"type": "sentiment"}, "`type` is 'sentiment'; expected one of acceptability,"),
        (csv_text(), {"config": "x"}, "`config` only applies to a repository on the Hub"),
        (csv_text(), {"text": []}, "`sentence` is an empty string"),
        (csv_text(), {"encoding": "utf-9"}, "`encoding` is 'utf-9'; expected an encoding such as utf-8"),
    ],
)  # fmt: skip
def test_bad_files_get_a_clear_answer(content, fields, message, tmp_path):
    (tmp_path / "a.csv").write_bytes(content.encode("cp1252"))
    with pytest.raises((SpecError, SourceError), match=message):
        declare(tmp_path / "a.csv", **fields)


def test_a_thousand_classes_that_mostly_occur_once(tmp_path):
    names = [f"class {i}" for i in range(1000)] + ["class 0"] * 200
    (tmp_path / "a.csv").write_text("message,topic\n" + "".join(f"text {i},{n}\n" for i, n in enumerate(names)))
    with pytest.raises(SpecError, match="1,000 different values in 1,200 rows, of which 999 occur once"):
        declare(tmp_path / "a.csv")
    spec = declare(tmp_path / "a.csv", names=list(dict.fromkeys(names)))
    register_task(spec)
    assert len(load_dataset("metaeval", spec.name)["test"]) == 240


def test_encodings_quotes_and_line_breaks(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeffmessage;topic\r\n"say ""hi""\nnow; it’s";bug\r\nb;billing\r\n'.encode())
    assert load({"test": path}, delimiter=";")["test"][0]["sentence"] == 'say "hi"\nnow; it’s'
    path.write_bytes("message,topic\nit’s,bug\nb,billing\n".encode("cp1252"))
    assert load({"test": path}, encoding="cp1252")["test"]["sentence"] == ["it’s", "b"]


def test_a_large_file_is_read_in_blocks(tickets, monkeypatch):
    from metaeval_datasets.sources import readers

    monkeypatch.setattr(readers, "BLOCK_BYTES", 200)
    sizes = []
    found = readers._text_table
    monkeypatch.setattr(
        readers, "_text_table", lambda columns, rows: sizes.append(len(rows[0])) or found(columns, rows)
    )
    assert declare(tickets).names == TOPICS
    assert sum(sizes) == 60
    assert max(sizes) < 15


def test_three_rows(tmp_path, caplog):
    (tmp_path / "a.csv").write_text("message,topic\na,bug\nb,bug\nc,billing\n")
    loaded = load(tmp_path / "a.csv")
    assert sum(map(len, loaded.values())) == 3
    assert "too few rows" in caplog.text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder, r"is a folder; give one of its files \(a.csv, b.jsonl\), or a path for each split"),
        (lambda folder: folder / "nosuch.csv", "nosuch.csv does not exist"),
        (lambda folder: folder / "notes.txt", "notes.txt has an unknown extension; expected one of .csv, .json"),
        (lambda folder: {"dev": folder / "a.csv"}, "the data has the split 'dev'; expected some of train, validation"),
        (lambda folder: {}, "the data has no splits"),
        (lambda folder: 3, "rows cannot be read from an object of type builtins.int; expected a path"),
        (lambda folder: [], "train: the list is empty; expected rows as dicts"),
        (lambda folder: datasets.Dataset.from_dict({"message": [], "topic": []}), "the data has no rows"),
    ],
)
def test_bad_places_get_a_clear_answer(make, message, tmp_path):
    for name in ("a.csv", "b.jsonl", "notes.txt"):
        (tmp_path / name).write_text(csv_text())
    with pytest.raises(SpecError, match=message):
        declare(make(tmp_path))


def test_a_file_that_is_gone(tickets):
    spec = register_task(declare(tickets, names=TOPICS))
    tickets.unlink()
    with pytest.raises(SpecError, match=r"tickets\.csv cannot be read: No such file"):
        load_dataset("metaeval", spec.name)


# --- Names ---


def test_a_registered_task_is_found_and_forgotten(tickets):
    spec = register_task(declare(tickets))
    assert get_task("acme/tickets") is spec
    assert register_task(declare(tickets)) == spec
    assert list_tasks(own=True) == list_tasks(group="acme") == ["acme/tickets"]
    assert list_tasks()[-1] == "acme/tickets"
    assert "acme/tickets" not in list_tasks(own=False)
    assert select_tasks(["acme", "glue/cola", "acme/tickets"]) == ["acme/tickets", "glue/cola"]
    assert select_tasks("all") == list_tasks(own=False)
    with pytest.raises(UnknownTaskError, match=r"no task 'acme/ticket' among .*; closest: acme/tickets"):
        get_task("acme/ticket")
    with pytest.raises(SpecError, match="registered for another declaration"):
        register_task(declare(tickets, type="emotion"))
    assert register_task(declare(tickets, type="emotion"), replace=True).type.value == "emotion"
    unregister_task("acme/tickets")
    assert list_tasks(own=True) == []
    with pytest.raises(UnknownTaskError, match="among the 0 registered tasks"):
        unregister_task("acme/tickets")
    with pytest.raises(UnknownTaskError):
        load_dataset("metaeval", "acme/tickets")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("glue/cola", "belongs to a task of the catalogue; choose another one, such as my/cola"),
        ("glue/mine", "starts with 'glue', which is a group of the catalogue"),
        ("all/mine", "starts with 'all', which stands for the whole collection"),
        ("tickets", "must be 'group/task'"),
        ("Acme/tickets", "the group has lower-case letters"),
        ("acme/" + "x" * 300, "`name` has 305 characters; expected at most 120"),
    ],
)
def test_names_that_are_taken_or_wrong(name, message, tickets):
    with pytest.raises(SpecError, match=message):
        declare(tickets, name=name)


def test_register_task_takes_any_declaration(hub):
    repo = hub.name("own")
    hub.add_repo(repo, repo_type="dataset", files={"train.parquet": parquet(numbered(0, 60))})
    spec = register_task(task(name="made_here/task", sources=(Source(repo),)))
    assert not spec.in_101
    assert len(load_dataset("metaeval", "made_here/task")["test"]) == 12
    with pytest.raises(SpecError, match="expects a TaskSpec, got dict; task_from"):
        register_task({"name": "x"})


def test_texts_of_several_columns(tmp_path):
    (tmp_path / "a.csv").write_text("subject,body,other,topic\ns,b,o,bug\nt,c,p,billing\n")
    spec = declare({"test": tmp_path / "a.csv"}, text=["subject", "body"], second_text="other")
    assert spec.texts == {"sentence1": Join("subject", "body"), "sentence2": "other"}
    register_task(spec)
    row = load_dataset("metaeval", spec.name)["test"][1]
    assert (row["sentence1"], row["sentence2"]) == ("t c", "p")


def test_splits_declared_as_unlabelled_are_compared_with_their_rows(tmp_path, caplog):
    (tmp_path / "train.csv").write_text(csv_text())
    for name, labels in (("other", ("bug", "billing")), ("equal", ("bug", "bug")), ("empty", ("", ""))):
        (tmp_path / f"{name}.csv").write_text("message,topic\n" + "".join(f"a {i},{x}\n" for i, x in enumerate(labels)))
    (tmp_path / "without.csv").write_text("message\na\nb\n")

    def declare(test, **fields):
        files = {"train": tmp_path / "train.csv", "test": tmp_path / f"{test}.csv"}
        return task_from(files, name="acme/t", text="message", label="topic", **fields)

    for test in ("equal", "empty", "without"):
        assert declare(test, unlabelled=["test"]).unlabelled == ("test",)
    assert not caplog.records
    declare("other", unlabelled=["test"])
    (record,) = caplog.records
    assert record.getMessage() == (
        "task acme/t: `unlabelled` names test, but its first 2 rows have labels of 2 classes in column 'topic'; the "
        "split is not read. Leave it out of `unlabelled` to use its rows"
    )
    with pytest.raises(SpecError, match=r"`unlabelled` names train, .* of 3 classes .*; leave train out of"):
        declare("equal", unlabelled=["train", "test"], names=["billing", "bug", "delivery"])
