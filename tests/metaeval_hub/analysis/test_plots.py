"""Figures are written if numbers and names match; other input is refused."""

import numpy as np
import pytest

from metaeval_hub.analysis.plots import crowded, draw_curves, draw_map, draw_shares

TEXTS = {"title": "title", "axes": ("training", "evaluation"), "label": "share"}


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_shares_are_drawn(tmp_path, ending):
    shares = np.array([[0.0, 0.0004, 1.0], [0.5, 0.02, 0.0]])
    path = draw_shares(shares, ["a", "b"], ["c", "d", "e"], tmp_path / "new" / f"matrix.{ending}", **TEXTS)
    assert path.stat().st_size > 1000
    if ending == "svg":  # cells of 1 % and more show their number
        assert [f"<!-- {number} -->" in path.read_text() for number in (100, 50, 2, 0)] == [True, True, True, False]


@pytest.mark.parametrize(("shape", "columns"), [((2, 3), ["c"]), ((0, 3), ["c", "d", "e"])])
def test_shares_of_the_wrong_shape_are_refused(tmp_path, shape, columns):
    with pytest.raises(ValueError, match="shares has shape"):
        draw_shares(np.zeros(shape), ["a", "b"][: shape[0]], columns, tmp_path / "matrix.png", **TEXTS)
    assert not list(tmp_path.iterdir())


def test_dense_part_of_a_map_gets_its_own_plot(tmp_path):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(30, 2))
    assert crowded(points).all()
    points[:2] = [[80.0, 1.0], [-3.0, 60.0]]
    inner = crowded(points)
    assert not inner[:2].any()
    assert inner.sum() >= 20
    names = tuple(f"group/task{i}" for i in range(30))
    text = draw_map(points, names, dict.fromkeys(names, "nli"), tmp_path / "map.svg", title="t").read_text()
    assert all(text.count(f"<!-- {name.partition('/')[2]} -->") == 1 for name in names)
    assert "<!-- the box -->" in text


def test_curves_have_one_panel_per_task_and_one_legend(tmp_path):
    panels = {
        task: {"ours": [(0, 0.6, 0.0), (8, 0.7, 0.02)], "probe": [(8, 0.5, 0.01)]}
        for task in ("a/x", "b/y", "mean of 2")
    }
    levels = dict.fromkeys(panels, 0.5)
    axes = ("examples", "accuracy %")
    path = draw_curves(panels, tmp_path / "c.svg", title="t", axes=axes, levels=levels, level_title="majority")
    text = path.read_text()
    assert all(text.count(f"<!-- {word} -->") == 1 for word in (*panels, "ours", "probe", "majority"))
    with pytest.raises(ValueError, match="the panels have no points"):
        draw_curves({}, path, title="t", axes=axes, levels={}, level_title="majority")


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_map_is_drawn(tmp_path, ending):
    names = tuple(f"g/{i}" for i in range(12))
    points = np.random.default_rng(0).normal(size=(12, 2))
    path = draw_map(points, names, {"g/1": "NLI", "g/2": "EMOTION"}, tmp_path / f"map.{ending}", title="t")
    assert path.stat().st_size > 5_000
    with pytest.raises(ValueError, match=r"expected \(11, 2\)"):
        draw_map(points, names[1:], {}, path, title="t")
