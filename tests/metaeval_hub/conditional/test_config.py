"""The configuration of a model: which fields go together, and what config.json contains."""

import pytest

from metaeval_hub.conditional.config import ConditionalConfig

OF_EARLIER_RELEASES = {
    "conditioning", "adapter_size", "dim_z", "pooling", "max_length", "adapter_dropout", "encoder_dropout", "z_from",
    "embeddings_per_task", "dim_features",
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"conditioning": "layernorm", "layer_norm": True}, "'layernorm' computes the weights of its LayerNorm from z"),
        ({"conditioning": "full", "layer_norm": True}, "conditioning 'full' has no adapter; leave layer_norm out"),
        ({"dim_table": 31}, "dim_table is 31, which is less than dim_z=32"),
        ({"dim_table": -1}, "dim_table must be a whole number of at least 0, got -1"),
        ({"dim_table": True}, "dim_table must be a whole number"),
        ({"adapter_dropout": "x"}, r"adapter_dropout must be a number in \[0, 1\), got 'x'"),
        ({"encoder_dropout": "no"}, "encoder_dropout is 'no'; expected True or False"),
        ({"dim_table": 512, "z_from": "features"}, "z_from='features' has no table"),
        (
            {"dim_table": 512, "conditioning": "adapter"},
            "dim_table=512 say what z is, and conditioning 'adapter' has none",
        ),
    ],
)
def test_fields_that_a_method_cannot_use_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        ConditionalConfig(**fields)


@pytest.mark.parametrize("conditioning", ["pilault", "full"])
def test_a_model_that_does_not_use_the_new_fields_is_stored_as_before(conditioning):
    stored = ConditionalConfig(conditioning).to_dict()
    assert stored.keys() == OF_EARLIER_RELEASES
    assert ConditionalConfig.from_dict(stored) == ConditionalConfig(conditioning)


def test_new_fields_that_are_used_are_stored():
    config = ConditionalConfig("mahabadi", layer_norm=True, dim_table=512)
    stored = config.to_dict()
    assert {name: stored[name] for name in stored.keys() - OF_EARLIER_RELEASES} == {
        "layer_norm": True,
        "dim_table": 512,
    }
    assert ConditionalConfig.from_dict(stored) == config
