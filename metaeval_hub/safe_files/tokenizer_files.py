"""Check that a tokenizer.json contains only known parts and options, and that no text can grow without limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from metaeval_hub.safe_files.allowed_values import (
    BOOL,
    MAX_ADDED_TOKENS,
    MAX_TOKEN_CHARACTERS,
    MAX_TOKENS,
    NAME,
    Rule,
    is_number,
    is_token,
    is_whole,
    one_of,
    optional,
    text,
    whole,
)
from metaeval_hub.safe_files.charsmap import charsmap_growth
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.safe_files.repository import UnsafeRepositoryError, apply_rule, unknown_key

MAX_PARTS = 64
MAX_NESTING = 4
MAX_GROWTH = 256  # maximum bytes with which normalizer and pre-tokenizer replace one byte
BERT_GROWTH = 5.0  # spaces around a Chinese character (5/3) whose accents become separate characters (3)
MAX_SPECIAL = 16  # maximum tokens that a post-processor adds to a text or a pair
MAX_WORD_CHARACTERS = 256  # WordPiece takes time with the cube of this per word; every known tokenizer has 100
MAX_PIECE = 128  # characters; Unigram takes time with the square of this per character, and real pieces have 16

# Regular expressions of the fast tokenizers of these encoders; any other might never finish on some text.
_GPT2 = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
KNOWN_PATTERNS = frozenset({" {2,}", r"\s+", r"[\r\n]", r"[\n\r]", r"\s{2,}|[\n\r\t]", "`", "``", "''", _GPT2})


def _is_pattern(value: object) -> bool:
    if not isinstance(value, Mapping) or len(value) != 1:
        return False
    ((kind, written),) = value.items()
    return kind in ("String", "Regex") and isinstance(written, str) and 0 < len(written) <= MAX_TOKEN_CHARACTERS


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and NAME.holds(value[0]) and is_whole(value[1], 0, MAX_TOKENS)


_AFFIX, _CHARACTER = text(16), Rule(lambda value: isinstance(value, str) and len(value) == 1, "one character")
_PATTERN = Rule(_is_pattern, "{'String': ...} or {'Regex': ...} with a pattern that is not empty")
_BEHAVIOR = one_of("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
_LIST = Rule(lambda value: isinstance(value, list) and len(value) <= MAX_PARTS, f"a list of at most {MAX_PARTS}")
_OBJECT = Rule(lambda value: isinstance(value, Mapping) and len(value) <= MAX_PARTS, f"at most {MAX_PARTS} tokens")
_TOKEN_AND_ID = Rule(_is_pair, "a token and its id")
_SIZE = whole(0, 2**62)
_BYTE_LEVEL = {"add_prefix_space": BOOL, "trim_offsets": BOOL, "use_regex": BOOL}
_METASPACE = {
    "replacement": _CHARACTER, "str_rep": _CHARACTER, "add_prefix_space": BOOL,
    "prepend_scheme": one_of("first", "never", "always"), "split": BOOL,
}  # fmt: skip
_REPLACE = {"pattern": _PATTERN, "content": text(MAX_TOKEN_CHARACTERS)}
_ENDS = {"sep": _TOKEN_AND_ID, "cls": _TOKEN_AND_ID}

# part -> type -> option -> rule
PARTS: Mapping[str, Mapping[str, Mapping[str, Rule]]] = {
    "normalizer": {
        "Sequence": {"normalizers": _LIST},
        "BertNormalizer": {
            "clean_text": BOOL, "handle_chinese_chars": BOOL, "strip_accents": optional(BOOL), "lowercase": BOOL,
        },
        **{name: {} for name in ("Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "StripAccents", "ByteLevel")},
        "Strip": {"strip_left": BOOL, "strip_right": BOOL},
        "Precompiled": {"precompiled_charsmap": text(2**23)},
        "Replace": _REPLACE,
        "Prepend": {"prepend": text(MAX_TOKEN_CHARACTERS)},
    },
    "pre_tokenizer": {
        "Sequence": {"pretokenizers": _LIST},
        **{name: {} for name in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts")},
        "ByteLevel": _BYTE_LEVEL,
        "Metaspace": _METASPACE,
        "Punctuation": {"behavior": _BEHAVIOR},
        "Digits": {"individual_digits": BOOL},
        "Split": {"pattern": _PATTERN, "behavior": _BEHAVIOR, "invert": BOOL},
        "CharDelimiterSplit": {"delimiter": _CHARACTER},
    },
    "post_processor": {
        "Sequence": {"processors": _LIST},
        "BertProcessing": _ENDS,
        "RobertaProcessing": {**_ENDS, "trim_offsets": BOOL, "add_prefix_space": BOOL},
        "TemplateProcessing": {"single": _LIST, "pair": _LIST, "special_tokens": _OBJECT},
        "ByteLevel": _BYTE_LEVEL,
    },
    "decoder": {
        "Sequence": {"decoders": _LIST},
        **{name: {} for name in ("Fuse", "ByteFallback")},
        "WordPiece": {"prefix": _AFFIX, "cleanup": BOOL},
        "ByteLevel": _BYTE_LEVEL,
        "Metaspace": _METASPACE,
        "BPEDecoder": {"suffix": _AFFIX},
        "Replace": _REPLACE,
        "Strip": {"content": _CHARACTER, "start": _SIZE, "stop": _SIZE},
        "CTC": {"pad_token": NAME, "word_delimiter_token": NAME, "cleanup": BOOL},
    },
}  # fmt: skip
_CHILDREN = {
    "normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "post_processor": "processors",
    "decoder": "decoders",
}  # fmt: skip

# type -> option -> rule; vocabulary and unknown token depend on each other and are checked separately
MODELS: Mapping[str, Mapping[str, Rule]] = {
    "WordLevel": {"unk_token": NAME},
    "WordPiece": {
        "unk_token": NAME,
        "continuing_subword_prefix": _AFFIX,
        "max_input_chars_per_word": whole(1, MAX_WORD_CHARACTERS),
    },
    "BPE": {
        "unk_token": optional(NAME),
        "continuing_subword_prefix": optional(_AFFIX),
        "end_of_word_suffix": optional(_AFFIX),
        "dropout": Rule(lambda value: value is None or is_number(value, 0.0, 0.0), "none"),
        "fuse_unk": BOOL,
        "byte_fallback": BOOL,
        "ignore_merges": BOOL,
        "merges": Rule(lambda value: isinstance(value, list) and len(value) <= 2 * MAX_TOKENS, "a list of merges"),
    },
    "Unigram": {"unk_id": whole(0, MAX_TOKENS), "byte_fallback": BOOL},
}
_TRUNCATION = {
    "direction": one_of("Left", "Right"), "max_length": _SIZE, "stride": _SIZE,
    "strategy": one_of("LongestFirst", "OnlyFirst", "OnlySecond"),
}  # fmt: skip
_STRATEGY = Rule(
    lambda value: (
        value == "BatchLongest"
        or (isinstance(value, Mapping) and {*value} == {"Fixed"} and is_whole(value["Fixed"], 0, 2**20))
    ),
    "'BatchLongest' or {'Fixed': a length}",
)
_PADDING = {
    "strategy": _STRATEGY, "direction": one_of("Left", "Right"), "pad_to_multiple_of": optional(whole(0, 1024)),
    "pad_id": whole(0, MAX_TOKENS), "pad_type_id": whole(0, 1024), "pad_token": NAME,
}  # fmt: skip
_PIECES = {
    "Sequence": {"id": one_of("A", "B"), "type_id": whole(0, 1024)},
    "SpecialToken": {"id": NAME, "type_id": whole(0, 1024)},
}
_ADDING = frozenset({"BertProcessing", "RobertaProcessing", "TemplateProcessing"})
_SPECIAL = {"id": NAME, "ids": _LIST, "tokens": _LIST}


def check_tokenizer_json(value: Mapping[str, Any], file: str = "tokenizer.json") -> float:
    """Check the file of a fast tokenizer and return the maximum number of bytes with which it normalizes one byte.

    Args:
        value: the content of the file.
        file: its name, for error messages.

    Raises:
        UnsafeRepositoryError: a part is not permitted; the message names the file, the part and the expected form.
    """
    for key in value:
        if key not in {"version", "truncation", "padding", "added_tokens", "model", *PARTS}:
            raise unknown_key(file, key)
    for key, rules in (("truncation", _TRUNCATION), ("padding", _PADDING)):
        if value.get(key) is not None:
            _check_options(value[key], rules, f"{file}: {key}")
    added = [] if value.get("added_tokens") is None else value["added_tokens"]
    if not isinstance(added, list) or len(added) > MAX_ADDED_TOKENS:
        raise UnsafeRepositoryError(f"{file}: added_tokens is not a list of at most {MAX_ADDED_TOKENS:,} tokens")
    for i, token in enumerate(added):
        if not isinstance(token, Mapping) or not is_token(token):
            raise UnsafeRepositoryError(f"{file}: added_tokens[{i}] is {shown(token)}; expected a short token")
    growth = _check_part(value, "normalizer", file, 1.0)
    _check_part(value, "pre_tokenizer", file, growth)
    _check_part(value, "post_processor", file, 1.0)
    _check_part(value, "decoder", file, 1.0)
    _check_model(value.get("model"), f"{file}: model")
    return growth


def _check_options(value: Any, rules: Mapping[str, Rule], place: str) -> None:
    """Check each option of an object by its rule, except "type", which the caller has checked."""
    if not isinstance(value, Mapping):
        raise UnsafeRepositoryError(f"{place} is {shown(value)}; expected an object")
    for key, inner in value.items():
        if key in rules:
            apply_rule(rules[key], inner, f"{place}.{key}")
        elif key != "type":
            raise unknown_key(place, key)


def _check_type(kind: Any, known: Mapping[str, Any], place: str) -> str:
    if not isinstance(kind, str) or kind not in known:
        raise UnsafeRepositoryError(f"{place}.type is {shown(kind)}; expected one of {', '.join(sorted(known))}")
    return kind


# --- parts ---


def _check_part(value: Mapping[str, Any], part: str, file: str, growth: float) -> float:
    """Check a part and those inside it; return ``growth`` times the bytes with which they replace one byte."""
    templates = 0
    for count, (place, inner) in enumerate(_parts(value.get(part), part, f"{file}: {part}"), 1):
        pattern = inner.get("pattern")
        if isinstance(pattern, Mapping) and "Regex" in pattern:
            _check_regex(pattern["Regex"], f"{place}.pattern.Regex")
        _check_options(inner, PARTS[part][inner["type"]], place)
        growth *= _growth(inner, place)
        if growth > MAX_GROWTH or count > MAX_PARTS:
            raise UnsafeRepositoryError(
                f"{place} lets a text grow by more than {MAX_GROWTH} times, or is one of more than {MAX_PARTS} parts; "
                "remove parts that repeat others"
            )
        templates += inner["type"] in _ADDING
        if inner["type"] == "TemplateProcessing":
            _check_template(inner, place)
        if templates > 1:
            raise UnsafeRepositoryError(f"{place} is the second that adds tokens to a text; expected one")
    return growth


def _parts(value: Any, part: str, place: str, depth: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (place, part) for a part and those inside it, all of known types."""
    if value is None and depth == 0:
        return
    if not isinstance(value, Mapping) or depth > MAX_NESTING:
        raise UnsafeRepositoryError(f"{place} is {shown(value)}; expected a part with a type, not nested deep")
    kind = _check_type(value.get("type"), PARTS[part], place)
    yield place, value
    if kind == "Sequence":
        for i, inner in enumerate(value.get(_CHILDREN[part], ())):
            yield from _parts(inner, part, f"{place}.{_CHILDREN[part]}[{i}]", depth + 1)


