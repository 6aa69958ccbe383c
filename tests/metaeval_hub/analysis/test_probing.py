"""Tables of probes: planted aspects are predicted, also across groups, and noise is at chance."""

import numpy as np
import pytest

from metaeval_hub import TaskEmbeddings
from metaeval_hub.analysis.embedded_runs import EmbeddedRun
from metaeval_hub.analysis.probing import probing, probing_across
from tests.metaeval_hub.embedded import KINDS, TASKS, make_run, noise_run, planted_features


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


def test_group_membership_does_not_help_across_groups():
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
