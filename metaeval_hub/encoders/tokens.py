"""Turn texts into batches of token ids, in the same way for every caller.

The prediction for a text must depend neither on the texts next to it nor on other threads. A tokenizer therefore keeps
none of the options that only some callers would follow (``fix_options``), padding is done here (``pad_rows``), and no
call changes a tokenizer that another thread may be using (``TextEncoder``, ``SharedBackend``).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from tokenizers import Encoding, Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from metaeval_hub.encoders.texts import Text as Text
from metaeval_hub.encoders.texts import as_texts as as_texts
from metaeval_hub.encoders.texts import whole_text as whole_text
from metaeval_hub.encoders.tokenizer_probe import is_failure
from metaeval_hub.safe_files.printable import printable, shown
from metaeval_hub.safe_files.repository import UnsafeRepositoryError

Tokens: TypeAlias = dict[str, list[list[int]]]
SEGMENTS = "token_type_ids"
_CALL_OPTIONS = ("max_length", "stride", "truncation_strategy", "pad_to_multiple_of")  # of a call, not of a tokenizer


# --- tokenizers ---


class SharedBackend:
    """Let several threads configure and call one tokenizer of the Rust library at the same time.

    The fast tokenizers of transformers set truncation and padding in each call, on one object that all threads share.
    If two threads call it at the same time, a call may fail or use the settings of the other. Here each thread has its
    own settings, and calls wait for each other. All other attributes are those of the tokenizer.

    Args:
        backend: the tokenizer.
    """

    def __init__(self, backend: Tokenizer) -> None:
        for name, value in (("_backend", backend), ("_lock", threading.RLock()), ("_own", threading.local())):
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._backend, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedBackend, (self._backend,)

    @property
    def truncation(self) -> dict[str, Any] | None:
        """The truncation settings of this thread."""
        return getattr(self._own, "truncation", None)

    def enable_truncation(self, max_length: int, **options: Any) -> None:
        """Truncate texts in this thread; options as in the library."""
        self._own.truncation = {"max_length": max_length, **options}

    def no_truncation(self) -> None:
        """Do not truncate texts in this thread."""
        self._own.truncation = None

    @property
    def padding(self) -> dict[str, Any] | None:
        """The padding settings of this thread."""
        return getattr(self._own, "padding", None)

    def enable_padding(self, **options: Any) -> None:
        """Pad texts in this thread; options as in the library."""
        self._own.padding = options

    def no_padding(self) -> None:
        """Do not pad texts in this thread."""
        self._own.padding = None

    def _set(self, truncation: dict[str, Any] | None, padding: dict[str, Any] | None) -> None:
        if truncation is None:
            self._backend.no_truncation()
        else:
            self._backend.enable_truncation(**truncation)
        if padding is None:
            self._backend.no_padding()
        else:
            self._backend.enable_padding(**padding)

    def encode(self, *args: Any, **kwargs: Any) -> Any:
        """Encode a text as the library does, with the settings of this thread."""
        with self._lock:
            self._set(self.truncation, self.padding)
            return self._backend.encode(*args, **kwargs)

    def encode_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Encode texts as the library does, with the settings of this thread."""
        with self._lock:
            self._set(self.truncation, self.padding)
            return self._backend.encode_batch(*args, **kwargs)

    def save(self, path: str, pretty: bool = True) -> None:
        """Write the tokenizer's file, without the settings of any call."""
        with self._lock:
            self._set(None, None)
            self._backend.save(path, pretty)


