"""Check who is logged in, before work is spent on what is pushed later."""

from __future__ import annotations

import logging
from typing import Any

from huggingface_hub import HfApi, get_token

from metaeval_datasets.sources.failures import status_of
from metaeval_datasets.sources.transport import understood
from metaeval_hub.hub.names import check_repo_id
from metaeval_hub.hub.retry import TRANSIENT_STATUS, HubError, retry

logger = logging.getLogger(__name__)


def push_target(repo_id: str, token: str | bool | None = None) -> str:
    """Return the full id of the repository that a push goes to; call it before building the files to push.

    Args:
        repo_id: "org/name"; "name" alone is a repository of the user that the token belongs to.
        token: token with write access; by default that of the user who is logged in.

    Raises:
        ValueError: the id has another form.
        HubError: nobody is logged in; or the id has no owner, and the Hub does not say whose token it is.
    """
    check_repo_id(repo_id)
    _check_logged_in(repo_id, token)
    if "/" in repo_id:
        return repo_id
    full = f"{_whoami(repo_id, token)['name']}/{repo_id}"
    check_repo_id(full)
    return full


def check_token(repo_id: str, token: str | bool | None = None) -> None:
    """Ask the Hub whether a token is valid and may write, before hours are spent on what is pushed with it.

    Args:
        repo_id: the repository to push to, for error messages.
        token: token with write access; by default that of the user who is logged in.

    Raises:
        HubError: the token is invalid or may only read, or the Hub cannot be reached. If the Hub is busy, a warning is
            logged instead, because it may answer later.
    """
    _check_logged_in(repo_id, token)
    try:
        role = _whoami(repo_id, token).get("auth", {}).get("accessToken", {}).get("role")
    except HubError as error:
        if status_of(error.__cause__) not in TRANSIENT_STATUS:
            raise
        logger.warning("it is not known whether the token may write to %s: %s", repo_id, error)
        return
    except AttributeError:  # a Hub that says less about its tokens
        return
    if role == "read":
        raise HubError(f"the token for {repo_id} may only read; log in with one that may write, or set HF_TOKEN")


def _check_logged_in(repo_id: str, token: str | bool | None) -> None:
    if not (token if isinstance(token, str) else token is not False and get_token()):
        raise HubError(f"nobody is logged in to push to {repo_id}; log in (hf auth login), or set HF_TOKEN")


def _whoami(repo_id: str, token: str | bool | None) -> dict[str, Any]:
    def ask() -> dict[str, Any]:
        with understood("the owner of the token"):
            answer = HfApi(token=token).whoami()
            check_repo_id("/".join((answer["name"], "name")))
            return answer

    return retry(ask, "asking whose the token is, to push to", repo_id)
