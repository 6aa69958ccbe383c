"""The benchmark of suggested texts: what each arm labels, the accuracy, and the table."""

import argparse
import json

import numpy as np
import pytest

from benchmarks import suggest
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.model import logistic


@pytest.fixture(autouse=True)
def _few_folds(monkeypatch):
    monkeypatch.setattr(logistic, "REPEATS", 1)


@pytest.fixture
def rows():
    """Two classes, of which the second is in a tenth of the pool; the classes are far from each other."""
    generator = np.random.default_rng(0)
    pool, test = (np.arange(60) % 10 == 0).astype(np.int64), np.arange(20) % 2
    places = np.eye(8)[:2] * 6
    found = {"pool_classes": pool, "test_classes": test, "names": places.astype(np.float32)}
    for part, classes in (("pool", pool), ("test", test)):
        found[part] = (places[classes] + generator.normal(size=(len(classes), 8)) / 10).astype(np.float32)
    return found


def test_each_arm_labels_different_rows_of_the_pool(rows):
    pool = np.arange(5, 60)
    chosen = {arm: suggest.label(rows, arm, pool, 6, 3, seed=0) for arm in suggest.ARMS}
    for places in chosen.values():
        assert len({*places.tolist()} & {*pool.tolist()}) == 6
    assert (suggest.label(rows, "rounds", pool, 6, 1, seed=0) == chosen["typical"]).all()  # one round, nothing labelled
    assert rows["pool_classes"][chosen["typical"]].any()  # a cluster of its own, which random rows may miss


def test_accuracy_is_that_on_test_rows(rows):
    options = argparse.Namespace(seeds=2, share=2 / 3, count=6, rounds=2)
    found = suggest.measure(rows, options)
    assert (found["typical"], found["rounds"]) == (1.0, 1.0)
    assert 0.5 <= found["random"] < 1  # some random rows contain no row of the rare class
    rows["test_classes"] = 1 - rows["test_classes"]
    assert suggest.measure(rows, options) == pytest.approx({arm: 1 - share for arm, share in found.items()})


def test_the_interval_is_a_bootstrap_over_tasks():
    low, high = suggest.interval([0.0, 0.1] * 50)
    width = 1.96 * 0.05 / np.sqrt(100)  # normal approximation of the mean of 100 values with deviation 0.05
    assert (low, high) == pytest.approx((0.05 - width, 0.05 + width), abs=0.002)


def test_the_command_prints_a_table_and_reads_stored_features(tmp_path, monkeypatch, capsys):
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=8)
    model = ConditionalAdapterModel.create("tiny", {"x/one": ("no", "yes")}, config, vocabulary=["a good film"])
    sizes = ["--count", "8", "--rounds", "2", "--seeds", "1", "--pool", "30", "--test", "10", "--cache", str(tmp_path)]
    command = ["suggest.py", "MODEL", "--tasks", "demo/film_reviews", *sizes, "--json", str(tmp_path / "found.json")]
    monkeypatch.setattr("sys.argv", command)
    monkeypatch.setattr(ConditionalAdapterModel, "from_pretrained", lambda place: model)
    suggest.main()
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())["demo/film_reviews"]
    assert printed.startswith(f"demo/film_reviews random {found['random'] * 100:.1f}  typical ")
    difference = (found["rounds"] - found["random"]) * 100
    assert f"rounds: {difference:+.2f} points ({difference:+.2f} to {difference:+.2f}) against random" in printed
    monkeypatch.delattr(ConditionalAdapterModel, "from_pretrained")  # the second run needs no model
    suggest.main()
    assert capsys.readouterr().out == printed
