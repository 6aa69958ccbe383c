"""Draw figures from the tables that are stored under the same file stem."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from metaeval_hub.analysis.map_plots import map_figure
from metaeval_hub.analysis.plots import draw_curves, save_figure
from metaeval_hub.results.tables import Table


def draw_geometry(table: Table, folder: Path, stem: str) -> list[Path]:
    """Draw the table of ``geometry`` as PNG and SVG; return the paths.

    Args:
        table: table of ``metaeval_hub.analysis.geometry.geometry``.
        folder: folder to write to.
        stem: file stem, the same as that of the table's files.
    """
    records = sorted(table.records, key=lambda record: str(record["task"]))
    count = sum(key[:1] == "x" and key[1:].isdigit() for key in records[0])
    points = np.array([[record["x"], record["y"]] for record in records])
    copies = None
    if count:
        numbers = range(1, count + 1)
        copies = np.array([[[record[f"x{k}"], record[f"y{k}"]] for k in numbers] for record in records])
    kinds = {str(record["task"]): str(record["type"]) for record in records}
    title = f"{table.title}\n{table.notes[0].split('. ')[0]}"
    axes = ("UMAP 1", "UMAP 2")
    if "explained" in table.facts:
        shares = [f"{100 * share:.0f} % of the variance" for share in table.facts["explained"]]
        axes = (f"component 1, {shares[0]}", f"component 2, {shares[1]}")
    figure = map_figure(points, tuple(kinds), kinds, title=title, axes=axes, copies=copies)
    return [save_figure(figure, folder / f"{stem}.{ending}") for ending in ("png", "svg")]


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
    for record in table.records:
        task = f"{record['task']} {record.get('mark') or ''}".strip()
        points = [
            (k, record[f"k{k}"], record[f"k{k}_spread"] or 0.0) for k in table.facts["shots"] if f"k{k}" in record
        ]
        panels.setdefault(task, {})[str(record["method"])] = points
        levels[task] = record["majority"]
    title = f"{table.title}: mean and standard deviation over {table.facts['draws']} draws of examples"
    axes = ("labelled examples per task", "test accuracy %")
    return [
        draw_curves(panels, folder / f"{stem}.{ending}", title=title, axes=axes, levels=levels, level_title=level)
        for ending in ("png", "svg")
    ]


def draw_by_rows(table: Table, folder: Path, stem: str) -> list[Path]:
    """Draw mean accuracy by number of training rows as PNG and SVG, with one curve per method.

    Args:
        table: non-empty table of ``metaeval_hub.report.training_rows.rows_table``.
        folder: folder to write to.
        stem: file stem, the same as that of the table's files.
    """
    curves: dict[str, list[tuple[float, float, float]]] = {}
    for record in table.records:
        rows = math.inf if record["rows"] == "all" else float(str(record["rows"]).replace(",", ""))
        curves.setdefault(str(record["method"]), []).append((rows, record["mean"], record["spread"] or 0.0))
    panels = {f"mean of {len(table.facts['tasks'])} tasks": curves}
    axes = ("training rows per task, at most", "test accuracy %")
    return [
        draw_curves(panels, folder / f"{stem}.{ending}", title=table.title, axes=axes, levels={}, level_title="")
        for ending in ("png", "svg")
    ]
