"""A model's folder on disk and on the Hub: save, load and push.

config.json        format, base encoder, conditioning, tasks with their class names
model.safetensors  the trained tensors: adapter, task embeddings, classifiers
tokenizer/         the encoder's tokenizer
encoder/           the encoder itself, where it can be found nowhere else
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from metaeval_hub.encoders.base import LoadedEncoder, as_own, check_same
from metaeval_hub.encoders.find import FoundEncoder, find_base, find_configuration
from metaeval_hub.encoders.tokenizer import fit_tokenizer, load_tokenizer
from metaeval_hub.encoders.weights import all_finite, building, save_configuration, save_encoder, weights_digest
from metaeval_hub.hub.download import CacheOptions, fetch
from metaeval_hub.hub.login import push_target
from metaeval_hub.hub.names import local_folder
from metaeval_hub.hub.upload import push_folder
from metaeval_hub.model.card import model_card
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.record import CONFIG_FILE, DTYPES, FORMAT, ModelRecord, check_record, read_record, write_record
from metaeval_hub.model.tensor_names import has_attention_biases
from metaeval_hub.model.tensors import check_finite, read_tensors, write_tensors
from metaeval_hub.model.trained_tensors import add_attention_biases
from metaeval_hub.safe_files.replace_folder import replacing, target_folder
from metaeval_hub.safe_files.repository import UnsafeRepositoryError, check_file_names, naming, read_header
from metaeval_hub.task_data.task_features import FEATURE_FILES, TABLE_FILE, TaskFeatures

WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FOLDER = "tokenizer"
ENCODER_FOLDER = "encoder"
MODEL_FILES = (
    CONFIG_FILE,
    WEIGHTS_FILE,
    *(f"{TOKENIZER_FOLDER}/*{ending}" for ending in (".json", ".txt", ".model")),
    *(f"{ENCODER_FOLDER}/{name}" for name in ("config.json", "model.safetensors")),
)
# A push deletes those of these files that the new model lacks, and leaves all other files of a repository alone.
OWN_FILES = (CONFIG_FILE, WEIGHTS_FILE, f"{TOKENIZER_FOLDER}/*", f"{ENCODER_FOLDER}/*")

Results = Mapping[str, Mapping[str, float | None]]
Model = TypeVar("Model", bound=ModelCore)


# --- save ---


def check_place(folder: Path) -> None:
    """Check that a folder contains no model of another kind, whose files would be replaced.

    Raises:
        FileExistsError: it does, such as the folder of the encoder that the model was made of.
    """
    file = folder / CONFIG_FILE
    if not file.is_file():
        return
    try:
        found = json.loads(file.read_bytes())
    except ValueError:  # torn
        return
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise FileExistsError(
            f"{folder} contains a {CONFIG_FILE} that is not of a metaeval model; saving would replace that model: save "
            "to another folder"
        )


def save_model(
    model: ModelCore,
    folder: Path | str,
    include_base: bool | None = None,
    results: Results | None = None,
    repo_id: str | None = None,
) -> Path:
    """Write a model to a folder; see ``ConditionalAdapterModel.save_pretrained``.

    Args:
        model: the model.
        folder: created if it does not exist.
        include_base: whether to store the encoder's weights; None stores them only if they can be found nowhere else.
        results: task name -> "majority", "validation" and "test" accuracy in [0, 1], for the card.
        repo_id: Hub id of the model, for the card.

    Returns:
        The folder.
    """
    folder = target_folder(folder)
    dtype = _stored_dtype(model)
    base, weights = model.base, {}
    if _stores_encoder(model, include_base):
        weights = encoder_weights(model)
        # In half precision the weights differ from those on the Hub, so they count as the model's own.
        if (digest := weights_digest(weights)) != base.sha256:
            base = replace(base, kind="local", sha256=digest)
    record, trained = model.record(base=base, dtype=dtype), model.trained_state()
    check_record(record)
    check_finite({**trained, **{f"encoder.{key}": weights[key] for key in weights}})
    card = model_card(record, results, repo_id)
    with replacing(folder, (*MODEL_FILES, *FEATURE_FILES), last=CONFIG_FILE) as new:
        write_tensors(new / WEIGHTS_FILE, trained)
        if model.features is not None:
            model.features.save(new)
        model.tokenizer.save_pretrained(new / TOKENIZER_FOLDER)
        if weights:
            save_encoder(new / ENCODER_FOLDER, model.encoder_config, weights)
        elif model.config.conditioning == "full":
            save_configuration(new / ENCODER_FOLDER, model.encoder_config)
        (new / "README.md").write_text(card, encoding="utf-8")
        write_record(new, record)
    return folder


def encoder_weights(model: ModelCore) -> dict[str, Tensor]:
    """Return the encoder's own weights by name, without its adapters."""
    state = model.encoder.state_dict()
    return {key: state[key] for key in sorted(model.base_keys)}


