"""Draw heat maps and curves. Only this module and ``map_plots`` import matplotlib."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from metaeval_hub.analysis.type_styles import TYPE_STYLES
from metaeval_hub.results.run_results import at_home

DPI = 160  # of files with pixels


def draw_shares(
    shares: NDArray[np.float64],
    row_names: Sequence[str],
    column_names: Sequence[str],
    path: Path | str,
    *,
    title: str,
    axes: tuple[str, str],
    label: str,
) -> Path:
    """Draw a matrix of shares as a heat map, with a logarithmic scale because relevant shares span 0.1 % to 100 %.

    Args:
        shares: (R, C) in 0..1; a cell of 0 is left blank.
        row_names: R names.
        column_names: C names.
        path: file to write; its suffix chooses the format (png, svg, pdf).
        title: title of the figure.
        axes: names of the horizontal and the vertical axis.
        label: title of the colour scale.

    Returns:
        ``path``.

    Raises:
        ValueError: the shape of ``shares`` does not match the names, or it is empty.
    """
    if shares.shape != (len(row_names), len(column_names)) or not shares.size:
        expected = f"({len(row_names)}, {len(column_names)})"
        raise ValueError(f"shares has shape {shares.shape}; expected {expected}, not empty")
    figure = Figure(figsize=(4.5 + 0.2 * len(column_names), 3.2 + 0.2 * len(row_names)), layout="constrained")
    plot = figure.add_subplot()
    scale = LogNorm(vmin=0.001, vmax=1.0, clip=True)
    image = plot.imshow(np.where(shares > 0, shares, np.nan), cmap="viridis_r", norm=scale, aspect="equal")
    plot.set_xticks(range(len(column_names)), column_names, rotation=90, fontsize=7)
    plot.set_yticks(range(len(row_names)), row_names, fontsize=7)
    plot.set_xticks(np.arange(len(column_names) + 1) - 0.5, minor=True)
    plot.set_yticks(np.arange(len(row_names) + 1) - 0.5, minor=True)
    plot.grid(which="minor", color="#e6e6e6", linewidth=0.5)
    plot.tick_params(which="both", length=0)
    for y, x in np.argwhere(shares >= 0.0095):  # print the shares that round to 1 % or more
        plot.text(x, y, f"{100 * shares[y, x]:.0f}", ha="center", va="center", fontsize=5, color="white")
    plot.set_title(title, fontsize=11)
    plot.set_xlabel(axes[0])
    plot.set_ylabel(axes[1])
    bar = figure.colorbar(image, ax=plot, shrink=0.6, ticks=[0.001, 0.01, 0.1, 1.0])
    bar.ax.set_yticklabels(["0.1 %", "1 %", "10 %", "100 %"], fontsize=8)
    bar.set_label(label, fontsize=8)
    return save_figure(figure, path)


Curve = Sequence[tuple[float, float, float]]  # points: count, share in 0..1, standard deviation of the share


def draw_curves(
    panels: Mapping[str, Mapping[str, Curve]],
    path: Path | str,
    *,
    title: str,
    axes: tuple[str, str],
    levels: Mapping[str, float],
    level_title: str,
) -> Path:
    """Draw shares against counts, with one panel per task and equal distances between successive counts.

    Args:
        panels: title of a panel -> name of a curve -> its points. A curve looks the same in all panels. The count
            infinity is labelled "all".
        path: file to write; its suffix chooses the format (png, svg, pdf).
        title: title of the figure.
        axes: names of the horizontal and the vertical axis.
        levels: title of a panel -> share at which a horizontal line is drawn.
        level_title: name of these lines in the legend.

    Returns:
        ``path``.

    Raises:
        ValueError: there are no points.
    """
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    counts = sorted({point[0] for curves in panels.values() for points in curves.values() for point in points})
    if not counts:
        raise ValueError("the panels have no points; expected at least one")
    columns = min(len(panels), 4)
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(1.2 + 2.9 * columns, 1.3 + 2.5 * lines), layout="constrained")
    plots = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    looks = {name: _look(i) for i, name in enumerate(names)}
    for plot, (panel, curves) in zip(plots, panels.items(), strict=False):
        for i, name in enumerate(names):
            if points := curves.get(name):
                shift = 0.05 * (i - (len(names) - 1) / 2)  # keeps error bars from covering each other
                _draw_curve(plot, name, points, looks[name], counts, shift)
        if panel in levels:
            plot.axhline(100 * levels[panel], color="#7F7F7F", linewidth=1, linestyle="--", label=level_title, zorder=1)
        plot.set_title(panel, fontsize=9)
        plot.set_xticks(range(len(counts)), ["all" if math.isinf(count) else f"{count:g}" for count in counts])
        plot.grid(color="#e6e6e6", linewidth=0.6, zorder=0)
        plot.spines[["top", "right"]].set_visible(False)
    for plot in plots[len(panels) :]:
        plot.set_axis_off()
    figure.suptitle(title, fontsize=11)
    for plot in plots[max(len(panels) - columns, 0) : len(panels)]:
        plot.set_xlabel(axes[0], fontsize=9)
    figure.supylabel(axes[1], fontsize=9)
    shown = {label: handle for plot in plots for handle, label in zip(*plot.get_legend_handles_labels(), strict=True)}
    columns = _fit_legend(figure, list(shown))
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    return save_figure(figure, path)


def _draw_curve(
    plot: Axes, name: str, points: Curve, look: tuple[str, str], counts: Sequence[float], shift: float
) -> None:
    # place counts at equal distances, because a logarithmic axis has no place for 0
    places = [counts.index(point[0]) + (shift if point[0] else 0.0) for point in points]
    values, spreads = (100 * np.array([point[part] for point in points]) for part in (1, 2))
    colour, marker = look
    plot.errorbar(
        places, values, spreads, color=colour, label=name, marker=marker, markersize=5, linewidth=1.4, elinewidth=0.8,
        capsize=2,
    )  # fmt: skip


def _look(number: int) -> tuple[str, str]:
    """Return the colour and the marker of a curve."""
    style = TYPE_STYLES[number % len(TYPE_STYLES)]
    return style.colour, style.marker


def save_figure(figure: Figure, path: Path | str) -> Path:
    """Write a figure in the format of the path's suffix; return the path."""
    path = at_home(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    return path


def _fit_legend(figure: Figure, labels: Sequence[str]) -> int:
    """Return how many columns, at most 3, fit the width of a figure, which is widened if not even one does."""
    column = 0.07 * max(map(len, labels), default=0) + 0.6  # inches, in small letters
    figure.set_figwidth(max(figure.get_figwidth(), column))
    return min(3, int(figure.get_figwidth() / column))