def fix_options(tokenizer: PreTrainedTokenizerFast) -> None:
    """Set the options of a tokenizer that is being loaded to those that the whole package uses.

    Texts are padded on the right, with a mask and with segment 0, also in pipelines and collators. The stored settings
    of truncation and padding are removed. The side on which texts are truncated is kept.

    Raises:
        UnsafeRepositoryError: the tokenizer has no padding token.
    """
    if tokenizer.pad_token is None:
        raise UnsafeRepositoryError(
            "the tokenizer has no padding token, without which a batch cannot contain texts of different lengths; name "
            'one with the key "pad_token" of tokenizer_config.json'
        )
    tokenizer.padding_side = "right"
    tokenizer._pad_token_type_id = 0
    tokenizer.model_input_names = [
        name for name in ("input_ids", SEGMENTS, "attention_mask")
        if name != SEGMENTS or SEGMENTS in tokenizer.model_input_names
    ]  # fmt: skip
    for name in _CALL_OPTIONS:
        tokenizer.init_kwargs.pop(name, None)
    if not isinstance(tokenizer._tokenizer, SharedBackend):
        tokenizer._tokenizer = SharedBackend(tokenizer._tokenizer)
    # Texts are tokenized first and padded per batch. transformers would log its advice against this order.
    tokenizer.deprecation_warnings["Asking-to-pad-a-fast-tokenizer"] = True


class TextEncoder:
    """Turn texts into at most ``max_length`` token ids each. Any number of threads may call it at the same time.

    It uses a private copy of the tokenizer, which never changes. ``SharedBackend`` explains why.

    Args:
        tokenizer: the tokenizer of an encoder, after ``fix_options``.
        max_length: maximum number of tokens of a text or pair; the longer text of a pair is truncated first.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, max_length: int) -> None:
        self._backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._backend.no_padding()
        self._backend.enable_truncation(max_length, strategy="longest_first", direction=tokenizer.truncation_side)
        self._has_segments = SEGMENTS in tokenizer.model_input_names

    def __call__(self, texts: Sequence[Text]) -> Tokens:
        """Return ``input_ids`` and, if the encoder has segments, ``token_type_ids``.

        Args:
            texts: strings or pairs of strings that ``as_texts`` returned.

        Raises:
            ValueError: the tokenizer's library fails on a text; the message has the number of the text.
        """
        encodings = self._encode(texts)
        tokens = {"input_ids": [encoding.ids for encoding in encodings]}
        if self._has_segments:
            tokens[SEGMENTS] = [encoding.type_ids for encoding in encodings]
        return tokens

    def count_cut(self, texts: Sequence[Text]) -> int:
        """Return how many texts have more tokens than ``max_length`` and are therefore truncated.

        Args:
            texts: strings or pairs of strings that ``as_texts`` returned.

        Raises:
            ValueError: the tokenizer's library fails on a text; the message has the number of the text.
        """
        return sum(bool(encoding.overflowing) for encoding in self._encode(texts))

    def _encode(self, texts: Sequence[Text]) -> list[Encoding]:
        try:
            return self._backend.encode_batch(list(texts))
        except BaseException as error:
            if not is_failure(error):
                raise
            failure = error
        for i, text in enumerate(texts):  # the library does not say which text it failed on
            try:
                self._backend.encode_batch([text])
            except BaseException as error:
                if not is_failure(error):
                    raise
                reason = printable(f"{type(error).__name__}: {error}")
                raise ValueError(
                    f"texts[{i}] is {shown(text)}, on which the tokenizer fails ({reason}); leave this text out, or "
                    "use another encoder"
                ) from error
        reason = printable(f"{type(failure).__name__}: {failure}")
        raise ValueError(f"the tokenizer fails on these {len(texts)} texts together ({reason})") from failure


def pad_rows(
    tokens: Mapping[str, Sequence[Sequence[int]]], rows: Sequence[int], pad_id: int, device: torch.device
) -> dict[str, Tensor]:
    """Return a batch of rows, padded on the right to the longest of them.

    Args:
        tokens: ``input_ids``, and ``token_type_ids`` if the encoder has segments, of all rows.
        rows: the B rows of the batch.
        pad_id: id of the padding token.
        device: device of the batch.

    Returns:
        ``attention_mask`` and the same names as ``tokens``, each (B, T) int64.
    """
    lengths = np.array([len(tokens["input_ids"][row]) for row in rows])
    mask = np.arange(lengths.max()) < lengths[:, None]  # (B, T)
    arrays = {"attention_mask": mask.astype(np.int64)}
    for name in tokens.keys() - {"attention_mask"}:
        arrays[name] = np.full(mask.shape, pad_id if name == "input_ids" else 0, np.int64)
        arrays[name][mask] = np.concatenate([tokens[name][row] for row in rows])
    return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