def _stores_encoder(model: ModelCore, include_base: bool | None) -> bool:
    local = model.base.kind == "local"
    if model.config.conditioning == "full":  # the trained tensors contain the encoder
        if include_base:
            raise ValueError(
                "include_base is True, but full fine-tuning replaced the encoder's weights; leave include_base out"
            )
        return False
    if include_base is False and local:
        raise ValueError(
            f"include_base is False, but the encoder {model.base.id!r} comes from neither the Hub nor a package, so "
            "the model could not be loaded; leave include_base out"
        )
    return local if include_base is None else include_base


def _stored_dtype(model: ModelCore) -> str:
    """Return the name that config.json gives to the dtype of the weights.

    Raises:
        ValueError: the weights have several dtypes, or one that cannot be stored.
    """
    first: dict[torch.dtype, str] = {}
    for name, parameter in model.named_parameters():
        first.setdefault(parameter.dtype, name)
    found = next((name for name, dtype in DTYPES.items() if set(first) == {dtype}), None)
    if found is None:
        named = ", ".join(f"{dtype} ({name})" for dtype, name in first.items())
        raise ValueError(
            f"the weights are of {named}; expected all float32, float16 or bfloat16: call model.float(), half() or "
            "bfloat16()"
        )
    return found


# --- load ---


def load_model(
    kind: type[Model],
    name: Path | str,
    revision: str | None = None,
    token: str | bool | None = None,
    dtype: torch.dtype | str | None = None,
    cache: CacheOptions | None = None,
) -> Model:
    """Load a model from a folder or from the Hub; see ``ConditionalAdapterModel.from_pretrained``.

    The model is first built without memory for its weights (on the meta device). Every file is checked against it
    before anything of the size of the weights is read.

    Args:
        kind: the class to build.
        name: a folder, or a Hub id.
        revision: branch, tag or commit on the Hub.
        token: token for private repositories.
        dtype: dtype of the loaded weights; None keeps the stored one.
        cache: how the cache of the Hub is used.
    """
    wanted = None if dtype is None else _checked_dtype(dtype)
    cache = cache or CacheOptions()
    folder = _model_folder(name, revision, token, cache)
    with naming(str(name)):
        record = read_record(folder)
        tokenizer = load_tokenizer(folder / TOKENIZER_FOLDER)
        record, found = _find_encoder(record, folder / ENCODER_FOLDER, token, cache)
        plan = found.on_meta()
        fit_tokenizer(tokenizer, plan)
        try:
            with torch.device("meta"):
                model = _of_record(kind, record, LoadedEncoder(plan, tokenizer, found.config, record.base))
                with_biases = _needs_attention_biases(model, folder / WEIGHTS_FILE)
                if with_biases:
                    add_attention_biases(model.encoder)
        except ValueError as error:
            raise UnsafeRepositoryError(f"{CONFIG_FILE} does not fit its encoder: {error}") from error
        stored = DTYPES[record.dtype]
        tensors = read_tensors(folder / WEIGHTS_FILE, model.to(stored).trained_state())
        features = _read_features(folder, model)
        full = record.conditional.conditioning == "full"
        module, base = (found.blank(), record.base) if full else found.load()
    check_same(record.base, base)
    with building():  # the random initial weights are replaced below
        model = _of_record(kind, record, LoadedEncoder(module, tokenizer, found.config, record.base))
    if with_biases:
        add_attention_biases(model.encoder)
    model.to(wanted or stored).load_trained_state(tensors)
    if stored != torch.float16:
        _check_float16(model)
    model.features = features
    return model


