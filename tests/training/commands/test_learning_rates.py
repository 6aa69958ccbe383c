import json

import pytest
from metaeval_training.commands.learning_rates import RATES, Tried, parse_rates, pick_rates
from metaeval_training.config import ConfigError
from metaeval_training.engine.loop import TrainingError

from metaeval_hub.results.schema import SplitScores, TaskResult


@pytest.mark.parametrize(
    ("words", "methods", "expected"),
    [
        ([], ["full", "adapter"], {"full": [RATES["full"]], "adapter": [RATES["adapter"]]}),
        (["1e-5", "2e-5", "5e-5"], ["full"], {"full": [1e-5, 2e-5, 5e-5]}),
        (["1e-5,2e-5"], ["full"], {"full": [1e-5, 2e-5]}),
        (["adapter=1e-3,3e-3", "adapter=5e-4"], ["full", "adapter"], {"full": [5e-5], "adapter": [1e-3, 3e-3, 5e-4]}),
    ],
)
def test_rates_of_the_command_line(words, methods, expected):
    assert parse_rates(words, methods) == expected


@pytest.mark.parametrize(
    ("words", "methods", "message"),
    [
        (["1e-5"], ["full", "adapter"], "name the method, such as"),
        (["adapter=1e-5"], ["full"], "'adapter' is not among the --methods full"),
        (["full=0"], ["full"], "'0' is not a learning rate"),
        (["full=1e-5;2e-5"], ["full"], "'1e-5;2e-5' is not a learning rate"),
        (["nan"], ["full"], "'nan' is not a learning rate"),
    ],
)
def test_wrong_rates_are_named(words, methods, message):
    with pytest.raises(ConfigError, match=message):
        parse_rates(words, methods)


def tried(**by_task):
    """``tried(a={"1e-5": 0.5, "1e-4": None})``: accuracies on validation; None: failed; "-": no validation rows."""
    return {
        task: {
            rate: Tried(failed="loss is nan")
            if accuracy is None
            else Tried(TaskResult(validation=None if accuracy == "-" else SplitScores(accuracy)))
            for rate, accuracy in accuracies.items()
        }
        for task, accuracies in by_task.items()
    }


@pytest.mark.parametrize(
    "each",
    [
        Tried(failed="loss is nan"),
        Tried(TaskResult(0.5, test=SplitScores(0.5), parameters={"adapter": 5}), "", 8, 0.5, {"id": "tiny"}, [0.5]),
        Tried(TaskResult(0.5, test=SplitScores(0.5)), "", 8, 0.5, {"id": "tiny"}),
    ],
)
def test_a_stored_training_is_read_back_unchanged(each):
    assert Tried.from_json(json.loads(json.dumps(each.to_json()))) == each


def test_one_rate_is_picked_for_all_tasks_by_their_mean():
    found = tried(a={"1e-5": 0.9, "1e-4": 0.7}, b={"1e-5": 0.5, "1e-4": 0.8})
    assert pick_rates(found, "method") == ({"a": "1e-4", "b": "1e-4"}, {"1e-5": 0.7, "1e-4": 0.75})
    assert pick_rates(found, "task")[0] == {"a": "1e-5", "b": "1e-4"}


def test_in_a_tie_the_first_rate_is_picked():
    found = tried(a={"1e-5": 0.7, "1e-4": 0.7})
    assert pick_rates(found, "method")[0] == pick_rates(found, "task")[0] == {"a": "1e-5"}


def test_a_rate_that_failed_on_a_task_is_not_picked_for_it():
    found = tried(a={"1e-5": 0.6, "1e-4": 0.9}, b={"1e-5": 0.6, "1e-4": None})
    assert pick_rates(found, "method")[0] == {"a": "1e-5", "b": "1e-5"}
    assert pick_rates(found, "task")[0] == {"a": "1e-4", "b": "1e-5"}
    torn = tried(a={"1e-5": None, "1e-4": 0.9}, b={"1e-5": 0.6, "1e-4": None})
    with pytest.raises(TrainingError, match=r"no learning rate trained all 2 tasks \(1e-5 failed on 1, 1e-4 failed on"):
        pick_rates(torn, "method")
    assert pick_rates(torn, "task")[0] == {"a": "1e-4", "b": "1e-5"}


def test_a_task_without_validation_rows_takes_part_in_no_choice():
    found = tried(a={"1e-5": 0.6, "1e-4": 0.9}, b={"1e-5": "-", "1e-4": "-"})
    assert pick_rates(found, "method") == ({"a": "1e-4", "b": "1e-4"}, {"1e-5": 0.6, "1e-4": 0.9})
    assert pick_rates(found, "task")[0] == {"a": "1e-4", "b": "1e-5"}
