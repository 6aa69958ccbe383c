"""Counts that come back from the processes that prepare a split, through files in a temporary folder."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections import Counter, defaultdict
from pathlib import Path

from metaeval_datasets.rows import Counts


class Tally:
    """Collects counts by name; can be sent to another process, and what is added there is found here."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="metaeval-")

    def add(self, name: str, counts: Counts) -> None:
        """Add counts under a name."""
        entry = {"name": name, "read": counts.read, "dropped": dict(counts.dropped)}
        (Path(self._folder) / f"{uuid.uuid4().hex}.json").write_text(json.dumps(entry), encoding="utf-8")

    def take(self) -> dict[str, Counts]:
        """Sums of what was added, by name (zero for other names); nothing is left afterwards."""
        sums: dict[str, Counts] = defaultdict(Counts)
        for path in sorted(Path(self._folder).iterdir()):
            entry = json.loads(path.read_text(encoding="utf-8"))
            sums[entry["name"]].add(Counts(entry["read"], Counter(entry["dropped"])))
            path.unlink()
        Path(self._folder).rmdir()
        return sums
