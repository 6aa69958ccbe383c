"""Links between documents lead to files and headings that exist; the strict build checks the links of the site."""

import re

import pytest

from tests.docs.pages import PAGES, ROOT

ROOT_PAGES = [*PAGES, ROOT / "CHANGELOG.md"]
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<img[^>]*\ssrc=\"([^\"]+)\"")
GENERATED = {
    *("contributing.md", "security.md", "changelog.md", "command-line.md", "api.md", "notebooks/your_own_task.md"),
}


def links(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [first or second for first, second in _LINK.findall(text)]


def anchors(page):
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ROOT_PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        on_the_site_only = path in GENERATED or (path.startswith("tasks/") and page.parent.name == "docs")
        if re.match(r"[a-z]+:", path) or on_the_site_only:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert ROOT in target.parents, f"{link} leaves the repository"
        assert not anchor or anchor in anchors(target), f"{path} has no heading #{anchor}"


def test_the_readme_links_to_the_main_pages_and_stays_short():
    readme = ROOT / "README.md"
    assert {"docs/quickstart.md", "docs/train.md", "docs/use.md", "docs/architecture.md"} <= set(links(readme))
    assert len(readme.read_text(encoding="utf-8").splitlines()) <= 180
