"""The report as a page."""

import re


def test_report_page_is_self_contained(report):
    page = (report / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 4
    assert re.findall(r"(?:src|href)=\"(?!data:)", page) == []
    assert page.count("<h2>") == (report / "report.md").read_text(encoding="utf-8").count("\n## ")
