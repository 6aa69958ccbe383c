"""Draw maps of tasks (Sileo & Moens 2022, figures 3 to 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from metaeval_hub.analysis.label_places import LEADER, nearest_corner, place_labels
from metaeval_hub.analysis.plots import DPI, save_figure
from metaeval_hub.analysis.task_titles import short_names, type_title
from metaeval_hub.analysis.type_styles import TypeStyle, style_of

# Space for labels to the left and right of the points of a map, and above and below, as a share of their span.
MARGINS = (0.18, 0.1)
LABEL: dict[str, Any] = {"fontsize": 7.5, "color": "#333333"}
MARK_RADIUS = 4.5  # of a task, in points
PALE = "#d9d9d9"  # tasks of other types in the panel of a type

Labelled = tuple[Axes, NDArray[np.float64], Sequence[str]]  # plot, points (n, 2), labels ("" for none)


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
    """Draw a map of tasks and write it to a file; its suffix chooses the format (png, svg, pdf).

    Arguments and errors are those of ``map_figure``; returns ``path``.
    """
    return save_figure(map_figure(points, names, kinds, title=title, axes=axes, copies=copies), path)


def map_figure(
    points: NDArray[np.float64],
    names: tuple[str, ...],
    kinds: Mapping[str, str],
    *,
    title: str,
    axes: tuple[str, str] = ("component 1", "component 2"),
    copies: NDArray[np.float64] | None = None,
) -> Figure:
    """Draw tasks as labelled points, with the colour and marker of their type.

    A task with several embeddings is drawn at their mean, with a thin line to each of them. Such a map has one panel
    per task type, since the lines of all types in one panel would cover each other.

    Args:
        points: (n, 2).
        names: n task names, in the order of ``points``.
        kinds: task name -> task type; a task without one is drawn as "unknown".
        title: title of the figure.
        axes: names of the two axes.
        copies: (n, K, 2), the embeddings of each task if it has K of them.

    Raises:
        ValueError: the shape of ``points`` or ``copies`` does not match ``names``.
    """
    if points.shape != (len(names), 2):
        raise ValueError(f"points has shape {points.shape}; expected ({len(names)}, 2)")
    if copies is not None and (copies.ndim != 3 or (copies.shape[0], copies.shape[2]) != points.shape):
        raise ValueError(f"copies has shape {copies.shape}; expected ({len(names)}, K, 2)")
    styles = [style_of(kinds.get(name, "unknown")) for name in names]
    labels = short_names(names)
    if copies is None:
        figure, labelled = _one_map(points, labels, styles, axes)
    else:
        figure, labelled = _map_by_type(points, copies, labels, styles, axes)
    figure.suptitle(title, fontsize=11)
    _draw_labels(figure, labelled)
    return figure


def _one_map(
    points: NDArray[np.float64], labels: Sequence[str], styles: Sequence[TypeStyle], axes: tuple[str, str]
) -> tuple[Figure, list[Labelled]]:
    """Draw all tasks in one plot, and those of the dense part, if there is one, in a second one."""
    everything = np.full(len(points), True)
    inner = crowded(points)
    parts = [(everything, ~inner), (inner, inner)] if not inner.all() else [(everything, everything)]
    figure = Figure(figsize=(11 if len(parts) == 1 else 18, 8), dpi=DPI, layout="constrained")
    plots = figure.subplots(1, len(parts), squeeze=False)[0]
    labelled: list[Labelled] = []
    for plot, (shown, named) in zip(plots, parts, strict=True):
        for style in _in_order(styles):
            _draw_marks(plot, points[shown & np.array([each is style for each in styles])], style)
        labelled.append((plot, points[shown], [labels[i] if named[i] else "" for i in np.flatnonzero(shown).tolist()]))
        _dress(plot, axes)
    if len(parts) == 2:
        _draw_box(plots, points[inner])
    handles = [
        Line2D([], [], linestyle="", color=style.colour, marker=style.marker, markersize=7)
        for style in _in_order(styles)
    ]
    _legend(figure, handles, [type_title(style.kind) for style in _in_order(styles)])
    return figure, labelled


def _map_by_type(
    points: NDArray[np.float64],
    copies: NDArray[np.float64],
    labels: Sequence[str],
    styles: Sequence[TypeStyle],
    axes: tuple[str, str],
) -> tuple[Figure, list[Labelled]]:
    """Draw one panel per task type with its tasks, their embeddings and lines; tasks of other types are pale."""
    order = _in_order(styles)
    columns = min(len(order), 3)
    lines = -(-len(order) // columns)
    figure = Figure(figsize=(5.4 * columns, 4.4 * lines + 0.8), dpi=DPI, layout="constrained")
    plots = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel()
    labelled: list[Labelled] = []
    for place, (plot, style) in enumerate(zip(plots, order, strict=False)):
        own = np.array([each is style for each in styles])
        count = int(own.sum())
        everything, ends = copies.reshape(-1, 2), copies[own]
        plot.scatter(everything[:, 0], everything[:, 1], s=5, color=PALE, linewidths=0, zorder=1)
        edges = np.stack([np.broadcast_to(points[own][:, None], ends.shape), ends], axis=2)  # (m, K, 2 ends, 2)
        plot.add_collection(
            LineCollection(list(edges.reshape(-1, 2, 2)), colors=style.colour, linewidths=0.5, alpha=0.6)
        )
        plot.scatter(*ends.reshape(-1, 2).T, s=8, color=style.colour, alpha=0.8, linewidths=0, zorder=2)
        _draw_marks(plot, points[own], style)
        plot.set_title(f"{type_title(style.kind)}: {count} task{'s' * (count != 1)}", fontsize=10)
        labelled.append((plot, points[own], [label for label, is_own in zip(labels, own, strict=True) if is_own]))
        left, bottom = place % columns == 0, place + columns >= len(order)
        _dress(plot, (axes[0] if bottom else "", axes[1] if left else ""))
        plot.tick_params(labelbottom=bottom, labelleft=left)
    for plot in plots[len(order) :]:
        plot.set_axis_off()
    handles = [
        Line2D([], [], linestyle="", color="#777777", marker="o", markersize=7, markeredgecolor="white"),
        Line2D([], [], linestyle="-", linewidth=0.6, color="#777777", marker="o", markersize=3),
        Line2D([], [], linestyle="", color=PALE, marker="o", markersize=3),
    ]
    titles = ["mean of a task's embeddings", f"each of its {copies.shape[1]} embeddings", "embeddings of other types"]
    _legend(figure, handles, titles)
    return figure, labelled


def _in_order(styles: Sequence[TypeStyle]) -> list[TypeStyle]:
    return sorted(set(styles), key=lambda style: style.kind)


def _draw_marks(plot: Axes, points: NDArray[np.float64], style: TypeStyle) -> None:
    size = 110 if style.marker == "*" else 46  # a star covers less than half of its bounding box
    plot.scatter(
        points[:, 0], points[:, 1], s=size, color=style.colour, marker=style.marker, edgecolors="white",
        linewidths=0.6, zorder=3,
    )  # fmt: skip


def _dress(plot: Axes, axes: tuple[str, str]) -> None:
    plot.margins(*MARGINS)
    plot.set_xlabel(axes[0])
    plot.set_ylabel(axes[1])
    plot.grid(color="#e6e6e6", linewidth=0.6, zorder=0)
    plot.spines[["top", "right"]].set_visible(False)


def _legend(figure: Figure, handles: Sequence[Line2D], titles: Sequence[str]) -> None:
    figure.legend(
        handles, titles, loc="outside lower center", ncols=9, fontsize=8, frameon=False, handletextpad=0.4,
        columnspacing=1.2,
    )  # fmt: skip


def _draw_labels(figure: Figure, labelled: Sequence[Labelled]) -> None:
    """Draw labels where they cover no other label, with leader lines to distant ones; the layout is final after it."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # computes the layout
    figure.set_layout_engine("none")
    renderer, pixels = canvas.get_renderer(), figure.dpi / 72  # pixels per point
    for plot, points, labels in labelled:
        places = plot.transData.transform(points)
        sizes = np.zeros((len(labels), 2))
        for i, label in enumerate(labels):
            if label:
                text = plot.text(0, 0, label, **LABEL)
                box = text.get_window_extent(renderer)
                sizes[i] = box.width, box.height
                text.remove()
        left, bottom, right, top = (float(edge) / pixels for edge in plot.bbox.extents)
        boxes = place_labels(places / pixels, sizes / pixels, (left, bottom, right, top), MARK_RADIUS)
        for point, place, box, label in zip(points, places / pixels, boxes, labels, strict=True):
            if label:
                _annotate(plot, point, place, box, label)


