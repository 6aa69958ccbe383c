"""Build a task for ``load_dataset("metaeval", "glue/cola")``: the dataset builder and its config.

``datasets`` provides the folder, processes, streaming and the cache; ``rows.py`` provides the rows. The cache path of a
prepared task contains a digest of the declaration, the commit of the first source and the version of the rows, so that
a change of any of them never returns outdated rows.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import datasets
import pyarrow
from datasets.exceptions import DatasetGenerationError
from datasets.fingerprint import Hasher

from metaeval_datasets.catalog import UnknownTaskError, all_tasks, get_task
from metaeval_datasets.citations import REFERENCES, bibtex
from metaeval_datasets.fingerprint import rows_version
from metaeval_datasets.prepared import VERSION, Place, find_place, folder_name, warn_fallback, warn_moved
from metaeval_datasets.published import PublishedTask, copied_tables, find_copy, open_copy
from metaeval_datasets.report import OfficialReport, Report, SplitReport, describe, read_report
from metaeval_datasets.rows import Assignment, Counts, Shard, assign, rule_for, shards, split_tables
from metaeval_datasets.schema import features
from metaeval_datasets.sources.asking import SourceError
from metaeval_datasets.sources.hub_files import Access
from metaeval_datasets.sources.opening import OpenedSource, describe_source, open_source, resolve_revision
from metaeval_datasets.sources.pins import find_pins
from metaeval_datasets.sources.revisions import Revisions
from metaeval_datasets.sources.source_files import SourceFile
from metaeval_datasets.spec import EDITIONS, AnySource, EditionName, TaskSpec
from metaeval_datasets.tally import Tally

logger = logging.getLogger(__name__)

# `datasets` patches open, Path and others in the module of a builder so that they read remote files. That imports scipy
# and more, which takes half a second. This flag marks the module as patched: only sources/ opens files of sources.
_patched_for_streaming = True

COLLECTION = "https://github.com/sileod/metaeval"


@dataclass
class MetaEvalConfig(datasets.BuilderConfig):
    """Configure one task in one edition.

    Args:
        edition: ``careful``, or ``paper`` for the task as the paper used it, where that differs.
        revision: revision of the task's first source, instead of the declared one; or revision of ``source``.
        source: published copy, ``ORG/NAME``, to read instead of the task's sources.
        pins: path of a pin file with the commits of sources; default: the file that ``METAEVAL_PINS`` names, if any.
        suffix: end of the name of the cache folder, which contains the commit of the first source; set by the builder.
    """

    edition: EditionName = "careful"
    revision: str | None = None
    source: str | None = None
    pins: str | None = None
    suffix: str = ""

    def __post_init__(self) -> None:
        """Skip the inherited check of the name, which refuses slashes because names become folders; ours do not."""

    @property
    def spec(self) -> TaskSpec:
        """Return the task in this edition."""
        return get_task(self.name).edition(self.edition)

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: datasets.Features | None = None) -> str:
        """Return the name of the cache folder: the task, a digest of all inputs of its rows, and a commit."""
        del config_kwargs  # edition, revision and source are in the digest
        return folder_name(self.spec, self.revision, _digest(custom_features), self.source) + self.suffix


class MetaEval(datasets.ArrowBasedBuilder):
    """Build one task of the collection.

    Raises:
        UnknownTaskError: no task has this name; the message suggests the nearest names.
        NoSourceError: the copy given as ``source`` does not contain the task as it is declared.
        ValueError: the edition is unknown, an argument does not apply to tasks, or the pin file is malformed.
    """

    BUILDER_CONFIG_CLASS = MetaEvalConfig
    BUILDER_CONFIGS = [  # noqa: RUF012  (datasets expects a class attribute)
        MetaEvalConfig(name=name, version=datasets.Version(VERSION)) for name in all_tasks()
    ]
    _tally: Tally | None = None  # set while the task is prepared
    _copy: PublishedTask | None = None  # set if a published copy is read instead of the sources
    _unfit: tuple[tuple[AnySource, str], ...] = ()  # sources that failed while they were read, and why
    _serving: AnySource | None = None  # source that was opened last
    _place = Place()  # commits at which the sources are read

    def __init__(
        self,
        *args: Any,
        config_name: str | None = None,
        dataset_name: str | None = None,
        hash: str | None = None,
        local_files_only: bool = False,
        **kwargs: Any,
    ) -> None:
        self._local_files_only = local_files_only
        if config_name is None:
            raise UnknownTaskError(
                "no task given; expected load_dataset('metaeval', 'glue/cola'), see list_tasks() for all names"
            )
        get_task(config_name)
        if kwargs.get("edition", "careful") not in EDITIONS:
            raise ValueError(f"unknown edition {kwargs['edition']!r}; expected one of {EDITIONS}")
        if kwargs.get("features") is not None:
            _check_features(get_task(config_name).edition(kwargs.get("edition", "careful")), kwargs["features"])
        for name in ("data_files", "data_dir"):
            if kwargs.get(name) is not None:
                raise ValueError(
                    f"{name}={kwargs[name]!r}: tasks read their declared sources only; leave this argument out"
                )
        hash = hash or rows_version()
        kwargs |= self._find_commit(config_name, {**kwargs, "hash": hash})
        # `datasets` looks a config up in this dict, which lists the catalogue; a task of a user is in it only meanwhile
        added = config_name not in self.builder_configs
        if added:
            self.builder_configs[config_name] = MetaEvalConfig(name=config_name, version=datasets.Version(VERSION))
        try:
            super().__init__(
                *args, config_name=config_name, dataset_name=dataset_name or "metaeval", hash=hash, **kwargs
            )
        finally:
            if added:
                self.builder_configs.pop(config_name, None)

    def _find_commit(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that bind the cache folder to one commit, because a branch can move."""
        edition, revision = given.get("edition", "careful"), given.get("revision")
        spec = get_task(name).edition(edition)
        cache_dir = None if given.get("cache_dir") is None else str(given["cache_dir"])
        access = Access(given.get("token"), cache_dir=cache_dir, local_files_only=self._local_files_only)
        if source := given.get("source"):
            if given.get("pins"):
                raise ValueError("pins apply to a task's own sources; use revision= for a published copy")
            self._copy = find_copy(source, spec, edition, revision, access)
            return {"revision": self._copy.commit}
        pins = find_pins(given.get("pins"))
        if revision:
            self._place = Place("", Revisions(pins))
            return {"revision": resolve_revision(spec, revision, dataclasses.replace(access, cache_dir=None))}
        version = str(self.builder_configs[name].version) if name in self.builder_configs else VERSION
        self._place = find_place(spec, pins, access, given["hash"], _digest(given.get("features")), version)
        return {"suffix": self._place.suffix}

    @property
    def spec(self) -> TaskSpec:
        """Return the task in the edition to load."""
        return self.config.spec

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description=describe(self.spec),
            features=features(self.spec),
            license=self.spec.license,
            citation=bibtex(key) if (key := self.spec.citation) in REFERENCES else key,
            homepage=COLLECTION,
        )

    def download_and_prepare(self, *args: Any, **kwargs: Any) -> None:
        """Prepare the task unless it is cached. In both cases warn if its first source did not provide all rows."""
        self._prepared = False
        super().download_and_prepare(*args, **kwargs)
        if not self._prepared:  # it was cached
            _warn(self.spec, read_report(self.info))
            if self._copy is None and self.config.revision is None:
                access = Access(self.token, local_files_only=self._local_files_only)
                warn_fallback(self.spec, self._place, read_report(self.info), access)

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        streaming = bool(dl_manager.is_streaming)
        force = bool(dl_manager.download_config.force_download)
        local = self._local_files_only or bool(dl_manager.download_config.local_files_only)
        access = Access(self.token, streaming, force, str(self._cache_dir_root), local_files_only=local)
        if self._copy is not None:
            return self._copied_splits(self._copy, access)
        self._opened = open_source(self.spec, access, self.config.revision, self._unfit, self._place.revisions)
        if not self._unfit:
            warn_moved(self.spec, self._place, access)
        self._serving = self._opened.source
        self._rule = rule_for(self._opened)
        self.__dict__.pop("_assignment", None)  # left by an earlier call
        official = dict(self._rule.official)
        if self._rule.derived and not streaming:
            for split in self._too_small():
                del official[split]
        self._report = _start_report(self.config, self._opened)
        for split, source_split in official.items():
            derived = split in self._rule.derived
            self._report.splits[split] = SplitReport(source_split, derived, lacks=self._lacks(split, streaming))
        self.info.description = describe(self.spec, self._report)
        _warn(self.spec, self._report)
        return [
            datasets.SplitGenerator(split, {"parts": shards(self._opened, source_split), "split": split})
            for split, source_split in official.items()
        ]

    def _copied_splits(self, copy: PublishedTask, access: Access) -> list[datasets.SplitGenerator]:
        pieces = open_copy(copy, access)
        self._report = copy.report
        self.info.description = describe(self.spec, self._report)
        self.info.download_size = sum(piece.num_bytes for files in pieces.values() for piece in files)
        _warn(self.spec, self._report)
        return [
            datasets.SplitGenerator(split, {"parts": list(files), "split": split}) for split, files in pieces.items()
        ]

    def _lacks(self, split: str, streaming: bool) -> list[str]:
        """Return and log the classes that have no row in a split derived from the official train split."""
        if streaming or not self._rule.derived or self._rule.official[split] != "train":
            return []
        names = self.spec.names
        lacks = [names[number] for number in self._assignment.lacking(split)]
        if lacks:
            text = "%s: the %s split has no row of %s: too few rows, or duplicates and groups tie them together"
            logger.warning(text, self.spec.name, split, ", ".join(lacks))
        return lacks

    def _too_small(self) -> list[str]:
        """Return and log the splits derived from the official train split that get no row."""
        empty = [split for split in (*self._rule.derived, "train") if not self._assignment.rows(split)]
        if len(empty) == 1 + len(self._rule.derived):
            raise _nothing_left(self.spec, "train", self._assignment.counts)
        for split in empty:
            logger.warning("%s: too few rows for a %s split; the task has none", self.spec.name, split)
        return empty

    @cached_property
    def _assignment(self) -> Assignment:
        """Assign rows to splits in a separate pass over the official train split; when streaming, at the first row."""
        found = assign(self._opened, self._rule, self.token, self._aside)
        found.counts.refuse(self.spec, "train")
        return found

    @property
    def _aside(self) -> Path | None:
        """Return the folder where rows are stored until their split is written; None when streaming."""
        return None if self._tally is None else self._tally.folder

    def _generate_tables(
        self, parts: list[Shard] | list[SourceFile], split: str
    ) -> Iterator[tuple[tuple[int, int], pyarrow.Table]]:
        if self._copy is not None:
            yield from copied_tables(cast("list[SourceFile]", parts), self.spec, self.token)
            return
        derived = bool(self._rule.derived) and self._rule.official[split] == "train"
        counts = Counts()
        assignment = self._assignment if derived else None
        own = cast("list[Shard]", list(parts))
        try:
            yield from split_tables(self._opened, own, split, assignment, counts, self.token, self._aside)
        except SourceError as error:
            if self._tally is not None:
                self._tally.fail(str(error))
            raise
        if not derived and self._tally is not None:
            self._tally.add(self._rule.official[split], counts)
        elif not derived:
            counts.refuse(self.spec, self._rule.official[split])

    def _download_and_prepare(self, dl_manager: Any, verification_mode: Any, **kwargs: Any) -> None:
        self._prepared = True
        if self._copy is not None:
            self._prepare_files(dl_manager, verification_mode, **kwargs)
            _check_copy(self._copy, self.info)
            return
        self._unfit = ()
        while True:
            self._serving = None
            try:
                self._prepare(dl_manager, verification_mode, **kwargs)
                return
            except SourceError as error:
                if self._serving is None:  # no source is left to try
                    raise
                if isinstance(error, NothingLeftError) and (len(self.spec.sources) == 1 or self.config.revision):
                    raise
                logger.debug("%s: source %s failed: %s", self.spec.name, describe_source(self._serving), error)
                self._unfit += ((self._serving, str(error)),)
                _remove_prepared(Path(self._output_dir), str(self.dataset_name))

    def _prepare_files(self, dl_manager: Any, verification_mode: Any, **kwargs: Any) -> None:
        self.info.splits = None  # drop those of an earlier preparation; the source may have more rows now
        super()._download_and_prepare(dl_manager, verification_mode, **kwargs)

    def _prepare(self, dl_manager: Any, verification_mode: Any, **kwargs: Any) -> None:
        """Prepare the task from one source.

        Raises:
            SourceError: the source cannot be used.
        """
        with Tally(Path(self._output_dir)) as tally:
            self._tally = tally
            try:
                self._prepare_files(dl_manager, verification_mode, **kwargs)
            except DatasetGenerationError as error:
                if reason := tally.failure():
                    raise SourceError(reason) from error
                raise
            finally:
                self._tally = None
            counted = tally.sums()
        if self._rule.derived:
            counted["train"] = self._assignment.counts
        for name, counts in counted.items():
            counts.refuse(self.spec, name)
        for name in self._opened.pieces:
            self._report.official[name] = OfficialReport(counted[name].read, dict(counted[name].dropped))
            _warn_dropped(self.spec, name, counted[name])
        for name, split in self._report.splits.items():
            split.rows = self.info.splits[name].num_examples
            if not split.rows:
                raise _nothing_left(self.spec, split.official, counted[split.official])
        self.info.description = describe(self.spec, self._report)
        self.info.download_size = sum(piece.num_bytes for pieces in self._opened.pieces.values() for piece in pieces)


