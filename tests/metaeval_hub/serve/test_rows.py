"""Rows are divided into passes of similar length, and padded."""

import numpy as np

from metaeval_hub.serve.rows import FREE_TOKENS, Row, padded, passes, to_rows


def rows(*lengths):
    return [Row("x", range(1, length + 1)) for length in lengths]


def test_short_texts_share_a_pass_with_texts_of_up_to_twice_their_tokens():
    assert passes(rows(3, FREE_TOKENS, 1), 32) == [[2, 0, 1]]
    assert passes(rows(100, 10, 50, 101, 20), 32) == [[1, 4], [2, 0], [3]]
    assert passes(rows(5, 5, 5, 5, 5), 2) == [[0, 1], [2, 3], [4]]
    assert passes([], 2) == []


def test_padding():
    batch = padded(to_rows(["a", "b"], {"input_ids": [[5], [6, 7]], "token_type_ids": [[0], [0, 1]]}), 9)
    assert batch["input_ids"].tolist() == [[5, 9], [6, 7]]
    assert batch["attention_mask"].tolist() == [[1, 0], [1, 1]]
    assert batch["token_type_ids"].tolist() == [[0, 0], [0, 1]]
    assert {array.dtype for array in batch.values()} == {np.dtype(np.int64)}
    assert padded(to_rows(["a"], {"input_ids": [[5]]}), 0).keys() == {"input_ids", "attention_mask"}
