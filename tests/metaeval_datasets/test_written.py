"""Labels by their written form, and sources whose labels are others."""

import io
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaeval_datasets.cast import CastError, cast_table, label_code
from metaeval_datasets.outside import LabelTally
from metaeval_datasets.schema import FILTERED, LEFT_OUT, UNKNOWN, UNLABELLED
from metaeval_datasets.sources import parquet as reader
from metaeval_datasets.sources.readers import FormatError, csv_tables, json_tables
from metaeval_datasets.spec import Keep, Source, SpecError
from tests.metaeval_datasets.conftest import parquet, task

YES_NO = ("yes", "no")  # True is the first class


def read(kind, tokens):
    """Two columns, text and label, through the reader of a format; tokens as JSON writes them."""
    if kind == "parquet":
        return pa.table({"text": ["t"] * len(tokens), "label": [json.loads(token) for token in tokens]})
    if kind == "csv":
        content = "text,label\n" + "".join(f"t,{token}\n" for token in tokens)
        return pa.concat_tables(csv_tables(io.BytesIO(content.encode()), ("text", "label"), ",", '"', None))
    content = "".join(f'{{"text": "t", "label": {token}}}\n' for token in tokens)
    return pa.concat_tables(json_tables(io.BytesIO(content.encode()), ("text", "label"), "label"))


def codes(table, spec):
    return cast_table(table, spec, spec.sources[0])["label"].to_pylist()


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"TRUE": "yes", "FALSE": "no"}, YES_NO),
        ({"true": "yes", "false": "no"}, YES_NO),
        ({True: "yes", False: "no"}, YES_NO),
        ({1: "yes", 0: "no"}, YES_NO),
        ({}, YES_NO),
        ({}, ("True", "False")),
    ],
)
def test_booleans_mean_the_same_in_every_format(kind, values, names):
    spec = task(names=names, label_values=values)
    assert codes(read(kind, ["true", "false", "true"]), spec) == [0, 1, 0]


@pytest.mark.parametrize("token", ["TRUE", "True", "true", " true", True])
def test_booleans_are_no_index(token):
    assert label_code(token, task(names=("ham", "spam")), Source("made/up")) == UNKNOWN
    assert label_code(token, task(names=("no", "yes")), Source("made/up")) == 1
    assert label_code(token, task(label_values={"TRUE": None}), Source("made/up")) == LEFT_OUT


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_numbers_mean_the_same_in_every_format(kind):
    assert codes(read(kind, ["1", "0", "-1", "2"]), task()) == [1, 0, UNLABELLED, UNKNOWN]
    assert codes(read(kind, ["1.0", "0.0"]), task()) == [1, 0]
    assert codes(read(kind, ["4", "3"]), task(label_values={4: "yes", 3: None})) == [1, LEFT_OUT]


def test_numbers_of_csv_are_the_names_that_they_spell():
    spec = task(label_values={"1": "no", "2": "yes"})
    assert codes(read("csv", ["1", "2", "1.0", "01", "3"]), spec) == [0, 1, 0, UNKNOWN, UNKNOWN]
    assert codes(read("csv", ["NA", "None", "null"]), task(names=("NA", "None"))) == [0, 1, UNKNOWN]


@pytest.mark.parametrize(
    ("values", "column", "kept"),
    [
        ((True,), ["True", "false", "1"], [True, False, True]),
        ((True,), [True, False, None], [True, False, False]),
        (("true",), [True, False], [True, False]),
        ((1,), ["1", "1.0", "2", "x", None], [True, True, False, False, False]),
        (("1",), [1, 2], [True, False]),
        (("1",), ["1", "01", "1.0"], [True, False, False]),
        ((2.0,), [2, 3], [True, False]),
    ],
)
def test_keep_compares_written_forms(values, column, kept):
    source = Source("made/up", steps=(Keep("k", values),))
    table = pa.table({"text": ["t"] * len(column), "label": [0] * len(column), "k": column})
    assert [code != FILTERED for code in cast_table(table, task(), source)["label"].to_pylist()] == kept


@pytest.mark.parametrize(
    "column",
    [[[0], [1]], [{"a": 0}, {"a": 1}], [b"yes", b"no"], pa.array([b"\xff", b"\xfe"], pa.binary()).view(pa.string())],
)
def test_what_cannot_be_a_label_or_a_text_is_named(column):
    for table, name in (({"text": ["a", "b"], "label": column}, "label"), ({"text": column, "label": [0, 1]}, "text")):
        with pytest.raises(CastError, match=f"column '{name}' contains"):
            cast_table(pa.table(table), task(), Source("made/up"))


def test_quote_is_one_character_or_none():
    assert Source("made/up", quote=None).quote is None
    with pytest.raises(SpecError, match="`quote` must be one character"):
        Source("made/up", quote="''")


# --- Sources with other labels --------------------------------------------------------------------------------------


