"""The comparison of measured ratios of speed with stored ones."""

import json

import pytest

from benchmarks.quick import STORED, report


@pytest.mark.parametrize(("measured", "code"), [(1.82, 0), (1.79, 1), (3.0, 0)])
def test_a_ratio_may_fall_by_a_tenth(measured, code, capsys):
    assert report({"step": [0.1, measured, 9.0]}, {"step": 2.0}) == code
    assert ("FAIL" in capsys.readouterr().out) == bool(code)


def test_a_ratio_that_is_not_stored_fails(capsys):
    assert report({"new": [1.0]}, {}) == 1
    assert "not stored" in capsys.readouterr().out


def test_ratios_are_stored_not_times():
    stored = json.loads(STORED.read_text())
    assert len(stored) == 7
    assert all(0.1 < ratio < 10 for ratio in stored.values())
