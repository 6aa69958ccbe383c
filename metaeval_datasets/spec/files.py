"""Describe local files with the rows of a task, and identify them by their content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from metaeval_datasets.spec.checks import SPLITS, SpecError

EXTENSIONS = (".csv", ".tsv", ".jsonl", ".json", ".parquet")
_CHUNK = 1 << 20

# (path, size, time of the last change in ns, inode) -> SHA-256 of the file
_digests: dict[tuple[str, int, int, int], str] = {}


@dataclass(frozen=True)
class Files:
    """Describe the rows of a task in local files.

    The cache of a task depends on the content of its files, not on their place: a changed file is prepared again, and a
    moved file is not.

    Args:
        paths: official split -> paths of its files (or one path), in reading order. Relative paths are made absolute.
        delimiter: separator of CSV files; default: tab for ``.tsv`` files, comma for others.
        quote: character around CSV fields that contain a separator or a line break; None if quotation marks are part
            of the texts.
        encoding: encoding of CSV files. JSON lines are UTF-8 by definition.
        shown: name of the rows in reports; default: the names of the files.

    Raises:
        SpecError: a field has a value that cannot be right. Whether the files exist is checked when they are read.
    """

    paths: Mapping[str, str | os.PathLike[str] | tuple[str | os.PathLike[str], ...]]
    delimiter: str | None = None
    quote: str | None = '"'
    encoding: str = "utf-8"
    shown: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.paths, Mapping) or not self.paths:
            raise SpecError(f"files: `paths` must map splits to paths, got {self.paths!r}")
        if unknown := [split for split in self.paths if split not in SPLITS]:
            raise SpecError(f"files: `paths` has the split {unknown[0]!r}; expected some of {', '.join(SPLITS)}")
        paths = {split: _absolute(split, given) for split, given in self.paths.items()}
        object.__setattr__(self, "paths", {split: paths[split] for split in SPLITS if split in paths})
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise SpecError(f"files: `delimiter` must be one character, got {self.delimiter!r}")
        if self.quote is not None and (len(self.quote) != 1 or self.quote == self.delimiter):
            raise SpecError(f"files: `quote` must be one character other than `delimiter`, or None, got {self.quote!r}")
        try:
            "".encode(self.encoding)  # also refuses codecs that are no encodings of texts, such as base64
        except (LookupError, TypeError, ValueError):
            raise SpecError(
                f"files: `encoding` is {self.encoding!r}; expected an encoding such as utf-8 or cp1252"
            ) from None

    def paths_of(self, split: str) -> tuple[str, ...]:
        """Return the absolute paths of a split."""
        return _absolute(split, self.paths[split])

    def all_paths(self) -> list[str]:
        """Return the absolute paths of all splits."""
        return [path for split in self.paths for path in self.paths_of(split)]

    def content(self) -> dict[str, list[str]]:
        """Return split -> for each file, its extension and its SHA-256.

        Raises:
            SpecError: a file cannot be read.
        """
        return {
            split: [f"{Path(path).suffix.lower()} {file_digest(path)}" for path in self.paths_of(split)]
            for split in self.paths
        }

    def to_plain(self) -> dict[str, object]:
        """Return what the rows depend on, as data for JSON: the content of the files and how they are read."""
        options = {"delimiter": self.delimiter, "quote": self.quote, "encoding": self.encoding}
        return {"op": "Files", "content": [[split, digests] for split, digests in self.content().items()], **options}


def _absolute(split: str, given: object) -> tuple[str, ...]:
    paths = (given,) if isinstance(given, str | os.PathLike) else given
    if not isinstance(paths, tuple | list) or not paths or not all(isinstance(p, str | os.PathLike) for p in paths):
        raise SpecError(f"files: `paths` of {split!r} must be a path or a tuple of paths, got {given!r}")
    texts = tuple(os.path.abspath(os.path.expanduser(os.fspath(path))) for path in paths)
    for path in texts:
        if not path.lower().endswith(EXTENSIONS):
            raise SpecError(f"files: {path} has an unknown extension; expected one of {', '.join(EXTENSIONS)}")
    return texts


def file_digest(path: str) -> str:
    """Return the SHA-256 of a file as hexadecimal digits. The file is only read again after it has changed.

    Raises:
        SpecError: the file cannot be read.
    """
    try:
        state = os.stat(path)
        key = (path, state.st_size, state.st_mtime_ns, state.st_ino)
        if key not in _digests:
            digest = hashlib.sha256()
            with open(path, "rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
            _digests[key] = digest.hexdigest()
        return _digests[key]
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror or error}") from error