def refusal(labels, names=("a", "b", "c"), **source):
    spec, seen = task(names=names, sources=(Source("made/up", **source),)), LabelTally()
    for part in (labels[::2], labels[1::2]):  # as two processes would
        other = LabelTally()
        cast_table(pa.table({"text": ["t"] * len(part), "label": part}), spec, spec.sources[0], seen=other)
        seen.add_all(other)
    return seen.refusal(names)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([1, 2, 3] * 20, "labels are counted from 1: 3 occurs and 0 does not"),
        ([1.0, 2.0, 3.0] * 20, "labels are counted from 1"),
        ([1] * 99 + [3], "labels are counted from 1"),
        (["A", "B", "C"] * 20, "60 of 60 labels are outside the declared names, such as 'A', "),
        (["a", "b", "C"] * 20, "20 of 60 labels .* such as 'C'; expected 'a', 'b', 'c'; declare"),
        ([-1, 1] * 20, "20 of 40 labels are -1 and none is 0"),
        ([-1, 0, 1] * 20, "20 of 60 labels are -1 and none is 2"),  # negative, neutral and positive
        (["a"] * 90 + ["x"] * 10, "10 of 100 labels"),
    ],
)
def test_other_labels_are_refused(labels, reason):
    assert re.search(reason, refusal(labels) or "")


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, 2] * 20,
        [0, 1, 2] * 20 + [3],  # one of 61
        ["a"] * 96 + ["x"] * 4,
        ["a", "x"],  # one row alone is no reason
        [-1] * 20,  # hidden: told elsewhere
        [0, 1, 2, -1] * 20,
        [0, 1] * 50 + [-1] * 5,  # the last class may be missing, too
        [1, 2] * 20,  # the first class may be missing
        [],
    ],
)
def test_a_few_other_labels_are_not(labels):
    assert refusal(labels) is None


def test_numbers_that_the_source_names_may_begin_where_they_want():
    assert refusal(["1", "2", "3"] * 20, names=("1", "2", "3")) is None
    assert refusal([1, 2, 3] * 20, label_values={1: "a", 2: "b", 3: "c"}) is None
    assert refusal([1, 2, 0] * 20, label_names=("c", "a", "b")) is None


# --- Parquet that would take the memory of the machine --------------------------------------------------------------


def read_parquet(content, **limits):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in limits.items():
            patch.setattr(reader, name, value)
        return [len(table) for table in reader.parquet_tables(io.BytesIO(content), ("text", "label"))]


def test_long_cells_of_parquet_are_refused_before_they_are_decoded():
    texts = ["a" * 200_000] + [f"text {row}" for row in range(999)]
    content = parquet({"text": texts, "label": [0] * 1000})
    assert sum(read_parquet(content)) == 1000
    with pytest.raises(FormatError, match="column 'text' takes 0 MiB for 1,000 values in memory"):
        read_parquet(content, LARGE_COLUMN_BYTES=100_000, MAX_MEAN_BYTES=200)
    with pytest.raises(FormatError, match="column 'text' has a page of 0 MiB"):
        read_parquet(content, LARGE_COLUMN_BYTES=100_000, MAX_PAGE_BYTES=150_000)
    with pytest.raises(FormatError, match="column 'text' has a text of 0 MiB"):
        read_parquet(content, MAX_CELL_BYTES=150_000)


def test_a_long_text_that_a_dictionary_repeats_is_read_in_small_batches():
    content = parquet({"text": ["a" * 10_000] * 100, "label": [0] * 100})
    assert read_parquet(content, BATCH_BYTES=200_000) == [19] * 5 + [5]  # the page has 10,004 bytes
    assert read_parquet(content, BATCH_BYTES=200_000, DICTIONARY_BYTES=10_000) == [20] * 5  # the text is measured


def test_small_batches_of_different_texts_are_joined():
    """The dictionary could repeat its longest text in every row, so few rows are decoded at a time."""
    content = parquet({"text": [f"{row:0100}" for row in range(1000)], "label": [0] * 1000})
    assert read_parquet(content, BATCH_BYTES=1_100_000) == [1000]  # 10 rows at a time
    assert read_parquet(content, BATCH_BYTES=1_100_000, JOINED_ROWS=95) == [90] * 11 + [10]
    rows = pa.concat_tables(reader.parquet_tables(io.BytesIO(content), ("text",)))
    assert rows["text"].to_pylist() == [f"{row:0100}" for row in range(1000)]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_headers_of_pages_are_read_from_first_to_last(version):
    """By their sizes one comes from page to page, and in the end to that of the column."""
    buffer = io.BytesIO()
    texts = [f"text {row}" for row in range(5000)]
    pq.write_table(pa.table({"text": texts}), buffer, data_page_size=1000, data_page_version=version)
    chunk = pq.ParquetFile(buffer).metadata.row_group(0).column(0)
    at = chunk.dictionary_page_offset
    end, pages, total = at + chunk.total_compressed_size, 0, 0
    while at < end:
        size, stored, length = reader.page_header(buffer.getvalue()[at : at + 4096])
        at, pages, total = at + length + stored, pages + 1, total + size + length
    assert (at, total) == (end, chunk.total_uncompressed_size)
    assert pages > 3


@pytest.mark.parametrize("content", [b"", b"\x15", b"\x00", b"\x1c" * 40, bytes(range(256)), b"\xff" * 99])
def test_what_is_no_header_of_a_page_is_none(content):
    assert reader.page_header(content) is None
    assert reader.dictionary_bytes(content) is None


@pytest.mark.parametrize(("dictionary", "size"), [(True, 4 + 7 + 4 + 5), (False, 0)])
def test_the_size_of_a_dictionary_is_read_from_its_header(dictionary, size):
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": ["text 10", "text2"] * 9}), buffer, use_dictionary=dictionary, compression="none")
    chunk = pq.ParquetFile(buffer).metadata.row_group(0).column(0)
    at = chunk.dictionary_page_offset or chunk.data_page_offset
    assert reader.dictionary_bytes(buffer.getvalue()[at : at + 4096]) == size
