import numpy as np
import pytest
import torch
from metaeval_training.config import ConfigError, TrainConfig
from metaeval_training.vectors.encoder_features import encoder_error, open_encoder, text_features

from metaeval_datasets import load_dataset
from metaeval_hub.hub.retry import HubError

PAIRS = load_dataset("metaeval", "demo/picnic_nli", split="test").select(range(20))


@pytest.fixture(scope="module")
def encoder():
    return open_encoder(TrainConfig(), [*PAIRS["sentence1"][:], *PAIRS["sentence2"][:]])


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_features_are_those_of_each_pair_by_itself(encoder, batch_size):
    """Expected: one pair at a time, without padding, by the tokenizer's and the module's own call."""
    found = text_features(encoder, PAIRS, max_length=16, batch_size=batch_size, device=torch.device("cpu"))
    assert found.cls.shape == found.mean.shape == (20, 128)
    for i, row in enumerate(PAIRS):
        one = encoder.tokenizer(row["sentence1"], row["sentence2"], truncation=True, max_length=16, return_tensors="pt")
        with torch.no_grad():
            states = encoder.module(**one).last_hidden_state[0]
        assert np.allclose(found.cls[i], states[0], atol=1e-5)
        assert np.allclose(found.mean[i], states.mean(dim=0), atol=1e-5)


def test_an_encoder_that_cannot_be_loaded_is_named():
    with pytest.raises(ConfigError, match=r"--encoder no-such-thing!: encoder 'no-such-thing!' is neither"):
        open_encoder(TrainConfig(encoder="no-such-thing!"), [])


def test_a_failed_download_may_be_a_misspelt_name():
    found = str(encoder_error("nosuch", HubError("downloading nosuch failed: x")))
    assert found == (
        "--encoder nosuch: downloading nosuch failed: x; check the name: expected tiny, minilm, a folder or a Hub id"
    )
    assert str(encoder_error("minilm", ImportError("y"))) == "--encoder minilm: y"
