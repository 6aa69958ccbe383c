"""Drawing; the one file that imports matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from metaeval_hub.embeddings.names import short_names, type_title

# Okabe and Ito's palette, told apart by readers with any colour vision; grey for the eighth type.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B8A800", "#7F7F7F")
MARGINS = (0.18, 0.08)  # room beside and above the points of a map, as a share of their span: labels need it
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")


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
    figure = Figure(figsize=(11, 8), layout="constrained")
    plot = figure.add_subplot()
    plot.margins(MARGINS[0], MARGINS[1])
    types = [kinds.get(name, "unknown") for name in names]
    for i, kind in enumerate(sorted(set(types))):
        rows = [row for row, value in enumerate(types) if value == kind]
        for row, ends in zip(rows, copies[rows] if copies is not None else [], strict=False):
            plot.scatter(
                ends[:, 0], ends[:, 1], s=9, color=PALETTE[i % len(PALETTE)], alpha=0.7, linewidths=0, zorder=2
            )
            lines = np.stack([np.broadcast_to(points[row], ends.shape), ends], axis=1)  # (K, 2 ends, 2)
            plot.add_collection(
                LineCollection(list(lines), colors=PALETTE[i % len(PALETTE)], linewidths=0.7, alpha=0.5)
            )
        plot.scatter(
            points[rows, 0],
            points[rows, 1],
            s=46,
            color=PALETTE[i % len(PALETTE)],
            marker=MARKERS[i % len(MARKERS)],
            label=type_title(kind),
            edgecolors="white",
            linewidths=0.6,
            zorder=3,
        )
    labels = short_names(names)
    for (x, y), label, (dx, dy) in zip(points, labels, _label_offsets(points, labels), strict=True):
        plot.annotate(
            label, (x, y), xytext=(dx, dy), textcoords="offset points", fontsize=7.5, va="center",
            ha="left" if dx > 0 else "right", color="#333333",
            arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.5} if abs(dy) > 8 else None,
        )  # fmt: skip
    plot.set_title(title, fontsize=11)
    plot.set_xlabel(axes[0])
    plot.set_ylabel(axes[1])
    plot.grid(color="#e6e6e6", linewidth=0.6, zorder=0)
    plot.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=8, fontsize=8, frameon=False, handletextpad=0.2, columnspacing=1.2)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)
    return path


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
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)
    return path


def draw_curves(
    curves: Mapping[str, Sequence[tuple[float, float, float, float]]],
    path: Path | str,
    *,
    title: str,
    axes: tuple[str, str],
    level: tuple[str, float] | None = None,
) -> Path:
    """Draw shares against counts that grow by factors, with intervals.

    Args:
        curves: name -> points: a count, its share in 0..1, and the lower and upper bound of the share.
        path: file to write; the ending says the format (png, svg, pdf).
        title: says what is shown.
        axes: names of the horizontal and the vertical axis.
        level: name and share of a horizontal line.

    Returns:
        ``path``.

    Raises:
        ValueError: there is no point.
    """
    counts = sorted({point[0] for points in curves.values() for point in points})
    if not counts:
        raise ValueError("there is no point to draw")
    figure = Figure(figsize=(7.5, 4.8), layout="constrained")
    plot = figure.add_subplot()
    for i, (name, points) in enumerate(curves.items()):
        # one place a count, since 0 has none on a logarithmic axis; curves stand beside each other there
        places = [counts.index(point[0]) + 0.05 * (i - (len(curves) - 1) / 2) for point in points]
        values, lows, highs = (100 * np.array([point[part] for point in points]) for part in (1, 2, 3))
        plot.errorbar(
            places, values, [values - lows, highs - values], color=PALETTE[i % len(PALETTE)], label=name,
            marker=MARKERS[i % len(MARKERS)], markersize=5, linewidth=1.6, elinewidth=0.8, capsize=2,
        )  # fmt: skip
    if level is not None:
        plot.axhline(100 * level[1], color="#7F7F7F", linewidth=1, linestyle="--", label=level[0], zorder=1)
    plot.set_xticks(range(len(counts)), [f"{count:g}" for count in counts])
    plot.set_title(title, fontsize=11)
    plot.set_xlabel(axes[0])
    plot.set_ylabel(axes[1])
    plot.grid(color="#e6e6e6", linewidth=0.6, zorder=0)
    plot.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    path = Path(path)
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
