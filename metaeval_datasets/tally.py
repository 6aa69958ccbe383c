"""Provide a temporary folder for preparing a task: counts from several processes, and rows stored until needed."""

from __future__ import annotations

import json
import shutil
import tempfile
import uuid
from collections import Counter, defaultdict
from pathlib import Path

from metaeval_datasets.outside import LabelTally
from metaeval_datasets.rows import Counts

_PREFIX = ".making-"
_FAILURE = "failure.txt"


class Tally:
    """Sum counts by name within a with block, including what other processes add to copies of this object.

    Args:
        parent: folder that the temporary folder is made in: the one that the prepared task goes to, where there is room
            for it. If it is no local folder, the system's folder for temporary files is taken.
    """

    def __init__(self, parent: Path) -> None:
        self._parent = parent if parent.is_dir() else None
        self.folder = Path()

    def __enter__(self) -> Tally:
        if self._parent is not None:
            # left by a killed process; the lock of `datasets` ensures that no other process works here
            for left in self._parent.glob(f"{_PREFIX}*"):
                shutil.rmtree(left)
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder)

    def add(self, name: str, counts: Counts) -> None:
        """Add counts under a name."""
        labels = counts.labels
        entry = {
            "name": name,
            "read": counts.read,
            "dropped": dict(counts.dropped),
            "labels": [labels.rows, dict(labels.outside), list(labels.numbers.items())],
        }
        (self.folder / f"{uuid.uuid4().hex}.json").write_text(json.dumps(entry), encoding="utf-8")

    def fail(self, reason: str) -> None:
        """Store why a source failed; exceptions from other processes arrive without their cause."""
        (self.folder / _FAILURE).write_text(reason, encoding="utf-8")

    def failure(self) -> str | None:
        """Return why a source failed; None if none did."""
        path = self.folder / _FAILURE
        return path.read_text(encoding="utf-8") if path.exists() else None

    def sums(self) -> dict[str, Counts]:
        """Return the sums so far by name; zero for other names."""
        sums: dict[str, Counts] = defaultdict(Counts)
        for path in self.folder.glob("*.json"):
            entry = json.loads(path.read_text(encoding="utf-8"))
            rows, outside, numbers = entry["labels"]
            labels = LabelTally(rows, Counter(outside), Counter(dict(numbers)))
            sums[entry["name"]].add(Counts(entry["read"], Counter(entry["dropped"]), labels))
        return sums
