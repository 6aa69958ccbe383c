"""Texts are read from files without labels, with the numbers of their rows."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaeval_datasets.sources.asking import SourceError
from metaeval_datasets.spec import Join
from metaeval_datasets.unlabelled import read_rows, read_unlabelled


def test_rows_without_a_text_are_left_out_and_keep_their_numbers(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text('id,text\n1,"one, two"\n2,\n3,  \n4,three\n')
    assert read_unlabelled(str(path)) == (["one, two", "three"], [0, 3])
    assert read_unlabelled(str(path), [Join("id", "text")])[0] == ["1 one, two", "2 ", "3   ", "4 three"]


def test_pairs_and_other_formats(tmp_path):
    rows = {"sentence1": ["a", "b"], "sentence2": ["c", ""], "x": [1, 2]}
    pq.write_table(pa.table(rows), tmp_path / "new.parquet")
    assert read_unlabelled(str(tmp_path / "new.parquet")) == ([("a", "c")], [0])
    (tmp_path / "new.jsonl").write_text('{"message": "first of all"}\n{"message": "second of all"}\n')
    assert read_unlabelled(str(tmp_path / "new.jsonl")) == (["first of all", "second of all"], [0, 1])
    (tmp_path / "new.tsv").write_text("n\tremark\n1\tthis is a text\n2\tanother text here\n")
    assert read_unlabelled(str(tmp_path / "new.tsv"))[0] == ["this is a text", "another text here"]


def test_separator_and_encoding_are_found(tmp_path):
    (tmp_path / "new.csv").write_bytes("text;n\ncafé au lait;1\n".encode("cp1252"))
    assert read_unlabelled(str(tmp_path / "new.csv"))[0] == ["café au lait"]


@pytest.mark.parametrize(
    ("content", "texts", "error", "message"),
    [
        (
            "n,m\n1,2\n",
            None,
            ValueError,
            "which column contains the texts; name it with --text. The columns are n, m",
        ),
        ("text\n\n", ["txt"], SourceError, "has no column 'txt' (closest: 'text')"),
        ("n\n1\n", None, ValueError, "which column contains the texts; name it with --text. The columns are n"),
        ("text,n,n\na,1,2\n", ["n"], SourceError, "has the column 'n' 2 times; give each column a name of its own"),
        ("text,n\n,1\n,2\n", None, ValueError, "has no row with a text (2 rows are empty); give a file with texts"),
        (None, None, SourceError, "new.csv does not exist; give a file of texts"),
    ],
)
def test_errors(tmp_path, content, texts, error, message):
    if content is not None:
        (tmp_path / "new.csv").write_text(content)
    with pytest.raises(error) as raised:
        read_unlabelled(str(tmp_path / "new.csv"), texts)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("new.jsonl", "", "is empty; expected one JSON object per line"),
        ("new.jsonl", '{"text": ["a", "b"]}\n', "has no column of texts, numbers or booleans"),
        ("new.jsonl", '\n{"text": ', "line 2 is not valid JSON (Expecting value at column 10); correct or remove"),
        ("new.jsonl", '{"a":' * 100_000, "line 1 is nested too deeply"),
        ("new.jsonl", "\udcff", "line 1 is not in UTF-8, as JSON lines must be; save the file in UTF-8"),
        ("new.csv", "x" * (2**24 + 1) + ",b\n1,2\n", "the names of the columns in line 1 cannot be read (field larger"),
    ],
)
def test_files_without_readable_columns(tmp_path, name, content, message):
    (tmp_path / name).write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(SourceError) as raised:
        read_unlabelled(str(tmp_path / name))
    assert f"{name}: {message}" in str(raised.value)


def test_an_error_names_fifty_columns(tmp_path):
    names = [f"c{i}" for i in range(60)]
    (tmp_path / "new.csv").write_text(",".join(names) + "\n" + ",".join(["1"] * 60) + "\n")
    with pytest.raises(ValueError, match=r"c48, c49 and 10 more$"):
        read_unlabelled(str(tmp_path / "new.csv"))


def test_the_first_row_of_json_lines_may_lack_the_text_and_have_a_huge_number(tmp_path):
    (tmp_path / "new.jsonl").write_text('{"id": ' + "9" * 5_000 + '}\n{"text": "a b"}\n')
    assert read_unlabelled(str(tmp_path / "new.jsonl"), ["text"]) == (["a b"], [1])


def _parquet(tmp_path):
    pq.write_table(pa.table({"text": ["a b", "c d"] * 500}), tmp_path / "whole.parquet")
    return (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.parametrize(
    "damage", [lambda whole: b"", lambda whole: whole[:200], lambda whole: whole[:4] + b"\xff" * 60 + whole[64:]]
)
def test_a_damaged_parquet_file(tmp_path, damage):
    (tmp_path / "new.parquet").write_bytes(damage(_parquet(tmp_path)))
    with pytest.raises(
        SourceError, match=r"new\.parquet: is not a readable Parquet file \(.+\); download or write it again"
    ):
        read_unlabelled(str(tmp_path / "new.parquet"), ["text"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("new.csv", "", "is empty; expected the names of the columns in the first line"),
        ("new.tsv", "text\tn\n", "has no rows; give a file with one or more"),
        ("new.jsonl", "\n \n", "is empty; expected one JSON object per line"),
    ],
)
@pytest.mark.parametrize("texts", [None, ["text"]])
def test_files_without_rows(tmp_path, name, content, message, texts):
    (tmp_path / name).write_text(content)
    with pytest.raises(SourceError, match=message):
        read_unlabelled(str(tmp_path / name), texts)


def test_a_key_that_occurs_twice_in_a_later_row_is_refused(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "one", "x": 1}\n{"text": "two", "x": 1, "x": 2}\n')
    with pytest.raises(SourceError, match="line 2: has a key twice: 'x'"):
        read_rows(str(file), ("text",))
