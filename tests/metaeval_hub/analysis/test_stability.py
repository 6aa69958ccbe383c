"""Stability of planted embeddings is above its chance level, and that of noise is at it."""

import pytest

from metaeval_hub.analysis.neighbours import chance_across, chance_within
from metaeval_hub.analysis.stability import stability_across, stability_within
from tests.metaeval_hub.embedded import KINDS, TASKS, make_run, noise_run


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
        assert rows["all"]["mean_k1"] > 2 * rows["chance"]["mean_k1"]
        assert chance["all"]["mean_k1"] == pytest.approx(chance["chance"]["mean_k1"], abs=0.03)
        assert set(rows) == {*KINDS, "all", "chance"}


def test_errors_state_which_runs_stability_needs():
    with pytest.raises(ValueError, match=r"noise0 has one embedding per task, but .* --embeddings-per-task 3"):
        stability_within([noise_run(0)])
    with pytest.raises(ValueError, match="needs two or more runs"):
        stability_across([noise_run(0)])


def test_chance_levels_of_the_papers_tasks():
    """101 tasks with three embeddings: 2 of the 302 others are of the same task; the paper reports 1.0 ± 0.5 %."""
    assert chance_within(101, 3, 1) == pytest.approx(2 / 302)
    assert chance_within(101, 3, 10) == pytest.approx(0.065, abs=5e-4)
    assert chance_across(101, 1) == pytest.approx(1 / 100)


def test_type_with_one_task_has_no_mean_and_is_last():
    single = next(i for i, kind in enumerate(KINDS) if KINDS.index(kind) == i)
    tasks = [TASKS[single], *(name for name, kind in zip(TASKS, KINDS, strict=True) if kind != KINDS[single])]
    table = stability_across([make_run(seed=seed).select(tasks) for seed in range(2)])
    last, total, _ = table.records[-3:]
    assert (last["type"], last["tasks"], last["only"]) == (KINDS[single], 1, f"(only {TASKS[single]})")
    assert (last["std_tasks"], last["std_runs"], last["std_tasks_k1"]) == (None, None, None)
    assert total["type"] == "all"
    assert total["std_tasks"] is not None
    assert all("only" not in record for record in table.records[:-3])
    assert any(note.startswith("A type with one task has no mean") for note in table.notes)
