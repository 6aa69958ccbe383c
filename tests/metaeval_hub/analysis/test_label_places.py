"""Labels are placed next to their points, without covering each other."""

import numpy as np

from metaeval_hub.analysis.label_places import LEADER, nearest_corner, place_labels

FRAME = (0.0, 0.0, 600.0, 400.0)


def test_single_label_is_next_to_its_mark():
    (box,) = place_labels(np.array([[300.0, 200.0]]), np.array([[40.0, 10.0]]), FRAME, 4.0)
    assert np.allclose(box[2:] - box[:2], [40, 10])
    distance = np.linalg.norm(nearest_corner(np.array([300.0, 200.0]), box) - [300, 200])
    assert 4 < distance < LEADER


def test_labels_at_the_edge_stay_inside():
    points = np.array([[2.0, 2.0], [598.0, 398.0]])
    boxes = place_labels(points, np.full((2, 2), [80.0, 10.0]), FRAME, 4.0)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= [600, 400]).all()


def test_labels_of_equal_points_do_not_overlap():
    points, sizes = np.full((30, 2), [300.0, 200.0]), np.full((30, 2), [60.0, 9.0])
    boxes = place_labels(points, sizes, FRAME, 4.0)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    assert np.allclose(shared, np.diag(np.full(30, 60.0 * 9.0)))


def test_labels_of_no_width_are_not_placed():
    boxes = place_labels(np.array([[5.0, 6.0], [9.0, 9.0]]), np.array([[0.0, 0.0], [20.0, 9.0]]), FRAME, 4.0)
    assert boxes[0].tolist() == [5.0, 6.0, 5.0, 6.0]
