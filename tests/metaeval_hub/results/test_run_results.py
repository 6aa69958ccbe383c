"""Files of runs are read with one schema; errors are one line with the file and the key."""

import contextlib
import json
import os
import random
from pathlib import Path

import pytest

from metaeval_hub.results.results_json import parse_task
from metaeval_hub.results.run_results import (
    NoRunError,
    ResultsError,
    SourceRows,
    UnfinishedRunError,
    is_run,
    name_of,
    read_runs,
    read_source_rows,
)
from metaeval_hub.results.schema import FEW_SHOT, SplitRows, SplitScores
from tests.metaeval_hub.results.test_comparison import task
from tests.metaeval_hub.results.test_comparison import write as write_tasks

WHOLE = {
    "tasks": {"g/a": {**task(0.75), "origin": {"source": "s", "edition": "careful"}, "cos_z_z0": 0.5, "classes": 2}},
    "config": {"settings": {"batch_size": 8, "tasks": ["g"], "adapter_lr": 0.1}},
    "seconds": {"data": 1.0, "training": 2.0, "evaluation": 3.0},
    "encoder": {"id": "tiny"},
    "seed": 3,
    "parameters": {"adapter": 5},
    "versions": {"metaeval": "1"},
}
VALUES = [None, True, -1, 1e999, 10**30, "x", "\ud800", "\x1b[2J", [], [None], {}, {"a": {}}, [[1]]]


def write(folder, value):
    text = value if isinstance(value, str) else json.dumps(value)
    (folder / "results.json").write_text(text, encoding="utf-8")
    return folder


def changed(path, value):
    found = json.loads(json.dumps(WHOLE))
    at = found
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return found


def test_values_have_their_types(tmp_path):
    (run,) = read_runs(write(tmp_path, WHOLE))
    row, facts = run.tasks["g/a"], run.facts
    assert (row.test, row.validation, row.majority) == (SplitScores(0.75, 0.375, 0.25), None, 0.5)
    assert (row.rows, row.cos_z_z0, row.classes) == ({"test": SplitRows(9, 9, "aa")}, 0.5, 2)
    assert (row.source, row.edition, row.commit) == ("s", "careful", None)
    assert (facts.seconds, facts.encoder, facts.seed, facts.version) == (5.0, "tiny", 3, "1")
    assert facts.settings == {"batch_size": 8, "tasks": ["g"], "adapter_lr": 0.1}
    (tmp_path / "results.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(WHOLE).encode())
    assert read_runs(tmp_path)[0].tasks == run.tasks


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            ("tasks", "g/a", "test", "accuracy"),
            "0.5",
            r"tasks\['g/a'\]\['test'\]\['accuracy'\] is '0.5'; expected a numb",
        ),
        (("tasks", "g/a", "test", "accuracy"), True, "is True; expected a number from 0 to 1"),
        (("tasks", "g/a", "test", "accuracy"), float("nan"), "is not finite; expected a number from 0 to 1"),
        (("tasks", "g/a", "majority"), None, "is null; expected a number from 0 to 1, since the task was scored"),
        (("tasks", "g/a", "rows"), [], r"\['rows'\] is a list of 0; expected an object"),
        (("tasks", "g/a", "rows", "test", "kept"), -1, "is -1; expected 0 or more"),
        (("tasks", "\ud800"), {}, "contains half of a surrogate pair"),
        (("seed",), 1.5, "seed is 1.5; expected a whole number"),
        (("config",), "x", "config is 'x'; expected an object"),
        (("config", "settings", "batch_size"), "8", r"config\['batch_size'\] is '8'; expected a whole number"),
        (("config", "settings", "own"), {"a": 1}, "expected a single value or a flat list"),
        (("seconds",), -1, "seconds is -1; expected a finite number, 0 or more"),
        (("notes",), "x", "notes is 'x'; expected a list"),
        (("experiment",), FEW_SHOT, "answered_by or shots is missing"),
        (("experiment",), "zero_shot", "method is missing"),
        (("encoder", "id"), "\x1b" * 500, None),
    ],
)
def test_errors_name_the_invalid_value(tmp_path, path, value, message):
    write(tmp_path, changed(path, value))
    if message is None:
        assert read_runs(tmp_path)
        return
    with pytest.raises(ResultsError, match=message) as error:
        read_runs(tmp_path)
    assert str(error.value).startswith(str(tmp_path / "results.json"))
    assert str(error.value).isprintable()


