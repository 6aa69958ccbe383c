"""Readers that guess nothing: what is written is what is read, and what cannot be read is named with its line."""

import io
import json

import pytest

from metaeval_datasets.sources import readers
from metaeval_datasets.sources.readers import FormatError, csv_tables, json_tables


def read_csv(content, *, delimiter=",", quote='"', header=None, columns=("text", "label")):
    file = io.BytesIO(content.encode() if isinstance(content, str) else content)
    return [row for table in csv_tables(file, columns, delimiter, quote, header) for row in table.to_pylist()]


def read_json(content):
    file = io.BytesIO(content.encode() if isinstance(content, str) else content)
    return [row for table in json_tables(file, ("text", "label"), "label") for row in table.to_pylist()]


def rows(*pairs):
    return [{"text": text, "label": label} for text, label in pairs]


AS_WRITTEN = ["007", "1.50", "1e5", "NA", "null", "None", "nan", "true", "2020-01-01", "2020-01-01 00:00:00", "", " x "]


@pytest.mark.parametrize("block", [16, 1 << 20])
def test_texts_are_what_is_written(monkeypatch, block):
    monkeypatch.setattr(readers, "BLOCK_BYTES", block)
    expected = rows(*((text, text) for text in AS_WRITTEN))
    assert read_csv(
        "text,other,label\n" + "".join(f"{text},{k or 'x'},{text}\n" for k, text in enumerate(AS_WRITTEN))
    ) == (expected)
    assert read_json("".join(json.dumps({"text": text, "label": text}) + "\n" for text in AS_WRITTEN)) == expected


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("block", [1, 2, 7, 1 << 20])
def test_lines_of_csv(monkeypatch, end, block):
    """Line ends of any kind, a BOM, breaks inside quotes, characters that only Python takes for line ends."""
    monkeypatch.setattr(readers, "BLOCK_BYTES", block)
    lines = ["\ufefftext,label", '"a, ""b""\u2028\u0085\x1c\x0b",1', "", "\u00e9,0", f'"two{end}lines",1']
    expected = rows(('a, "b"\u2028\u0085\x1c\x0b', "1"), ("\u00e9", "0"), (f"two{end}lines", "1"))
    assert read_csv(end.join(lines)) == expected
    assert read_csv(end.join(lines) + end) == expected


def test_quotes_of_tsv_can_be_switched_off():
    content = "text\tlabel\n\"He said\t1\nno, 'yes'\t0\nand left\"\t1\n"
    with pytest.raises(FormatError, match=r"line 4: .*set `quote` to None"):
        read_csv(content.replace('left"', 'left" !'), delimiter="\t")
    assert read_csv(content, delimiter="\t", quote=None) == rows(
        ('"He said', "1"), ("no, 'yes'", "0"), ('and left"', "1")
    )
    assert read_csv("text\tlabel\n'a\tb'\t1\n", delimiter="\t", quote="'") == rows(("a\tb", "1"))


def test_numbers_and_booleans_of_json_keep_their_meaning():
    assert read_json(
        '{"text": 1.50, "label": 1}\n{"text": true, "label": null}\n{"text": 12345678901234567890123}\n'
    ) == (rows(("1.50", 1), ("true", None), ("12345678901234567890123", None)))
    assert read_json('{"text": "a", "label": true}\n{"text": "b", "label": false}') == rows(("a", True), ("b", False))
    assert read_json('{"text": "a", "label": 1}\n{"text": "b", "label": "yes"}\n') == rows(("a", "1"), ("b", "yes"))
    assert read_json('{"text": "a", "label": 99999999999999999999}') == rows(("a", "99999999999999999999"))


def test_json_columns_that_are_not_read_may_hold_anything(monkeypatch):
    monkeypatch.setattr(readers, "BLOCK_BYTES", 40)
    others = [1, "x", None, {"text": 2}, [1, {"a": []}], True, "2020-01-01", 1e300]
    lines = [json.dumps({"other": other, "text": "t", "label": k, f"key {k}": k}) for k, other in enumerate(others)]
    assert read_json("\r\n".join(["", *lines])) == rows(*(("t", k) for k in range(len(others))))


