"""Tables show the same values in every format, and their files contain all values."""

import csv
import json
import math

import numpy as np
import pytest

from metaeval_hub.results.tables import Column, Table, made_by

TABLE = Table(
    "Rates",
    (Column("task", "task"), Column("rows", "rows", "count"), Column("rate", "rate %", "percent", "std")),
    (
        {"task": "a|b <c>", "rows": 12345, "rate": 0.25, "std": 0.013, "more": 7},
        {"task": "d", "rows": None, "rate": math.nan, "std": None},
    ),
    notes=("a note",),
    facts={"seed": 0},
)


@pytest.mark.parametrize(
    ("form", "value", "shown"),
    [
        ("text", "x", "x"), ("count", 1234567, "1,234,567"), ("number", 0.256, "0.26"), ("percent", 0.256, "25.6"),
        ("points", 0.256, "+25.6"), ("points", -0.01, "-1.0"), ("p", 0.0496, "0.050"), ("percent", None, "-"),
        ("number", math.nan, "-"), ("count", np.int64(3), "3"), ("minutes", 0.32, "0.3"), ("minutes", 0.01, "<0.1"),
        ("minutes", 9.96, "10"), ("minutes", 1234.5, "1,234"), ("minutes", 0, "0.0"), ("percent", -0.0001, "0.0"),
        ("number", -0.001, "0.00"), ("points", -0.0001, "+0.0"), ("count", -0.2, "0"), ("number", -0.01, "-0.01"),
    ],
)  # fmt: skip
def test_values_are_shown_in_their_form(form, value, shown):
    assert Column("x", "x", form).show({"x": value}) == shown


def test_spread_follows_its_value():
    assert [row[2] for row in TABLE.cells()] == ["25.0 ± 1.3", "-"]
    assert Column("x", "x", "points", "s").show({"x": 0.01, "s": 0.02}) == "+1.0 ± 2.0"
    row = {"x": 0.5, "s": 0.02, "c": 0.211, "p": 0.005}
    assert Column("x", "x", "percent", "s", "c", "p").show(row) == "50.0 ± 2.0 (chance 21.1, p 0.005)"
    assert Column("x", "x", "percent", "s", p_value="p").show(row) == "50.0 ± 2.0 (p 0.005)"
    assert Column("x", "x", "percent", p_value="p").show(row) == "50.0 (p 0.005)"


def test_markdown_and_html_escape_special_characters():
    assert TABLE.to_markdown().splitlines() == [
        "| task | rows | rate % |",
        "|---|---:|---:|",
        "| a\\|b <c> | 12,345 | 25.0 ± 1.3 |",
        "| d | - | - |",
    ]
    assert '<td>a|b &lt;c&gt;</td><td class="number">12,345</td>' in TABLE.to_html()
    phrases = Table(
        "t", (Column("x", "x"), Column("y", "y")), ({"x": "a", "y": "a phrase of many words, whole"}, {"x": "b"})
    )
    assert '<td>b</td><td class="long">-</td>' in phrases.to_html()


def test_files_contain_all_values_and_the_command(tmp_path):
    paths = TABLE.save(tmp_path / "new", "rates", made_by(["metaeval", "analyze", "a b"]))
    with paths[0].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"task": "a|b <c>", "rows": "12345", "rate": "0.25", "std": "0.013", "more": "7"}
    assert rows[1]["rows"] == rows[1]["rate"] == rows[1]["more"] == ""
    stored = json.loads(paths[1].read_text(encoding="utf-8"))
    assert stored["made_by"]["command"] == "metaeval analyze 'a b'"
    assert stored["facts"] == {"seed": 0}
    assert stored["rows"][1] == {"task": "d", "rows": None, "rate": None, "std": None}
