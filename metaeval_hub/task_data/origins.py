"""Record which data a task was trained on, and under which licence. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from metaeval_datasets.catalog import UnknownTaskError, get_task
from metaeval_datasets.report import read_report


@dataclass(frozen=True)
class TaskOrigin:
    """Describe where the rows of a task came from; unknown facts are None.

    Args:
        catalogue: version of the package, whose catalogue declared the task.
        edition: "careful" or "paper".
        source: repository, config and revision that the rows were read from.
        commit: commit of the repository.
        license: licence of the rows, as their source states it ("unknown" if it states none).
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
        """Return the origin that the report of a loaded task describes (``metaeval_datasets.Report.to_dict``)."""
        try:
            license = get_task(report["task"]).license
        except UnknownTaskError:  # declared by another release
            license = None
        return cls(version("metaeval"), report["edition"], report["source"], report["commit"], license)

    @classmethod
    def of_dataset(cls, dataset: object) -> TaskOrigin | None:
        """Return the origin of a dataset loaded with ``load_dataset("metaeval", ...)``; None for any other dataset."""
        try:
            return cls.of_report(read_report(dataset.info).to_dict())  # type: ignore[attr-defined]
        except (AttributeError, ValueError, KeyError, TypeError):  # not a dataset, or without a report of this release
            return None
