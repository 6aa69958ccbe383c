"""Runs of every kind, and the report of all of them."""

import json

import numpy as np
import pytest

from metaeval_datasets.catalog import get_task
from metaeval_hub import TaskEmbeddings
from metaeval_hub.cli import main
from metaeval_hub.results import paper
from tests.metaeval_hub.embedded import write_results, write_run
from tests.metaeval_hub.report.runs import RNG, SOME, of_each_task, write_few_shot, write_zero_shot


@pytest.fixture(scope="session")
def places(tmp_path_factory):
    """One run of every kind that the report knows, on 20 tasks."""
    folder = tmp_path_factory.mktemp("runs")
    numbers = {"adapter": 2_500_000, "task_embedding": 640, "head": 99}
    places = [
        write_run(folder / "multitask-1", seed=0, tasks=SOME, accuracy=0.7, parameters=numbers),
        write_run(folder / "multitask-2", seed=1, tasks=SOME, accuracy=0.72),
        write_run(folder / "within-1", seed=2, copies=3, tasks=SOME),
        write_results(folder / "single-1" / "full", SOME, 0.65 + 0.01 * RNG.normal(size=20), method="full"),
        write_results(folder / "textemb-1" / "textemb", (), (), method="textemb"),
        write_zero_shot(folder / "zero-1", "ridge_aspects", paper.GLUE, np.linspace(0.6, 0.9, 7)),
        write_zero_shot(folder / "zero-1", "same_type_mean", paper.GLUE, np.linspace(0.5, 0.8, 7)),
    ]
    of_each_task(folder / "single-1" / "full", parameters={"adapter": 22_000_000, "task_embedding": 0, "head": 770})
    TaskEmbeddings(SOME, RNG.normal(size=(20, 6))).save(folder / "textemb-1" / "textemb")
    write_few_shot(folder / "few-1", "zero_shot", 0, [[0.6], [0.7]])
    write_few_shot(folder / "few-1", "zero_shot", 8, [[0.7, 0.8], [0.8, 0.7]], notes=["Drawn at random."])
    write_few_shot(folder / "few-1", "full", 8, [[0.6, 0.6], [0.5, 0.6]])
    places.append(folder / "few-1")
    (folder / "multitask-1" / "data.json").write_text(
        json.dumps(
            {
                "origins": {
                    SOME[1]: {"missing": ["test"]},
                    SOME[2]: {"missing": [], "official": {"train": {"read": 7}}},
                    SOME[3]: {"missing": [], "official": {"train": {"read": get_task(SOME[3]).rows["train"]}}},
                }
            }
        )
    )
    return [str(path) for path in sorted({path if path.name[-1].isdigit() else path.parent for path in places})]


@pytest.fixture(scope="session")
def report(places, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    assert main(["report", *places, "--out", str(out), "--permutations", "1"]) == 0
    return out
