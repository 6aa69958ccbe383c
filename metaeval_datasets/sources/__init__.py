"""Find, fetch and read the files of source repositories."""

from importlib import import_module
from typing import Any

# The names that code outside of this package uses -> module and name there; imported on first use.
_PLACES = {
    "NoSourceError": ("asking", "NoSourceError"),
    "SourceError": ("asking", "SourceError"),
    "SourceFile": ("source_files", "SourceFile"),
    "list_files": ("hub_files", "list_files"),
    "open_source": ("opening", "open_source"),
    "read_source_file": ("source_files", "read_source_file"),
    # names of earlier versions
    "Piece": ("source_files", "SourceFile"),
    "read_piece": ("source_files", "read_source_file"),
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        module, there = _PLACES[name]
        return getattr(import_module(f"{__name__}.{module}"), there)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
