"""The builder behind ``load_dataset("metaeval", "glue/cola")``, and its config.

``datasets`` gives it a folder, processes, streaming and a cache; the rows come from ``rows.py``. A prepared task is
cached under a name that holds a digest of its declaration, and a hash of the code that makes rows, so that a change
of either is never answered with old rows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
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
from metaeval_datasets.fingerprint import rows_version, task_hash
from metaeval_datasets.published import Copy, copied_tables, find_copy, open_copy
from metaeval_datasets.report import OfficialReport, Report, SplitReport, describe, read_report
from metaeval_datasets.rows import Assignment, Counts, Shard, assign, rule_for, shards, split_tables
from metaeval_datasets.schema import features
from metaeval_datasets.sources.asking import SourceError
from metaeval_datasets.sources.hub_files import Access
from metaeval_datasets.sources.opening import Opened, describe_source, open_source, resolve_revision
from metaeval_datasets.sources.source_files import Piece
from metaeval_datasets.spec import EDITIONS, AnySource, EditionName, TaskSpec
from metaeval_datasets.tally import Tally

logger = logging.getLogger(__name__)

# `datasets` replaces open, Path and others in the module of a builder by functions that read remote files too, and for
# that imports scipy and more, half a second long; unless it did so before. Here sources.py opens files, nothing else.
_patched_for_streaming = True

VERSION = "1.1.0"  # of the schema and the split rule, as users see them
COLLECTION = "https://github.com/sileod/metaeval"


@dataclass
class MetaEvalConfig(datasets.BuilderConfig):
    """One task in one edition.

    Args:
        edition: ``careful``, or ``paper`` for what the paper used where that differs.
        revision: revision of the task's first source to read instead of the declared one; or of ``source``.
        source: a published copy, ``ORG/NAME``, to read instead of the task's sources.
    """

    edition: EditionName = "careful"
    revision: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        """Leave the name alone: the inherited check refuses slashes because names become folders; ours do not."""

    @property
    def spec(self) -> TaskSpec:
        """The task in this edition."""
        return get_task(self.name).edition(self.edition)

    def create_config_id(self, config_kwargs: dict[str, Any], custom_features: datasets.Features | None = None) -> str:
        """Name of the cache folder: the task without a slash, and a digest of all that its rows depend on."""
        del config_kwargs  # edition, revision and source are in the digest
        custom = Hasher.hash(custom_features) if custom_features is not None else ""
        digest = task_hash(self.spec, self.revision or "", custom, *([self.source] if self.source else []))
        return f"{self.spec.config_name}-{digest}"


class MetaEval(datasets.ArrowBasedBuilder):
    """Makes one task of the collection.

    Raises:
        UnknownTaskError: no task of this name; names the nearest.
        NoSourceError: the copy given as ``source`` does not hold the task as it is declared.
        ValueError: an unknown edition, or an argument that tasks have no use for.
    """

    BUILDER_CONFIG_CLASS = MetaEvalConfig
    BUILDER_CONFIGS = [  # noqa: RUF012  (a class attribute by the rules of datasets)
        MetaEvalConfig(name=name, version=datasets.Version(VERSION)) for name in all_tasks()
    ]
    _tally: Tally | None = None  # while the task is prepared
    _copy: Copy | None = None  # where a published copy is read instead of the sources
    _unfit: tuple[tuple[AnySource, str], ...] = ()  # sources that failed when read to the end, and why
    _serving: AnySource | None = None  # the source that was opened last

    def __init__(
        self,
        *args: Any,
        config_name: str | None = None,
        dataset_name: str | None = None,
        hash: str | None = None,
        **kwargs: Any,
    ) -> None:
        if config_name is None:
            raise UnknownTaskError("which task? load_dataset('metaeval', 'glue/cola'); see list_tasks()")
        get_task(config_name)
        if kwargs.get("edition", "careful") not in EDITIONS:
            raise ValueError(f"unknown edition {kwargs['edition']!r}; expected one of {EDITIONS}")
        if kwargs.get("features") is not None:
            _check_features(get_task(config_name).edition(kwargs.get("edition", "careful")), kwargs["features"])
        for name in ("data_files", "data_dir"):
            if kwargs.get(name) is not None:
                raise ValueError(f"{name}={kwargs[name]!r}: a task reads the sources it declares, not given files")
        if source := kwargs.get("source"):
            edition, revision = kwargs.get("edition", "careful"), kwargs.get("revision")
            spec = get_task(config_name).edition(edition)
            cache_dir = kwargs.get("cache_dir")
            access = Access(kwargs.get("token"), cache_dir=None if cache_dir is None else str(cache_dir))
            self._copy = find_copy(source, spec, edition, revision, access)
            kwargs["revision"] = self._copy.commit  # so that the cache is that commit's
        elif revision := kwargs.get("revision"):
            spec = get_task(config_name).edition(kwargs.get("edition", "careful"))
            kwargs["revision"] = resolve_revision(spec, revision, Access(kwargs.get("token")))  # a branch moves
        super().__init__(
            *args,
            config_name=config_name,
            dataset_name=dataset_name or "metaeval",
            hash=hash or rows_version(),
            **kwargs,
        )

    @property
    def spec(self) -> TaskSpec:
        """The task, in the edition that is loaded."""
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
        """Prepare the task, or find it prepared; in both cases tell whether its first source served, whole."""
        self._prepared = False
        super().download_and_prepare(*args, **kwargs)
        if not self._prepared:  # it was there already
            _tell(self.spec, read_report(self.info))

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        streaming = bool(dl_manager.is_streaming)
        force = bool(dl_manager.download_config.force_download)
        access = Access(self.token, streaming, force, str(self._cache_dir_root))
        if self._copy is not None:
            return self._copied_splits(self._copy, access)
        self._opened = open_source(self.spec, access, self.config.revision, self._unfit)
        self._serving = self._opened.source
        self._rule = rule_for(self._opened)
        self.__dict__.pop("_assignment", None)  # of an earlier call
        official = dict(self._rule.official)
        if self._rule.derived and not streaming:
            for split in self._too_small():
                del official[split]
        self._report = _start_report(self.config, self._opened)
        for split, source_split in official.items():
            derived = split in self._rule.derived
            self._report.splits[split] = SplitReport(source_split, derived, lacks=self._lacks(split, streaming))
        self.info.description = describe(self.spec, self._report)
        _tell(self.spec, self._report)
        return [
            datasets.SplitGenerator(split, {"parts": shards(self._opened, source_split), "split": split})
            for split, source_split in official.items()
        ]

    def _copied_splits(self, copy: Copy, access: Access) -> list[datasets.SplitGenerator]:
        pieces = open_copy(copy, access)
        self._report = copy.report
        self.info.description = describe(self.spec, self._report)
        self.info.download_size = sum(piece.num_bytes for files in pieces.values() for piece in files)
        _tell(self.spec, self._report)
        return [
            datasets.SplitGenerator(split, {"parts": list(files), "split": split}) for split, files in pieces.items()
        ]

    def _lacks(self, split: str, streaming: bool) -> list[str]:
        """Classes of which a split cut from the official train split gets no row, said in the log."""
        if streaming or not self._rule.derived or self._rule.official[split] != "train":
            return []
        lacks = [self.spec.names[number] for number in self._assignment.lacking(split)]
        if lacks:
            text = "%s: no row of %s in the %s split: too few, or tied to others by duplicates and groups"
            logger.warning(text, self.spec.name, ", ".join(lacks), split)
        return lacks

    def _too_small(self) -> list[str]:
        """Splits cut from the official train split that get no row, said in the log."""
        empty = [split for split in (*self._rule.derived, "train") if not self._assignment.rows(split)]
        if len(empty) == 1 + len(self._rule.derived):
            raise _nothing_left(self.spec, "train", self._assignment.counts)
        for split in empty:
            logger.warning("%s: too few rows for a %s split", self.spec.name, split)
        return empty

    @cached_property
    def _assignment(self) -> Assignment:
        """Found in a pass of its own over the official train split; when streaming, once the first row is asked."""
        found = assign(self._opened, self._rule, self.token, self._aside)
        found.counts.refuse(self.spec, "train")
        return found

    @property
    def _aside(self) -> Path | None:
        """Where rows wait for their split while the task is prepared; None when streaming."""
        return None if self._tally is None else self._tally.folder

    def _generate_tables(
        self, parts: list[Shard] | list[Piece], split: str
    ) -> Iterator[tuple[tuple[int, int], pyarrow.Table]]:
        if self._copy is not None:
            yield from copied_tables(cast("list[Piece]", parts), self.spec, self.token)
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
                if self._serving is None:  # none is left to try
                    raise
                if isinstance(error, NothingLeftError) and (len(self.spec.sources) == 1 or self.config.revision):
                    raise
                logger.debug("%s: source %s failed: %s", self.spec.name, describe_source(self._serving), error)
                self._unfit += ((self._serving, str(error)),)
                _remove_prepared(Path(self._output_dir), str(self.dataset_name))

    def _prepare_files(self, dl_manager: Any, verification_mode: Any, **kwargs: Any) -> None:
        self.info.splits = None  # those of an earlier preparation, which the source's rows may have outgrown
        super()._download_and_prepare(dl_manager, verification_mode, **kwargs)

    def _prepare(self, dl_manager: Any, verification_mode: Any, **kwargs: Any) -> None:
        """Prepare the task from one source.

        Raises:
            SourceError: the source cannot serve.
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
            _tell_dropped(self.spec, name, counted[name])
        for name, split in self._report.splits.items():
            split.rows = self.info.splits[name].num_examples
            if not split.rows:
                raise _nothing_left(self.spec, split.official, counted[split.official])
        self.info.description = describe(self.spec, self._report)
        self.info.download_size = sum(piece.num_bytes for pieces in self._opened.pieces.values() for piece in pieces)