def test_a_column_may_be_missing_at_first(monkeypatch):
    monkeypatch.setattr(readers, "BLOCK_BYTES", 20)
    assert read_json('{"text": "a"}\n' * 9 + '{"text": "b", "label": 1}\n') == rows(*[("a", None)] * 9, ("b", 1))
    with pytest.raises(FormatError, match="has no column 'label'; its columns are text"):
        read_json('{"text": "a"}\n' * 9)


def test_a_row_of_several_blocks_is_no_array(monkeypatch):
    monkeypatch.setattr(readers, "BLOCK_BYTES", 20)
    text = "a" * 10 + "[b" + "\ufeff" * 9
    assert read_json(json.dumps({"text": text, "label": 1}, ensure_ascii=False)) == rows((text, 1))


DEEP = '{"text": "a", "label": 0, "other": ' + '{"a":' * 200_000 + "1" + "}" * 200_000 + "}"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            '{"text": "a", "label": 0}\n{"text": "b"',
            r"line 2 is not valid JSON \(Expecting .* at column 13\); correct or remove the line",
        ),
        ('{"text": "a\\ud800", "label": 0}', r"'text' contains half of a surrogate pair, '\\ud800' at character 1"),
        ('{"text": "a", "label": 0}\n5', "line 2 contains '5'; expected an object"),
        ('{"text": "a", "text": "b", "label": 0}', "line 1: has a key twice: 'text'"),
        ('{"text": {"a": 1}, "label": 0}', "column 'text' contains an object"),
        ('{"text": [["a"]], "label": 0}', "column 'text' contains lists of lists"),
        ('{"text": ["a"], "label": 0}\n{"text": "a", "label": 0}\n', "column 'text' contains lists and other values"),
        ('[{"text": "a", "label": 0}]', "is a JSON array; expected JSON lines"),
        (b'{"text": "\xff", "label": 0}', "line 1 is not in UTF-8, as JSON lines must be"),
        (DEEP, "line 1 is nested too deep"),
        ("", "is empty; expected one JSON object per line"),
    ],
)
def test_json_that_cannot_be_read(content, problem):
    with pytest.raises(FormatError, match=problem):
        read_json(content)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("text,label\na,0\nb,1,2\n", "line 3 has 3 columns; expected 2"),
        ("text,gold\na,0\n", "has no column 'label'; its columns are text, gold"),
        ("text,text,label\na,b,0\n", "has the column 'text' 2 times"),
        ('text,label\n"a,0\nb,1\n', "line 3: unexpected end of data; if quotation marks are part"),
        ("", "is empty"),
        ("text,label," + ",".join(map(str, range(10_001))), "has 10,003 columns; at most 10,000 are read"),
    ],
)
def test_csv_that_cannot_be_read(content, problem):
    with pytest.raises(FormatError, match=problem):
        read_csv(content)


def test_long_cells_and_lines_are_refused(monkeypatch):
    assert read_csv(f"text,label\n{'a' * 200_000},0\n")[0]["text"] == "a" * 200_000  # beyond the default of csv
    monkeypatch.setattr(readers, "BLOCK_BYTES", 100_000)
    monkeypatch.setattr(readers, "MAX_ROW_BYTES", 1 << 20)
    for read, begin in ((read_csv, "text,label\n"), (read_json, '{"text": "')):
        with pytest.raises(FormatError, match="has a line of more than 1 MiB"):
            read(begin + "a" * (2 << 20))


def test_rows_that_two_plain_quotes_of_a_tsv_enclose_are_no_field():
    content = 'text\tlabel\n"begins with a quote\t0\nb\t1\nends with one"\t1\n'
    with pytest.raises(FormatError, match=r"line 4 ends a quoted field .* set `quote` to None"):
        read_csv(content, delimiter="\t")
    assert len(read_csv(content, delimiter="\t", quote=None)) == 3
    assert read_csv('text\tlabel\n"two\nlines"\t1\n', delimiter="\t") == rows(("two\nlines", "1"))
