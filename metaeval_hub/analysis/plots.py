"""Drawing; the one file that imports matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from metaeval_hub.analysis.task_titles import TYPE_LOOKS, short_names, type_title
from metaeval_hub.results.run_results import at_home

# Okabe and Ito's palette, told apart by readers with any colour vision; grey for the type "other", near black for
# "unknown". page/app/marks.js has the same colours and shapes.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B8A800", "#7F7F7F", "#4D4D4D")
MARGINS = (0.18, 0.08)  # room beside and above the points of a map, as a share of their span: labels need it
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h", "*")


def draw_map(
    points: NDArray[np.float64],
    names: tuple[str, ...],
    kinds: Mapping[str, str],
    path: Path | str,
    *,
    title: str,
    axes: tuple[str, str] = ("component 1", "component 2"),
    copies: NDArray[np.float64] | None = None,
) -> Path:
    """Draw tasks as labelled points, coloured by task type (Sileo & Moens 2022, figures 3 to 5).

    Args:
        points: (n, 2).
        names: n task names, in the order of ``points``.
        kinds: task name -> task type; a task without one is drawn as "unknown".
        path: file to write; the ending says the format (png, svg, pdf).
        title: says what is shown: model, method, seed.
        axes: names of the two axes.
        copies: (n, K, 2), where a task has several embeddings: each is drawn small, with an edge to its task.

    Returns:
        ``path``.

    Raises:
        ValueError: ``points``, ``copies`` and ``names`` do not fit.
    """
    if points.shape != (len(names), 2):
        raise ValueError(f"points has shape {points.shape}; expected ({len(names)}, 2)")
    if copies is not None and (copies.ndim != 3 or (copies.shape[0], copies.shape[2]) != points.shape):
        raise ValueError(f"copies has shape {copies.shape}; expected ({len(names)}, K, 2)")
    types = np.array([kinds.get(name, "unknown") for name in names])
    looks = {kind: look_of(kind) for kind in sorted(set(types.tolist()))}
    labels = short_names(names)
    everything = np.full(len(names), True)
    inner = crowded(points) if copies is None else everything
    parts = [(everything, ~inner), (inner, inner)] if not inner.all() else [(everything, everything)]
    figure = Figure(figsize=(11 if len(parts) == 1 else 18, 8), layout="constrained")
    plots = figure.subplots(1, len(parts), squeeze=False)[0]
    for plot, (shown, labelled) in zip(plots, parts, strict=True):
        plot.margins(MARGINS[0], MARGINS[1])
        for kind, look in looks.items():
            rows = shown & (types == kind)
            _draw_tasks(plot, points[rows], None if copies is None else copies[rows], look)
        _draw_labels(plot, points[shown], [labels[i] if labelled[i] else "" for i in np.flatnonzero(shown)])
        plot.set_xlabel(axes[0])
        plot.set_ylabel(axes[1])
        plot.grid(color="#e6e6e6", linewidth=0.6, zorder=0)
        plot.spines[["top", "right"]].set_visible(False)
    if len(parts) == 2:
        _draw_box(plots, points[inner])
    figure.suptitle(title, fontsize=11)
    handles = [Line2D([], [], linestyle="", color=look[0], marker=look[1], markersize=7) for look in looks.values()]
    titles = [type_title(kind) for kind in looks]
    if copies is not None:
        handles.append(Line2D([], [], linestyle="", color="#777777", marker="o", markersize=3))
        titles.append(f"small: each of the {copies.shape[1]} embeddings of a task; large: their mean")
    figure.legend(
        handles, titles, loc="outside lower center", ncols=9, fontsize=8, frameon=False, handletextpad=0.2,
        columnspacing=1.2,
    )  # fmt: skip
    return _save(figure, path)


def look_of(kind: str) -> tuple[str, str]:
    """Return the colour and the marker of a task type, which do not depend on what else is drawn."""
    place = TYPE_LOOKS.index(kind if kind in TYPE_LOOKS else "unknown")
    return PALETTE[place], MARKERS[place]


def crowded(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tasks that a few others far away squeeze into a part of a map, too small to name them in.

    Args:
        points: (n, 2).

    Returns:
        (n,), those about the middle 80 % in each direction; all of them where these take more than 0.4 of the width or
        of the height.
    """
    low, high = np.quantile(points, [0.1, 0.9], axis=0)
    if len(points) < 20 or ((high - low) > 0.4 * np.ptp(points, axis=0)).any():
        return np.full(len(points), True)
    margin = 0.15 * (high - low)
    return np.asarray(((points >= low - margin) & (points <= high + margin)).all(axis=1))


