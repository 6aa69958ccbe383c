"""Replace files of a folder together: new files are written elsewhere first, so that a failure leaves the old ones."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

_SWAP = threading.Lock()  # if two threads save into one folder, it contains the files of one of them


def target_folder(folder: Path | str) -> Path:
    """Return the folder that a user names to save to.

    Raises:
        ValueError: the name is empty; as a path, it would mean the current folder.
    """
    if not str(folder):
        raise ValueError('folder is ""; give the name of a folder, or "." for the current one')
    return Path(folder).expanduser()


@contextmanager
def replacing(folder: Path, own: Collection[str], last: str) -> Iterator[Path]:
    """Yield an empty folder to write to; its files are moved to ``folder`` if the block ends without an error.

    If anything fails (a full disk, a file in the place of a folder), ``folder`` stays as it was. The old file ``last``
    is removed before all others, and the new one is added after all others. If the process is killed in between, a
    reader that requires this file finds none, and never reads old and new files together.

    Args:
        folder: created if it does not exist. Files that are not replaced stay.
        own: patterns of old files that are removed even if no new file has their name.
        last: the file without which readers do not read the others.

    Raises:
        OSError: ``folder`` is a file, a folder has the name of one of the files, or the files cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; expected a folder, or the name of one that does not exist")
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=".saving-", dir=folder))  # inside, so that it is on the same disk
    try:
        new = stage / "new"
        new.mkdir()
        yield new
        with _SWAP:
            _swap(folder, stage, own, last)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if made:
            with contextlib.suppress(OSError):  # it contains the new files
                folder.rmdir()


def _swap(folder: Path, stage: Path, own: Collection[str], last: str) -> None:
    new, old = stage / "new", stage / "old"
    written = [path.relative_to(new).as_posix() for path in new.rglob("*") if not path.is_dir()]
    for name in written:
        _check_place(folder, name)
        _settle(new / name)
    known = {path for pattern in own for path in folder.glob(pattern)} | {folder / name for name in written}
    stale = [path.relative_to(folder).as_posix() for path in known if path.is_file() or path.is_symlink()]
    moved: list[tuple[Path, Path]] = []
    try:
        for name in sorted(stale, key=lambda name: name != last):
            _move(folder / name, old / name, moved)
        for name in sorted(written, key=lambda name: name == last):
            _move(new / name, folder / name, moved)
    except BaseException:
        for source, target in reversed(moved):
            os.replace(target, source)
        raise
    for parent in {(folder / name).parent for name in stale} - {folder}:
        with contextlib.suppress(OSError):  # it is not empty
            parent.rmdir()


def _check_place(folder: Path, name: str) -> None:
    """Check that a file can be moved to its place in a folder.

    Raises:
        OSError: a folder or file is in the way; the message names it.
    """
    path = folder / name
    if path.is_dir() and not path.is_symlink():
        raise IsADirectoryError(f"{path} is a folder; expected a file, or none: move it away, or save elsewhere")
    for parent in path.relative_to(folder).parents:
        if (folder / parent).exists() and not (folder / parent).is_dir():
            raise NotADirectoryError(f"{folder / parent} is a file; expected a folder: move it away, or save elsewhere")


def _settle(path: Path) -> None:
    """Write a file to the disk, and give it the permissions that new files have here."""
    mode = path.parent.stat().st_mode & 0o666  # some libraries let only the owner read their files
    path.chmod(mode)
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _move(source: Path, target: Path, moved: list[tuple[Path, Path]]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)
    moved.append((source, target))
