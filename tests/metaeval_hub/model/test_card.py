"""The card of a model."""

import ast
import re

import numpy as np
import pytest
from huggingface_hub import ModelCard

from metaeval_hub import TaskEmbeddings
from metaeval_hub.conditional.config import ConditionalConfig
from metaeval_hub.encoders.base import BaseEncoder
from metaeval_hub.model.card import model_card
from metaeval_hub.model.record import ModelRecord
from metaeval_hub.task_data.embeddings_card import embeddings_card
from metaeval_hub.task_data.origins import TaskOrigin
from tests.metaeval_hub.hub.test_cards import COMMIT, compare


def model_record(**values):
    """Return the record of a model with four tasks, each with fewer known facts."""
    origin = TaskOrigin("0.1.0", "careful", "nyu-mll/glue (mnli) at refs/convert/parquet", COMMIT, "other")
    known = {
        "base": BaseEncoder("hub", "org/encoder", COMMIT, "a" * 64),
        "conditional": ConditionalConfig(),
        "labels": {
            "glue/mnli": ("entailment", "neutral", "contradiction"),
            "pragmeval/stac": tuple(f"c|{i}" for i in range(18)),
            "demo/spam": ("ham", "spam"),
            "my/task": ("a", "b"),
        },
        "metaeval_version": "0.1.0",
        "fields": {"glue/mnli": 2, "pragmeval/stac": 2, "demo/spam": 1},
        "origins": {
            "glue/mnli": origin,
            "pragmeval/stac": TaskOrigin("0.1.0", "paper", "sileod/pragmeval (stac)", COMMIT, "unknown"),
            "demo/spam": TaskOrigin("0.1.0", "careful", "metaeval_datasets.demo", None, "mit"),
        },
    }
    return ModelRecord(**{**known, **values})


RESULTS = {
    "glue/mnli": {"majority": 0.353, "validation": 0.7912345, "test": 0.8},
    "demo/spam": {"majority": 0.5, "validation": None, "test": 0.97},
}


def test_card_of_a_model_is_the_stored_one():
    compare(model_card(model_record(), RESULTS, "org/name"), "model_card.md")


def test_the_hub_reads_results_encoder_and_data():
    data = ModelCard(model_card(model_record(), RESULTS, "org/name")).data
    found = {(result.dataset_name, result.dataset_split): result for result in data.eval_results}
    expected = {("glue/mnli", "validation"): 0.7912, ("glue/mnli", "test"): 0.8, ("demo/spam", "test"): 0.97}
    assert {key: result.metric_value for key, result in found.items()} == expected
    assert {result.metric_type for result in found.values()} == {"accuracy"}
    assert found["glue/mnli", "test"].dataset_args["commit"] == COMMIT
    assert (data.model_name, data.base_model, data.library_name) == ("name", "org/encoder", "metaeval")
    assert data.datasets == ["nyu-mll/glue", "sileod/pragmeval"]


def test_card_of_a_model_with_few_known_facts():
    bare = model_record(base=BaseEncoder("local", "tiny", None, "a" * 64), fields={}, origins={})
    card = model_card(bare)
    data = ModelCard(card).data
    assert (data.base_model, data.datasets, data.eval_results) == (None, None, None)
    assert 'from_pretrained("path or Hub id of this model")' in card
    assert 'predict("glue/mnli", ["a text", "another text"])' in card
    assert "| task | texts | classes |\n" in card
    assert card.endswith("The sources of the rows are not recorded; ask the authors of the model.\n")


NAMES = [
    'x", k=5); import os; os.abort()  #', "x'); import os; os.abort()  #", "x\\", "``` import os",
    "{braces} $name", "größer",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_stay_strings_in_the_code_of_cards(name):
    made = model_record(labels={name: ("a`b", "c"), "y": ("a", "b")}, fields={}, origins={}, label_vectors={})
    table = TaskEmbeddings((name, "y"), np.eye(2))
    for card in (model_card(made), embeddings_card(table, name, "t.parquet", ("a", "b"), None)):
        [*codes] = re.findall(r"```python\n(.*?)\n```", card, re.S)
        assert codes
        trees = [ast.parse(code) for code in codes]
        nodes = [node for tree in trees for node in ast.walk(tree)]
        assert not [node for node in nodes if isinstance(node, ast.Import)]
        assert name in {node.value for node in nodes if isinstance(node, ast.Constant)}