def _annotate(
    plot: Axes, point: NDArray[np.float64], place: NDArray[np.float64], box: NDArray[np.float64], label: str
) -> None:
    at = float(point[0]), float(point[1])
    middle = (box[:2] + box[2:]) / 2 - place
    end = nearest_corner(place, box)
    if np.linalg.norm(end - place) > LEADER:
        line = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.5, "shrinkA": 0, "shrinkB": MARK_RADIUS}
        plot.annotate("", at, xytext=tuple(end - place), textcoords="offset points", arrowprops=line, zorder=2.5)
    plot.annotate(
        label, at, xytext=tuple(middle), textcoords="offset points", ha="center", va="center", zorder=4,
        path_effects=[withStroke(linewidth=1.5, foreground="white")],
        **LABEL,
    )  # fmt: skip


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


def _draw_box(plots: Sequence[Axes], points: NDArray[np.float64]) -> None:
    """Draw a box on the first plot around the points that the second plot shows."""
    margin = 0.02 * np.ptp(points, axis=0)
    (left, bottom), (right, top) = points.min(axis=0) - margin, points.max(axis=0) + margin
    box = Rectangle((left, bottom), right - left, top - bottom, fill=False, edgecolor="#777777", linewidth=0.8)
    plots[0].add_patch(box)
    plots[0].set_title("all tasks; those in the box are named on the right", fontsize=9)
    plots[1].set_title("the box", fontsize=9)