def _draw_tasks(
    plot: Axes, points: NDArray[np.float64], copies: NDArray[np.float64] | None, look: tuple[str, str]
) -> None:
    colour, marker = look
    for point, ends in zip(points, () if copies is None else copies, strict=False):
        plot.scatter(ends[:, 0], ends[:, 1], s=9, color=colour, alpha=0.7, linewidths=0, zorder=2)
        lines = np.stack([np.broadcast_to(point, ends.shape), ends], axis=1)  # (K, 2 ends, 2)
        plot.add_collection(LineCollection(list(lines), colors=colour, linewidths=0.7, alpha=0.5))
    size = 110 if marker == "*" else 46  # the area of a star is less than half of that of its box
    plot.scatter(
        points[:, 0], points[:, 1], s=size, color=colour, marker=marker, edgecolors="white", linewidths=0.6, zorder=3
    )


def _draw_labels(plot: Axes, points: NDArray[np.float64], labels: Sequence[str]) -> None:
    for (x, y), label, (dx, dy) in zip(points, labels, _label_offsets(points, labels), strict=True):
        if label:
            plot.annotate(
                label, (x, y), xytext=(dx, dy), textcoords="offset points", fontsize=7.5, va="center",
                ha="left" if dx > 0 else "right", color="#333333",
                arrowprops={"arrowstyle": "-", "color": "#777777", "linewidth": 0.5} if abs(dy) > 8 else None,
            )  # fmt: skip


def _draw_box(plots: Sequence[Axes], points: NDArray[np.float64]) -> None:
    """Draw on the first plot where the points of the second lie."""
    margin = 0.02 * np.ptp(points, axis=0)
    (left, bottom), (right, top) = points.min(axis=0) - margin, points.max(axis=0) + margin
    box = Rectangle((left, bottom), right - left, top - bottom, fill=False, edgecolor="#777777", linewidth=0.8)
    plots[0].add_patch(box)
    plots[0].set_title("all tasks; those in the box are named on the right", fontsize=9)
    plots[1].set_title("the box", fontsize=9)


def draw_shares(
    shares: NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    path: Path | str,
    *,
    title: str,
    axes: tuple[str, str],
    label: str,
) -> Path:
    """Draw a matrix of shares as a heat map with a logarithmic scale, since what matters spans 0.1 % to 100 %.

    Args:
        shares: (R, C) in 0..1; a cell of 0 is left blank.
        rows: R names.
        columns: C names.
        path: file to write; the ending says the format (png, svg, pdf).
        title: says what is shown.
        axes: names of the horizontal and the vertical axis.
        label: names the colours.

    Returns:
        ``path``.

    Raises:
        ValueError: ``shares`` and the names do not fit, or there is nothing to draw.
    """
    if shares.shape != (len(rows), len(columns)) or not shares.size:
        raise ValueError(f"shares has shape {shares.shape}; expected ({len(rows)}, {len(columns)}), not empty")
    figure = Figure(figsize=(4.5 + 0.2 * len(columns), 3.2 + 0.2 * len(rows)), layout="constrained")
    plot = figure.add_subplot()
    scale = LogNorm(vmin=0.001, vmax=1.0, clip=True)
    image = plot.imshow(np.where(shares > 0, shares, np.nan), cmap="viridis_r", norm=scale, aspect="equal")
    plot.set_xticks(range(len(columns)), columns, rotation=90, fontsize=7)
    plot.set_yticks(range(len(rows)), rows, fontsize=7)
    plot.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    plot.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    plot.grid(which="minor", color="#e6e6e6", linewidth=0.5)
    plot.tick_params(which="both", length=0)
    for row, column in np.argwhere(shares >= 0.0095):  # paler cells are less than 1 %
        plot.text(column, row, f"{100 * shares[row, column]:.0f}", ha="center", va="center", fontsize=5, color="white")
    plot.set_title(title, fontsize=11)
    plot.set_xlabel(axes[0])
    plot.set_ylabel(axes[1])
    bar = figure.colorbar(image, ax=plot, shrink=0.6, ticks=[0.001, 0.01, 0.1, 1.0])
    bar.ax.set_yticklabels(["0.1 %", "1 %", "10 %", "100 %"], fontsize=8)
    bar.set_label(label, fontsize=8)
    return _save(figure, path)


Curve = Sequence[tuple[float, float, float]]  # a count, its share in 0..1, and how far the share varies


