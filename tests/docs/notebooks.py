"""Runs the cells of a notebook in this process, without Jupyter, and stores or returns what they print.

    python -m tests.docs.notebooks    # run the notebooks of docs/notebooks/ and store their outputs

A cell contains Python, or lines that start with ``!metaeval``, which run as in tests/docs/pages.py.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tests.docs.pages import ROOT, run, whole_lines, words

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def printed(cell: dict[str, Any]) -> str:
    """The stored output of a cell as text."""
    parts = [out["text"] if out["output_type"] == "stream" else out["data"]["text/plain"] for out in cell["outputs"]]
    return "".join("".join(part) for part in parts)


def run_cell(cell: dict[str, Any], names: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a cell; return its outputs as a notebook stores them: what it prints, and its last value."""
    source = "".join(cell["source"])
    if source.startswith("!"):
        lines = whole_lines(source.replace("\\\n", " ").splitlines())
        return stream("".join(run(words(line.removeprefix("!"))) for line in lines))
    tree = ast.parse(source)
    last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(tree, "cell", "exec"), names)
        value = None if last is None else eval(compile(last, "cell", "eval"), names)
    if value is None:
        return stream(output.getvalue())
    result = {"output_type": "execute_result", "execution_count": cell["execution_count"], "metadata": {}}
    return [*stream(output.getvalue()), result | {"data": {"text/plain": lines_of(repr(value))}}]


def stream(text: str) -> list[dict[str, Any]]:
    return [{"output_type": "stream", "name": "stdout", "text": lines_of(text)}] if text else []


def lines_of(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def store(path: Path) -> None:
    """Run a notebook in a folder of its own, and write it with its outputs."""
    notebook, names = read(path), {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for number, cell in enumerate(code_cells(notebook), 1):
            cell["execution_count"] = number
            cell["outputs"] = run_cell(cell, names)
        os.chdir(ROOT)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    for each in NOTEBOOKS:
        store(each)
