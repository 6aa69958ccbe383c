"""Analyses of runs with planted embeddings: what was planted is in the tables, beside the chance level."""

import numpy as np
import pytest

from metaeval_hub import TaskEmbeddings
from metaeval_hub.analysis.distance_from_start import StillAtStartError
from metaeval_hub.analysis.embedded_runs import EmbeddedRun, read_all, read_embedded, same_tasks
from metaeval_hub.analysis.geometry import geometry
from metaeval_hub.analysis.prediction import prediction
from metaeval_hub.analysis.probing import probing, probing_across
from metaeval_hub.analysis.stability import stability_across, stability_within
from tests.metaeval_hub.embedded import KINDS, TASKS, planted_features, planted_values, write_results, write_run

RNG = np.random.default_rng(0)


def make_run(name="run", **options):
    values = planted_values(**options)
    return EmbeddedRun(name, name, TaskEmbeddings(TASKS, values[:, 0], values if values.shape[1] > 1 else None))


def noise_run(seed, copies=1):
    values = np.random.default_rng(seed).normal(size=(len(TASKS), copies, 16))
    return EmbeddedRun(f"noise{seed}", "noise", TaskEmbeddings(TASKS, values[:, 0], values if copies > 1 else None))


# --- Reading ---


def test_a_run_is_read_with_all_that_is_stored(tmp_path):
    run = read_embedded(str(write_run(tmp_path / "a-1", copies=3, cosine=0.25)))
    assert (run.name, run.tasks, run.kinds) == ("a-1", TASKS, KINDS)
    assert run.embeddings.copies.shape == (len(TASKS), 3, 16)
    assert run.features.names == TASKS
    assert run.start_cosines.tolist() == [0.25] * len(TASKS)
    assert run.facts.seed == 0
    assert run.check() is None


def test_a_folder_of_task_embeddings_is_read_alone(tmp_path):
    TaskEmbeddings(("my/a", "glue/cola"), np.eye(2)).save(tmp_path / "table")
    run = read_embedded(str(tmp_path / "table"))
    assert (run.name, run.kinds, run.features, run.start_cosines) == ("table", ("unknown", "acceptability"), None, None)
    assert "the distance of z from its random start is not stored" in run.check()


def test_runs_of_one_name_are_told_apart(tmp_path):
    places = [str(write_run(tmp_path / part / "same", features=False)) for part in "ab"]
    assert [run.name for run in read_all(places)] == places


