"""Stability of planted embeddings is above its chance level, and that of noise is at it."""

import pytest

from metaeval_hub.analysis.stability import stability_across, stability_within
from tests.metaeval_hub.embedded import KINDS, make_run, noise_run


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


def test_errors_state_which_runs_stability_needs():
    with pytest.raises(ValueError, match=r"noise0 has one embedding per task, but .* --embeddings-per-task 3"):
        stability_within([noise_run(0)])
    with pytest.raises(ValueError, match="needs two or more runs"):
        stability_across([noise_run(0)])
