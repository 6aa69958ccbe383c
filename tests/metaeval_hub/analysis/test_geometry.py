"""The table on geometry: distances and coordinates agree with independent computations."""

import numpy as np
import pytest

from metaeval_hub.analysis.geometry import geometry
from tests.metaeval_hub.embedded import TASKS, make_run, planted_values


def test_geometry_places_several_embeddings_around_their_task():
    table = geometry(make_run(copies=3), "pca")
    row = table.records[0]
    assert row["x"] == pytest.approx(np.mean([row["x1"], row["x2"], row["x3"]]))
    distances = [row["distance"] for row in table.records]
    assert distances == sorted(distances, reverse=True)
    assert "Each task has 3 embeddings" in table.notes[1]


def test_distance_from_the_centre_is_in_the_space_of_z():
    table = geometry(make_run(), "pca")
    values = planted_values()[:, 0].astype(float)
    expected = dict(zip(TASKS, np.linalg.norm(values - values.mean(axis=0), axis=1), strict=True))
    assert {row["task"]: row["distance"] for row in table.records} == pytest.approx(expected)
