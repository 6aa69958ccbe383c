"""Find the cache folder of a task at one commit, and copies of the task that were prepared at other commits.

The name of a folder consists of the task, a digest of everything that was asked for, and the commit of the first
source. So rows of another commit are never returned, and copies of earlier commits are found by the first parts.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import datasets

from metaeval_datasets.fingerprint import task_hash
from metaeval_datasets.report import Report, read_report
from metaeval_datasets.sources.hub_files import Access
from metaeval_datasets.sources.opening import describe_source
from metaeval_datasets.sources.pins import Pins
from metaeval_datasets.sources.revisions import Revisions, find_revisions, moved_to
from metaeval_datasets.spec import Source, TaskSpec

logger = logging.getLogger(__name__)

VERSION = "1.1.0"  # version of the schema and the split rule that users see
INFO_FILE = "dataset_info.json"
_FOLDER = "metaeval"


@dataclass(frozen=True)
class Place:
    """Describe where a task is prepared, and the commits at which it is read.

    Args:
        suffix: end of the name of the cache folder, with the commit of the first source.
        revisions: commits at which the sources are read.
        earlier: commit of the copy prepared last, if the first source has moved since and is not prepared yet.
    """

    suffix: str = ""
    revisions: Revisions = field(default_factory=Revisions)
    earlier: str | None = None


@dataclass(frozen=True)
class Prepared:
    """Describe a prepared copy of a task: the end of the name of its folder, and the report stored there."""

    suffix: str
    report: Report


def folder_name(spec: TaskSpec, revision: str | None = None, custom: str = "", source: str | None = None) -> str:
    """Return the name of the cache folder of a task without the suffix for the commit.

    Args:
        spec: the task in one edition.
        revision: revision that was asked for.
        custom: digest of the features that were asked for.
        source: published copy that is read instead of the sources.
    """
    return f"{spec.config_name}-{task_hash(spec, revision or '', custom, *([source] if source else []))}"


def folder_of(name: str, cache: str | Path, rows: str, version: str = VERSION) -> Path:
    """Return the path of a cache folder.

    Args:
        name: its name with the suffix.
        cache: cache folder of ``datasets``.
        rows: version of the rows.
        version: version of the schema.
    """
    return Path(cache).expanduser() / _FOLDER / name / version / rows


def find_place(
    spec: TaskSpec, pins: Pins, access: Access, rows: str, custom: str = "", version: str = VERSION
) -> Place:
    """Find the cache folder of a task, with one request if a branch has to be asked for its commit.

    Args:
        spec: the task in one edition.
        pins: commits at which sources are pinned.
        access: how to access the Hub, with the cache folder that was asked for.
        rows: version of the rows.
        custom: digest of the features that were asked for.
        version: version of the schema.
    """
    revisions = find_revisions(spec, pins, access)
    if not isinstance(spec.sources[0], Source):
        return Place("", revisions)
    cache = access.cache_dir or datasets.config.HF_DATASETS_CACHE
    copies = find_prepared(cache, folder_name(spec, custom=custom), rows, version)
    if found := _reusable(copies, revisions):
        return Place(found.suffix, revisions)
    return Place(revisions.folder_suffix, revisions, _earlier_commit(copies, revisions))


def find_prepared(cache: str | Path, name: str, rows: str, version: str = VERSION) -> list[Prepared]:
    """Return the prepared copies of a task, of any commit, those prepared last first.

    Args:
        cache: cache folder of ``datasets``.
        name: name of the task's folders without the suffix for the commit.
        rows: version of the rows.
        version: version of the schema.
    """
    if "://" in str(cache):
        return []
    places = [name, *(place.name for place in (Path(cache).expanduser() / _FOLDER).glob(f"{name}-*"))]
    dated = []
    for place in places:
        file = folder_of(place, cache, rows, version) / INFO_FILE
        try:
            report = read_report(datasets.DatasetInfo.from_directory(str(file.parent)))
            dated.append((file.stat().st_mtime, Prepared(place.removeprefix(name), report)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # not prepared, or damaged
            continue
    return [found for _, found in sorted(dated, key=lambda entry: -entry[0])]


def _reusable(copies: Sequence[Prepared], revisions: Revisions) -> Prepared | None:
    """Return the copy to use instead of preparing one under the name of its commit.

    That is a copy of the same commit from a release that did not write the commit into the name; or, if the commit is
    not known because the Hub does not answer, the copy that was prepared last.
    """
    if revisions.commit is None or revisions.source is None:
        return copies[0] if copies else None
    own = (describe_source(revisions.source), revisions.commit)
    unnamed = (copy for copy in copies if not copy.suffix and (copy.report.source, copy.report.commit) == own)
    return next(unnamed, None)


def _earlier_commit(copies: Sequence[Prepared], revisions: Revisions) -> str | None:
    """Return the commit of the copy prepared last if the first source has moved since."""
    if revisions.commit is None or revisions.source is None:
        return None
    source = describe_source(revisions.source)
    commits = [copy.report.commit for copy in copies if copy.report.source == source]
    return commits[0] if commits and revisions.commit not in commits else None


def warn_moved(spec: TaskSpec, place: Place, access: Access) -> None:
    """Warn if the first source has moved since the task was prepared, or since it was pinned."""
    source, pins = place.revisions.source, place.revisions.pins
    if source is None:
        return
    if pinned := pins.commit(source):
        if now := moved_to(source, pinned, access):
            logger.warning(
                "%s: %s has moved from commit %s, at which %s pins it, to %s; the rows are those of the pinned commit",
                *(spec.name, describe_source(source), pinned, pins.path, now),
            )
    elif place.earlier:
        logger.warning(
            "%s: %s has moved from commit %s to %s since this task was prepared; it is prepared again. To stay at one "
            "commit, write a pin file with `metaeval check-sources --pin FILE` and load with pins=FILE",
            *(spec.name, describe_source(source), place.earlier, place.revisions.commit),
        )


def warn_fallback(spec: TaskSpec, place: Place, report: Report, access: Access) -> None:
    """Warn if prepared rows come from another source than the first, and this source has moved since."""
    found = (source for source in spec.sources if describe_source(source) == report.source)
    source = next(found, None)
    if not isinstance(source, Source) or source == place.revisions.source or place.revisions.pins.commit(source):
        return
    if report.commit and (now := moved_to(source, report.commit, access)):
        logger.warning(
            "%s: %s has moved from commit %s to %s since this task was prepared; load it with "
            "download_mode='force_redownload' to read the new commit",
            *(spec.name, report.source, report.commit, now),
        )
