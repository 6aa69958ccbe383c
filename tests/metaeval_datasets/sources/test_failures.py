"""What the Hub asks for is read from its answers, and every failed request has a kind."""

from types import SimpleNamespace

import pytest

from metaeval_datasets.sources.failures import asked_wait, status_of


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "2.5"}, 2.5),
        ({"Retry-After": "-1"}, 0.0),
        ({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "inf"}, None),
        ({"RateLimit": '"api";r=0;t=55'}, 55.0),
        ({"RateLimit": '"api";r=7;t=55'}, None),  # requests remain, so the limit is not the reason
        ({}, None),
    ],
)
def test_wait_is_a_number_a_date_or_a_rate_limit(headers, seconds):
    assert asked_wait(SimpleNamespace(status_code=429, headers=headers)) == seconds


def test_error_without_an_answer_has_no_status():
    assert status_of(OSError()) is status_of(None) is asked_wait(None) is None
