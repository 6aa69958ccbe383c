"""One HTML file that holds the whole page: markup, style, script and data. Needs no server and asks for nothing.

Names, texts and labels come from repositories that anyone may have written. They reach the page only as JSON in a
``script`` element that browsers do not run, with every ``<`` and ``&`` escaped, and the script puts them into the
document as text. The page's own policy (Content-Security-Policy) lets run only the script and the style whose digests
it names, forbids every request, and forbids turning strings into markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from metaeval_hub.page.content import Space, TaskFacts, content
from metaeval_hub.results.run_results import at_home

SCRIPTS = ("data.js", "marks.js", "labels.js", "map.js", "panel.js", "search.js", "main.js")  # in this order


def write_page(path: Path | str, spaces: Sequence[Space], facts: Mapping[str, TaskFacts], *, title: str = "") -> Path:
    """Write the map of one or more runs as one HTML file.

    Args:
        path: file to write; its folder is made.
        spaces: of the runs, the one shown first first; see ``content.make_space``.
        facts: task name -> what is known of it; tasks without are shown by name.
        title: of the page.

    Returns:
        ``path``.

    Raises:
        ValueError: there is no run, or two have one name.
    """
    path = at_home(path)
    page = build_page(content(spaces, facts, title))
    path.parent.mkdir(parents=True, exist_ok=True)
    # the digests are of these very lines; a title may hold what UTF-8 cannot write
    path.write_text(page, encoding="utf-8", errors="xmlcharrefreplace", newline="\n")
    return path


def build_page(data: Mapping[str, Any]) -> str:
    """The page as text.

    Args:
        data: what ``content`` gives.
    """
    style = _read("style.css")
    # one script of one scope: the files stand for modules, which a page without a server cannot load from itself
    script = '"use strict";\n{\n' + "\n".join(map(_read, SCRIPTS)) + "}\n"
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src 'sha256-{_digest(script)}'",
            f"style-src 'sha256-{_digest(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )
    return Template(_read("page.html")).substitute(
        policy=policy, title=html.escape(str(data["title"])), style=style, script=script, data=embed(data)
    )


def embed(data: Mapping[str, Any]) -> str:
    """JSON that can stand in a ``script`` element whatever texts it holds: ASCII, without ``<``, ``>`` and ``&``.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _read(name: str) -> str:
    return (files("metaeval_hub.page") / "app" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
