"""A temporary folder for preparing a task: counts that come back from several processes, rows that are set aside."""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from collections import Counter, defaultdict
from pathlib import Path

from metaeval_datasets.rows import Counts


class Tally:
    """Sums counts by name for the length of a with block; what another process adds to a copy of it is found here."""

    def __init__(self) -> None:
        self.folder = Path()

    def __enter__(self) -> Tally:
        self.folder = Path(tempfile.mkdtemp(prefix="metaeval-"))
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder)

    def add(self, name: str, counts: Counts) -> None:
        """Add counts under a name."""
        entry = {"name": name, "read": counts.read, "dropped": dict(counts.dropped)}
        (self.folder / f"{uuid.uuid4().hex}.json").write_text(json.dumps(entry), encoding="utf-8")

    def sums(self) -> dict[str, Counts]:
        """What was added so far, by name; zero for other names."""
        sums: dict[str, Counts] = defaultdict(Counts)
        for path in self.folder.glob("*.json"):
            entry = json.loads(path.read_text(encoding="utf-8"))
            sums[entry["name"]].add(Counts(entry["read"], Counter(entry["dropped"])))
        return sums
