"""What is known of the data a task was trained on: which rows, and under which licence. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from metaeval_datasets.catalog import UnknownTaskError, get_task
from metaeval_datasets.report import read_report


@dataclass(frozen=True)
class TaskOrigin:
    """Where the rows of a task came from; None for what is not known.

    Args:
        catalogue: version of the catalogue that declared the task, which is the package's.
        edition: "careful" or "paper".
        source: repository, config and revision that served the rows.
        commit: the commit they are from.
        license: of the rows, as their source gives it ("unknown" where it gives none).
    """

    catalogue: str | None = None
    edition: str | None = None
    source: str | None = None
    commit: str | None = None
    license: str | None = None

    def to_dict(self) -> dict[str, str]:
        """Return the fields that are known, ready for JSON."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def of_report(cls, report: Mapping[str, Any]) -> TaskOrigin:
        """Build from the report of a loaded task as JSON values (``metaeval_datasets.Report.to_dict``)."""
        try:
            license = get_task(report["task"]).license
        except UnknownTaskError:  # loaded by another release
            license = None
        return cls(version("metaeval"), report["edition"], report["source"], report["commit"], license)

    @classmethod
    def of_dataset(cls, dataset: object) -> TaskOrigin | None:
        """Build from a dataset that was loaded with ``load_dataset("metaeval", ...)``; None for any other."""
        try:
            return cls.of_report(read_report(dataset.info).to_dict())  # type: ignore[attr-defined]
        except (AttributeError, ValueError, KeyError, TypeError):  # no dataset, no report, or another release's
            return None