def _check_regex(pattern: Any, place: str) -> None:
    if not isinstance(pattern, str) or pattern not in KNOWN_PATTERNS:
        raise UnsafeRepositoryError(
            f"{place} is {shown(pattern)}, not a pattern of a known tokenizer; others might never finish on some text"
        )


def _growth(part: Mapping[str, Any], place: str) -> float:
    """Return the maximum bytes with which a part replaces one byte, as measured over all Unicode characters."""
    kind = part["type"]
    if kind in ("NFKC", "NFKD"):
        return 11.0
    if kind in ("NFC", "NFD"):
        return 3.0
    if kind == "BertNormalizer":
        return BERT_GROWTH
    if kind == "Lowercase":
        return 1.5
    if kind == "ByteLevel":
        return 4.0 if part.get("add_prefix_space", True) else 2.0
    if kind == "Metaspace":
        return 1.0 + max(_bytes(part.get(key, "")) for key in ("replacement", "str_rep"))
    if kind == "Prepend":
        return 1.0 + _bytes(part.get("prepend", ""))
    if kind == "Replace":
        ((how, pattern),) = part.get("pattern", {"Regex": "`"}).items()
        shortest = 2 if pattern == " {2,}" else 1 if how == "Regex" else _bytes(pattern)
        return max(1.0, _bytes(part.get("content", "")) / shortest)
    if kind == "Precompiled":
        return charsmap_growth(part.get("precompiled_charsmap"), f"{place}.precompiled_charsmap")
    return 1.0