def _remove_prepared(folder: Path, name: str) -> None:
    """Remove the files prepared from a source that failed; the next source may have other splits."""
    for path in folder.glob(f"{name}-*") if folder.is_dir() else ():
        path.unlink()


def _check_features(spec: TaskSpec, given: datasets.Features) -> None:
    """Refuse features other than the task's: rows are not cast to them, and reordered class names would be wrong."""
    own = features(spec)
    if given != own:
        differing = sorted(name for name in {*own, *given} if given.get(name) != own.get(name))
        raise ValueError(
            f"{spec.name}: features= differs from the task's own in {', '.join(differing)}; expected {own}. Leave it "
            "out, and change the loaded dataset with cast, or with align_labels_with_mapping to renumber its classes"
        )


def _check_copy(copy: PublishedTask, info: datasets.DatasetInfo) -> None:
    for split, made in copy.record.splits.items():
        if (rows := info.splits[split].num_examples) != made.rows:
            raise ValueError(
                f"{copy.record.task}: the {split} split of {copy.repo} at {copy.commit} has {rows:,} rows, but its "
                f"record says {made.rows:,}; `metaeval publish --repo-id {copy.repo} --verify` reports all differences"
            )


def _start_report(config: MetaEvalConfig, opened: OpenedSource) -> Report:
    return Report(
        task=config.name,
        edition=config.edition,
        source=describe_source(opened.source),
        commit=opened.commit,
        missing=list(opened.missing),
        passed_over=[{"source": source, "reason": reason} for source, reason in opened.failures],
        unlabelled=dict(opened.unlabelled),
    )


