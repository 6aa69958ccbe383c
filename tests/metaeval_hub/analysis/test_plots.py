"""Figures are written if numbers and names match; other input is refused."""

import numpy as np
import pytest

from metaeval_hub.analysis.plots import draw_curves, draw_shares

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
