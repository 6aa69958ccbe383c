"""Pictures are written where their numbers and names fit, and refused where they do not."""

import numpy as np
import pytest

from metaeval_hub.embeddings.figures import draw_shares

TEXTS = {"title": "title", "axes": ("training", "evaluation"), "label": "share"}


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_shares_are_drawn(tmp_path, ending):
    shares = np.array([[0.0, 0.0004, 1.0], [0.5, 0.02, 0.0]])
    path = draw_shares(shares, ["a", "b"], ["c", "d", "e"], tmp_path / "new" / f"matrix.{ending}", **TEXTS)
    assert path.stat().st_size > 1000
    if ending == "svg":  # cells of 1 % and more carry their number
        assert [f"<!-- {number} -->" in path.read_text() for number in (100, 50, 2, 0)] == [True, True, True, False]


@pytest.mark.parametrize(("shape", "columns"), [((2, 3), ["c"]), ((0, 3), ["c", "d", "e"])])
def test_shares_that_do_not_fit_are_refused(tmp_path, shape, columns):
    with pytest.raises(ValueError, match="shares has shape"):
        draw_shares(np.zeros(shape), ["a", "b"][: shape[0]], columns, tmp_path / "matrix.png", **TEXTS)
    assert not list(tmp_path.iterdir())
