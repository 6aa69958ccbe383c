"""64-bit hashes of texts, a column at a time: the same on every machine and in every release.

Splits are ranked by these numbers, so a change here changes published splits; a test holds golden values.
The hash of a text is a sum over its 8-byte words of a mix of word and position (as in Zobrist hashing), with its
length, all modulo 2**64. It is made for spreading ordinary text evenly, not against an adversary.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]


def mix(values: Hashes) -> Hashes:
    """Spread the bits of each value (the finaliser of splitmix64), (N,) to (N,); a bijection."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def combine(first: Hashes, second: Hashes) -> Hashes:
    """Hash of ordered pairs, (N,) and (N,) to (N,)."""
    with np.errstate(over="ignore"):
        return mix(first * np.uint64(3) + second)


def text_hashes(texts: pa.Array | pa.ChunkedArray, seed: int = 0) -> Hashes:
    """Hash of each text, (N,); null hashes as the empty text does.

    Args:
        texts: N strings.
        seed: a non-negative number; another seed gives unrelated hashes.
    """
    if isinstance(texts, pa.ChunkedArray):
        parts = [text_hashes(chunk, seed) for chunk in texts.chunks]
        return np.concatenate(parts) if parts else np.empty(0, np.uint64)
    texts = texts.cast(pa.large_string())
    offsets_buffer, data_buffer = texts.buffers()[1:]
    offsets = np.frombuffer(offsets_buffer, "<i8", len(texts) + 1, offset=8 * texts.offset)
    start, stop = (int(offsets[0]), int(offsets[-1])) if len(texts) else (0, 0)
    # 8 spare bytes, so that the last word of the last text can be read whole.
    data = np.zeros(stop - start + 8, np.uint8)
    if stop > start:
        data[:-8] = np.frombuffer(data_buffer, np.uint8, stop - start, offset=start)
    return _hash_slices(data, offsets - start, seed)


def _hash_slices(data: NDArray[np.uint8], offsets: NDArray[np.int64], seed: int) -> Hashes:
    """Hash of ``data[offsets[i]:offsets[i + 1]]`` for each i, (N,); ``data`` ends with 8 bytes of zeros."""
    lengths = np.diff(offsets)
    words = -(-lengths // 8)
    firsts = np.cumsum(words) - words  # number of each text's first word among all words
    text_of = np.repeat(np.arange(len(lengths)), words)  # (W,), W words in all
    position = np.arange(len(text_of)) - firsts[text_of]
    word_at = np.ndarray(len(data) - 7, "<u8", data, strides=(1,))  # the word at every byte, aligned or not
    values = word_at[offsets[:-1][text_of] + 8 * position].astype(np.uint64)
    beyond = np.clip(8 * (position + 1) - lengths[text_of], 0, 7).astype(np.uint64)  # bytes of the word past the end
    values &= np.uint64(0xFFFFFFFFFFFFFFFF) >> (beyond * np.uint64(8))
    values = mix(values ^ mix(position.astype(np.uint64) + np.uint64(seed)))
    sums = np.zeros(len(lengths), np.uint64)
    held = words > 0
    if held.any():
        sums[held] = np.add.reduceat(values, firsts[held])
    return mix(sums ^ mix(lengths.astype(np.uint64) ^ np.uint64(seed)))
