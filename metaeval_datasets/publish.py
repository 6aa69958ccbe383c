"""Write tasks as folders of Parquet files that ``datasets`` loads without this package, and check published copies.

    <folder>/pragmeval-sarcasm/train-00000-of-00001.parquet
    <folder>/pragmeval-sarcasm/.record.json                   the task's record; not uploaded

Equal rows give equal bytes with the same version of pyarrow: row groups and files have fixed numbers of rows,
independent of the batches of the prepared task. A task is written to a temporary folder and moved to its place when it
is complete, with its record. An interruption therefore leaves only complete tasks, which are not written again.
``metaeval_hub`` uploads the folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, DownloadMode, Features, load_dataset
from filelock import FileLock, Timeout

from metaeval_datasets.catalog import all_tasks, get_task
from metaeval_datasets.fingerprint import rows_version, task_hash
from metaeval_datasets.record import FORMAT, SplitRecord, TaskRecord
from metaeval_datasets.report import read_report
from metaeval_datasets.schema import features
from metaeval_datasets.sources.opening import describe_source
from metaeval_datasets.sources.pins import find_pins
from metaeval_datasets.spec import SPLITS, EditionName, Source, TaskSpec

logger = logging.getLogger(__name__)

GROUP_ROWS = 5_000  # rows of a Parquet row group and of a batch in memory
FILE_BYTES = 500 * 10**6  # memory of the rows in one file; the Parquet file is smaller
_RECORD = ".record.json"
_DIGESTS = "sha256"  # key of path -> digest of each file, in the local record
_NO_INTEGER = -(2**63)  # represents null in a digest
_PARQUET: dict[str, Any] = {"compression": "zstd", "version": "2.6", "use_dictionary": True}

# --- Rows -----------------------------------------------------------------------------------------------------------


class Digest:
    """Compute a digest of rows, column by column, that does not depend on batches, files or formats."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        self.rows = 0
        self.num_bytes = 0
        self._columns = {name: (hashlib.sha256(), hashlib.sha256()) for name in columns}

    def add(self, table: pa.Table) -> None:
        """Add rows of strings and integers, which may be null."""
        self.rows += len(table)
        for name, (lengths, values) in self._columns.items():
            for chunk in table[name].chunks:
                for digest, part in zip((lengths, values), _plain_parts(chunk), strict=True):
                    digest.update(part)
                    self.num_bytes += part.nbytes

    def hexdigest(self) -> str:
        """Return the digest as 64 hexadecimal digits."""
        digests = [[name, *(part.hexdigest() for part in parts)] for name, parts in self._columns.items()]
        return hashlib.sha256(json.dumps([self.rows, digests]).encode()).hexdigest()


def _plain_parts(array: pa.Array) -> tuple[memoryview, memoryview]:
    """Return lengths of texts (-1 for null) and their bytes; for an integer column, nothing and the integers."""
    if pa.types.is_integer(array.type):
        integers = pc.fill_null(array.cast(pa.int64()), _NO_INTEGER).to_numpy()
        return memoryview(b""), memoryview(integers.astype("<i8"))
    texts = array.cast(pa.large_string())
    lengths = pc.fill_null(pc.binary_length(texts), -1).cast(pa.int32()).to_numpy().astype("<i4")
    offsets_buffer, data = texts.buffers()[1:]
    offsets = np.frombuffer(offsets_buffer, "<i8", len(texts) + 1, offset=8 * texts.offset)
    start, stop = int(offsets[0]), int(offsets[-1])
    return memoryview(lengths), memoryview(data)[start:stop] if data is not None else memoryview(b"")


def _tables(rows: Dataset) -> Iterator[pa.Table]:
    """Yield the rows in order, ``GROUP_ROWS`` at a time, each column as one chunk."""
    for table in rows.with_format("arrow").iter(GROUP_ROWS):
        yield table.combine_chunks()


# --- Building -------------------------------------------------------------------------------------------------------


def fingerprint(spec: TaskSpec, edition: EditionName) -> str:
    """Return a digest that changes with the declaration, the edition, the version of the rows or the file format."""
    return task_hash(spec, rows_version(), edition, f"published {FORMAT} {GROUP_ROWS} {FILE_BYTES} {_PARQUET}")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder so that no other process builds in it.

    Raises:
        BlockingIOError: another process has locked it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BlockingIOError(f"{folder} is in use by another `metaeval publish`; wait, or give a --folder") from None
    try:
        yield
    finally:
        lock.release()


def read_built(folder: Path, spec: TaskSpec, edition: EditionName) -> TaskRecord | None:
    """Return the record of a task built in a folder; None if it was not built or is out of date."""
    path = folder / spec.config_name / _RECORD
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        record = TaskRecord.from_dict(written)
        if record.fingerprint != fingerprint(spec, edition):
            return None
        digests = {name: _file_digest(folder / name) for name in record.paths}
    except (OSError, ValueError):
        return None
    if digests == written.get(_DIGESTS):  # file sizes alone would not reveal a flipped bit
        return record
    logger.warning(
        "%s: its files in %s have changed since they were built; building them again", spec.name, path.parent
    )
    return None


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()


