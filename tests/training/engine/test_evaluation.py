import numpy as np
import pytest
import torch
from accelerate import Accelerator
from metaeval_training.data.encoding import EncodedRows, TaskData
from metaeval_training.engine.evaluation import count_predictions, evaluate_tasks
from metaeval_training.runs.results import summarise
from sklearn.metrics import confusion_matrix
from transformers.modeling_outputs import SequenceClassifierOutput

from metaeval_hub.results.schema import mean_scores

ORIGIN = {"source": "org/rows", "commit": "c0ffee", "edition": "careful", "missing": []}


def rows_with_answers(count, seed=0):
    """Rows of random lengths whose first token is the class that LookUp predicts."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 9, count)
    offsets = np.concatenate([[0], lengths.cumsum()])
    tokens = random.integers(0, 3, offsets[-1]).astype(np.int32)
    return EncodedRows(tokens, None, offsets, random.integers(0, 3, count))


class LookUp(torch.nn.Module):
    def forward(self, input_ids, attention_mask, task_ids):
        return SequenceClassifierOutput(logits=torch.nn.functional.one_hot(input_ids[:, 0], 3).float())


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_each_row_is_counted_once_at_its_own_label(batch_size):
    rows = rows_with_answers(50)
    got = count_predictions(LookUp(), rows, 0, 3, batch_size=batch_size, pad=9, accelerator=Accelerator(cpu=True))
    assert np.array_equal(got, confusion_matrix(rows.labels, rows.tokens[rows.offsets[:-1]]))


def test_missing_splits_are_left_out_of_the_means():
    both = {"train": rows_with_answers(9), "validation": rows_with_answers(8, 1), "test": rows_with_answers(7, 2)}
    tasks = [
        TaskData("x/both", ("a", "b", "c"), both, dict.fromkeys(both, 10), ORIGIN),
        TaskData("x/bare", ("a", "b", "c"), {"train": both["train"]}, {"train": 9}, ORIGIN),
    ]
    model = LookUp()
    options = {"batch_size": 4, "pad": 9, "accelerator": Accelerator(cpu=True)}
    found = evaluate_tasks(model, tasks, ("validation", "test"), **options)
    assert model.training
    result = summarise(tasks, found, np.array([0.5, 0.1]))
    assert result["x/bare"].test is None
    assert result["x/bare"].majority is None
    mean = mean_scores(result)
    assert mean.test == result["x/both"].test.accuracy
    assert mean.cos_z_z0 == pytest.approx(0.3)
    rows = result["x/both"].rows["test"]
    assert (rows.kept, rows.available, rows.digest) == (7, 10, both["test"].digest())


def test_a_method_without_z_has_no_cosines():
    rows = {"train": rows_with_answers(9), "test": rows_with_answers(7, 2)}
    tasks = [TaskData("x/one", ("a", "b", "c"), rows, dict.fromkeys(rows, 10), ORIGIN)]
    found = evaluate_tasks(
        LookUp(), tasks, ("validation", "test"), batch_size=4, pad=9, accelerator=Accelerator(cpu=True)
    )
    result = summarise(tasks, found, None)
    assert result["x/one"].cos_z_z0 is None
