"""Import this in tests that need the `adapters` library: they are skipped where it is not installed."""

import pytest

adapters = pytest.importorskip("adapters")