def draw_curves(
    panels: Mapping[str, Mapping[str, Curve]],
    path: Path | str,
    *,
    title: str,
    axes: tuple[str, str],
    levels: Mapping[str, float],
    level_title: str,
) -> Path:
    """Draw shares against counts that grow by factors, a panel a task.

    Args:
        panels: title -> name of a curve -> its points; curves have the same look in all panels.
        path: file to write; the ending says the format (png, svg, pdf).
        title: says what is shown.
        axes: names of the horizontal and the vertical axis.
        levels: title of a panel -> share of a horizontal line in it.
        level_title: name of these lines.

    Returns:
        ``path``.

    Raises:
        ValueError: there is no point.
    """
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    counts = sorted({point[0] for curves in panels.values() for points in curves.values() for point in points})
    if not counts:
        raise ValueError("there is no point to draw")
    columns = min(len(panels), 4)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(1.2 + 2.9 * columns, 1.3 + 2.5 * rows), layout="constrained")
    plots = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    looks = {name: (PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(names)}
    for plot, (panel, curves) in zip(plots, panels.items(), strict=False):
        for i, name in enumerate(names):
            if points := curves.get(name):
                beside = 0.05 * (i - (len(names) - 1) / 2)  # so that their bars do not cover each other
                _draw_curve(plot, name, points, looks[name], counts, beside)
        if panel in levels:
            plot.axhline(100 * levels[panel], color="#7F7F7F", linewidth=1, linestyle="--", label=level_title, zorder=1)
        plot.set_title(panel, fontsize=9)
        plot.set_xticks(range(len(counts)), [f"{count:g}" for count in counts])
        plot.grid(color="#e6e6e6", linewidth=0.6, zorder=0)
        plot.spines[["top", "right"]].set_visible(False)
    for plot in plots[len(panels) :]:
        plot.set_axis_off()
    figure.suptitle(title, fontsize=11)
    for plot in plots[max(len(panels) - columns, 0) : len(panels)]:
        plot.set_xlabel(axes[0], fontsize=9)
    figure.supylabel(axes[1], fontsize=9)
    shown = {label: handle for plot in plots for handle, label in zip(*plot.get_legend_handles_labels(), strict=True)}
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return _save(figure, path)


def _draw_curve(
    plot: Axes, name: str, points: Curve, look: tuple[str, str], counts: Sequence[float], beside: float
) -> None:
    # one place a count, since 0 has none on a logarithmic axis
    places = [counts.index(point[0]) + (beside if point[0] else 0.0) for point in points]
    values, spreads = (100 * np.array([point[part] for point in points]) for part in (1, 2))
    colour, marker = look
    plot.errorbar(
        places, values, spreads, color=colour, label=name, marker=marker, markersize=5, linewidth=1.4, elinewidth=0.8,
        capsize=2,
    )  # fmt: skip


def _save(figure: Figure, path: Path | str) -> Path:
    path = at_home(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)
    return path


def _label_offsets(points: NDArray[np.float64], labels: Sequence[str]) -> list[tuple[float, float]]:
    """Return where each label goes, in points from its task, so that it covers neither a task nor another label."""
    span = np.ptp(points, axis=0)
    # in points of a plot of about 720 by 470; a letter takes about 4 by 9
    place = (points - points.min(axis=0)) / np.where(span > 0, span, 1.0) * (530, 405)
    boxes = [(x - 4, x + 4, y - 4, y + 4) for x, y in place]
    frame = (-MARGINS[0] * 530, (1 + MARGINS[0]) * 530)  # left and right edge of the plot
    offsets = [(6.0, 0.0)] * len(labels)
    for row in np.argsort(-place[:, 1], kind="stable"):
        width = 4.0 * len(labels[row])
        choices = []
        for dy in (0, -8, 8, -16, 16, -24, 24, -32, 32):
            for dx in (6, -6):
                x = place[row, 0] + (dx if dx > 0 else dx - width)
                box = (x, x + width, place[row, 1] + dy - 4.5, place[row, 1] + dy + 4.5)
                others = (other for i, other in enumerate(boxes) if i != row)
                outside = max(frame[0] - box[0], box[1] - frame[1], 0.0)
                covered = sum(_overlap(box, other) for other in others) + 4 * outside
                choices.append((covered, abs(dy), dx < 0, (dx, dy), box))
        _, _, _, offsets[row], best = min(choices)
        boxes.append(best)
    return offsets


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the area that two boxes (left, right, bottom, top) share."""
    width = min(one[1], other[1]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[2], other[2])
    return max(width, 0.0) * max(height, 0.0)
