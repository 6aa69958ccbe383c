"""The generated pages of the site: every task, every option, every public name. They are built without mkdocs here."""

import importlib.util

import pytest

import metaeval_datasets
import metaeval_hub
from metaeval_datasets.catalog import all_tasks
from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def build_pages():
    spec = importlib.util.spec_from_file_location("build_pages", ROOT / "docs" / "build_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(build_pages):
    return build_pages.pages()


def test_every_task_has_a_section_with_what_is_declared(pages):
    for spec in all_tasks().values():
        section = pages[f"tasks/{spec.group}.md"].split(f"\n## {spec.name} ")[1].split("\n## ")[0]
        assert f"| Licence | {spec.license} |" in section
        assert all(f"`{name}`" in section for name in spec.names)
        assert spec.citation in section
        for source in spec.sources:
            assert getattr(source, "repo", "no download") in section
        assert all(f"{count:,}" in section for count in spec.rows.values() if count)


def test_every_option_of_every_command_is_on_the_page(build_pages, pages):
    text = pages["command-line.md"]
    parsers = list(build_pages.subcommands(build_pages.metaeval_parser()))
    assert len(parsers) > 12
    for parser in [*parsers, *map(build_pages.script_parser, build_pages.SCRIPTS)]:
        section = text.split(f"\n### {parser.prog}\n")[1].split("\n### ")[0]
        flags = [", ".join(action.option_strings) for action in parser._actions if action.option_strings]
        assert all(f"| `{flag}" in section for flag in flags if "-h" not in flag), parser.prog


def test_scripts_are_those_that_can_be_started(build_pages):
    started = {path.stem for path in (ROOT / "training").glob("*.py") if '"__main__"' in path.read_text()}
    assert set(build_pages.SCRIPTS) == started


def test_every_public_name_is_on_the_api_page(pages):
    lines = set(pages["api.md"].splitlines())
    for package in (metaeval_hub, metaeval_datasets):
        wanted = {f"::: {package.__name__}.{name}" for name in package.__all__ if name != "load_dataset"}
        assert wanted <= lines
    assert "::: metaeval_hub.ConditionalBnConfig" in lines  # public, but not in __all__


def test_notebooks_become_pages_with_their_outputs(build_pages, pages):
    text = pages["notebooks/your_own_task.md"]
    assert text.startswith("# From a CSV file to a served classifier\n\n[Download this notebook](your_own_task.ipynb)")
    assert "```console\n$ metaeval new-task tickets.csv --name acme/tickets\ntickets.csv: first 10 rows\n" in text
    value = {"output_type": "execute_result", "data": {"text/plain": ["3"]}}
    cell = {"cell_type": "code", "source": ["1 + 2"], "outputs": [value]}
    assert build_pages.notebook_cell(cell) == "```python\n1 + 2\n```\n\n```text\n3\n```"
    assert build_pages.notebook_cell({**cell, "outputs": []}) == "```python\n1 + 2\n```"


def test_documents_of_the_root_are_included_whole(pages):
    for page, source in {"security.md": "SECURITY.md", "changelog.md": "CHANGELOG.md"}.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        assert pages[page] == text.replace("](docs/", "](")
        assert "](docs/" not in pages[page]


def test_what_a_page_loads_from_other_hosts_is_found(build_pages):
    local = '<a href="https://example.org">a link</a> <script src="assets/bundle.js"></script> <img src="map.png">'
    assert build_pages.foreign_loads(local) == []
    foreign = '<script src="https://unpkg.com/x"></script><link rel=stylesheet href=//example.org/style.css>'
    assert build_pages.foreign_loads(foreign) == ["https://unpkg.com/x", "//example.org/style.css"]
