"""Compute 64-bit hashes of columns of texts, which are equal on every machine and in every release.

Rows are assigned to splits in the order of these hashes, so a change here changes published splits. A test compares
them with stored values. The hash of a text mixes each of its 8-byte words with the position of the word, adds up the
results (as in Zobrist hashing) and mixes the sum with the length, all modulo 2**64. It spreads ordinary text evenly; it
does not resist an adversary.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
CACHED_WORDS = 1 << 15  # hashed at a time, so that intermediate values stay in the processor's cache
SHORT_CHUNK = 64  # texts; shorter chunks are joined, because each call of numpy costs more than their texts


def mix(values: Hashes) -> Hashes:
    """Spread the bits of each value (the finaliser of splitmix64), (N,) to (N,); a bijection."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    spare = np.empty_like(values)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values ^= np.right_shift(values, np.uint64(shift), out=spare)
        values *= np.uint64(factor)
    values ^= np.right_shift(values, np.uint64(31), out=spare)
    return values


def combine(first: Hashes, second: Hashes) -> Hashes:
    """Return hashes of ordered pairs, (N,) and (N,) to (N,)."""
    return mix(first * np.uint64(3) + second)


def text_hashes(texts: pa.Array | pa.ChunkedArray, seed: int = 0) -> Hashes:
    """Return the hash of each text, (N,); null has the hash of the empty text.

    Args:
        texts: N strings.
        seed: a non-negative number; another seed gives unrelated hashes.
    """
    if isinstance(texts, pa.ChunkedArray):
        if len(texts) < SHORT_CHUNK * texts.num_chunks:  # selected rows of a dataset have a chunk per row
            texts = pa.chunked_array([texts.cast(pa.large_string()).combine_chunks()])
        parts = [text_hashes(chunk, seed) for chunk in texts.chunks]
        return np.concatenate(parts) if parts else np.empty(0, np.uint64)
    texts = texts.cast(pa.large_string())
    offsets_buffer, data_buffer = texts.buffers()[1:]
    offsets = np.frombuffer(offsets_buffer, "<i8", len(texts) + 1, offset=8 * texts.offset)
    start, stop = (int(offsets[0]), int(offsets[-1])) if len(texts) else (0, 0)
    size = stop - start
    data = np.zeros(size // 8 + 2, "<u8")  # one word more than the texts need, so that every word has a next one
    if size:
        data.view(np.uint8)[:size] = np.frombuffer(data_buffer, np.uint8, size, offset=start)
    return _hash_slices(data, offsets - start, seed)


def _hash_slices(data: Hashes, offsets: NDArray[np.int64], seed: int) -> Hashes:
    """Return the hash of the bytes from ``offsets[i]`` to ``offsets[i + 1]`` of ``data`` for each i, (N,)."""
    lengths = np.diff(offsets)
    sums = np.zeros(len(lengths), np.uint64)
    filled = np.flatnonzero(lengths)  # texts with at least one word
    words = -(-lengths[filled] // 8)
    ends = np.cumsum(words)
    longest = int(words.max(initial=0))
    of_position = mix(np.arange(longest, dtype=np.uint64) + np.uint64(seed))
    start = 0
    while start < len(filled):  # take as many texts as fit into the processor's cache, and at least one
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + CACHED_WORDS, side="right")))
        chosen = filled[start:stop]
        sums[chosen] = _sum_words(data, offsets[chosen], lengths[chosen], words[start:stop], of_position)
        start = stop
    return mix(sums ^ mix(lengths.astype(np.uint64) ^ np.uint64(seed)))


def _sum_words(
    data: Hashes,
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
    words: NDArray[np.int64],
    of_position: Hashes,
) -> Hashes:
    """Return the sum over words of each of n non-empty texts of the mixed word and position, (n,)."""
    lasts = np.cumsum(words) - 1  # index of the last word of each text, among all words
    firsts = lasts - words + 1
    position = np.arange(int(words.sum()))
    position -= np.repeat(firsts, words)
    # A word of a text spans two words of the data, unless the text starts at a word of the data. Reading both words and
    # shifting them is faster than reading at unaligned addresses.
    place = position + np.repeat(starts >> 3, words)
    shift = np.repeat((starts & 7).astype(np.uint64) * np.uint64(8), words)
    values = data.take(place) >> shift
    place += 1
    np.subtract(np.uint64(64), shift, out=shift)
    values |= data.take(place) << shift  # a shift by 64 gives 0
    beyond = (8 * words - lengths).astype(np.uint64)  # bytes of the last word that lie beyond the text
    values[lasts] &= np.uint64(0xFFFFFFFFFFFFFFFF) >> (beyond * np.uint64(8))
    values ^= of_position.take(position)
    return np.add.reduceat(mix(values), firsts)