def _checked_dtype(value: torch.dtype | str) -> torch.dtype:
    found = next((dtype for name, dtype in DTYPES.items() if value in (name, dtype)), None)
    if found is None:
        raise ValueError(f"dtype is {value!r}; expected one of {', '.join(DTYPES)}")
    return found


def _model_folder(name: Path | str, revision: str | None, token: str | bool | None, cache: CacheOptions) -> Path:
    if (folder := local_folder(name)) is not None:
        inner = folder / "model"
        if (inner / CONFIG_FILE).is_file() and not (folder / WEIGHTS_FILE).is_file():
            raise UnsafeRepositoryError(f"{name} is the folder of a run; load the model in it: {inner}")
        return folder
    patterns = (*MODEL_FILES, *FEATURE_FILES)
    with naming(str(name)):
        return fetch(
            str(name),
            revision=revision,
            allow_patterns=patterns,
            token=token,
            check_names=check_file_names,
            cache=cache,
        )


def _find_encoder(
    record: ModelRecord, place: Path, token: str | bool | None, cache: CacheOptions
) -> tuple[ModelRecord, FoundEncoder]:
    """Find a stored model's encoder; the record names it as the model's own where the model brings its weights."""
    if record.conditional.conditioning == "full":
        return record, find_configuration(record.base, place)
    if place.is_dir() and record.base.kind != "local":
        record = replace(record, base=as_own(record.base))
    return record, find_base(record.base, place, token=token, cache=cache)


def _of_record(kind: type[Model], record: ModelRecord, loaded: LoadedEncoder) -> Model:
    return kind(
        loaded, record.labels, record.conditional, record.fields, record.origins, record.label_vectors, record.frozen,
        record.layered,
    )  # fmt: skip


def _needs_attention_biases(model: ModelCore, weights: Path) -> bool:
    return model.encoder.config.model_type == "modernbert" and has_attention_biases(
        set(read_header(weights)) - {f"encoder.{key}" for key in model.base_keys}
    )


def _read_features(folder: Path, model: ModelCore) -> TaskFeatures | None:
    if not (folder / TABLE_FILE).is_file():
        return None
    features = TaskFeatures.load(folder)
    words = model.encoder.get_input_embeddings().weight
    features.check_encoder(words.shape[1], model.encoder.config.hidden_size)
    return features


def _check_float16(model: ModelCore) -> None:
    """Check that weights that were converted to float16 did not overflow."""
    if model.dtype != torch.float16:
        return
    bad = next((name for name, tensor in model.named_parameters() if not all_finite(tensor)), None)
    if bad is not None:
        raise ValueError(f"{bad} contains values that are too large for float16; load with bfloat16 or float32")


# --- push ---


def push_model(
    model: ModelCore,
    repo_id: str,
    *,
    private: bool | None,
    revision: str | None,
    token: str | bool | None,
    message: str,
    include_base: bool | None,
    results: Results | None,
    parent_commit: str | None,
) -> str:
    """Save a model and push it to the Hub in one commit; see ``ConditionalAdapterModel.push_to_hub``."""
    repo_id = push_target(repo_id, token)
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, folder, include_base, results, repo_id)
        commit = push_folder(
            folder,
            repo_id,
            private=private,
            revision=revision,
            message=message,
            token=token,
            remove=(*OWN_FILES, *FEATURE_FILES),
            parent_commit=parent_commit,
        )
    return commit.commit_url
