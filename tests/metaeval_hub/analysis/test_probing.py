"""Tables of probes: planted aspects are predicted, also across groups, and noise is at chance."""

from dataclasses import replace

import numpy as np
import pytest

from metaeval_hub import TaskEmbeddings
from metaeval_hub.analysis.embedded_runs import EmbeddedRun
from metaeval_hub.analysis.probing import probing, probing_across, standardised
from metaeval_hub.results.schema import RunFacts
from tests.metaeval_hub.embedded import KINDS, TASKS, make_run, noise_run, planted_features


def test_probing_finds_the_planted_type_in_z_and_the_planted_domain_in_texts():
    features = planted_features(TASKS[:28])
    vectors = {"TextEmb": TaskEmbeddings(features.names, features.texts), "Fisher": noise_run(3).embeddings}
    table = probing([make_run(seed=1)], features, vectors, permutations=9)
    rows = {row["features"]: row for row in table.records}
    sets = ["Fisher", "Fisher, standardised", "latent z", "latent + TextEmb", "TextEmb"]
    assert list(rows) == ["majority", *sets]
    assert [name for name, row in rows.items() if "domain_cluster_mark" in row] == ["latent + TextEmb", "TextEmb"]
    assert any(note.startswith("Circular: TextEmb and the domain clusters") for note in table.notes)
    assert rows["latent z"]["task_type"] > 0.8
    assert rows["latent z"]["task_type_p"] == pytest.approx(0.1)
    assert rows["TextEmb"]["domain_cluster"] > 0.8
    assert rows["Fisher"]["task_type"] < rows["majority"]["task_type"] + 0.1
    assert rows["Fisher"]["task_type_p"] > 0.1
    assert rows["latent z"]["task_type_chance"] < rows["majority"]["task_type"]
    aspects = ("domain_cluster", "train_rows", "text_fields", "task_type", "median_words")
    assert rows["majority"]["average"] == pytest.approx(np.mean([rows["majority"][aspect] for aspect in aspects]))


def test_group_membership_does_not_help_across_groups():
    """z that knows nothing but its group tells the type of a task, as long as others of its group are there."""
    groups = [name.partition("/")[0] for name in TASKS]
    rng = np.random.default_rng(0)
    centres = {group: rng.normal(size=16) for group in sorted(set(groups))}
    values = np.stack([centres[group] + 0.05 * rng.normal(size=16) for group in groups]).astype(np.float32)
    run, features = EmbeddedRun("run", "run", TaskEmbeddings(TASKS, values)), planted_features()
    within = {row["features"]: row for row in probing([run], features, {}, permutations=9).records}
    assert within["latent z"]["task_type_p"] == pytest.approx(0.1)
    table = probing_across([run], features, {}, reassignments=1)
    across = {row["features"]: row for row in table.records}
    assert across["latent z"]["task_type"] < within["latent z"]["task_type"] - 0.2
    # types that z contains are predicted in unseen groups
    table = probing_across([make_run(seed=1)], features, {}, reassignments=4)
    planted = {row["features"]: row for row in table.records}
    assert planted["latent z"]["task_type"] > 0.7
    assert planted["latent z"]["task_type_chance"] < 0.4
    assert planted["latent z"]["task_type_p"] == pytest.approx(1 / 5)


def test_constant_aspects_are_neither_probed_nor_averaged():
    tasks = [name for name, kind in zip(TASKS, KINDS, strict=True) if kind == "acceptability"]
    features = planted_features(tuple(tasks))
    table = probing([make_run().select(tasks)], features, {}, permutations=1)
    row = table.records[0]
    assert "task_type" not in row
    varied = [
        row[aspect] for aspect in ("domain_cluster", "train_rows", "median_words", "text_fields") if aspect in row
    ]
    assert row["average"] == pytest.approx(np.mean(varied))
    assert any(
        note.startswith("Not predicted, because they are the same for all tasks") and "task type" in note
        for note in table.notes
    )


def test_probing_needs_tasks_in_common():
    with pytest.raises(ValueError, match="0 tasks are in all runs, features and vectors; expected 3"):
        probing([make_run()], planted_features(), {"TextEmb": TaskEmbeddings(("x/y",), np.ones((1, 2)))})


def test_vectors_of_small_numbers_are_also_probed_standardised():
    """Planted z, as small as Fisher vectors: raw, the probe predicts the majority class; standardised, the type."""
    features, run = planted_features(), make_run(seed=1)
    small = TaskEmbeddings(TASKS, 1e-4 * make_run(seed=2).embeddings.values)
    table = probing([run], features, {"Fisher": small}, permutations=4)
    rows = {row["features"]: row for row in table.records}
    assert rows["Fisher"]["task_type"] == pytest.approx(rows["majority"]["task_type"], abs=0.05)
    assert rows["Fisher, standardised"]["task_type"] > rows["majority"]["task_type"] + 0.2
    assert rows["Fisher, standardised"]["task_type_p"] == pytest.approx(0.2)


def test_standardised_vectors_by_hand():
    found = standardised(np.array([[1.0, 5.0], [3.0, 5.0]]))
    assert found.tolist() == [[-1.0, 0.0], [1.0, 0.0]]


def test_aspects_that_the_runs_cut_off_are_marked():
    features = planted_features()
    most = max(each.median_words for each in features.aspects)
    run = replace(make_run(), facts=RunFacts(settings={"max_train_rows": 600, "max_length": int(most) - 1}))
    table = probing([run], features, {}, permutations=1)
    titles = {column.key: column.title for column in table.columns}
    assert (titles["train_rows"], titles["median_words"]) == ("num rows ‡ %", "text length ‡ %")
    assert titles["task_type"] == "task type %"
    more = sum(each.train_rows > 600 for each in features.aspects)
    assert any(f"at most 600 rows per task and {more} of the tasks have more" in note for note in table.notes)
    run = replace(make_run(), facts=RunFacts(settings={"max_train_rows": 0, "max_length": 2 * int(most)}))
    assert not any("‡" in column.title for column in probing([run], features, {}, permutations=1).columns)