def _bytes(written: str) -> int:
    return len(written.encode("utf-8", "surrogatepass"))


def _check_template(part: Mapping[str, Any], place: str) -> None:
    """Check that templates contain the text, or each text of a pair, exactly once and add few tokens."""
    special = part.get("special_tokens", {})
    for name, token in special.items():
        where = f"{place}.special_tokens.{shown(name)}"
        _check_options(token, _SPECIAL, where)
        ids = token.get("ids", [])
        if not ids or len(ids) > MAX_SPECIAL or not all(is_whole(each, 0, MAX_TOKENS) for each in ids):
            raise UnsafeRepositoryError(f"{where}.ids is {shown(ids)}; expected 1 to {MAX_SPECIAL} token ids")
    for key, texts in (("single", ["A"]), ("pair", ["A", "B"])):
        where, found, tokens = f"{place}.{key}", [], 0
        for i, piece in enumerate(part.get(key, [])):
            kind = next(iter(piece), None) if isinstance(piece, Mapping) and len(piece) == 1 else None
            if kind not in _PIECES:
                raise UnsafeRepositoryError(f"{where}[{i}] is {shown(piece)}; expected a Sequence or a SpecialToken")
            _check_options(piece[kind], _PIECES[kind], f"{where}[{i}].{kind}")
            name = piece[kind].get("id")
            if kind == "Sequence":
                found.append(name)
            elif name not in special:
                raise UnsafeRepositoryError(f"{where}[{i}] is {shown(name)}; expected one of the special_tokens")
            else:
                tokens += len(special[name]["ids"])
        if sorted(map(str, found)) != texts:
            raise UnsafeRepositoryError(f"{where} contains the texts {found}; expected each of {texts} once")
        if tokens > MAX_SPECIAL:
            raise UnsafeRepositoryError(f"{where} adds {tokens} tokens to a text; expected at most {MAX_SPECIAL}")


