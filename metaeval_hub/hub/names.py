"""Distinguish Hub ids from folders, and check the form of Hub ids."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub.utils import HFValidationError, validate_repo_id


def check_repo_id(repo_id: str) -> None:
    """Check that a name has the form of a Hub id: "org/name", or "name" alone.

    Raises:
        ValueError: it has another form; the message says what is wrong.
    """
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        why = " ".join(str(error).split()).removesuffix(".")
        raise ValueError(f'{repo_id!r} is not the id of a repository, expected "org/name": {why[:300]}') from error


def looks_like_repo_id(name: str) -> bool:
    """Return whether a name has the form of a Hub id: "org/name", or "name" alone."""
    try:
        check_repo_id(name)
    except ValueError:
        return False
    return True


def local_folder(name: Path | str, what: str = "", *, needs_owner: bool = True, others: str = "") -> Path | None:
    """Return the folder that a name refers to, or None if the name is a Hub id.

    Args:
        name: a path, or a Hub id. An existing folder has priority.
        what: word before the name in an error message.
        needs_owner: whether a Hub id must have the form "org/name"; the ids of some encoders are "name" alone.
        others: what else the name may be, for the error message.

    Raises:
        ValueError: the name is neither. The Hub is not asked about it, because it may be a mistyped path.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    written = str(name)
    if isinstance(name, str) and ("/" in written or not needs_owner) and looks_like_repo_id(written):
        return None
    why = "it is a file" if folder.exists() else "there is no such folder"
    form = '"org/name"' if needs_owner else '"org/name" or "name"'
    named = f"{what} {written!r}".lstrip()
    raise ValueError(
        f"{named} is neither a folder nor a Hub id{others}: {why}, and a Hub id has the form {form}; check the path"
    )


def may_be_a_path(repo_id: str) -> bool:
    """Return whether a Hub id may be a mistyped path, because its first part is a folder here."""
    return "/" in repo_id and Path(repo_id).parent.is_dir()