def test_what_has_not_moved_is_refused(tmp_path):
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
def test_folders_without_embeddings_say_what_they_lack(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_embedded(str(tmp_path))


def test_vectors_inside_a_run_without_z_are_named_and_read(tmp_path):
    write_results(tmp_path / "single-1" / "full", TASKS[:3], [0.5] * 3, method="full")
    place = tmp_path / "single-1" / "full" / "fisher"
    TaskEmbeddings(TASKS[:3], np.eye(3)).save(place)
    with pytest.raises(ValueError, match=f"it is a run of full; .*; these folders have some: {place}$"):
        read_embedded(str(tmp_path / "single-1"))
    (place / "results.json").write_text('{"tasks": {}}')  # as training/task_vectors.py writes it beside TextEmb
    assert read_embedded(str(place)).tasks == TASKS[:3]


def test_runs_are_compared_on_the_tasks_they_share():
    one = make_run()
    other = EmbeddedRun("o", "o", TaskEmbeddings(("x/y", *TASKS[5:1:-1]), RNG.normal(size=(5, 4))))
    assert [run.tasks for run in same_tasks([one, other])] == [TASKS[2:6]] * 2
    with pytest.raises(ValueError, match=r"4 tasks are in all runs \(run: 48, o: 5\); expected at least 11"):
        same_tasks([one, other], least=11)


# --- Tables ---


def test_geometry_places_several_embeddings_around_their_task():
    table = geometry(make_run(copies=3), "pca")
    row = table.records[0]
    assert row["x"] == pytest.approx(np.mean([row["x1"], row["x2"], row["x3"]]))
    distances = [row["distance"] for row in table.records]
    assert distances == sorted(distances, reverse=True)
    assert "Each task has 3 embeddings" in table.notes[1]


def test_distance_from_the_centre_is_in_the_space_of_z():
    table = geometry(make_run(), "pca")
    values = planted_values()[:, 0].astype(float)
    expected = dict(zip(TASKS, np.linalg.norm(values - values.mean(axis=0), axis=1), strict=True))
    assert {row["task"]: row["distance"] for row in table.records} == pytest.approx(expected)


def test_planted_embeddings_are_stable_and_noise_is_at_chance():
    for table, noise in (
        (stability_within([make_run(copies=3)]), stability_within([noise_run(seed, 3) for seed in range(8)])),
        (
            stability_across([make_run(seed=seed) for seed in range(3)]),
            stability_across([noise_run(seed) for seed in range(8)]),
        ),
    ):
        rows, chance = {row["type"]: row for row in table.records}, {row["type"]: row for row in noise.records}
        assert rows["all"]["mean"] > 2 * rows["chance"]["mean"]
        assert chance["all"]["mean"] == pytest.approx(chance["chance"]["mean"], abs=0.03)
        assert set(rows) == {*KINDS, "all", "chance"}


def test_stability_says_what_it_needs():
    with pytest.raises(ValueError, match=r"noise0 has one embedding per task, but .* --embeddings-per-task 3"):
        stability_within([noise_run(0)])
    with pytest.raises(ValueError, match="needs two or more runs"):
        stability_across([noise_run(0)])


def test_probing_finds_the_planted_type_in_z_and_the_planted_domain_in_texts():
    features = planted_features(TASKS[:28])
    vectors = {"TextEmb": TaskEmbeddings(features.names, features.texts), "Fisher": noise_run(3).embeddings}
    table = probing([make_run(seed=1)], features, vectors, permutations=9)
    rows = {row["features"]: row for row in table.records}
    assert list(rows) == ["majority", "Fisher", "latent z", "latent + TextEmb", "TextEmb"]
    assert rows["latent z"]["task_type"] > 0.8
    assert rows["latent z"]["task_type_p"] == pytest.approx(0.1)
    assert rows["TextEmb"]["domain_cluster"] > 0.8
    assert rows["Fisher"]["task_type"] < rows["majority"]["task_type"] + 0.1
    assert rows["Fisher"]["task_type_p"] > 0.1
    assert rows["latent z"]["task_type_chance"] < rows["majority"]["task_type"]
    aspects = ("domain_cluster", "train_rows", "text_fields", "task_type", "median_words")
    assert rows["majority"]["average"] == pytest.approx(np.mean([rows["majority"][aspect] for aspect in aspects]))


def test_what_a_group_has_in_common_is_not_read_across_groups():
    """z that knows nothing but its group tells the type of a task, as long as others of its group are there."""
    groups = [name.rpartition("/")[0] for name in TASKS]
    rng = np.random.default_rng(0)
    centres = {group: rng.normal(size=16) for group in sorted(set(groups))}
    values = np.stack([centres[group] + 0.05 * rng.normal(size=16) for group in groups]).astype(np.float32)
    run, features = EmbeddedRun("run", "run", TaskEmbeddings(TASKS, values)), planted_features()
    within = {row["features"]: row for row in probing([run], features, {}, permutations=9).records}
    assert within["latent z"]["task_type_p"] == pytest.approx(0.1)
    table = probing_across([run], features, {}, reassignments=1)
    across = {row["features"]: row for row in table.records}
    assert across["latent z"]["task_type"] < within["latent z"]["task_type"] - 0.2
    # types that z does hold are read in groups that were never seen
    table = probing_across([make_run(seed=1)], features, {}, reassignments=4)
    planted = {row["features"]: row for row in table.records}
    assert planted["latent z"]["task_type"] > 0.7
    assert planted["latent z"]["task_type_chance"] < 0.4
    assert planted["latent z"]["task_type_p"] == pytest.approx(1 / 5)


def test_what_is_the_same_for_all_tasks_is_not_probed_nor_averaged():
    tasks = [name for name, kind in zip(TASKS, KINDS, strict=True) if kind == "acceptability"]
    features = planted_features(tuple(tasks))
    table = probing([make_run().select(tasks)], features, {}, permutations=1)
    row = table.records[0]
    assert "task_type" not in row
    varied = [
        row[aspect] for aspect in ("domain_cluster", "train_rows", "median_words", "text_fields") if aspect in row
    ]
    assert row["average"] == pytest.approx(np.mean(varied))
    assert any(note.startswith("Not predicted, because they are the same for all tasks") and "task type" in note for note in table.notes)


def test_probing_needs_tasks_in_common():
    with pytest.raises(ValueError, match="0 tasks are in all runs, features and vectors; expected 3"):
        probing([make_run()], planted_features(), {"TextEmb": TaskEmbeddings(("x/y",), np.ones((1, 2)))})


def test_planted_types_predict_z_and_noise_is_not_predicted():
    features = planted_features()
    vectors = {"TextEmb": TaskEmbeddings(TASKS, features.texts)}
    rows = {row["method"]: row for row in prediction([make_run(seed=1), make_run(seed=2)], features, vectors).records}
    assert rows["mean of the other tasks"]["explained"] == 0
    assert rows["ridge from aspects"]["explained"] > 0.3
    assert rows["mean of the other tasks of its type"]["explained"] > 0.3
    assert rows["ridge from aspects"]["rank"] < 8
    assert rows["ridge from TextEmb"]["explained"] < 0.2
    assert rows["ridge from TextEmb"]["explained_std"] is not None
    noise = {row["method"]: row for row in prediction([noise_run(0)], features, vectors).records}
    assert noise["ridge from aspects"]["explained"] < 0.05


def test_a_table_on_the_hub_is_read_and_what_is_nowhere_is_said(hub):
    embeddings = TaskEmbeddings(TASKS[:5], RNG.normal(size=(5, 3)))
    repo = hub.name("vectors")
    embeddings.push_to_hub(repo)
    run = read_embedded(repo)
    assert (run.name, run.tasks) == (repo, TASKS[:5])
    with pytest.raises(OSError, match="no-such-thing"):
        read_embedded("somebody/no-such-thing")
    with pytest.raises(ValueError, match="'no/such/folder' is neither a folder nor a Hub id"):
        read_embedded("no/such/folder")
