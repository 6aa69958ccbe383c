"""Pictures of tables: what is drawn is what is stored under the same stem."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metaeval_hub.embeddings.figures import draw_curves, draw_map
from metaeval_hub.tables import Table


def draw_geometry(table: Table, folder: Path, stem: str) -> list[Path]:
    """Draw what ``geometry`` returned, as PNG and SVG.

    Args:
        table: of ``metaeval_hub.embeddings.analyses.geometry``.
        folder: to write to.
        stem: of the files, that of the table's own.
    """
    rows = sorted(table.rows, key=lambda row: str(row["task"]))
    count = sum(key[:1] == "x" and key[1:].isdigit() for key in rows[0])
    points = np.array([[row["x"], row["y"]] for row in rows])
    copies = np.array([[[row[f"x{k}"], row[f"y{k}"]] for k in range(1, count + 1)] for row in rows]) if count else None
    kinds = {str(row["task"]): str(row["type"]) for row in rows}
    title = f"{table.title}\n{table.notes[0].split('. ')[0]}; {len(rows)} tasks"
    axes = ("component 1", "component 2") if table.facts["method"] == "pca" else ("UMAP 1", "UMAP 2")
    return [
        draw_map(points, tuple(kinds), kinds, folder / f"{stem}.{ending}", title=title, axes=axes, copies=copies)
        for ending in ("png", "svg")
    ]


def draw_few_shot(table: Table, folder: Path, stem: str) -> list[Path]:
    """Draw accuracy against labelled examples, as PNG and SVG.

    Args:
        table: of ``metaeval_hub.report.few_shot.means_table``, with rows.
        folder: to write to.
        stem: of the files, that of the table's own.
    """
    curves: dict[str, list[tuple[float, float, float, float]]] = {}
    level: tuple[str, float] | None = None
    for row in table.rows:
        if row["shots"] is None:  # needs no examples
            level = (str(row["method"]), row["mean"])
            continue
        low, high = (row["mean"] if row[end] is None else row[end] for end in ("low", "high"))
        curves.setdefault(str(row["method"]), []).append((row["shots"], row["mean"], low, high))
    title = f"{table.title}: mean over {len(table.facts['tasks'])} tasks, 95 % intervals over tasks"
    axes = ("labelled examples of a task", "test accuracy %")
    return [
        draw_curves(curves, folder / f"{stem}.{ending}", title=title, axes=axes, level=level)
        for ending in ("png", "svg")
    ]
