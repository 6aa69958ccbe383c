"""Load an encoder and its tokenizer by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from metaeval_hub.encoders.base import LoadedEncoder
from metaeval_hub.encoders.find import MINILM, check_folder, find_minilm, find_on_hub
from metaeval_hub.encoders.tiny import TINY, build_tiny
from metaeval_hub.encoders.tokenizer import fit_tokenizer, load_tokenizer
from metaeval_hub.hub.download import CacheOptions
from metaeval_hub.hub.names import local_folder
from metaeval_hub.safe_files.repository import (
    UnsafeRepositoryError,
    check_name,
    naming,
)


def load_encoder(
    name: str | Path,
    *,
    revision: str | None = None,
    vocabulary: Iterable[str] | None = None,
    seed: int = 0,
    token: str | bool | None = None,
    cache: CacheOptions | None = None,
) -> LoadedEncoder:
    """Load an encoder and its tokenizer.

    Args:
        name: an existing folder, a Hub id, "minilm" (a pretrained MiniLM inside an optional package) or "tiny" (a
            small untrained encoder, made here).
        revision: branch, tag or commit, for a Hub id.
        vocabulary: texts whose words the tokenizer of "tiny" knows; only for "tiny".
        seed: seed of the weights of "tiny".
        token: token for private repositories.
        cache: how the cache of the Hub is used, for a Hub id.

    Raises:
        ValueError: the name is none of these, or an argument does not apply to it.
        ImportError: the name is "minilm" and its package is not installed.
        UnsafeRepositoryError: the folder or repository contains something that is not loaded.
        HubError: reading from the Hub failed.
    """
    if name != TINY and vocabulary is not None:
        raise ValueError(f"vocabulary is only for the encoder {TINY!r}, got it with {str(name)!r}; leave it out")
    if name == TINY:
        return build_tiny(vocabulary, seed)
    if name == MINILM:
        found = find_minilm()
    elif folder := local_folder(name, "encoder", needs_owner=False, others=f", {MINILM!r} or {TINY!r}"):
        found = check_folder(folder, "local", _folder_name(folder), None)
    else:
        found = find_on_hub(str(name), revision, token, cache)
    with naming(found.id):
        tokenizer = load_tokenizer(found.folder, found.tokenizer_class)
        fit_tokenizer(tokenizer, found.on_meta())
    module, base = found.load()
    return LoadedEncoder(module, tokenizer, found.config, base)


def _folder_name(folder: Path) -> str:
    """Return the name that a model stores for an encoder from a folder; not every folder name can be read back."""
    name = folder.resolve().name
    try:
        return check_name(name, "the folder's name")
    except UnsafeRepositoryError:
        return "local encoder"
