"""The settings of a run determine the layers of its model."""

from metaeval_training.config import resolve
from metaeval_training.runs.new_model import _conditional_config


def test_variants_of_the_layers_reach_the_model():
    found = _conditional_config(resolve({"conditioning": "mahabadi", "layer_norm": True, "dim_table": 512}))
    assert (found.conditioning, found.layer_norm, found.dim_table) == ("mahabadi", True, 512)
    assert {"layer_norm", "dim_table"}.isdisjoint(_conditional_config(resolve({})).to_dict())
