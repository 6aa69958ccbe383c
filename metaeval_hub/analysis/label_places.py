"""Place labels next to points so that no label covers another. Needs no matplotlib."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DISTANCES = (6.0, 10.0, 15.0, 21.0, 28.0, 36.0, 46.0, 58.0, 72.0, 90.0, 112.0, 140.0, 175.0, 220.0, 280.0, 360.0)
ANGLES = 32
LEADER = 12.0  # labels farther from their point than this need a leader line
PADDING = 1.0  # free space around a label
SAMPLES = 12  # points of a leader line that must not be under a label


def place_labels(
    points: NDArray[np.float64], sizes: NDArray[np.float64], frame: tuple[float, float, float, float], radius: float
) -> NDArray[np.float64]:
    """Return the box of each label: left, bottom, right, top, (n, 4).

    Labels are placed one by one, those in the densest places first, each at the free place that is nearest to its
    point and covers the fewest points and leader lines. A place is free if it is inside the frame and covers no label.
    If no place is free, the label takes the one that covers the smallest area of others.

    Args:
        points: (n, 2), all in one unit, such as pixels.
        sizes: (n, 2) width and height of each label; a label of width 0 is not placed.
        frame: left, bottom, right and top of the plot.
        radius: radius of the points' marks.
    """
    boxes = np.repeat(points, 2, axis=0).reshape(-1, 2, 2).reshape(-1, 4).astype(np.float64)  # empty, at the points
    marks = np.hstack([points - radius, points + radius])
    placed: list[int] = []
    lines = np.empty((0, 2))  # points on leader lines
    wanted = np.flatnonzero(sizes[:, 0] > 0)
    distances = np.linalg.norm(points[wanted, None] - points[None], axis=2)
    near = np.sort(distances, axis=1)[:, : min(6, len(points))].mean(axis=1) if len(wanted) else np.empty(0)
    for label in wanted[np.argsort(near, kind="stable")]:
        candidates, lengths = _candidates(points[label], sizes[label] + 2 * PADDING, radius)
        outside = np.maximum(np.array(frame[:2]) - candidates[:, :2], 0).sum(axis=1)
        outside += np.maximum(candidates[:, 2:] - np.array(frame[2:]), 0).sum(axis=1)
        covered = _shared_area(candidates, boxes[placed]).sum(axis=1) + 100 * outside
        cost = lengths + 0.3 * _shared_area(candidates, marks).sum(axis=1)
        cost += 40.0 * _inside(lines, candidates).sum(axis=0)  # labels on leader lines
        leaders = _leader_points(points[label], candidates)  # (candidates, SAMPLES, 2)
        crossed = _inside(leaders.reshape(-1, 2), boxes[placed]).reshape(len(candidates), SAMPLES, -1)
        cost += 40.0 * crossed.any(axis=1).sum(axis=1) * (lengths > LEADER)
        best = np.lexsort((cost, covered))[0]
        boxes[label] = candidates[best] + PADDING * np.array([1, 1, -1, -1])
        placed.append(int(label))
        if lengths[best] > LEADER:
            lines = np.vstack([lines, leaders[best]])
    return boxes


def nearest_corner(point: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the place on a box (left, bottom, right, top) that is nearest to a point, (2,): the end of its leader."""
    return np.clip(point, box[:2], box[2:])


def _candidates(
    point: NDArray[np.float64], size: NDArray[np.float64], radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return possible boxes around a point, (C, 4), and the distances of their edges from its mark, (C,)."""
    angles = 2 * np.pi * np.arange(ANGLES) / ANGLES
    ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    gaps = radius + np.array(DISTANCES) - DISTANCES[0] + 1.0
    centres = point + ways[None] * (gaps[:, None, None] + size / 2)  # (distances, angles, 2)
    centres = centres.reshape(-1, 2)
    boxes = np.hstack([centres - size / 2, centres + size / 2])
    ends = np.clip(point, boxes[:, :2], boxes[:, 2:])
    return boxes, np.linalg.norm(ends - point, axis=1)


def _leader_points(point: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    ends = np.clip(point, boxes[:, :2], boxes[:, 2:])
    shares = np.linspace(0.1, 0.95, SAMPLES)[None, :, None]
    return np.asarray(point + shares * (ends - point)[:, None])


def _inside(points: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether each of p points is inside each of b boxes, (p, b)."""
    above = (points[:, None] > boxes[None, :, :2]).all(axis=2)
    return np.asarray(above & (points[:, None] < boxes[None, :, 2:]).all(axis=2))


def _shared_area(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area that each of b boxes shares with each of o others, (b, o)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2))
