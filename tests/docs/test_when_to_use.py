"""The figures of docs/when-to-use.md are those of the pages that it names as their sources."""

import re

from tests.docs.pages import ROOT

SOURCES = ("recipe.md", "benchmarks.md", "few-labels.md", "report/README.md")


def test_every_figure_is_in_a_source():
    page = (ROOT / "docs" / "when-to-use.md").read_text(encoding="utf-8")
    sources = "\n".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in SOURCES)
    figures = (
        re.findall(r"(\d+\.\d) %", page) + re.findall(r"([\d,]+) MB \|", page) + re.findall(r"(\d+\.\d) s \|", page)
    )
    assert len(figures) > 25
    unknown = [figure for figure in figures if not re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d.]\d)", sources)]
    assert not unknown
