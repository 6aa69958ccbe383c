"""Control tasks: twins and permuted tasks on planted embeddings, and on noise."""

import numpy as np
import pytest

from metaeval_hub import TaskEmbeddings
from metaeval_hub.analysis.control_tables import controls
from metaeval_hub.analysis.controls import (
    NoInformationError,
    base_name,
    check_controls,
    describe_controls,
    permuted_tasks,
    twin_rates,
)
from metaeval_hub.analysis.embedded_runs import EmbeddedRun

TASKS = 20


def make(signal, permuted=0, seed=0):
    """Return twins of 20 tasks: ``signal`` times a direction of the task plus noise; and permuted tasks of noise only.

    The permuted tasks are three times as far from the centre.
    """
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(TASKS, 1, 32))
    twins = (signal * own + rng.normal(size=(TASKS, 2, 32))).reshape(2 * TASKS, 32)
    names = [f"g/t{i}~{k}" for i in range(TASKS) for k in (1, 2)]
    names += [f"g/t{i}~permuted" for i in range(permuted)]
    far = 3 * np.sqrt(signal**2 + 1) * rng.normal(size=(permuted, 32))
    return TaskEmbeddings(tuple(names), np.concatenate([twins, far]).astype(np.float32))


def test_planted_twins_are_nearest_and_noise_is_at_chance():
    planted, noise = twin_rates(make(2.0)), twin_rates(make(0.0))
    assert planted.rate == 1.0
    assert planted.ranks.max() == 1.0
    assert planted.p_value < 1e-9
    assert planted.chance == noise.chance == 1 / (2 * TASKS - 1)
    assert noise.rate < 0.15
    assert noise.p_value > 0.05
    assert abs(noise.ranks.mean() - TASKS) < 5  # the middle of 39 ranks


def test_noise_is_rarely_taken_for_information():
    """Of 200 runs of noise, about one in twenty or fewer has p < 0.05: the binomial test is conservative."""
    p_values = [twin_rates(make(0.0, seed=seed)).p_value for seed in range(200)]
    assert np.mean(np.array(p_values) < 0.05) <= 0.07


def test_adam_on_random_gradients_leaves_the_start_but_tells_no_tasks_apart():
    """The cosine with the start, the guard of earlier versions, passes this noise."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=(2 * TASKS, 32)) / 32**0.5
    z, mean, square = start.copy(), 0.0, 0.0
    for step in range(1, 501):
        gradient = rng.normal(size=z.shape)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        z -= 0.1 * (mean / (1 - 0.9**step)) / np.sqrt(square / (1 - 0.999**step))
    cosines = (z * start).sum(axis=1) / np.linalg.norm(z, axis=1) / np.linalg.norm(start, axis=1)
    assert np.abs(cosines).mean() < 0.3
    names = tuple(f"g/t{i}~{k}" for i in range(TASKS) for k in (1, 2))
    with pytest.raises(NoInformationError, match="noise: z does not tell tasks apart better than chance"):
        check_controls(TaskEmbeddings(names, z.astype(np.float32)), "noise")


def test_a_permuted_task_far_from_its_task_and_from_the_centre_is_seen():
    found = permuted_tasks(make(2.0, permuted=10))
    assert found.tasks == tuple(f"g/t{i}" for i in range(10))
    assert found.others == 2 * TASKS + 9
    assert found.farther == 0.0
    assert found.p_value < 1e-4
    assert 5 < found.ranks.mean() < 35
    assert found.permuted_distances.shape == (10,)
    assert found.task_distances.shape == (2 * TASKS,)


def test_a_permuted_task_at_its_own_task_has_rank_1():
    emb = make(2.0)
    values = np.concatenate([emb.values, emb.values[:10:2] * 1.01])
    names = (*emb.names, *(f"g/t{i}~permuted" for i in range(5)))
    assert permuted_tasks(TaskEmbeddings(names, values)).ranks.tolist() == [1.0] * 5


def test_few_or_no_control_tasks_measure_nothing():
    plain = TaskEmbeddings(("g/a", "g/b"), np.eye(2, dtype=np.float32))
    assert twin_rates(plain) is None
    assert permuted_tasks(plain) is None
    assert "the run has no twins. A run of the same settings with --twins measures it" in describe_controls(plain)
    four = make(2.0).select([f"g/t{i}~{k}" for i in range(4) for k in (1, 2)])
    assert twin_rates(four) is None
    with pytest.raises(ValueError, match="no twins in plain; train a run with --twins"):
        controls([EmbeddedRun("plain", "plain", plain)])


def test_runs_whose_twins_are_not_near_each_other_are_refused_unless_forced():
    noise = make(0.0)
    with pytest.raises(NoInformationError, match=r"pass --force to analyse it anyway"):
        check_controls(noise, "runs/noise")
    assert "does not tell tasks apart" in check_controls(noise, "runs/noise", force=True)
    assert "for 100% of tasks (chance 2.6%, p = " in check_controls(make(2.0), "runs/a")


def test_the_table_has_the_means_of_a_run_and_each_task():
    table = controls([EmbeddedRun("one", "runs/one", make(2.0, permuted=10))])
    everything, *each = table.records
    assert everything["task"] == "all 20 tasks with twins"
    assert everything["nearest"] == 1.0
    assert [record["task"] for record in each] == [f"g/t{i}" for i in range(TASKS)]
    assert everything["permuted_distance"] == pytest.approx(np.mean([r["permuted_distance"] for r in each[:10]]))
    assert each[10]["permuted_distance"] is None


@pytest.mark.parametrize(("name", "base"), [("g/t~1", "g/t"), ("g/t~permuted", "g/t"), ("g/t", "g/t"), ("~1", "")])
def test_names_of_control_tasks_contain_the_name_of_their_task(name, base):
    assert base_name(name) == base
