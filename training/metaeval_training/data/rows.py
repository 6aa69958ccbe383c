"""Load the rows of tasks, without contaminated training rows and limited to the number that the settings ask for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import datasets
import numpy as np
from datasets import Dataset, DatasetDict

from metaeval_datasets import (
    NoSourceError,
    UnknownTaskError,
    get_task,
    load_dataset,
    read_report,
    select_tasks,
)
from metaeval_datasets.fingerprint import rows_version
from metaeval_datasets.hashing import text_hashes
from metaeval_datasets.overlap import OnSplit
from metaeval_datasets.prepared import INFO_FILE, find_place, folder_name, folder_of
from metaeval_datasets.sources.hub_files import Access
from metaeval_datasets.sources.pins import find_pins
from metaeval_training.config import Decontaminate, EditionName, TrainConfig
from metaeval_training.data.cache import DataCache, digest
from metaeval_training.data.contamination import Positions, contaminated_rows
from metaeval_training.data.sampling import generator

SPLITS = ("train", "validation", "test")
TEXT_COLUMNS = ("sentence", "sentence1", "sentence2")
CHUNK = 1000  # rows read at a time
LOADERS = 8  # tasks loaded at the same time; a task mostly waits for the Hub
KEPT_VERSION = 1  # raise it when other rows are kept of a task, so that older cache entries are ignored

T = TypeVar("T")


class DataError(RuntimeError):
    """Tasks cannot be trained on; the message names each of them with the reason."""


@dataclass(frozen=True)
class RowChoice:
    """Which rows a run keeps of each task.

    Attributes:
        edition: corrected rows ("careful"), or those that the paper used ("paper").
        max_train_rows: maximum number of training rows per task; 0: all.
        max_eval_rows: maximum number of validation rows and of test rows per task; 0: all.
        seed: seed of the random choice of rows.
    """

    edition: EditionName = "careful"
    max_train_rows: int = 0
    max_eval_rows: int = 0
    seed: int = 0


def row_choice(config: TrainConfig) -> RowChoice:
    """Return the choice of rows of the settings."""
    return RowChoice(config.edition, config.max_train_rows, config.max_eval_rows, config.rows_seed)


@dataclass(frozen=True)
class TaskRows:
    """The rows of one task, before tokenization.

    Attributes:
        name: "group/task".
        labels: class names, in the order of the label numbers.
        splits: the rows that are kept, for the existing splits among "train", "validation" and "test". A split may be
            loaded again at each access.
        available: split -> number of rows before the limits were applied.
        origin: the report of the task's source (``metaeval_datasets.Report``) as JSON values.
        left_out: number of training rows removed because evaluation splits contain their text.
        columns: names of the text columns; if empty, they are looked up.
        digests: split -> digest of its texts and labels, if known.
        prepared: digest of all its rows as prepared on this machine, if known.
        edition: edition of its rows.
        made_of: name of the task that a control task was made of; empty for any other task.
    """

    name: str
    labels: tuple[str, ...]
    splits: Mapping[str, Dataset]
    available: dict[str, int]
    origin: dict[str, Any]
    left_out: int = 0
    columns: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    prepared: str = ""
    edition: EditionName = "careful"
    made_of: str = ""

    @property
    def catalogue_name(self) -> str:
        """Name under which the catalogue knows the task."""
        return self.made_of or self.name

    @property
    def text_columns(self) -> list[str]:
        """Names of the one or two text columns."""
        return list(self.columns or text_columns(self.splits["train"]))


def expand_tasks(names: Sequence[str]) -> list[str]:
    """Return the task names for task and group names; "all" is the whole collection without the demo tasks.

    Raises:
        UnknownTaskError: a name is neither a task nor a group; the message names the closest ones.
    """
    return select_tasks(names)


def load_task(name: str, choice: RowChoice, left_out: Positions | None = None) -> TaskRows:
    """Load one task and keep the chosen rows of each split. Splits with hidden labels are left out.

    Args:
        name: name of the task.
        choice: which rows to keep.
        left_out: positions of training rows to remove.

    Raises:
        DataError: the task has no training rows.
        Exception: any error of loading, such as no access, a changed source or an unknown name.
    """
    facts, loaded = _read_task(name, choice.edition)
    splits = choose_rows(name, {split: loaded[split] for split in facts.available}, choice, left_out)
    return TaskRows(
        name, facts.labels, splits, facts.available, facts.origin, 0 if left_out is None else len(left_out),
        facts.columns, {split: rows_digest(rows) for split, rows in splits.items()},
        prepared_digest(name, choice.edition), choice.edition,
    )  # fmt: skip


def load_tasks(
    names: Sequence[str],
    choice: RowChoice,
    *,
    decontaminate: Decontaminate = "no",
    held_out: Sequence[str] = (),
    skip_unavailable: bool = False,
    cache: DataCache | None = None,
    on_task: Callable[[str], None] = lambda name: None,
    on_split: OnSplit = lambda task, split: None,
) -> tuple[list[TaskRows], dict[str, str]]:
    """Load all tasks; try each one before raising an error about those that failed.

    Args:
        names: names of the tasks.
        choice: which rows to keep.
        decontaminate: rule for the training rows to remove; see ``contaminated_rows``.
        held_out: further tasks whose evaluation splits are compared; tasks that cannot be loaded are ignored.
        skip_unavailable: skip tasks that fail.
        cache: cache of earlier runs. A task in this cache is not read before its splits are accessed.
        on_task: called with a task's name when it has been loaded or has failed.
        on_split: called with a task's name and a split before it is compared with the others.

    Returns:
        The tasks, in the order of ``names``; and task -> reason, for the skipped ones.

    Raises:
        DataError: tasks failed and ``skip_unavailable`` is off, or no task is left.
    """
    find = partial(_find_task, edition=choice.edition, cache=cache)
    found, failed = _concurrently(find, names, on_task)
    # a held-out task that fails is ignored, because it is neither trained on nor scored here
    others = _concurrently(find, held_out)[0] if decontaminate != "no" else {}
    left_out = _contaminated({**found, **others}, choice.edition, decontaminate, cache, on_split)
    chosen, unread = _concurrently(
        lambda name: _choose_task(name, found[name], choice, left_out.get(name), cache), list(found)
    )
    failed |= unread
    tasks = list(chosen.values())
    if failed and (not skip_unavailable or not tasks):
        listed = "\n".join(f"  {name}: {failed[name]}".replace("\n", "\n    ") for name in names if name in failed)
        advice = "no task is left" if not tasks else "add --skip-unavailable to train on the others"
        raise DataError(f"{len(failed)} of {len(names)} tasks cannot be trained on; {advice}\n{listed}")
    return tasks, failed


def find_contaminated(
    names: Sequence[str], edition: EditionName, decontaminate: Decontaminate, cache: DataCache | None = None
) -> dict[str, Positions]:
    """Return the training rows that ``load_tasks`` would remove, by task; without tasks that cannot be loaded."""
    find = partial(_find_task, edition=edition, cache=cache)
    found, _ = _concurrently(find, names)  # what fails is reported when the task is loaded
    return _contaminated(found, edition, decontaminate, cache)


def _concurrently(
    work: Callable[[str], T], names: Sequence[str], on_task: Callable[[str], None] = lambda name: None
) -> tuple[dict[str, T], dict[str, str]]:
    """Work on several tasks at the same time, in threads.

    Returns:
        Task -> result; and task -> reason, for those that failed; both in the order of ``names``.
    """
    done: dict[str, T] = {}
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=LOADERS) as pool:
        jobs = {pool.submit(work, name): name for name in dict.fromkeys(names)}
        try:
            for job in as_completed(jobs):
                name = jobs[job]
                try:
                    done[name] = job.result()
                except Exception as error:  # whatever the reason, it is reported with the task's name
                    failed[name] = _reason(error)
                on_task(name)
        except BaseException:  # such as Ctrl-C: do not start the tasks that still wait
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {name: done[name] for name in names if name in done}, {
        name: failed[name] for name in names if name in failed
    }


@dataclass(frozen=True)
class _Facts:
    """Facts of a task that do not depend on the choice of rows; ``prepared`` is a digest of all rows, "" if unknown."""

    labels: tuple[str, ...]
    columns: tuple[str, ...]
    available: dict[str, int]
    origin: dict[str, Any]
    prepared: str = ""


def _contaminated(
    found: Mapping[str, _Facts],
    edition: EditionName,
    decontaminate: Decontaminate,
    cache: DataCache | None,
    on_split: OnSplit = lambda task, split: None,
) -> dict[str, Positions]:
    whole = {name: partial(_load_whole, name, edition) for name in found}
    prepared = {name: facts.prepared for name, facts in found.items() if facts.prepared}
    return contaminated_rows(whole, prepared, decontaminate, cache, on_split)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, DataError | NoSourceError) else f"{type(error).__name__}: {error}"


def _load_whole(name: str, edition: EditionName) -> DatasetDict:
    loaded = load_dataset("metaeval", name, edition=edition)
    if not isinstance(loaded, DatasetDict):
        raise DataError(f"{name}: expected a DatasetDict with splits, got a {type(loaded).__name__}")
    return loaded


def _read_task(name: str, edition: EditionName) -> tuple[_Facts, DatasetDict]:
    loaded = _load_whole(name, edition)
    if "train" not in loaded or not len(loaded["train"]):
        found = ", ".join(f"{split} ({len(rows)} rows)" for split, rows in loaded.items()) or "no splits"
        raise DataError(f"the training split is missing or empty; found {found}")
    available = {
        split: len(loaded[split])
        for split in SPLITS
        if split in loaded and len(loaded[split]) and min(loaded[split]["label"][:]) >= 0
    }
    train = loaded["train"]
    labels, columns = tuple(train.features["label"].names), tuple(text_columns(train))
    return _Facts(labels, columns, available, read_report(train.info).to_dict()), loaded


def _find_task(name: str, edition: EditionName, cache: DataCache | None) -> _Facts:
    """Return the facts of a task, from the cache if its rows are prepared on this machine and known there."""
    prepared = prepared_digest(name, edition)
    if cache is not None and prepared:
        known = cache.read_json("tasks", _key(prepared))
        if known is not None:
            labels, columns = tuple(known["labels"]), tuple(known["columns"])
            return _Facts(labels, columns, known["available"], known["origin"], prepared)
    facts, _ = _read_task(name, edition)
    prepared = prepared_digest(name, edition)
    if cache is not None and prepared:
        stored = {"labels": facts.labels, "columns": facts.columns, "available": facts.available}
        cache.write_json("tasks", _key(prepared), {**stored, "origin": facts.origin})
    return replace(facts, prepared=prepared)


def _choose_task(
    name: str, facts: _Facts, choice: RowChoice, left_out: Positions | None, cache: DataCache | None
) -> TaskRows:
    def load() -> dict[str, Dataset]:
        loaded = _load_whole(name, choice.edition)
        return choose_rows(name, {split: loaded[split] for split in facts.available}, choice, left_out)

    positions = [] if left_out is None else left_out.tolist()
    key = _key(facts.prepared, asdict(choice), positions)
    digests = cache.read_json("rows", key) if cache is not None and facts.prepared else None
    if digests is None:
        digests = {split: rows_digest(rows) for split, rows in load().items()}
        if cache is not None and facts.prepared:
            cache.write_json("rows", key, digests)
    splits = _LoadedOnDemand(name, tuple(digests), load)
    return TaskRows(
        name, facts.labels, splits, facts.available, facts.origin, len(positions), facts.columns, digests,
        facts.prepared, choice.edition,
    )  # fmt: skip


def _key(*parts: Any) -> str:
    return digest(f"kept {KEPT_VERSION}", *parts)


class _LoadedOnDemand(Mapping[str, Dataset]):
    """The splits of a task, loaded at each access, so that many tasks do not need many open files."""

    def __init__(self, task: str, names: tuple[str, ...], load: Callable[[], dict[str, Dataset]]) -> None:
        self.task, self.names, self.load = task, names, load

    def __getitem__(self, split: str) -> Dataset:
        if split not in self.names:
            raise KeyError(split)
        try:
            return self.load()[split]
        except Exception as error:
            raise DataError(f"{self.task} was loaded before, but cannot be loaded again: {_reason(error)}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def prepared_digest(name: str, edition: EditionName) -> str:
    """Return a digest of the rows of a task that `datasets` has prepared on this machine, "" if it has not.

    The description next to the rows contains the source, its commit and the counts; the folder's name contains a digest
    of the task's declaration, the commit of its first source and the version of the row semantics.
    """
    try:
        spec = get_task(name).edition(edition)
        suffix = find_place(spec, find_pins(), Access(), rows_version()).suffix
        folder = folder_of(folder_name(spec) + suffix, datasets.config.HF_DATASETS_CACHE, rows_version())
        return digest(str(folder.relative_to(folder.parents[2])), (folder / INFO_FILE).read_text("utf-8"))
    except (UnknownTaskError, OSError):
        return ""


def choose_rows(
    name: str, splits: Mapping[str, Dataset], choice: RowChoice, left_out: Positions | None = None
) -> dict[str, Dataset]:
    """Return the rows to keep of the whole splits of a task; arguments as in ``load_task``.

    Raises:
        DataError: all training rows would be removed.
    """
    limits = {"train": choice.max_train_rows, "validation": choice.max_eval_rows, "test": choice.max_eval_rows}
    kept = {}
    for split, rows in splits.items():
        if split == "train" and left_out is not None and len(left_out):
            if len(left_out) == len(rows):
                raise DataError(
                    f"all {len(rows)} training rows are also in evaluation splits; pass --decontaminate no to keep them"
                )
            rows = rows.select(np.delete(np.arange(len(rows)), left_out))
        kept[split] = keep_rows(rows, limits[split], choice.seed, name, split) if limits[split] else rows
    return kept


def keep_rows(rows: Dataset, limit: int, *seed_parts: object) -> Dataset:
    """Return at most ``limit`` randomly chosen rows, in their original order."""
    if len(rows) <= limit:
        return rows
    return rows.select(np.sort(generator("rows kept", *seed_parts).permutation(len(rows))[:limit]))


def rows_digest(rows: Dataset) -> str:
    """Return 32 hex digits that change with any text or label of a split."""
    columns = text_columns(rows)
    total = hashlib.blake2b(json.dumps([columns, len(rows)]).encode(), digest_size=16)
    for table in rows.select_columns([*columns, "label"]).with_format("arrow").iter(CHUNK):
        for column in columns:
            total.update(text_hashes(table[column]).tobytes())
        total.update(table["label"].to_numpy().astype(np.int64).tobytes())
    return total.hexdigest()


def whole_split(task: TaskRows, split: str = "train") -> Dataset:
    """Return all rows of a split of a task."""
    return _load_whole(task.catalogue_name, task.edition)[split]


def text_columns(rows: Dataset) -> list[str]:
    """Return the names of the one or two text columns of a split."""
    return [column for column in TEXT_COLUMNS if column in rows.column_names]


def texts(tasks: Iterable[TaskRows]) -> Iterator[str]:
    """Yield all training texts, from which the vocabulary of the encoder "tiny" is built."""
    for task in tasks:
        for column in task.text_columns:
            for chunk in task.splits["train"].select_columns(column).iter(CHUNK):
                yield from chunk[column]
