"""Where commands write: found out before they compute, so that nothing is computed in vain."""

from __future__ import annotations

import tempfile
from pathlib import Path


def make_folder(folder: Path, option: str) -> None:
    """Make a folder if there is none, and see that files can be written into it.

    Args:
        folder: the folder.
        option: that names it, for the error.

    Raises:
        OSError: it cannot be made, or not be written into.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"{option} {folder} is no folder that can be written into ({error.strerror or error}); give another"
        ) from error


def check_file(path: Path, option: str) -> None:
    """See that a file can be written, making its folder if there is none.

    Raises:
        OSError: it is a folder, or its folder cannot be written into.
    """
    if path.is_dir():
        raise OSError(f"{option} {path} is a folder; give the name of a file")
    make_folder(path.parent, f"{option} {path}: the folder")
