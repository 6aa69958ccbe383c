"""The page as one file: hostile texts stay data, and only its own script and style may run."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from metaeval_hub.page.content import Example, TaskFacts, content, make_space
from metaeval_hub.page.write import SCRIPTS, build_page, embed, write_page
from metaeval_hub.task_data.task_embeddings import TaskEmbeddings
from tests.metaeval_hub.page.test_content import embeddings

HOSTILE = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> &amp; \u2028 \ud800 ${x}"


class Parsed(HTMLParser):
    """Elements with their attributes, and the text of script, style and title elements."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, text):
        if self.elements and self.elements[-1][0] in ("script", "style", "title") and text.strip():
            self.texts.append((*self.elements[-1], text))


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    emb = TaskEmbeddings((HOSTILE, "a/b", "a/c"), embeddings(3).values)
    examples = [Example(HOSTILE, (HOSTILE, HOSTILE))]
    facts = {HOSTILE: TaskFacts({HOSTILE: HOSTILE}, [HOSTILE], *[HOSTILE] * 4, examples, HOSTILE)}
    space = make_space(HOSTILE, emb, about={HOSTILE: HOSTILE}, warning=HOSTILE)
    path = tmp_path_factory.mktemp("page") / "new" / "map.html"
    assert write_page(path, [space], facts, title=HOSTILE) == path
    return path.read_text(encoding="utf-8")


def test_hostile_texts_stay_data(hostile_page):
    parsed = Parsed(hostile_page)
    assert [tag for tag, _ in parsed.elements if tag in ("script", "img")] == ["script", "script"]
    (data,) = [text for tag, attributes, text in parsed.texts if attributes.get("id") == "data"]
    assert not set("<>&\u2028") & set(data)
    assert data.isascii()
    read = json.loads(data)
    assert read["names"][0] == read["facts"][0]["labels"][0] == read["runs"][0]["name"] == HOSTILE
    assert next(text for tag, _, text in parsed.texts if tag == "title").startswith("</script><script>alert(1)")


def test_policy_allows_only_the_script_and_style_of_the_page(hostile_page):
    parsed = Parsed(hostile_page)
    (policy,) = [a["content"] for _, a in parsed.elements if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in policy
    texts = {tag: text for tag, attributes, text in parsed.texts if "id" not in attributes and tag != "title"}
    for tag in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(texts[tag].encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    styled = [attributes for _, attributes in parsed.elements if "style" in attributes]
    handlers = [name for _, attributes in parsed.elements for name in attributes if name.startswith("on")]
    assert not styled
    assert not handlers


def test_no_part_of_the_script_turns_texts_into_markup_or_code():
    folder = files("metaeval_hub.page") / "app"
    assert {each.name for each in folder.iterdir()} == {*SCRIPTS, "page.html", "style.css"}
    for name in SCRIPTS:
        script = (folder / name).read_text(encoding="utf-8")
        assert not re.search(r"(inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\b|Function\(|srcdoc", script)
        assert not re.search(r"\bfetch\(|XMLHttpRequest|import\(|WebSocket|sendBeacon", script)


def test_page_without_data_is_small():
    data = content([make_space("run", embeddings(2))], {})
    assert len(build_page(data)) - len(embed(data)) < 100_000


def test_non_finite_numbers_are_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        embed({"x": float("nan")})


def test_the_parts_of_the_page_are_packaged():
    setup = (files("metaeval_hub") / ".." / "setup.py").read_text(encoding="utf-8")
    assert '"metaeval_hub.page": ["app/*"]' in setup
