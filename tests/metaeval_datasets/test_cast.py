"""Casting: every operation of a declaration on small tables, and that no row is lost on the way."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaeval_datasets.cast import (
    GROUP,
    CastError,
    cast_table,
    check_label_names,
    columns_to_read,
    evaluate,
    label_code,
    label_source,
)
from metaeval_datasets.schema import FILTERED, LEFT_OUT, UNKNOWN, UNLABELLED, check_rows, to_schema
from metaeval_datasets.spec import (
    After,
    Alone,
    Before,
    ConfigText,
    Embedded,
    Items,
    Join,
    Keep,
    Orient,
    Replace,
    RowModulus,
    SameRow,
    SameText,
    Source,
    Stack,
    rows_per_source_row,
)
from tests.metaeval_datasets.conftest import task

TABLE = pa.table(
    {
        "a": ["one", "two", None],
        "b": ["x [SEP] y [SEP] z", "plain", "x [SEP] "],
        "n": [1, 2, 3],
        "items": [["p", "q"], [], None],
        "label": [0, 1, 0],
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", ["one", "two", None]),
        ("n", ["1", "2", "3"]),
        (Join("a", "n"), ["one 1", "two 2", None]),
        (Join("n", "a", "n", separator="|"), ["1|one|1", "2|two|2", None]),
        (Before("b", " [SEP] "), ["x [SEP] y", "plain", "x"]),
        (After("b", " [SEP] "), ["z", None, ""]),
        (Before(Before("b", " [SEP] "), " [SEP] "), ["x", "plain", "x"]),
        (Replace("b", " [SEP] ", "-"), ["x-y-z", "plain", "x-"]),
        (Replace("b", ".", "!"), ["x [SEP] y [SEP] z", "plain", "x [SEP] "]),
        (Items("items", separator=" or "), ["p or q", "", None]),
        (ConfigText({"here": "a target"}), ["a target"] * 3),
    ],
)
def test_texts(text, expected):
    assert evaluate(text, TABLE, "here").to_pylist() == expected


@pytest.mark.parametrize("separator", [".*", "(", "\\", "[SEP]", "a|b", "\n", "?"])
def test_separators_are_literal(separator):
    text = f"left{separator}right\nmore"
    before, _, after = text.rpartition(separator)
    table = pa.table({"a": [text, "none of it"]})
    assert evaluate(Before("a", separator), table).to_pylist() == [before, "none of it"]
    assert evaluate(After("a", separator), table).to_pylist()[0] == after


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("c", "no column 'c'; the source has a, b, items, label, n"),
        ("items", "declare Items for lists of texts"),
        (Items("a"), "expected lists of texts"),
        (ConfigText({"there": "x"}), "no text is declared for config 'here'"),
    ],
)
def test_what_cannot_be_read_is_named(text, problem):
    with pytest.raises(CastError, match=problem):
        evaluate(text, TABLE, "here")


def test_dictionary_and_large_columns_are_texts():
    table = pa.table({"a": pa.array(["x", "y", "x"]).dictionary_encode(), "b": pa.array(["x"] * 3, pa.large_string())})
    assert evaluate(Join("a", "b"), table).to_pylist() == ["x x", "y x", "x x"]


# --- Labels ---------------------------------------------------------------------------------------------------------

STARS = task(names=("negative", "positive"), label_values={"1": "negative", "2": "positive"})


@pytest.mark.parametrize(
    ("spec", "label_names", "token", "code"),
    [
        # plain integers: the index; hidden labels; integers beyond the names
        (task(), None, 1, 1),
        (task(), None, True, 1),
        (task(), None, 1.0, 1),
        (task(), None, -1, UNLABELLED),
        (task(), None, None, UNLABELLED),
        (task(), None, float("nan"), UNLABELLED),
        (task(), None, 2, UNKNOWN),
        (task(), None, -2, UNKNOWN),
        (task(), None, 0.5, UNKNOWN),
        # names that come with the file count, whatever their order
        (task(), ("yes", "no"), 0, 1),
        (task(), ("yes", "no"), -1, UNLABELLED),
        (task(), ("yes", "no"), 2, UNKNOWN),
        # strings
        (task(), None, "yes", 1),
        (task(), None, "1", 1),
        (task(), None, "", UNLABELLED),
        (task(), None, "-1", UNLABELLED),
        (task(), None, "Yes", UNKNOWN),
        (task(), None, "9", UNKNOWN),
        # labels that are spelt otherwise, or left out
        (task(label_values={"Y": "yes", "skip": None}), None, "Y", 1),
        (task(label_values={"Y": "yes", "skip": None}), None, "skip", LEFT_OUT),
        (task(label_values={"skip": None}), ("no", "yes", "skip"), 2, LEFT_OUT),
        (task(label_values={4: "yes", 3: None}), None, 4, 1),
        (task(label_values={4: "yes", 3: None}), None, 3, LEFT_OUT),
        (task(label_values={4: "yes", 3: None}), None, 0, UNKNOWN),
        (task(label_values={4: "yes"}), ("no", "yes"), 0, 0),
        # names that are numbers: the name where there are names, the index where there are only integers
        (STARS, ("1", "2"), 1, 1),
        (STARS, None, 1, 1),
        (STARS, None, "1", 0),
        (STARS, None, "0", UNKNOWN),
        (task(names=("1", "2")), None, "2", 1),
        (task(names=("1", "2")), None, "0", UNKNOWN),
    ],
)
def test_labels(spec, label_names, token, code):
    assert label_code(token, spec, spec.sources[0], label_names) == code


def test_a_source_may_have_labels_of_its_own():
    plain = Source("made/up", label_names=("yes", "no"))
    other = Source("made/up", label_values={"ja": "yes"})
    spec = task(sources=(plain, other), label_values={"oui": "yes"})
    assert label_code(0, spec, plain) == 1
    assert label_code("oui", spec, plain) == 1
    assert label_code("ja", spec, other) == 1
    assert label_code("oui", spec, other) == UNKNOWN


def test_a_column_of_labels():
    spec = task()
    table = pa.table({"text": list("abcde"), "label": ["yes", None, "no", "maybe", "yes"]})
    assert cast_table(table, spec, spec.sources[0])["label"].to_pylist() == [1, UNLABELLED, 0, UNKNOWN, 1]
    table = pa.table({"text": ["a"], "label": pa.nulls(1)})
    assert cast_table(table, spec, spec.sources[0])["label"].to_pylist() == [UNLABELLED]
    table = pa.table({"text": ["a", "b"], "label": [True, None]})
    assert cast_table(table, spec, spec.sources[0])["label"].to_pylist() == [1, UNLABELLED]


def test_names_that_come_with_files_must_be_those_declared():
    spec = task(label_values={"skip": None})
    check_label_names(spec, spec.sources[0], ("yes", "skip", "no"))
    with pytest.raises(CastError, match=r"\['Yes'\] are not among the declared names, and no label maps to \['yes'\]"):
        check_label_names(spec, spec.sources[0], ("no", "Yes"))
    with pytest.raises(CastError, match=r"no label maps to \['no'\]"):
        check_label_names(spec, spec.sources[0], ("yes",))


# --- Rows -----------------------------------------------------------------------------------------------------------


def test_rows_keep_their_number_in_the_source():
    spec = task()
    cast = cast_table(pa.table({"text": ["a", "b"], "label": [0, 1], "idx": [90, 91]}), spec, spec.sources[0], 5)
    assert cast["idx"].to_pylist() == [5, 6]
    assert GROUP not in cast.column_names


def test_columns_of_a_source_are_renamed_before_the_task_reads_them():
    source = Source("made/up", columns={"text": Join("head", "body"), "label": "gold"})
    spec = task(sources=(source,))
    table = pa.table({"head": ["a"], "body": ["b"], "gold": ["yes"], "label": ["no"]})
    assert to_schema(cast_table(table, spec, source), spec).to_pylist() == [{"sentence": "a b", "label": 1, "idx": 0}]
    assert columns_to_read(spec, source) == ("head", "body", "gold")
    assert label_source(spec, source) == "gold"


def test_columns_may_swap():
    source = Source("made/up", columns={"a": "b", "b": "a"})
    spec = task(sources=(source,), sentence1="a", sentence2="b")
    cast = cast_table(pa.table({"a": ["1"], "b": ["2"], "label": [0]}), spec, source)
    assert (cast["sentence1"][0].as_py(), cast["sentence2"][0].as_py()) == ("2", "1")


def test_stack_makes_a_row_of_each_column():
    source = Source("made/up", steps=(Stack({"good": "yes", "bad": "no"}),))
    spec = task(sources=(source,), sentence="sentence", groups=SameRow(), splits=("train",))
    table = pa.table({"good": ["g0", "g1"], "bad": ["b0", "b1"], "field": ["f", "f"]})
    cast = cast_table(table, spec, source, 10)
    assert cast["sentence"].to_pylist() == ["g0", "b0", "g1", "b1"]
    assert cast["label"].to_pylist() == [1, 0, 1, 0]
    assert cast["idx"].to_pylist() == [10, 10, 11, 11]
    groups = cast[GROUP].to_pylist()
    assert groups[0] == groups[1] != groups[2] == groups[3]
    assert rows_per_source_row(source) == 2
    assert columns_to_read(spec, source) == ("good", "bad")
    assert label_source(spec, source) is None


def test_orient_swaps_half_of_the_rows_by_their_content():
    source = Source("made/up", steps=(Orient("better", "worse", labels=("yes", "no")),))
    spec = task(sources=(source,), sentence1="better", sentence2="worse")
    rows = [(f"better {i}", f"worse {i}") for i in range(400)]
    table = pa.table({"better": [row[0] for row in rows], "worse": [row[1] for row in rows]})
    cast = cast_table(table, spec, source).to_pylist()
    for row, (better, worse) in zip(cast, rows, strict=True):
        expected = (better, worse) if row["label"] == 1 else (worse, better)
        assert (row["sentence1"], row["sentence2"]) == expected
    swapped = [row["label"] == 0 for row in cast]
    assert 160 < sum(swapped) < 240
    backwards = cast_table(table.take(list(range(399, -1, -1))), spec, source)["label"].to_pylist()
    assert backwards[::-1] == [row["label"] for row in cast]


def test_keep_counts_what_it_leaves_out():
    source = Source("made/up", steps=(Keep("field", ("syntax",)), Keep("n", (1, 2))))
    spec = task(sources=(source,))
    table = pa.table(
        {"text": list("abcd"), "label": [0, 1, 0, 1], "field": ["syntax", "syntax", None, "syntax"], "n": [1, 3, 1, 2]}
    )
    cast = cast_table(table, spec, source)
    assert cast["label"].to_pylist() == [0, FILTERED, FILTERED, 1]
    assert check_rows(cast, spec)[1] == {"filtered by declaration": 2}


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (RowModulus(3), [0, 1, 2, 0, 1, 2]),
        (SameText("article"), [0, 0, 1, 1, 2, 2]),
        (SameText(Before("article", "/")), [0, 0, 0, 0, 1, 1]),
        (SameText("article", "n"), [0, 1, 2, 3, 4, 5]),
        (SameText(ConfigText({"c": "all"})), [0] * 6),
        (SameRow(), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_groups(groups, expected):
    spec = task(groups=groups, splits=("train",))
    table = pa.table(
        {"text": list("abcdef"), "label": [0] * 6, "article": ["x/1", "x/1", "x/2", "x/2", "y/1", "y/1"], "n": range(6)}
    )
    numbers = cast_table(table, spec, spec.sources[0], config="c")[GROUP].to_pylist()
    order = {number: place for place, number in enumerate(dict.fromkeys(numbers))}
    assert [order[number] for number in numbers] == expected


def test_a_source_may_have_groups_of_its_own():
    source = Source("made/up", groups=Alone())
    spec = task(sources=(source,), groups=SameText("article"), splits=("train",))
    assert columns_to_read(spec, source) == ("text", "label")
    assert GROUP not in cast_table(pa.table({"text": ["a"], "label": [0]}), spec, source).column_names


def test_embedded_sources_are_read_as_they_are():
    spec = task(sources=(Embedded(),), groups=SameText("article"), splits=("train",))
    assert columns_to_read(spec, spec.sources[0]) == ("text", "label", "article")
    assert rows_per_source_row(spec.sources[0]) == 1


TEXTS = st.one_of(st.none(), st.text(max_size=6))
ROWS = st.lists(st.tuples(TEXTS, TEXTS, st.sampled_from(["no", "yes", "maybe", "", None])), max_size=30)


@given(ROWS, st.integers(0, 30))
def test_no_row_is_lost_and_batches_do_not_matter(rows, cut):
    """Cast in two batches as in one; each row is usable or counted, and usable rows hold what the source holds."""
    spec = task(sentence1="a", sentence2="b")
    columns = {name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(("a", "b", "label"))}
    table = pa.table(columns)
    whole = cast_table(table, spec, spec.sources[0])
    parts = [
        cast_table(part, spec, spec.sources[0], first)
        for part, first in ((table.slice(0, cut), 0), (table.slice(cut), min(cut, len(rows))))
    ]
    assert pa.concat_tables(parts).to_pylist() == whole.to_pylist()
    usable, dropped = check_rows(whole, spec)
    assert sum(usable.to_pylist()) + sum(dropped.values()) == len(rows)
    for row in to_schema(whole.filter(usable), spec).to_pylist():
        source = rows[row["idx"]]
        assert (row["sentence1"], row["sentence2"], ("no", "yes")[row["label"]]) == source
    for number, (row, kept) in enumerate(zip(rows, usable.to_pylist(), strict=True)):
        blank = not (row[0] or "").strip() or not (row[1] or "").strip()
        if not blank and row[2] in ("no", "yes"):
            assert kept, number
