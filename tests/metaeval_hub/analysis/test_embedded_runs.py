"""Runs with task embeddings are read from every place, and other folders are refused with a reason."""

import numpy as np
import pytest

from metaeval_hub import TaskEmbeddings
from metaeval_hub.analysis.controls import describe_controls
from metaeval_hub.analysis.distance_from_start import StillAtStartError
from metaeval_hub.analysis.embedded_runs import EmbeddedRun, read_all, read_embedded, same_tasks
from tests.metaeval_hub.embedded import KINDS, TASKS, make_run, write_results, write_run

RNG = np.random.default_rng(0)


def test_run_is_read_with_everything_stored(tmp_path):
    run = read_embedded(str(write_run(tmp_path / "a-1", copies=3, cosine=0.25)))
    assert (run.name, run.tasks, run.kinds) == ("a-1", TASKS, KINDS)
    assert run.embeddings.copies.shape == (len(TASKS), 3, 16)
    assert run.features.names == TASKS
    assert run.start_cosines.tolist() == [0.25] * len(TASKS)
    assert run.facts.seed == 0
    assert run.check() == ("", "a-1: " + describe_controls(run.embeddings))


def test_folder_of_task_embeddings_is_read_without_a_run(tmp_path):
    TaskEmbeddings(("my/a", "glue/cola"), np.eye(2)).save(tmp_path / "table")
    run = read_embedded(str(tmp_path / "table"))
    assert (run.name, run.kinds, run.features, run.start_cosines) == ("table", ("unknown", "acceptability"), None, None)
    assert "the distance of z from its random start is not stored" in run.check()[0]


def test_runs_with_the_same_name_are_labelled_by_path(tmp_path):
    places = [str(write_run(tmp_path / part / "same", features=False)) for part in "ab"]
    assert [run.name for run in read_all(places)] == places


def test_run_at_its_random_start_is_refused(tmp_path):
    run = read_embedded(str(write_run(tmp_path, cosine=0.97)))
    with pytest.raises(StillAtStartError, match="still at its random start"):
        run.check()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"results.json": '{"tasks": {}, "config": {"conditioning": "adapter"}}'},
            "has no task embeddings of its own: it is a run of adapter; expected .* with a z, .* or a model$",
        ),
        (
            {
                "config.json": '{"settings": {"output_dir": "runs"}}',
                "full/results.json": '{"tasks": {}, "method": "full"}',
            },
            "it is a run of full; expected",
        ),
        ({"few/results.json": '{"tasks": {}, "experiment": "few_shot"}'}, "it is a run of the experiment few_shot"),
        ({"textemb/results.json": '{"tasks": {"a": {}}}'}, "has no task embeddings of its own; expected"),
        ({"config.json": '{"output_dir": "runs"}'}, "the run is not finished; resume it .* --resume "),
        ({"config.json": '{"format": "x"}'}, "format is 'x'; expected 'metaeval-conditional-adapters'"),
        ({"config.json": "{"}, "config.json"),
        ({"data.json": "{}"}, "has neither .* nor the config.json of a run or a model; expected one of these folders$"),
    ],
)
def test_errors_for_folders_without_embeddings_state_the_reason(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_embedded(str(tmp_path))


def test_vectors_in_a_run_without_z_are_suggested_and_read(tmp_path):
    write_results(tmp_path / "single-1" / "full", TASKS[:3], [0.5] * 3, method="full")
    place = tmp_path / "single-1" / "full" / "fisher"
    TaskEmbeddings(TASKS[:3], np.eye(3)).save(place)
    with pytest.raises(ValueError, match=f"it is a run of full; .*; these folders have some: {place}$"):
        read_embedded(str(tmp_path / "single-1"))
    (place / "results.json").write_text('{"tasks": {}}')  # training/task_vectors.py writes this file next to TextEmb
    assert read_embedded(str(place)).tasks == TASKS[:3]


def test_runs_are_compared_on_the_tasks_they_share():
    one = make_run()
    other = EmbeddedRun("o", "o", TaskEmbeddings(("x/y", *TASKS[5:1:-1]), RNG.normal(size=(5, 4))))
    assert [run.tasks for run in same_tasks([one, other])] == [TASKS[2:6]] * 2
    with pytest.raises(ValueError, match=r"4 tasks are in all runs \(run: 48, o: 5\); expected at least 11"):
        same_tasks([one, other], least=11)


def test_table_on_the_hub_is_read_and_missing_places_are_reported(hub):
    embeddings = TaskEmbeddings(TASKS[:5], RNG.normal(size=(5, 3)))
    repo = hub.name("vectors")
    embeddings.push_to_hub(repo)
    run = read_embedded(repo)
    assert (run.name, run.tasks) == (repo, TASKS[:5])
    with pytest.raises(OSError, match="no-such-thing"):
        read_embedded("somebody/no-such-thing")
    with pytest.raises(ValueError, match=r"'no/such/folder' is neither .*; expected the folder of a run, such as"):
        read_embedded("no/such/folder")
