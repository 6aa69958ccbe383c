import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metaeval_training.data.sampling import (
    Batch,
    MixedPlan,
    OneTaskPlan,
    count_draws,
    draw_tasks,
    epoch_batches,
    generator,
    key,
    task_probabilities,
)


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [("sqrt", [0.1, 0.3, 0.6]), ("proportional", [1 / 46, 9 / 46, 36 / 46]), ("uniform", [1 / 3] * 3)],
)
def test_task_probabilities(sampling, expected):
    assert np.allclose(task_probabilities([100, 900, 3600], sampling), expected)


@pytest.mark.parametrize(("temperature", "like"), [(1, "proportional"), (2, "sqrt"), (1e9, "uniform")])
def test_temperatures_between_proportional_and_uniform(temperature, like):
    rows = [100, 900, 3600]
    assert np.allclose(task_probabilities(rows, "temperature", temperature), task_probabilities(rows, like))
    assert np.allclose(task_probabilities([1, 16], "temperature", 4), [1 / 3, 2 / 3])


def test_tasks_are_drawn_with_their_probabilities():
    """Chi-squared against the expected counts; 16.3 is its 99.9 % point for 3 degrees of freedom."""
    expected = np.array([0.1, 0.2, 0.3, 0.4]) * 20_000
    counts = np.bincount(draw_tasks(expected / 20_000, seed=1, draws=20_000), minlength=4)
    assert ((counts - expected) ** 2 / expected).sum() < 16.3


def test_a_longer_run_starts_with_the_same_tasks():
    p = task_probabilities([5, 50, 500], "sqrt")
    assert np.array_equal(draw_tasks(p, 3, 1000)[:100], draw_tasks(p, 3, 100))
    assert not np.array_equal(draw_tasks(p, 3, 100), draw_tasks(p, 4, 100))


@given(st.lists(st.integers(0, 4), max_size=60))
def test_count_draws_counts_earlier_steps_of_the_same_task(tasks):
    assert count_draws(np.array(tasks, dtype=np.int64)).tolist() == [tasks[:i].count(t) for i, t in enumerate(tasks)]


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=150), st.integers(1, 20), st.integers(1, 6), st.integers(0, 2**31)
)
def test_a_pass_has_each_row_once_in_batches_of_nearly_equal_size(lengths, batch_size, bucket_batches, seed):
    batches = epoch_batches(np.array(lengths), batch_size, bucket_batches, seed)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    sizes = {len(batch) for batch in batches}
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


def test_buckets_save_padding():
    lengths = generator("lengths").lognormal(3.3, 0.7, 4000).astype(np.int64) + 3

    def padded(bucket_batches):
        return sum(len(b) * lengths[b].max() for b in epoch_batches(lengths, 16, bucket_batches, 0)) / lengths.sum()

    assert padded(16) < 1.2 < 1.8 < padded(1)


