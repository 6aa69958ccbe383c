"""Build the tiny encoder, a small untrained BERT with one token per word, for demos and tests."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from metaeval_hub.encoders.base import BaseEncoder, LoadedEncoder
from metaeval_hub.encoders.tokens import fix_options, whole_text
from metaeval_hub.encoders.weights import building, weights_digest
from metaeval_hub.safe_files.printable import shown

TINY = "tiny"
# A frozen random encoder works best with large weights, which let attention distinguish words, and with small position
# embeddings, which are only noise. On the demo tasks, BERT's standard deviation of 0.02 costs 5 to 10 points of
# accuracy, and position embeddings as large as word embeddings cost 5 points.
TINY_WEIGHT_STD = 0.1
TINY_POSITION_SCALE = 0.2
_SPECIAL = {f"{role.lower()}_token": f"[{role}]" for role in ("UNK", "PAD", "CLS", "SEP", "MASK")}


def build_tiny(vocabulary: Iterable[str] | None, seed: int) -> LoadedEncoder:
    """Build a 3-layer BERT of width 128 with random weights, and a tokenizer.

    Args:
        vocabulary: texts; the tokenizer knows the words in them.
        seed: seed of the weights.

    Raises:
        ValueError: ``vocabulary`` is None.
    """
    if vocabulary is None:
        raise ValueError(f"the encoder {TINY!r} needs a vocabulary; give texts whose words its tokenizer should know")
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
    """Create a lower-casing tokenizer with one token per word or punctuation mark of ``texts``; others become [UNK].

    Raises:
        TypeError: ``texts`` is a string instead of a list, or an entry is not a string.
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