# --- model ---


def _check_model(model: Any, place: str) -> None:
    if not isinstance(model, Mapping):
        raise UnsafeRepositoryError(f"{place} is {shown(model)}; expected an object")
    kind = _model_type(model) if model.get("type") is None else _check_type(model["type"], MODELS, place)
    _check_options({key: value for key, value in model.items() if key != "vocab"}, MODELS[kind], place)
    vocab: Any = model.get("vocab")
    if kind == "Unigram":
        _check_pieces(vocab, f"{place}.vocab")
        if not is_whole(model.get("unk_id"), 0, len(vocab) - 1):
            raise UnsafeRepositoryError(
                f"{place}.unk_id is {shown(model.get('unk_id'))}; expected the place of a piece, one of {len(vocab)}"
            )
        return
    check_ids(vocab, f"{place}.vocab", MAX_TOKENS)
    unknown = model.get("unk_token")
    if kind in ("WordLevel", "WordPiece") and unknown not in vocab:
        raise UnsafeRepositoryError(
            f"{place}.unk_token is {shown(unknown)}; expected a token of the vocabulary that replaces unknown words"
        )


def _model_type(model: Mapping[str, Any]) -> str:
    """Return the type of a model in a file of an older release, which names none; the library uses the same rule."""
    if "merges" in model:
        return "BPE"
    if isinstance(model.get("vocab"), list):
        return "Unigram"
    return "WordPiece" if "continuing_subword_prefix" in model else "WordLevel"


def check_ids(table: Any, place: str, most: int) -> None:
    """Check a table of tokens and their ids.

    Args:
        table: token -> id.
        place: where the table is, for error messages.
        most: maximum number of tokens.

    Raises:
        UnsafeRepositoryError: the table has another form; the message names the place and the token.
    """
    if not isinstance(table, Mapping) or len(table) > most:
        raise UnsafeRepositoryError(f"{place} is not a table of at most {most:,} tokens")
    for token, identity in table.items():
        if not is_whole(identity, 0, MAX_TOKENS):
            raise UnsafeRepositoryError(
                f"{place}: {shown(token)} is {shown(identity)}; expected a whole number in 0..{MAX_TOKENS}"
            )


def _check_pieces(vocab: Any, place: str) -> None:
    if not isinstance(vocab, list) or not 0 < len(vocab) <= MAX_TOKENS:
        raise UnsafeRepositoryError(f"{place} is not a list of 1 to {MAX_TOKENS:,} tokens and scores")
    for i, pair in enumerate(vocab):
        if not (
            isinstance(pair, list)
            and len(pair) == 2
            and isinstance(pair[0], str)
            and len(pair[0]) <= MAX_PIECE
            and is_number(pair[1], -1e6, 1e6)
        ):
            raise UnsafeRepositoryError(
                f"{place}[{i}] is {shown(pair)}; expected a token of at most {MAX_PIECE} characters and its score"
            )