def _warn(spec: TaskSpec, report: Report) -> None:
    """Warn if the rows are not the complete rows of the task's first source."""
    for entry in report.passed_over:
        logger.warning("%s: source %s cannot be used: %s", spec.name, entry["source"], entry["reason"])
    if report.passed_over:
        logger.warning("%s: rows come from %s", spec.name, report.source)
    for text in report.missing:
        logger.warning(
            "%s: %s lacks %s, so the splits differ from those of the complete task", spec.name, report.source, text
        )


def _digest(features: datasets.Features | None) -> str:
    return "" if features is None else str(Hasher.hash(features))


def _warn_dropped(spec: TaskSpec, official: str, counts: Counts) -> None:
    if counts.dropped:
        reasons = ", ".join(f"{count} ({reason})" for reason, count in counts.dropped.items())
        logger.warning(
            "%s: of %d rows of the official %s split, these were dropped: %s", spec.name, counts.read, official, reasons
        )


class NothingLeftError(SourceError, ValueError):
    """Raised if no row of a split of a source can be used."""


def _nothing_left(spec: TaskSpec, official: str, counts: Counts) -> NothingLeftError:
    return NothingLeftError(
        f"{spec.name}: none of the {counts.read:,} rows of the official {official} split can be used: "
        f"{dict(counts.dropped)}; if its labels are hidden, list the split in `unlabelled`"
    )
