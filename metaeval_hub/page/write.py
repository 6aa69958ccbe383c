"""Write the page as one HTML file with markup, style, script and data, which needs no server and sends no requests.

Names, texts and labels come from repositories that anyone may have written. They reach the page only as JSON in a
``script`` element that browsers do not execute, with every ``<`` and ``&`` escaped, and the script inserts them into
the document as text. The Content-Security-Policy of the page allows only the script and the style with the stated
digests, and forbids all requests and turning strings into markup.
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
        path: file to write; its folder is created if needed.
        spaces: the runs, see ``content.make_space``; the page opens with the first one.
        facts: task name -> its facts; of other tasks only the name is shown.
        title: title of the page.

    Returns:
        ``path``.

    Raises:
        ValueError: there is no run, or two runs have the same name.
    """
    path = at_home(path)
    page = build_page(content(spaces, facts, title))
    path.parent.mkdir(parents=True, exist_ok=True)
    # keep line ends, since the digests cover them; a title may contain characters that UTF-8 cannot encode
    path.write_text(page, encoding="utf-8", errors="xmlcharrefreplace", newline="\n")
    return path


def build_page(data: Mapping[str, Any]) -> str:
    """Return the page as HTML text.

    Args:
        data: result of ``content``.
    """
    style = _read("style.css")
    # join the files into one script: without a server, browsers refuse to load modules
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
    """Return JSON that is safe inside a ``script`` element: ASCII, with ``<``, ``>`` and ``&`` escaped.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _read(name: str) -> str:
    return (files("metaeval_hub.page") / "app" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