def test_passes_differ_and_repeat_by_their_seed():
    lengths = np.arange(100) % 7
    first, again, other = (epoch_batches(lengths, 8, 2, 0, "task", number) for number in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def make_plan(names=("a", "b"), rows=(40, 90), steps=60, plan=OneTaskPlan, **changes):
    options = {"seed": 5, "batch_size": 8, "bucket_batches": 2, **changes}
    lengths = [np.arange(n) % 11 + 1 for n in rows]
    return plan(names, lengths, task_probabilities(rows, "sqrt"), steps=steps, **options)


@pytest.mark.parametrize("plan", [OneTaskPlan, MixedPlan])
def test_a_batch_depends_on_the_step_and_not_on_what_was_asked_before(plan):
    forward, scattered, longer = make_plan(plan=plan), make_plan(plan=plan), make_plan(plan=plan, steps=200)
    batches = [forward[step] for step in range(len(forward))]
    for step in generator("order").permutation(60):
        for other in (scattered, longer):
            assert np.array_equal(other[step].tasks, batches[step].tasks)
            assert np.array_equal(other[step].rows, batches[step].rows)


def test_a_mixed_plan_takes_the_rows_of_each_task_once_before_any_twice():
    """200 steps of 8 draw about 640 and 960 rows of 40 and 90: a pool is a multiple of neither."""
    plan = make_plan(steps=200, plan=MixedPlan)
    batches = [plan[step] for step in range(200)]
    assert {batch.rows.shape for batch in batches} == {batch.tasks.shape for batch in batches} == {(8,)}
    assert any(len(set(batch.tasks.tolist())) == 2 for batch in batches)
    for task, rows in enumerate((40, 90)):
        seen = np.bincount(np.concatenate([batch.rows[batch.tasks == task] for batch in batches]), minlength=rows)
        assert len(seen) == rows
        assert seen.max() - seen.min() == 1


def test_a_mixed_plan_draws_tasks_with_their_probabilities():
    plan = make_plan(("a", "b", "c"), (1, 9, 36), steps=500, plan=MixedPlan)
    counts = np.bincount(np.concatenate([plan[step].tasks for step in range(500)]), minlength=3)
    expected = np.array([0.1, 0.3, 0.6]) * 4000
    assert ((counts - expected) ** 2 / expected).sum() < 13.8  # the 99.9 % point of chi-squared, 2 degrees of freedom


def test_buckets_of_a_mixed_plan_save_padding():
    lengths = [generator("lengths", task).lognormal(3.3, 0.7, 500).astype(np.int64).clip(3, 64) for task in range(5)]

    def padded(bucket_batches):
        options = {"steps": 96, "seed": 0, "batch_size": 16, "bucket_batches": bucket_batches}
        plan = MixedPlan("abcde", lengths, np.full(5, 0.2), **options)
        batches = [plan[step] for step in range(96)]
        tokens = [[lengths[task][row] for task, row in zip(b.tasks, b.rows, strict=True)] for b in batches]
        return sum(len(batch) * max(batch) for batch in tokens) / sum(map(sum, tokens))

    assert padded(16) < 1.1 < 1.6 < padded(1)


@pytest.mark.parametrize("tasks", [[3], [0, 1, 2, 0, 1]])
def test_processes_share_a_batch_without_overlap(tasks):
    batch = Batch(np.array(tasks), np.arange(5))
    shares = [batch.share(process, 3) for process in range(3)]
    assert sorted(np.concatenate([share.rows for share in shares]).tolist()) == list(range(5))
    for share in shares:
        assert share.tasks.tolist() == (tasks if len(tasks) == 1 else [tasks[row] for row in share.rows])
    assert len(batch.share(5, 6).rows) == 0


def test_a_task_sees_each_row_once_before_any_twice():
    plan = make_plan(steps=200)
    for task, rows in enumerate((40, 90)):
        seen = [plan[step].rows for step in np.flatnonzero(plan.tasks == task)]
        passes = -(-rows // 8)
        assert len(seen) > passes
        assert sorted(np.concatenate(seen[:passes]).tolist()) == list(range(rows))


def test_the_shuffles_of_a_task_do_not_depend_on_the_other_tasks():
    def draws_of_b(plan, number):
        return [plan[step].rows.tolist() for step in np.flatnonzero(plan.tasks == number)][:5]

    assert draws_of_b(make_plan(), 1) == draws_of_b(make_plan(("x", "y", "b"), (30, 20, 90), 200), 2)


def test_keys_tell_parts_apart():
    assert key("a", "bc") != key("ab", "c")
    assert key(0, "tasks") == 0xC0FFEE or key(0, "tasks") < 2**128


@pytest.mark.parametrize("tasks", [[3], [0, 1, 2, 0, 1]])
def test_embeddings_are_drawn_by_seed_and_step_and_dealt_with_their_rows(tasks):
    batch = Batch(np.array(tasks), np.arange(5))
    drawn = batch.draw(7, 11, 3)
    assert drawn.draws.shape == batch.tasks.shape
    assert drawn.draws.tolist() == batch.draw(7, 11, 3).draws.tolist()
    assert batch.draw(7, 11, 1).draws is None
    for process in range(3):
        share = drawn.share(process, 3)
        assert share.draws.tolist() == (drawn.draws.tolist() if len(tasks) == 1 else drawn.draws[share.rows].tolist())
    counts = np.bincount([int(Batch(np.array([0]), np.arange(5)).draw(7, step, 3).draws[0]) for step in range(3000)])
    assert ((counts - 1000) ** 2 / 1000).sum() < 13.8  # the 99.9 % point of chi-squared, 2 degrees of freedom
