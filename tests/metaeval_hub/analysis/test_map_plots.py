"""Maps are written if numbers and names match, and their labels do not cover each other."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text

from metaeval_hub.analysis.map_plots import crowded, draw_map, map_figure
from metaeval_hub.analysis.type_styles import TYPE_STYLES, style_of
from tests.metaeval_hub.embedded import KINDS, TASKS

NAMES = (*TASKS, *(f"own/another_task_{i}" for i in range(9)))  # 57
TYPES = dict(zip(TASKS, KINDS, strict=True))


def crowded_points(n=57):
    """Half of the tasks in a tenth of the width, the others around them."""
    rng = np.random.default_rng(0)
    return np.vstack([0.05 * rng.normal(size=(n // 2, 2)), rng.uniform(-1, 1, size=(n - n // 2, 2))])


def label_boxes(figure):
    """Return for each plot the boxes of its labels as drawn, left, bottom, right and top in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    found = []
    for plot in figure.axes:
        labels = [text for text in plot.texts if text.get_text()]
        found.append([Text.get_window_extent(text, canvas.get_renderer()).extents for text in labels])
    return found


def overlaps(boxes):
    return [
        (one, other)
        for one, other in combinations(boxes, 2)
        if (np.maximum(one[:2], other[:2]) < np.minimum(one[2:], other[2:])).all()
    ]


@pytest.mark.parametrize("copies", [None, 3])
def test_labels_of_57_crowded_tasks_do_not_cover_each_other(copies):
    points = crowded_points()
    spread = None if copies is None else points[:, None] + 0.2 * np.random.default_rng(1).normal(size=(57, copies, 2))
    boxes = label_boxes(map_figure(points, NAMES, TYPES, title="t", copies=spread))
    assert sum(map(len, boxes)) == 57
    assert [overlaps(of_plot) for of_plot in boxes] == [[]] * len(boxes)


def test_distant_labels_have_leader_lines():
    """57 tasks at almost the same place: most labels need a line to it."""
    points = 1e-3 * crowded_points()
    points[0] = [-1.0, -1.0]
    points[1] = [1.0, 1.0]
    figure = map_figure(points, NAMES, TYPES, title="t")
    (lines,) = [[text for text in plot.texts if not text.get_text()] for plot in figure.axes[:1]]
    assert [overlaps(of_plot) for of_plot in label_boxes(figure)] == [[]] * len(figure.axes)
    assert len(lines) + sum(not text.get_text() for plot in figure.axes[1:] for text in plot.texts) > 10


def test_a_type_has_its_colour_in_maps_of_one_and_of_several_embeddings():
    points = crowded_points()
    for spread in (None, points[:, None] + np.zeros((57, 2, 1))):
        figure = map_figure(points, NAMES, TYPES, title="t", copies=spread)
        marks = [each for plot in figure.axes for each in plot.collections if each.zorder == 3]
        found = {to_hex(each.get_facecolor()[0]).upper(): len(each.get_offsets()) for each in marks}
        kinds = [TYPES.get(name, "unknown") for name in NAMES]
        assert found == {style_of(kind).colour: kinds.count(kind) for kind in set(kinds)}


def test_maps_of_several_embeddings_have_one_panel_per_type():
    points = crowded_points()
    figure = map_figure(points, NAMES, TYPES, title="t", copies=np.repeat(points[:, None], 2, axis=1))
    titles = [plot.get_title() for plot in figure.axes if plot.get_title()]
    assert len(titles) == len({*KINDS, "unknown"})
    assert "Unknown: 9 tasks" in titles
    with pytest.raises(ValueError, match=r"copies has shape \(57, 2\)"):
        map_figure(points, NAMES, TYPES, title="t", copies=points)


def test_every_type_has_a_style_of_its_own():
    for part in ("kind", "colour", "on_dark", "marker", "path"):
        assert len({getattr(style, part) for style in TYPE_STYLES}) == len(TYPE_STYLES) == 9
    assert {style_of(kind).kind for kind in KINDS} == set(KINDS)


def test_dense_part_of_a_map_gets_its_own_plot():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(30, 2))
    assert crowded(points).all()
    points[:2] = [[80.0, 1.0], [-3.0, 60.0]]
    inner = crowded(points)
    assert not inner[:2].any()
    assert inner.sum() >= 20
    names = tuple(f"group/task{i}" for i in range(30))
    figure = map_figure(points, names, dict.fromkeys(names, "nli"), title="t")
    labels = [text.get_text() for plot in figure.axes for text in plot.texts if text.get_text()]
    assert sorted(labels) == sorted(name.partition("/")[2] for name in names)
    assert [plot.get_title() for plot in figure.axes][1] == "the box"


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_map_is_drawn(tmp_path, ending):
    names = tuple(f"g/{i}" for i in range(12))
    points = np.random.default_rng(0).normal(size=(12, 2))
    path = draw_map(points, names, {"g/1": "NLI", "g/2": "EMOTION"}, tmp_path / f"map.{ending}", title="t")
    assert path.stat().st_size > 5_000
    with pytest.raises(ValueError, match=r"expected \(11, 2\)"):
        draw_map(points, names[1:], {}, path, title="t")