@pytest.mark.parametrize("text", ["", "{", "[1]", "5", "[" * 100_000, "9" * 5000, '{"tasks": {}} x'])
def test_invalid_results_files_are_refused(tmp_path, text):
    with pytest.raises(ResultsError, match=r"results\.json is not (JSON|of the expected form): "):
        read_runs(write(tmp_path, text))


def test_any_changed_value_gives_a_run_or_a_results_error(tmp_path):
    def places(value, path=()):
        if path:
            yield path
        for key in value if isinstance(value, dict) else ():
            yield from places(value[key], (*path, key))

    generator, found = random.Random(0), []
    every = list(places(WHOLE))
    for _ in range(300):
        write(tmp_path, changed(generator.choice(every), generator.choice(VALUES)))
        with contextlib.suppress(ResultsError):  # anything else ends the test
            found.append(len(read_runs(tmp_path)))
    assert 30 < len(found) < 270


def test_rows_of_data_json(tmp_path):
    assert read_source_rows(tmp_path) == {}
    origins = {"g/a": {"missing": ["test"], "official": {"train": {"read": 7}}}, "g/b": {}}
    (tmp_path / "data.json").write_text(json.dumps({"origins": origins}))
    assert read_source_rows(tmp_path) == {"g/a": SourceRows(("test",), {"train": 7}), "g/b": SourceRows((), {})}
    for text in ("[]", '{"origins": []}', '{"origins": {"a": {"official": {"train": {"read": "7"}}}}}', "{"):
        (tmp_path / "data.json").write_text(text)
        with pytest.raises(ResultsError, match=r"data\.json is not (JSON|of the expected form)"):
            read_source_rows(tmp_path)


def test_named_pipes_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    assert not is_run(tmp_path)
    os.mkfifo(tmp_path / "results.json")
    with pytest.raises(ResultsError, match="it is not the folder of a run"):
        read_runs(tmp_path)


def test_runs_are_read_from_a_file_a_folder_or_its_sub_folders(tmp_path):
    tasks = {"g/a": task(0.5)}
    plain = write_tasks(tmp_path / "multitask-1", tasks)
    for method in ("tfidf", "mean"):
        write_tasks(tmp_path / "probes-1" / method, tasks)
    assert [run.label for run in read_runs(plain)] == ["multitask-1"]
    assert [run.label for run in read_runs(plain / "results.json")] == ["multitask-1"]
    assert [run.label for run in read_runs(tmp_path / "probes-1")] == ["probes-1/mean", "probes-1/tfidf"]
    (run,) = read_runs(plain, "ours")
    assert (run.label, run.tasks, run.facts.seed) == ("ours", {"g/a": parse_task(task(0.5))}, 3)


def test_errors_name_places_without_results(tmp_path):
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


def test_a_run_is_named_as_it_was_given_also_by_a_link_or_a_dot(tmp_path, monkeypatch):
    (tmp_path / "multitask-1").mkdir()
    (tmp_path / "preset").symlink_to(tmp_path / "multitask-1")
    monkeypatch.chdir(tmp_path / "multitask-1")
    assert [name_of(Path(place)) for place in ("../preset", ".", "../preset/")] == ["preset", "multitask-1", "preset"]


def test_the_methods_of_a_run_are_ordered_by_their_numbers(tmp_path):
    for name in ("fit-128", "fit-8", "majority", "fit-16"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, WHOLE)
    assert [run.label.split("/")[1] for run in read_runs(tmp_path)] == ["fit-8", "fit-16", "fit-128", "majority"]
