"""Draw maps, heat maps and curves. No other module imports matplotlib."""

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

# Okabe and Ito's palette, which readers with any colour vision can distinguish. The type "other" is grey and "unknown"
# is nearly black. page/app/marks.js has the same colours and shapes.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B8A800", "#7F7F7F", "#4D4D4D")
# Space for labels to the left and right of the points of a map, and above and below, as a share of their span.
MARGINS = (0.18, 0.08)
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
        path: file to write; its suffix chooses the format (png, svg, pdf).
        title: title of the figure, such as the model, the method and the seed.
        axes: names of the two axes.
        copies: (n, K, 2), the embeddings of each task if it has K of them; each is drawn small, with a line to its
            task.

    Returns:
        ``path``.

    Raises:
        ValueError: the shape of ``points`` or ``copies`` does not match ``names``.
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
            chosen = shown & (types == kind)
            _draw_tasks(plot, points[chosen], None if copies is None else copies[chosen], look)
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
    """Return the colour and the marker of a task type, which are the same in every figure."""
    place = TYPE_LOOKS.index(kind if kind in TYPE_LOOKS else "unknown")
    return PALETTE[place], MARKERS[place]


def crowded(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Find the dense part of a map: a few distant tasks can leave too little space to label all the others.

    Args:
        points: (n, 2).

    Returns:
        (n,) True for the tasks close to the middle 80 % in each direction. All are True if there are fewer than 20
        tasks, or if the middle takes more than 0.4 of the width or height.
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
    size = 110 if marker == "*" else 46  # a star covers less than half of its bounding box
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
    """Draw a box on the first plot around the points that the second plot shows."""
    margin = 0.02 * np.ptp(points, axis=0)
    (left, bottom), (right, top) = points.min(axis=0) - margin, points.max(axis=0) + margin
    box = Rectangle((left, bottom), right - left, top - bottom, fill=False, edgecolor="#777777", linewidth=0.8)
    plots[0].add_patch(box)
    plots[0].set_title("all tasks; those in the box are named on the right", fontsize=9)
    plots[1].set_title("the box", fontsize=9)


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
    return _save(figure, path)


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
        panels: title of a panel -> name of a curve -> its points. A curve looks the same in all panels.
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
    looks = {name: (PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(names)}
    for plot, (panel, curves) in zip(plots, panels.items(), strict=False):
        for i, name in enumerate(names):
            if points := curves.get(name):
                shift = 0.05 * (i - (len(names) - 1) / 2)  # keeps error bars from covering each other
                _draw_curve(plot, name, points, looks[name], counts, shift)
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


def _save(figure: Figure, path: Path | str) -> Path:
    path = at_home(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)
    return path


def _label_offsets(points: NDArray[np.float64], labels: Sequence[str]) -> list[tuple[float, float]]:
    """Return the offset of each label from its task, in points, chosen to cover as few tasks and labels as possible."""
    span = np.ptp(points, axis=0)
    # positions in points for a plot of about 720 by 470; a letter takes about 4 by 9
    place = (points - points.min(axis=0)) / np.where(span > 0, span, 1.0) * (530, 405)
    boxes = [(x - 4, x + 4, y - 4, y + 4) for x, y in place]
    frame = (-MARGINS[0] * 530, (1 + MARGINS[0]) * 530)  # left and right edges of the plot
    offsets = [(6.0, 0.0)] * len(labels)
    for task in np.argsort(-place[:, 1], kind="stable"):
        width = 4.0 * len(labels[task])
        choices = []
        for dy in (0, -8, 8, -16, 16, -24, 24, -32, 32):
            for dx in (6, -6):
                x = place[task, 0] + (dx if dx > 0 else dx - width)
                box = (x, x + width, place[task, 1] + dy - 4.5, place[task, 1] + dy + 4.5)
                others = (other for i, other in enumerate(boxes) if i != task)
                outside = max(frame[0] - box[0], box[1] - frame[1], 0.0)
                covered = sum(_overlap(box, other) for other in others) + 4 * outside
                choices.append((covered, abs(dy), dx < 0, (dx, dy), box))
        _, _, _, offsets[task], best = min(choices)
        boxes.append(best)
    return offsets


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the area that two boxes (left, right, bottom, top) share."""
    width = min(one[1], other[1]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[2], other[2])
    return max(width, 0.0) * max(height, 0.0)
