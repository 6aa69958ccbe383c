"""Counts that come back from the processes that prepare a split, through files in a temporary folder."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections import Counter, defaultdict
from pathlib import Path

from metaeval_datasets.rows import Counts


class Tally:
    """Sums counts by name for the length of a with block; what another process adds to a copy of it is found here."""

    def __init__(self) -> None:
        self._folder = ""

    def __enter__(self) -> Tally:
        self._folder = tempfile.mkdtemp(prefix="metaeval-")
        return self

    def __exit__(self, *_: object) -> None:
        for path in Path(self._folder).iterdir():
            path.unlink()
        Path(self._folder).rmdir()

    def add(self, name: str, counts: Counts) -> None:
        """Add counts under a name."""
        entry = {"name": name, "read": counts.read, "dropped": dict(counts.dropped)}
        (Path(self._folder) / f"{uuid.uuid4().hex}.json").write_text(json.dumps(entry), encoding="utf-8")

    def sums(self) -> dict[str, Counts]:
        """What was added so far, by name; zero for other names."""
        sums: dict[str, Counts] = defaultdict(Counts)
        for path in Path(self._folder).iterdir():
            entry = json.loads(path.read_text(encoding="utf-8"))
            sums[entry["name"]].add(Counts(entry["read"], Counter(entry["dropped"])))
        return sums
