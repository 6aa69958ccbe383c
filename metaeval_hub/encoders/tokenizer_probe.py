"""Try a tokenizer on a few texts before its model is returned, to find defects that its files do not show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from transformers import BatchEncoding, PreTrainedTokenizerFast

from metaeval_hub.safe_files.repository import UnsafeRepositoryError
from metaeval_hub.safe_files.tokenizer_files import MAX_SPECIAL

MAX_SECONDS = 5.0  # per text; usual tokenizers take milliseconds
MAX_TOKENS_PER_BYTE = 4

SHORT = "The cat sat on the mat."
# Characters that contain every leading and every continuation byte of UTF-8. LONG adds scripts, marks, emoji, the
# characters that Unicode normalization expands most, characters that no vocabulary has, all kinds of spaces, and very
# long words.
_BYTES = (
    *range(0x20, 0xC0),
    *range(0xC0, 0x800, 0x40),
    *range(0x800, 0xD800, 0x800),
    *range(0x10000, 0x110000, 0x40000),
)
LONG = " ".join([
    "".join(map(chr, _BYTES)),
    "Été à Zürich: 12.5 % of 3,000 naïve cafés — «don't» (e.g. http://x.org/?a=b&c_d#e) \\ {x} [y] <z> @me #tag $1",
    "Ελληνικά Русский עברית العربية हिन्दी ไทย 한국어 日本語の文章。中文句子，没有空格。",
    "e\u0301\u0323 A\u030a \u1e9e \u0130 \ufb01 \u3300 \ufdfa \U0001d160 \U0001f469\u200d\U0001f680",
    "\u2028 \u00a0 \t \r\n \0 \ufeff \ue000 \ufffe \U0010fffd",
    *("a" * 200, "ab" * 200, "aaaa " * 50, "0" * 200, " " * 200, "-" * 200),
    "the quick brown fox jumps over the lazy dog " * 40,
])  # fmt: skip


def is_failure(error: BaseException) -> bool:
    """Return whether a tokenizer's library failed, rather than being interrupted.

    The library raises Exception and none of its subclasses. Its Rust panics derive from BaseException.
    """
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


@contextmanager
def usable(what: str) -> Iterator[None]:
    """Convert all failures of a tokenizer's library into an UnsafeRepositoryError.

    Args:
        what: what failed, at the start of the error message.
    """
    try:
        yield
    except BaseException as error:
        if not is_failure(error):
            raise
        raise UnsafeRepositoryError(f"{what}: {type(error).__name__}: {error}") from error


def probe(tokenizer: PreTrainedTokenizerFast) -> list[BatchEncoding]:
    """Tokenize an empty text, a short text, a long text and a pair of texts, without truncation.

    Returns:
        The encoding of each.

    Raises:
        UnsafeRepositoryError: the tokenizer fails, takes too long, returns no tokens or too many, or has no padding
            token.
    """
    encodings = []
    for texts in (("",), (SHORT,), (LONG,), (SHORT, LONG)):
        start = perf_counter()
        with usable("the tokenizer cannot tokenize a text"):
            encoding = tokenizer(*texts, verbose=False)
        seconds = perf_counter() - start
        size, count = len("".join(texts).encode()), len(encoding["input_ids"])
        if not count:
            raise UnsafeRepositoryError(
                f"the tokenizer returns no tokens for a text of {size:,} bytes; save it with a post-processor that "
                "adds tokens to every text, such as [CLS] and [SEP]"
            )
        most = MAX_SPECIAL + MAX_TOKENS_PER_BYTE * size
        if count > most or seconds > MAX_SECONDS:
            raise UnsafeRepositoryError(
                f"the tokenizer returns {count:,} tokens for a text of {size:,} bytes in {seconds:.1f} seconds; "
                f"expected at most {most:,} within {MAX_SECONDS:.0f} seconds; use another tokenizer"
            )
        encodings.append(encoding)
    if tokenizer.pad_token_id is None:
        raise UnsafeRepositoryError(
            "the tokenizer has no padding token, without which a batch cannot contain texts of different lengths; set "
            "pad_token in tokenizer_config.json to a token of its vocabulary"
        )
    return encodings
