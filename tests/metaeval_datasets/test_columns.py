"""Which columns of a table are proposed as texts and label."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaeval_datasets.columns import (
    describe_columns,
    find_delimiter,
    find_encoding,
    propose,
    read_sample,
)
from metaeval_datasets.sources.asking import SourceError
from metaeval_datasets.sources.source_files import SourceFile

ROWS = 40
TEXT = [f"a text with number {i}" for i in range(ROWS)]
LONG = [f"another and much longer text that has the number {i}" for i in range(ROWS)]
FEW = [("bug", "billing")[i % 2] for i in range(ROWS)]
STARS = [1 + i % 5 for i in range(ROWS)]
IDS = list(range(ROWS))
NAMES = [f"ticket-{i}" for i in range(ROWS)]


@pytest.mark.parametrize(
    ("table", "expected", "doubts"),
    [
        ({"id": IDS, "key": NAMES, "message": TEXT, "topic": FEW}, ("message", None, "topic"), set()),
        (
            {"message": TEXT, "stars": STARS, "day": [f"2024-01-1{i % 4}" for i in IDS]},
            ("message", None, "stars"),
            set(),
        ),
        ({"premise": TEXT, "hypothesis": LONG, "label": STARS}, ("premise", "hypothesis", "label"), set()),
        ({"text_a": TEXT, "text_b": LONG, "stars": STARS}, ("text_a", "text_b", "stars"), set()),
        ({"q1": TEXT, "q2": LONG, "same": FEW}, ("q1", "q2", "same"), set()),
        ({"subject": TEXT, "details": LONG, "topic": FEW}, ("details", None, "topic"), {"text"}),
        ({"subject": LONG, "body": TEXT, "topic": FEW}, ("body", None, "topic"), {"text"}),
        ({"message": TEXT, "team": FEW, "stars": STARS}, ("message", None, "team"), {"label"}),
        ({"message": TEXT, "stars": STARS, "team": FEW}, ("message", None, "team"), {"label"}),
        ({"message": TEXT, "stars": STARS, "label": FEW}, ("message", None, "label"), set()),
        ({"message": TEXT, "key": NAMES}, ("message", None, None), {"label"}),
        ({"key": NAMES, "label": FEW}, (None, None, "label"), {"text"}),
        ({"message": TEXT[:3], "label": ["a", "b", "a"]}, ("message", None, "label"), set()),
    ],
)
def test_proposed_columns(table, expected, doubts):
    found = propose(describe_columns(pa.table(table)))
    assert (found.text, found.second_text, found.label) == expected
    assert set(found.doubts) == doubts


@pytest.mark.parametrize(
    ("content", "encoding", "delimiter"),
    [
        (b"a,b\n1,2\n", "utf-8", ","),
        ("\ufeffa;b;c\n1,0;2;3\n".encode(), "utf-8", ";"),
        ("a\tb\nit\u2019s\t2\n".encode("cp1252"), "cp1252", "\t"),
        ('"a;b;c",d\n1,2\n'.encode("utf-16"), "utf-16", ","),
        (b"a\n1\n", "utf-8", ","),
    ],
)
def test_encoding_and_delimiter(content, encoding, delimiter, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    assert find_encoding(str(path)) == encoding
    assert find_delimiter(str(path), encoding) == delimiter


def test_a_file_in_no_known_encoding(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a\x81")
    with pytest.raises(SourceError, match="neither UTF-8 nor cp1252; name its `encoding`"):
        find_encoding(str(tmp_path / "a.csv"))


def test_samples_of_all_formats(tmp_path):
    pq.write_table(pa.table({"a": ["x"], "b": [[1]]}), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_bytes("\ufeffa\nx\n".encode())
    (tmp_path / "a.json").write_text('{"a": "x", "b": [1]}\n')
    for name, kind in (("a.parquet", "parquet"), ("a.csv", "csv"), ("a.json", "json")):
        assert read_sample(SourceFile(str(tmp_path / name), kind)).to_pylist() == [{"a": "x"}]
    (tmp_path / "a.json").write_text("[1]\n")
    with pytest.raises(SourceError, match="is a JSON array; expected JSON lines, with one object per line"):
        read_sample(SourceFile(str(tmp_path / "a.json"), "json"))
    (tmp_path / "a.csv").write_text("a\n")
    with pytest.raises(SourceError, match="has no rows"):
        read_sample(SourceFile(str(tmp_path / "a.csv"), "csv"))