def _remove_prepared(folder: Path, name: str) -> None:
    """Remove what was prepared of a source that failed; another may have other splits."""
    for path in folder.glob(f"{name}-*") if folder.is_dir() else ():
        path.unlink()


def _check_features(spec: TaskSpec, given: datasets.Features) -> None:
    """Refuse features other than the task's: rows are not cast by them, and class names in another order would lie."""
    own = features(spec)
    if given != own:
        differing = sorted(name for name in {*own, *given} if given.get(name) != own.get(name))
        raise ValueError(
            f"{spec.name}: features= differs from the task's own in {', '.join(differing)}; expected {own}. Leave it "
            "out, and change the loaded dataset: with cast, or with align_labels_with_mapping to renumber its classes"
        )


def _check_copy(copy: Copy, info: datasets.DatasetInfo) -> None:
    for split, made in copy.record.splits.items():
        if (rows := info.splits[split].num_examples) != made.rows:
            raise ValueError(
                f"{copy.record.task}: the {split} split of {copy.repo} at {copy.commit} has {rows:,} rows, and it says "
                f"that it has {made.rows:,}; `metaeval publish --repo-id {copy.repo} --verify` tells what else differs"
            )


def _start_report(config: MetaEvalConfig, opened: Opened) -> Report:
    return Report(
        task=config.name,
        edition=config.edition,
        source=describe_source(opened.source),
        commit=opened.commit,
        missing=list(opened.missing),
        passed_over=[{"source": source, "reason": reason} for source, reason in opened.failures],
        unlabelled=dict(opened.unlabelled),
    )


def _tell(spec: TaskSpec, report: Report) -> None:
    """Warn where the rows are not those of the task's first source, whole."""
    for entry in report.passed_over:
        logger.warning("%s: source %s cannot serve: %s", spec.name, entry["source"], entry["reason"])
    if report.passed_over:
        logger.warning("%s: rows come from %s", spec.name, report.source)
    for text in report.missing:
        logger.warning("%s: %s lacks %s; the splits are not those of the task", spec.name, report.source, text)


def _tell_dropped(spec: TaskSpec, official: str, counts: Counts) -> None:
    if counts.dropped:
        reasons = ", ".join(f"{count} ({reason})" for reason, count in counts.dropped.items())
        logger.warning("%s: of %d rows of the official %s split, dropped %s", spec.name, counts.read, official, reasons)


class NothingLeftError(SourceError, ValueError):
    """No row of a split of a source can be used."""


def _nothing_left(spec: TaskSpec, official: str, counts: Counts) -> NothingLeftError:
    return NothingLeftError(
        f"{spec.name}: none of the {counts.read} rows of the official {official} split can be used: "
        f"{dict(counts.dropped)}; if its labels are hidden, declare it in `unlabelled`"
    )
