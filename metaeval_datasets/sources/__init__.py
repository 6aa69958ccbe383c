"""Find, fetch and read the files of source repositories."""

from importlib import import_module
from typing import Any

# The names that other packages use, imported on first use.
_PLACES = {
    "NoSourceError": "asking",
    "SourceFile": "source_files",
    "SourceError": "asking",
    "list_files": "hub_files",
    "open_source": "opening",
    "read_source_file": "source_files",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
