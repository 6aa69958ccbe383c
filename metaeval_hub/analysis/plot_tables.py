"""Draw figures from the tables that are stored under the same file stem."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metaeval_hub.analysis.plots import draw_curves, draw_map
from metaeval_hub.results.tables import Table


def draw_geometry(table: Table, folder: Path, stem: str) -> list[Path]:
    """Draw what ``geometry`` returned, as PNG and SVG.

    Args:
        table: table of ``metaeval_hub.analysis.geometry.geometry``.
        folder: folder to write to.
        stem: file stem, the same as that of the table's files.
    """
    rows = sorted(table.records, key=lambda row: str(row["task"]))
    count = sum(key[:1] == "x" and key[1:].isdigit() for key in rows[0])
    points = np.array([[row["x"], row["y"]] for row in rows])
    copies = np.array([[[row[f"x{k}"], row[f"y{k}"]] for k in range(1, count + 1)] for row in rows]) if count else None
    kinds = {str(row["task"]): str(row["type"]) for row in rows}
    title = f"{table.title}\n{table.notes[0].split('. ')[0]}; {len(rows)} tasks"
    axes = ("UMAP 1", "UMAP 2")
    if "explained" in table.facts:
        shares = [f"{100 * share:.0f} % of the variance" for share in table.facts["explained"]]
        axes = (f"component 1, {shares[0]}", f"component 2, {shares[1]}")
    return [
        draw_map(points, tuple(kinds), kinds, folder / f"{stem}.{ending}", title=title, axes=axes, copies=copies)
        for ending in ("png", "svg")
    ]


def draw_few_shot(table: Table, folder: Path, stem: str, level: str) -> list[Path]:
    """Draw accuracy by number of labelled examples as PNG and SVG: one panel per task, and one for the means.

    Args:
        table: non-empty table of ``metaeval_hub.report.few_shot.task_table``.
        folder: folder to write to.
        stem: file stem, the same as that of the table's files.
        level: label of the line that shows the majority class.
    """
    panels: dict[str, dict[str, list[tuple[float, float, float]]]] = {}
    levels: dict[str, float] = {}
    for row in table.records:
        task = str(row["task"])
        points = [(k, row[f"k{k}"], row[f"k{k}_spread"] or 0.0) for k in table.facts["shots"] if f"k{k}" in row]
        panels.setdefault(task, {})[str(row["method"])] = points
        levels[task] = row["majority"]
    title = f"{table.title}: mean and standard deviation over {table.facts['draws']} draws of examples"
    axes = ("labelled examples per task", "test accuracy %")
    return [
        draw_curves(panels, folder / f"{stem}.{ending}", title=title, axes=axes, levels=levels, level_title=level)
        for ending in ("png", "svg")
    ]
