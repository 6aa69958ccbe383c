"""Name the ways in which a request can fail, for any HTTP library, and read how long the Hub asks to wait."""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Literal

Failure = Literal["proxy", "certificate", "slow", "not connected", "not connected in time", "broken"]


def status_of(error: BaseException | None) -> int | None:
    """Return the HTTP status of the answer that an error was made from; None if there was no answer."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def asked_wait(response: Any) -> float | None:
    """Return the seconds that an answer asks to wait; None if it does not.

    Args:
        response: response of ``requests`` or ``httpx``, or None. ``Retry-After`` is a number of seconds or a date;
            ``RateLimit`` counts if no request remains.
    """
    if response is None:
        return None
    written = str(response.headers.get("Retry-After", "")).strip()
    try:
        seconds = float(written)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(written) - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, TypeError, IndexError):
        pass
    spent = re.search(r";\s*r=0\s*;\s*t=(\d{1,9})\b", str(response.headers.get("RateLimit", "")))
    return float(spent[1]) if spent and response.status_code == 429 else None
