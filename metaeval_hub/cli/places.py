"""Where commands write: checked before they compute, so that nothing is computed in vain."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def check_folder(folder: Path, option: str) -> None:
    """See that files can be written into a folder; it is not made yet.

    Args:
        folder: the folder, which need not exist.
        option: that names it, for the error.

    Raises:
        OSError: it cannot be made, or not be written into.
    """
    place = Path(os.path.abspath(folder))
    while not os.path.lexists(place):
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise OSError(
            f"{option} {folder}: files cannot be written into {place} ({error.strerror or error}); give another folder"
        ) from error


def check_file(path: Path, option: str) -> None:
    """See that a file can be written; its folder is not made yet.

    Raises:
        OSError: it is a folder, or its folder cannot be written into.
    """
    if path.is_dir():
        raise OSError(f"{option} {path} is a folder; give the name of a file")
    check_folder(path.parent, option)
