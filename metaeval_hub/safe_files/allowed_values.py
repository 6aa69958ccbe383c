"""Declare the permitted values in the JSON files of an encoder: a rule per key that is used, and the keys to drop.

A key is used (its value obeys a rule and is passed to transformers), dropped (it is harmless and passed to nothing) or
refused. No function here reads a file; those of ``repository`` and ``encoder_files`` do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# Keys that make a library download, import or execute something, or read another file: refused unless they are empty.
DANGEROUS_KEYS = frozenset({
    "auto_map", "trust_remote_code", "code_revision", "custom_pipelines", "custom_object",
    "use_kernels", "kernel_config", "kernels", "experts_implementation",
    "quantization_config", "quantizer", "compression_config", "quantization",
    "base_model_name_or_path", "base_model_config", "configuration_files", "fast_tokenizer_files", "adapter_kwargs",
    "tokenizer_file", "vocab_file", "merges_file", "spm_file", "sentencepiece_model_file", "init_inputs", "from_slow",
    "gguf_file", "backbone", "use_timm_backbone", "use_pretrained_backbone", "device_map",
})  # fmt: skip
ATTENTION_KEYS = frozenset({"attn_implementation", "_attn_implementation", "_attn_implementation_internal"})
SAFE_ATTENTION = (None, "eager", "sdpa")

# Maximum values, above those of any real encoder of these types. They keep sums over shapes far from overflow. The
# memory of a model is limited by its weights file, whose header must have exactly the shapes of the configuration.
MAX_TOKENS, MAX_UNITS, MAX_POSITIONS, MAX_LAYERS = 2**20, 2**17, 2**20, 256


@dataclass(frozen=True)
class Rule:
    """Describe the permitted form of a value.

    Args:
        holds: returns whether a value has the form.
        expected: the form in words, for error messages.
    """

    holds: Callable[[Any], bool]
    expected: str


def is_whole(value: object, least: int, most: int) -> bool:
    """Return whether a value is a whole number, not a boolean, in [least, most]."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(value: object, least: float, most: float) -> bool:
    """Return whether a value is a finite number in [least, most]."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


def whole(least: int, most: int) -> Rule:
    """Return the rule for whole numbers in [least, most]."""
    return Rule(lambda value: is_whole(value, least, most), f"a whole number in {least}..{most}")


def number(least: float, most: float) -> Rule:
    """Return the rule for numbers in [least, most]."""
    return Rule(lambda value: is_number(value, least, most), f"a number in {least}..{most}")


def one_of(*values: Any) -> Rule:
    """Return the rule for the given values; 1 does not equal True here."""
    return Rule(
        lambda value: any(value == known and type(value) is type(known) for known in values),
        " or ".join(repr(value) for value in values) if len(values) < 5 else f"one of {', '.join(map(repr, values))}",
    )


def optional(rule: Rule) -> Rule:
    """Return the rule that also permits null."""
    return Rule(lambda value: value is None or rule.holds(value), f"{rule.expected}, or null")


def text(most: int) -> Rule:
    """Return the rule for strings of at most ``most`` characters."""
    return Rule(lambda value: isinstance(value, str) and len(value) <= most, f"a string of at most {most} characters")


BOOL = one_of(True, False)
OFF = one_of(False, None)
NOTHING = Rule(lambda value: not value, "nothing")
PROBABILITY = number(0.0, 1.0)
ACTIVATION = one_of("gelu", "gelu_new", "gelu_fast", "gelu_python", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu",
                    "swish", "tanh", "mish")  # fmt: skip
UNITS, LAYERS, HEADS = whole(1, MAX_UNITS), whole(1, MAX_LAYERS), whole(1, 1024)
TOKEN_ID = optional(whole(0, MAX_TOKENS))

_COMMON = {
    "vocab_size": whole(1, MAX_TOKENS),
    "max_position_embeddings": whole(1, MAX_POSITIONS),
    "initializer_range": number(0.0, 10.0),
    "pad_token_id": TOKEN_ID,
}
_BERT = {
    **_COMMON,
    "hidden_size": UNITS,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": UNITS,
    "hidden_act": ACTIVATION,
    "hidden_dropout_prob": PROBABILITY,
    "attention_probs_dropout_prob": PROBABILITY,
    "type_vocab_size": whole(0, 1024),
    "layer_norm_eps": number(0.0, 1.0),
}
_ABSOLUTE = {"position_embedding_type": one_of("absolute")}
_POSITION_TYPES = ("c2p", "p2c")
_POS_ATT_TYPE = Rule(
    lambda value: (
        value is None
        or (isinstance(value, str) and set(value.lower().split("|")) <= {*_POSITION_TYPES, ""})
        or (isinstance(value, list) and len(value) <= 2 and all(item in _POSITION_TYPES for item in value))
    ),
    "null, or among c2p and p2c",
)
_NORM_REL_EBD = Rule(
    lambda value: isinstance(value, str) and set(value.lower().split("|")) <= {"none", "layer_norm"},
    "'none' or 'layer_norm'",
)

# Keys that are passed to transformers: model type -> key -> rule.
ENCODER_KEYS: Mapping[str, Mapping[str, Rule]] = {
    "bert": {**_BERT, **_ABSOLUTE},
    "roberta": {**_BERT, **_ABSOLUTE, "bos_token_id": TOKEN_ID, "eos_token_id": TOKEN_ID},
    "xlm-roberta": {**_BERT, **_ABSOLUTE, "bos_token_id": TOKEN_ID, "eos_token_id": TOKEN_ID},
    "electra": {**_BERT, **_ABSOLUTE, "embedding_size": UNITS},
    "distilbert": {
        **_COMMON,
        "dim": UNITS,
        "n_layers": LAYERS,
        "n_heads": HEADS,
        "hidden_dim": UNITS,
        "activation": ACTIVATION,
        "dropout": PROBABILITY,
        "attention_dropout": PROBABILITY,
    },
    "deberta-v2": {
        **_BERT,
        "embedding_size": UNITS,
        "attention_head_size": UNITS,
        "relative_attention": BOOL,
        "max_relative_positions": whole(-1, MAX_POSITIONS),
        "position_buckets": whole(-1, MAX_POSITIONS),
        "position_biased_input": BOOL,
        "pos_att_type": _POS_ATT_TYPE,
        "norm_rel_ebd": _NORM_REL_EBD,
        "share_att_key": BOOL,
        "conv_kernel_size": whole(0, 64),
        "conv_groups": whole(1, 1024),
        "conv_act": ACTIVATION,
    },
    "modernbert": {
        **_COMMON,
        "hidden_size": UNITS,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": UNITS,
        "hidden_activation": ACTIVATION,
        "norm_eps": number(0.0, 1.0),
        "norm_bias": BOOL,
        "attention_bias": BOOL,
        "attention_dropout": PROBABILITY,
        "embedding_dropout": PROBABILITY,
        "mlp_bias": BOOL,
        "mlp_dropout": PROBABILITY,
        "global_rope_theta": number(1.0, 1e9),
        "local_rope_theta": optional(number(1.0, 1e9)),
        "global_attn_every_n_layers": whole(1, MAX_LAYERS),
        "local_attention": whole(1, MAX_POSITIONS),
        "bos_token_id": TOKEN_ID,
        "eos_token_id": TOKEN_ID,
        "cls_token_id": TOKEN_ID,
        "sep_token_id": TOKEN_ID,
    },
}

# Keys that are checked and dropped: with another value, transformers would build another model.
ENCODER_FIXED: Mapping[str, Rule] = {
    "is_decoder": OFF,
    "add_cross_attention": OFF,
    "is_encoder_decoder": OFF,
    "tie_encoder_decoder": OFF,
    "cross_attention_hidden_size": one_of(None),
    "pruned_heads": NOTHING,
    "torch_dtype": one_of(None, "float32", "float16", "bfloat16", "float64"),
    "dtype": one_of(None, "float32", "float16", "bfloat16", "float64"),
    "tokenizer_class": optional(text(64)),  # checked against the list of classes where it is used
    "architectures": Rule(
        lambda value: value is None or (isinstance(value, list) and all(isinstance(item, str) for item in value)),
        "a list of names",
    ),
}

# Keys that are dropped with any value: those for generation, heads and training, and remarks.
ENCODER_DROPPED = frozenset({
    # keys of PretrainedConfig
    "_name_or_path", "transformers_version", "adapter_fusion", "adapters", "bad_words_ids", "begin_suppress_tokens",
    "bos_token_id", "chunk_size_feed_forward", "decoder_start_token_id", "diversity_penalty", "do_sample",
    "early_stopping", "encoder_no_repeat_ngram_size", "eos_token_id", "eos_token_ids",
    "exponential_decay_length_penalty", "finetuning_task", "forced_bos_token_id", "forced_eos_token_id", "id2label",
    "is_composition", "label2id", "length_penalty", "mask_token_id", "max_length", "min_length",
    "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_labels", "_num_labels", "num_return_sequences",
    "output_attentions", "output_hidden_states", "output_past", "output_scores", "prefix", "problem_type",
    "remove_invalid_values", "repetition_penalty", "return_dict", "return_dict_in_generate", "sep_token_id",
    "cls_token_id", "unk_token_id", "suppress_tokens", "task_specific_params", "temperature", "tf_legacy_loss",
    "tie_word_embeddings", "top_k", "top_p", "torchscript", "typical_p", "use_bfloat16", "use_cache",
    "_attn_implementation_autoset", "gradient_checkpointing", "xla_device",
    # keys of heads, of other trainers and of earlier releases
    "classifier_activation", "classifier_bias", "classifier_dropout", "classifier_pooling", "cls_dropout",
    "decoder_bias", "deterministic_flash_attn", "directionality", "emb_size", "cell", "structure", "embedding_size",
    "initializer_cutoff_factor", "language", "layer_norm_eps", "legacy", "model_max_length", "padding_idx",
    "pooler_dropout", "pooler_fc_size", "pooler_hidden_act", "pooler_hidden_size", "pooler_num_attention_heads",
    "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type", "position_embedding_type", "pre_trained",
    "qa_dropout", "reference_compile", "repad_logits_with_grad", "sentence_transformers", "seq_classif_dropout",
    "sinusoidal_pos_embds", "sparse_pred_ignore_index", "sparse_prediction", "summary_activation",
    "summary_last_dropout", "summary_type", "summary_use_proj", "tie_weights_", "training", "type_vocab_size",
    "vocab_type", "z_steps",
})  # fmt: skip

# --- tokenizers ---

TOKENIZER_CLASSES = frozenset(
    name + suffix
    for name in (
        "BertTokenizer",
        "RobertaTokenizer",
        "XLMRobertaTokenizer",
        "DistilBertTokenizer",
        "ElectraTokenizer",
        "DebertaV2Tokenizer",
        "PreTrainedTokenizer",
        "MPNetTokenizer",
    )
    for suffix in ("", "Fast")
)
# Model type -> tokenizer class if tokenizer_config.json names none.
TOKENIZER_OF = {
    "bert": "BertTokenizer",
    "roberta": "RobertaTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
    "distilbert": "DistilBertTokenizer",
    "electra": "ElectraTokenizer",
    "deberta-v2": "DebertaV2Tokenizer",
    "modernbert": "PreTrainedTokenizer",
}

MAX_TOKEN_CHARACTERS = 256
MAX_ADDED_TOKENS = 20_000
_TOKEN_FIELDS = frozenset({"__type", "id", "content", "lstrip", "rstrip", "normalized", "single_word", "special"})


def is_token(value: object) -> bool:
    """Return whether a value is a token: a short string, or an object with one and its options."""
    if isinstance(value, str):
        return len(value) <= MAX_TOKEN_CHARACTERS
    return (
        isinstance(value, Mapping)
        and set(value) <= _TOKEN_FIELDS
        and isinstance(value.get("content"), str)
        and len(value["content"]) <= MAX_TOKEN_CHARACTERS
        and value.get("__type", "AddedToken") == "AddedToken"
        and is_whole(value.get("id", 0), 0, MAX_TOKENS)
        and all(isinstance(value.get(key, False), bool) for key in _TOKEN_FIELDS - {"__type", "id", "content"})
    )


NAME = text(MAX_TOKEN_CHARACTERS)
TOKEN = Rule(is_token, f"null, or a token of at most {MAX_TOKEN_CHARACTERS} characters with its options")
TOKENS = Rule(
    lambda value: isinstance(value, list) and len(value) <= MAX_ADDED_TOKENS and all(map(is_token, value)),
    f"a list of at most {MAX_ADDED_TOKENS:,} tokens",
)
DECODER = Rule(
    lambda value: (
        isinstance(value, Mapping)
        and len(value) <= MAX_ADDED_TOKENS
        and all(key.isascii() and key.isdigit() and is_whole(int(key[:9]), 0, MAX_TOKENS) for key in value)
        and all(isinstance(token, Mapping) and is_token(token) for token in value.values())
    ),
    "token ids with their tokens",
)
SPECIAL_TOKENS: Mapping[str, Rule] = {
    **{f"{role}_token": optional(TOKEN) for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")},
    "additional_special_tokens": optional(TOKENS),
}
_INPUTS = ("input_ids", "token_type_ids", "attention_mask")
TOKENIZER_KEYS: Mapping[str, Rule] = {
    **SPECIAL_TOKENS,
    "added_tokens_decoder": DECODER,
    "model_max_length": optional(number(1, math.inf)),
    "model_input_names": Rule(
        # in any order: ``tokens.fix_options`` sorts them for padding
        lambda value: (
            isinstance(value, list)
            and "input_ids" in value
            and all(item in _INPUTS and value.count(item) == 1 for item in value[:4])
            and len(value) <= len(_INPUTS)
        ),
        f"a list among {', '.join(_INPUTS)}, the first of them among these and none twice",
    ),
    "padding_side": one_of("left", "right"),
    "truncation_side": one_of("left", "right"),
    "clean_up_tokenization_spaces": optional(BOOL),
    "do_lower_case": optional(BOOL),
    "strip_accents": optional(BOOL),
    "tokenize_chinese_chars": optional(BOOL),
    "add_prefix_space": optional(BOOL),
    "trim_offsets": optional(BOOL),
    "split_by_punct": optional(BOOL),
    "errors": one_of("replace", "ignore", "strict"),
}
# Keys that are dropped with any value. Some are paths on the author's machine, which are never opened.
TOKENIZER_DROPPED = frozenset({
    "name_or_path", "special_tokens_map_file", "tokenizer_class", "processor_class", "chat_template", "max_length",
    "max_len", "max_seq_length", "stride", "truncation_strategy", "truncation", "padding", "pad_to_multiple_of",
    "pad_token_type_id", "do_basic_tokenize", "never_split", "use_fast", "legacy", "add_bos_token", "add_eos_token",
    "vocab_type", "vocab_size", "model_type", "sp_model_kwargs", "transformers_version", "full_tokenizer_file",
    "split_special_tokens", "local_files_only", "is_local", "backend", "lang", "language", "verbose",
})  # fmt: skip
