"""Hashes of texts: fixed for ever, independent of how texts are stored, even."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaeval_datasets.hashing import combine, mix, text_hashes

MASK = (1 << 64) - 1


def plain_mix(value: int) -> int:
    """splitmix64's finaliser in Python integers, from its published definition."""
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def plain_hash(text: str, seed: int = 0) -> int:
    """The hash of one text, word by word in Python integers."""
    data = text.encode()
    words = [int.from_bytes(data[start : start + 8], "little") for start in range(0, len(data), 8)]
    total = sum(plain_mix(word ^ plain_mix(number + seed)) for number, word in enumerate(words)) & MASK
    return plain_mix(total ^ plain_mix(len(data) ^ seed))


@given(st.lists(st.text(max_size=40)), st.integers(0, 1000))
def test_agrees_with_the_definition(texts, seed):
    assert text_hashes(pa.array(texts, pa.string()), seed).tolist() == [plain_hash(text, seed) for text in texts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0xA706DD2F4D197E6F),
        ("a", 0x2FFC7A78F2438EB0),
        ("The sailors rode the breeze clear of the rocks.", 0xE8E59EECC16A2C3C),
        ("Être ou ne pas être 🙂", 0x3F65A86897661A63),
    ],
)
def test_golden_values(text, expected):
    """Published splits depend on these numbers: a change needs a new version of the data."""
    assert int(text_hashes(pa.array([text]))[0]) == expected


@given(st.lists(st.text(max_size=20), min_size=1), st.data())
def test_storage_does_not_matter(texts, data):
    start = data.draw(st.integers(0, len(texts)))
    whole = pa.array(["ahead of all", *texts], pa.string())
    expected = text_hashes(pa.array(texts, pa.string()))
    assert np.array_equal(text_hashes(whole.slice(1)), expected)
    assert np.array_equal(text_hashes(whole.slice(1).cast(pa.large_string())), expected)
    chunked = pa.chunked_array([texts[:start], texts[start:]], pa.string())
    assert np.array_equal(text_hashes(chunked), expected)
    row_by_row = pa.chunked_array([[text] for text in texts], pa.string())  # joined before they are hashed
    assert np.array_equal(text_hashes(row_by_row), expected)


def test_null_hashes_as_empty():
    hashes = text_hashes(pa.array([None, "", "a"]))
    assert hashes[0] == hashes[1] != hashes[2]


def test_order_of_words_and_length_matter():
    texts = ["aaaaaaaabbbbbbbb", "bbbbbbbbaaaaaaaa", "aaaaaaaa", "aaaaaaaa\0", "aaaaaaaa\0\0"]
    assert len(set(text_hashes(pa.array(texts)).tolist())) == len(texts)


def test_seeds_and_pairs_give_other_hashes():
    texts = pa.array(["a", "b"])
    first, second = text_hashes(texts), text_hashes(texts, seed=1)
    assert not set(first.tolist()) & set(second.tolist())
    assert not np.array_equal(combine(first, second), combine(second, first))


def test_hashes_are_spread_evenly():
    hashes = text_hashes(pa.array([f"sentence {number}" for number in range(20_000)]))
    assert len(np.unique(hashes)) == len(hashes)
    share = np.mean(hashes < np.uint64(MASK // 5))
    assert abs(share - 0.2) < 0.01  # 3.5 standard deviations
    assert len(np.unique(mix(hashes))) == len(hashes)