def build_task(name: str, folder: Path, edition: EditionName = "careful", *, rebuild: bool = False) -> TaskRecord:
    """Write the files of a task, unless they are up to date.

    Args:
        name: ``group/task``.
        folder: folder of all tasks; the caller has ``locked`` it.
        edition: careful or paper.
        rebuild: read the sources and write the files again, even if they are up to date.

    Returns:
        The task's record.

    Raises:
        UnknownTaskError: no task has this name.
        NoSourceError: none of the task's sources can be used.
    """
    spec = get_task(name).edition(edition)
    if not rebuild and (built := read_built(folder, spec, edition)) and not _pinned_elsewhere(built, spec):
        return built
    mode = DownloadMode.FORCE_REDOWNLOAD if rebuild else DownloadMode.REUSE_DATASET_IF_EXISTS
    loaded = load_dataset("metaeval", name, edition=edition, download_mode=mode)
    report = read_report(next(iter(loaded.values())).info)
    # the reason can contain paths and addresses of this machine
    report.passed_over = [{**entry, "reason": "could not be used"} for entry in report.passed_over]
    aside, place = folder / f".{spec.config_name}.partial", folder / spec.config_name
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    paper = get_task(name).paper
    record = TaskRecord(
        task=name,
        edition=edition,
        fingerprint=fingerprint(spec, edition),
        type=spec.type.value,
        fields=tuple(spec.texts),
        names=spec.names,
        canonical=spec.canonical,
        license=spec.license,
        citation=spec.citation,
        in_101=spec.in_101,
        notes=spec.notes,
        paper=paper.why if paper is not None and edition == "careful" else "",
        report=report,
        splits={split: _write_split(loaded[split], split, spec, aside) for split in SPLITS if split in loaded},
    )
    digests = {name: _file_digest(aside / Path(name).name) for name in record.paths}
    written = {**record.to_dict(), _DIGESTS: digests}
    (aside / _RECORD).write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if place.exists():
        shutil.rmtree(place)
    aside.rename(place)
    return record


def _pinned_elsewhere(built: TaskRecord, spec: TaskSpec) -> bool:
    """Return whether a task was built from another commit of its source than the one that is pinned now."""
    source = next((source for source in spec.sources if describe_source(source) == built.report.source), None)
    pin = find_pins().commit(source) if isinstance(source, Source) else None
    return pin is not None and pin != built.report.commit


def _write_split(rows: Dataset, split: str, spec: TaskSpec, folder: Path) -> SplitRecord:
    digest = Digest((*spec.texts, "label", "idx"))
    for table in _tables(rows):
        digest.add(table)
    count = -(-digest.num_bytes // FILE_BYTES) or 1
    groups = -(-digest.rows // GROUP_ROWS)
    per_file = -(-groups // count)  # row groups per file; the last file can have fewer
    count = -(-groups // per_file)
    paths = [folder / f"{split}-{number:05d}-of-{count:05d}.parquet" for number in range(count)]
    schema = features(spec).arrow_schema  # contains the class names in the metadata that `datasets` reads
    tables = _tables(rows)
    for path in paths:
        with pq.ParquetWriter(path, schema, **_PARQUET) as writer:
            for _, table in zip(range(per_file), tables, strict=False):
                writer.write_table(table.select(schema.names).cast(schema), row_group_size=GROUP_ROWS)
    return SplitRecord(
        digest.rows, digest.num_bytes, digest.hexdigest(), {path.name: path.stat().st_size for path in paths}
    )


def in_order(records: Iterable[TaskRecord]) -> list[TaskRecord]:
    """Return records in catalogue order, followed by those of tasks unknown to this release, sorted by name."""
    places = {name: place for place, name in enumerate(all_tasks())}
    return sorted(records, key=lambda record: (places.get(record.task, len(places)), record.task))


# --- Verification ---------------------------------------------------------------------------------------------------


def differences(record: TaskRecord, folder: Path) -> list[str]:
    """Compare a task of a published copy, loaded with plain ``datasets``, with the built one.

    Args:
        record: record of the built task.
        folder: downloaded copy: its card and the folder of the task.

    Returns:
        Differences in splits, columns, class names, number and content of rows, in words; empty if there are none.
    """
    try:
        loaded = load_dataset(str(folder), record.config, streaming=True)
    except Exception as error:  # report any reason why it cannot be loaded
        return [f"cannot be loaded: {_one_line(error)}"]
    found = []
    if set(loaded) != set(record.splits):
        found.append(f"has splits {', '.join(loaded)}; expected {', '.join(record.splits)}")
    for split, built in record.splits.items():
        if split in loaded:
            found += [f"{split}: {text}" for text in _split_differences(loaded[split], record, built)]
    return found


def _split_differences(rows: Any, record: TaskRecord, built: SplitRecord) -> Iterator[str]:
    if differing := _feature_differences(rows.features or Features(), record):
        yield from differing
        return
    columns = (*record.fields, "label", "idx")
    digest = Digest(columns)
    try:
        for table in rows.with_format("arrow").iter(GROUP_ROWS):
            digest.add(table)
    except Exception as error:  # as above
        yield f"cannot be read beyond row {digest.rows:,}: {_one_line(error)}"
        return
    promised = (rows.info.splits or {}).get(str(rows.split))
    if digest.rows != built.rows:
        yield f"has {digest.rows:,} rows; expected {built.rows:,}"
    elif digest.hexdigest() != built.content:
        yield "has the expected number of rows, but with other content"
    if promised is None or promised.num_examples != built.rows:
        number = "no number of rows" if promised is None else f"{promised.num_examples:,} rows"
        yield f"the card states {number}; expected {built.rows:,}"


def _feature_differences(found: Features, record: TaskRecord) -> list[str]:
    columns = [*record.fields, "label", "idx"]
    if sorted(found) != sorted(columns):
        return [f"has columns {', '.join(found)}; expected {', '.join(columns)}"]
    label = found["label"]
    names = list(label.names) if isinstance(label, ClassLabel) else None
    if names != list(record.names):
        return [f"has class names {names}; expected {list(record.names)}"]
    kinds = {name: getattr(found[name], "dtype", None) for name in columns}
    wrong = [name for name in columns if kinds[name] != ("string" if name in record.fields else "int64")]
    return [f"column {name} is of type {kinds[name]}" for name in wrong]


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
