"""Tell a folder that is missing from a model on the Hub, before the Hub is asked."""

from __future__ import annotations

from pathlib import Path

from metaeval_hub.client import looks_like_repo_id
from metaeval_hub.results import at_home

RUNS = "runs"  # where training writes to by default


def not_local(place: str) -> str | None:
    """Why something that is no folder cannot be on the Hub either, in a sentence; None where it may be there.

    A Hub id has the form ORG/NAME, as a folder below this one has. It is taken for a folder where ORG is a folder here,
    or the one that training writes to.
    """
    path = at_home(place)
    if path.is_file():
        return f"{place!r} is a file; expected a folder or a Hub id"
    organisation, slash, _ = place.partition("/")
    if not slash or not looks_like_repo_id(place):
        return f"{place!r} is neither a folder nor a Hub id"
    if organisation == RUNS or at_home(organisation).is_dir():
        return f"there is no folder {place!r} in {Path.cwd()}; check its name, or change to the folder it is in"
    return None
