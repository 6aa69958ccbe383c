"""The random seeds that all libraries accept. Imports nothing, since commands about datasets check seeds, too."""

from __future__ import annotations

MOST_SEED = 2**32 - 1  # of scikit-learn
