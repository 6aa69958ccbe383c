"""The tokenizers that encoders of each type usually have, small: the parts and options are those of the real ones."""

from __future__ import annotations

import base64

import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

TEXTS = ["the cat sat on the mat", "a dog ran", "naïve café"]
USUAL = {
    "bert": "BertTokenizerFast", "electra": "ElectraTokenizerFast", "distilbert": "DistilBertTokenizerFast",
    "roberta": "RobertaTokenizerFast", "xlm-roberta": "XLMRobertaTokenizerFast",
    "deberta-v2": "DebertaV2TokenizerFast", "modernbert": "PreTrainedTokenizerFast",
}  # fmt: skip
VOCABULARY = 400  # at least this many rows are needed


def charsmap(strings: dict[str, str]) -> str:
    """Write a map of strings as SentencePiece does: a double array after Darts-clone, then what they become."""
    blob = b""
    trie: dict = {}
    for key, value in strings.items():
        node = trie
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[None] = len(blob)
        blob += value.encode() + b"\0"
    units = [0] * 256
    free = iter(range(256, 1 << 20, 256))  # each node gets a block of its own

    def lay(place: int, node: dict, label: int) -> None:
        base = next(free)
        units.extend([0] * (base + 256 - len(units)))
        units[place] = (((base ^ place) << 10) if base ^ place < 1 << 21 else 0) | (None in node) << 8 | label
        for byte, child in node.items():
            if byte is None:
                units[base] = child | 1 << 31
            else:
                lay(base ^ byte, child, byte)

    lay(0, trie, 0)
    array = b"".join(unit.to_bytes(4, "little") for unit in units)
    return base64.b64encode(len(array).to_bytes(4, "little") + array + blob).decode()


NFKC = charsmap({"\ufb01": "fi", "\u00a0": " ", "\uff21": "A", "\ufdfa": "صلى الله عليه وسلم"})


def usual_tokenizer(kind: str) -> transformers.PreTrainedTokenizerFast:
    """Return a tokenizer as one of the encoders of this type has it."""
    parts = {"roberta": _byte_level, "modernbert": _byte_level, "xlm-roberta": _unigram, "deberta-v2": _unigram}
    tokenizer, special = parts.get(kind, _word_piece)(kind)
    return getattr(transformers, USUAL[kind])(tokenizer_object=tokenizer, model_max_length=32, **special)


def _word_piece(kind: str) -> tuple[Tokenizer, dict[str, str]]:
    special = {f"{role.lower()}_token": f"[{role}]" for role in ("PAD", "UNK", "CLS", "SEP", "MASK")}
    pieces = [*special.values(), *"abcdefghijklmnopqrstuvwxyz", "the", "##at", *(f"##{c}" for c in "aeiont")]
    tokenizer = Tokenizer(models.WordPiece({token: i for i, token in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer, special


def _byte_level(kind: str) -> tuple[Tokenizer, dict[str, str]]:
    first = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] if kind == "roberta" else ["[UNK]", "[CLS]", "[SEP]", "[PAD]",
                                                                                   "[MASK]"]  # fmt: skip
    pieces = [*first, *sorted(pre_tokenizers.ByteLevel.alphabet()), "th", "the", "Ġt", "at"]
    tokenizer = Tokenizer(models.BPE(
        {token: i for i, token in enumerate(pieces)}, [("t", "h"), ("th", "e"), ("Ġ", "t"), ("a", "t")],
    ))  # fmt: skip
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if kind == "roberta":
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
        return tokenizer, {}
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", [("[CLS]", 1), ("[SEP]", 2)]
    )
    return tokenizer, {f"{token[1:-1].lower()}_token": token for token in first}


def _unigram(kind: str) -> tuple[Tokenizer, dict[str, str]]:
    first = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"] if kind == "deberta-v2" else ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [(token, 0.0) for token in first]
    pieces += [(token, -float(i)) for i, token in enumerate(["▁", "▁the", "▁cat", *"abcdefghijklmnoprstuv"], 1)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3, byte_fallback=False))
    precompiled = normalizers.Precompiled(base64.b64decode(NFKC))
    strip = normalizers.Strip(left=False, right=True)
    metaspace = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    if kind == "deberta-v2":
        spaces = normalizers.Replace(Regex(" {2,}"), " ")
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), strip, precompiled, spaces])
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Punctuation("isolated"), metaspace])
        tokenizer.post_processor = processors.TemplateProcessing(
            "[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", [("[CLS]", 1), ("[SEP]", 2)]
        )
        return tokenizer, {"mask_token": "[MASK]"}
    tokenizer.normalizer = normalizers.Sequence([precompiled, strip, normalizers.Replace(Regex(" {2,}"), "▁")])
    tokenizer.pre_tokenizer = metaspace
    tokenizer.post_processor = processors.TemplateProcessing(
        ["<s>", "$A", "</s>"], ["<s>", "$A", "</s>", "</s>", "$B", "</s>"], [("<s>", 0), ("</s>", 2)]
    )
    return tokenizer, {}
