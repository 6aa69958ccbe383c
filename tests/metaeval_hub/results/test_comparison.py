import json

import numpy as np
import pytest

from metaeval_hub.results.comparison import ComparisonError, compare
from metaeval_hub.results.comparison_tables import remarks, summary_table, task_table, to_markdown
from metaeval_hub.results.intervals import mean_interval
from metaeval_hub.results.results_json import parse_task
from metaeval_hub.results.run_results import NoRunError, ResultsError, UnfinishedRunError, read_runs
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


def test_means_and_differences_are_those_of_the_tasks_in_common(tmp_path):
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
    assert two.difference_interval == pytest.approx(mean_interval([0.0, 0.2]))
    assert (two.better, two.equal, two.worse) == (1, 1, 0)


def test_another_reference_turns_the_sign(tmp_path):
    runs = [made("first", tmp_path, a=0.6, b=0.7), made("second", tmp_path, a=0.7, b=0.9)]
    found = compare(runs, reference="second")
    assert found.summaries[0].difference == pytest.approx(-0.15)
    assert found.summaries[1].difference is None
    with pytest.raises(ComparisonError, match="no run is called 'third'; there are: first, second"):
        compare(runs, reference="third")


def test_runs_of_one_label_are_averaged_and_their_spread_told(tmp_path):
    runs = [made("seeds", tmp_path, a=0.6, b=0.7), made("other", tmp_path, a=0.6, b=0.6)]
    runs.append(made("seeds", tmp_path, a=0.8, b=0.9))
    found = compare(runs)
    assert found.labels == ("seeds", "other")
    assert np.allclose(found.values, [[0.7, 0.6], [0.8, 0.6]])
    assert found.summaries[0].runs == 2
    assert found.summaries[0].spread == pytest.approx(np.std([0.65, 0.85], ddof=1))
    assert found.summaries[1].spread is None


def test_a_task_that_one_seed_lacks_is_left_out(tmp_path):
    found = compare([made("seeds", tmp_path, a=0.6, b=0.7), made("seeds", tmp_path, a=0.8)])
    assert found.tasks == ("g/a",)
    assert found.left_out == {"g/b": ("seeds",)}
    assert found.summaries[0].interval is None


def test_other_rows_are_named(tmp_path):
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


def test_nothing_in_common_is_told_with_counts(tmp_path):
    with pytest.raises(ComparisonError, match=r"no task has a score on test in all runs \(tasks of each: x: 2, y: 1\)"):
        compare([made("x", tmp_path, a=0.5, b=0.5), made("y", tmp_path, c=0.5)])


def test_runs_are_read_from_a_file_a_folder_or_its_sub_folders(tmp_path):
    tasks = {"g/a": task(0.5)}
    plain = write(tmp_path / "multitask-1", tasks)
    for method in ("tfidf", "mean"):
        write(tmp_path / "probes-1" / method, tasks)
    assert [run.label for run in read_runs(plain)] == ["multitask-1"]
    assert [run.label for run in read_runs(plain / "results.json")] == ["multitask-1"]
    assert [run.label for run in read_runs(tmp_path / "probes-1")] == ["probes-1/mean", "probes-1/tfidf"]
    (run,) = read_runs(plain, "ours")
    assert (run.label, run.tasks, run.facts.seed) == ("ours", {"g/a": parse_task(task(0.5))}, 3)


def test_what_is_no_result_is_named(tmp_path):
    for name, config in {"multitask-1": {"output_dir": "runs"}, "probes-1": {"settings": {"output_dir": "r"}}}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        with pytest.raises(
            UnfinishedRunError, match=rf"results\.json: the run is not finished; .* --resume .*/{name}$"
        ):
            read_runs(tmp_path / name)
    (tmp_path / "model").mkdir()
    for text in (None, '{"model_type": "bert"}', "[]", "{"):
        if text is not None:
            (tmp_path / "model" / "config.json").write_text(text)
        with pytest.raises(NoRunError, match="it is not the folder of a run"):
            read_runs(tmp_path / "model")
    (tmp_path / "map.html").write_text("")
    with pytest.raises(NoRunError, match=r"map\.html is neither the folder of a run nor"):
        read_runs(tmp_path / "map.html")
    with pytest.raises(ResultsError, match="neither the folder of a run nor"):
        read_runs(tmp_path / "nowhere")
    for text in ("{", "[]", '{"tasks": {"a": {"test": null}}}', '{"tasks": {"a": 3}}', '{"mean": {}}'):
        (tmp_path / "results.json").write_text(text)
        with pytest.raises(ResultsError, match=r"results\.json is not (JSON|of the expected form)"):
            read_runs(tmp_path)


def test_the_tables(tmp_path):
    found = compare([made("first", tmp_path, a=0.6, b=0.7), made("with|bar", tmp_path, a=0.7, b=0.7)])
    tasks = task_table(found)
    assert [column.title for column in tasks.columns] == ["task", "majority", "first", "with|bar"]
    assert tasks.cells() == [
        ["g/a", "50.0", "60.0", "70.0"],
        ["g/b", "50.0", "70.0", "70.0"],
        ["mean of 2", "50.0", "65.0", "70.0"],
    ]
    means = summary_table(found)
    assert [column.title for column in means.columns] == [
        *("run", "mean accuracy", "95 % interval", "over majority", "over first", "better, equal, worse"),
    ]
    assert means.cells() == [
        ["first", "65.0", "1.5 to 100.0", "+15.0 (-48.5 to +78.5)", "-", "-"],
        ["with|bar", "70.0", "70.0 to 70.0", "+20.0 (+20.0 to +20.0)", "+5.0 (-58.5 to +68.5)", "1, 1, 0"],
    ]
    text = to_markdown(found)
    assert "| g/a | 50.0 | 60.0 | 70.0 |" in text
    assert "with\\|bar" in text


def test_the_majority_has_one_column(tmp_path):
    found = compare([made("majority", tmp_path, a=0.5, b=0.5), made("other", tmp_path, a=0.7, b=0.7)])
    assert [column.title for column in task_table(found).columns] == ["task", "majority", "other"]
    assert [column.title for column in summary_table(found).columns].count("over majority") == 1


def test_seeds_and_long_lists_in_words(tmp_path):
    names = {f"t{i}": 0.5 for i in range(12)}
    runs = [made("seeds", tmp_path, x=0.6, **names), made("seeds", tmp_path, x=0.8), made("other", tmp_path, x=0.7)]
    found = compare(runs)
    assert summary_table(found).cells()[0][:3] == ["seeds", "2", "70.0 ± 14.1"]
    left_out = remarks(found)[0]
    assert left_out.startswith("Left out, not scored on test by seeds, other: g/t0, ")
    assert left_out.endswith("g/t7 and 4 more (12 tasks).")
