"""The list of a report's files, and how a new report replaces an older one in the same folder."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

from metaeval_hub.results.json_values import FormError, a_text, mapping_of
from metaeval_hub.results.run_results import ResultsError, read_json

LIST = "report_files.json"  # file name -> SHA-256, for every file of the report
NAME = re.compile(r"[\w-]+\.(csv|json|png|svg|md|html)", re.ASCII)


def replace_files(aside: Path, folder: Path) -> None:
    """Move the files of a new report into its folder, and remove unchanged files of an older report.

    Args:
        aside: folder with only the new files, on the same file system.
        folder: folder of the report.
    """
    older = read_list(folder)
    made = {path.name: _digest(path) for path in sorted(aside.iterdir())}
    for name, digest in older.items():
        path = folder / name
        if name not in made and path.is_file() and not path.is_symlink() and _digest(path) == digest:
            path.unlink()
    for name in made:
        os.replace(aside / name, folder / name)
    (aside / LIST).write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    os.replace(aside / LIST, folder / LIST)


def read_list(folder: Path) -> dict[str, str]:
    """Return the files of the report in a folder, name -> SHA-256; empty without a report or with a damaged list."""
    try:
        found = mapping_of(read_json(folder / LIST), LIST, a_text)
    except (OSError, ResultsError, FormError):
        return {}
    return {name: digest for name, digest in found.items() if NAME.fullmatch(name) and name != LIST}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
