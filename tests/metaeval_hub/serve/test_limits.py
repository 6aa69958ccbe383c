"""Limits of a server are checked when they are given."""

import re

import pytest

from metaeval_hub.serve.limits import Limits


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch": 0}, "batch (--batch-size) is 0; expected a whole number of at least 1"),
        ({"wait_ms": -1.0}, "wait_ms (--wait-ms) is -1.0; expected 0 to 1000 milliseconds"),
        ({"wait_ms": float("nan")}, "wait_ms (--wait-ms) is nan"),
        ({"wait_ms": "x"}, "wait_ms (--wait-ms) is 'x'; expected 0 to 1000 milliseconds"),
        ({"wait_ms": True}, "wait_ms (--wait-ms) is True; expected"),
        ({"body_seconds": "x"}, "body_seconds is 'x'; expected more than 0 seconds"),
        ({"body_seconds": float("inf")}, "body_seconds is inf; expected more than 0 seconds"),
        ({"body_seconds": 0}, "body_seconds is 0; expected more than 0 seconds"),
        ({"queue": 5, "texts": 6}, "the queue takes 5 texts, fewer than the 6 that one request may have"),
    ],
)
def test_limits_out_of_range(values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Limits(**values)
