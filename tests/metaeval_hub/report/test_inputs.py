"""Runs are sorted by experiment, method and settings."""

import json

import numpy as np
import pytest

from metaeval_datasets.catalog import get_task
from metaeval_hub.cli import main
from metaeval_hub.report.inputs import method_of, read_inputs
from metaeval_hub.report.overview import overview
from metaeval_hub.report.paper_tables import compare_methods, table_1
from tests.metaeval_hub.embedded import write_results, write_run
from tests.metaeval_hub.report.runs import SOME, of_each_task


def test_runs_are_sorted_by_kind(places):
    inputs = read_inputs(places)
    assert set(inputs.methods) == {"pilault", "pilault, embeddings per task: 3", "full"}
    assert {key: len(runs) for key, runs in inputs.compared.items()} == {"pilault": 2, "full": 1}
    assert [run.name for run in inputs.single] == ["multitask-1", "multitask-2"]
    assert [run.name for run in inputs.several] == ["within-1"]
    assert set(inputs.vectors) == {"TextEmb"}
    assert set(inputs.zero_shot["glue"]) == {"ridge_aspects", "same_type_mean"}
    declared = get_task(SOME[2]).rows["train"]
    assert inputs.partial == {SOME[1]: "test", SOME[2]: f"train: 7 of {declared:,} rows"}


def test_tasks_with_few_rows_can_be_left_out(places):
    inputs = read_inputs(places, least_rows=300)
    assert inputs.left_out == {SOME[0]: "20 training rows"}
    assert all(SOME[0] not in run.tasks for run in (*inputs.embedded, *inputs.methods["full"]))


@pytest.mark.parametrize(
    ("facts", "method"),
    [
        ({"method": "adapter"}, "adapter"),
        ({"config": {"conditioning": "mahabadi"}}, "mahabadi"),
        ({"config": {"conditioning": "adapter"}}, "shared_adapter"),
        ({"config": {"conditioning": "pilault", "conditioning_vectors": "runs/fisher-1/full/fisher"}}, "fisher"),
        ({"config": {"conditioning": "pilault", "task_features": "aspects"}}, "pilault, z + aspects"),
        ({"config": {"conditioning": "pilault", "embeddings_per_task": 3}}, "pilault, embeddings per task: 3"),
        ({"method": "adapter", "config": {"layer_norm": True}}, "adapter, LayerNorm in the adapter"),
        ({"method": "full", "config": {"layer_norm": True}}, "full"),
        ({"config": {"conditioning": "adapter", "layer_norm": True}}, "shared_adapter, LayerNorm in the adapter"),
        ({"config": {"conditioning": "pilault", "private_rank": 4}}, "pilault, private part of rank 4"),
        ({"config": {"conditioning": "adapter", "private_rank": 2}}, "shared_adapter, private part of rank 2"),
        ({"method": "full", "config": {"refit": True}}, "full, classifiers refitted"),
        (
            {"config": {"conditioning": "mahabadi", "layer_norm": True, "dim_table": 512, "embeddings_per_task": 3}},
            "mahabadi, LayerNorm in the adapter, values per task: 512, embeddings per task: 3",
        ),
    ],
)  # fmt: skip
def test_methods_are_named_by_their_settings(tmp_path, facts, method):
    place = write_results(tmp_path / "run", SOME, np.ones(20), **facts)
    assert method_of(read_inputs([str(place)]).methods[method][0]) == method


def test_only_seeds_of_one_setting_are_averaged_and_analysed(tmp_path):
    def run(folder, seed, **settings):
        config = {"conditioning": "pilault", "embeddings_per_task": 1, "seed": seed, "batch_size": 8, **settings}
        return str(write_run(tmp_path / folder, seed=seed, tasks=SOME, accuracy=0.6 + 0.05 * seed, config=config))

    places = [run("other-1", 5, adapter_size=64, epochs=1.0), run("mahabadi-1", 4, conditioning="mahabadi")]
    places += [run(f"seed{seed}-1", seed, adapter_size=256, epochs=3.0, name=f"seed{seed}") for seed in (0, 1)]
    inputs = read_inputs(places)
    counts = {key: len(runs) for key, runs in inputs.methods.items()}
    assert counts == {"pilault": 2, "pilault; adapter_size 64, epochs 1.0": 1, "mahabadi": 1}
    assert [each.name for each in inputs.single] == ["seed0-1", "seed1-1"]
    table = overview(inputs, places).blocks[0].table
    shown = {row["run"]: row for row in table.records}
    assert shown["other-1"]["method"] == "conditional adapter (Pilault); adapter_size 64, epochs 1.0"
    assert shown["seed0-1"]["trained"] == "256 units, batches of 8, 3 passes"
    assert "analyse seed0-1, seed1-1. They leave out other-1, mahabadi-1, because" in table.notes[-1]
    rows = {row["method"]: row["runs"] for row in table_1(inputs, compare_methods(inputs)).blocks[0].table.records[1:]}
    assert rows["conditional adapter (Pilault)"] == 2
    assert rows["conditional adapter (Pilault); adapter_size 64, epochs 1.0"] == 1


def test_runs_with_other_settings_are_separate(tmp_path):
    for seed, rate in enumerate((5e-5, 2e-4, 2e-4)):
        place = write_results(tmp_path / f"single{seed}", SOME, np.full(20, 0.6), method="full", seed=seed)
        of_each_task(place, rate=rate)
    for number in range(3):  # the last two have the same four settings first
        config = {"conditioning": "pilault", **{f"setting{i}": min(number, 1) for i in range(5)}, "setting5": number}
        write_results(tmp_path / f"multi{number}", SOME, np.full(20, 0.6), config=config)
    inputs = read_inputs(sorted(map(str, tmp_path.iterdir())))
    counts = {key: len(runs) for key, runs in inputs.methods.items()}
    four = "pilault; setting0 1, setting1 1, setting2 1, setting3 1 and 2 more settings"
    assert counts == {"pilault": 1, four: 1, f"{four} (2)": 1, "full": 2, "full; rate 5e-05": 1}


def test_variants_of_the_papers_layers_are_separate_and_named(tmp_path):
    def run(folder, seed, accuracy, **settings):
        config = {"conditioning": "pilault", "seed": seed, "batch_size": 8, **settings}
        write_results(tmp_path / folder, SOME, np.full(20, accuracy), seed=seed, config=config)

    run("earlier", 0, 0.6)  # by a release without these settings
    run("plain", 1, 0.7, layer_norm=False, dim_table=0, private_rank=0, private_lr=0.1, projection_lr=0.1, refit=False)
    run("norm", 0, 0.8, layer_norm=True, dim_table=0)
    run("norm-again", 1, 0.9, layer_norm=True, dim_table=0)
    run("both", 0, 0.5, layer_norm=True, dim_table=512)
    inputs = read_inputs(sorted(map(str, tmp_path.iterdir())))
    norm, both = "pilault, LayerNorm in the adapter", "pilault, LayerNorm in the adapter, values per task: 512"
    assert {key: len(runs) for key, runs in inputs.methods.items()} == {"pilault": 2, norm: 2, both: 1}
    table = table_1(inputs, compare_methods(inputs)).blocks[0].table
    shown = [(row["method"], row["paper"], pytest.approx(row["ours"])) for row in table.records[1:]]
    assert shown == [
        ("conditional adapter (Pilault)", 0.797, 0.65),
        ("conditional adapter (Pilault), LayerNorm in the adapter", 0.797, 0.85),
        ("conditional adapter (Pilault), LayerNorm in the adapter, values per task: 512", 0.797, 0.5),
    ]
    assert any(note.startswith("The paper allows several interpretations of its methods") for note in table.notes)


def test_second_run_with_the_same_seed_is_left_out_and_named(tmp_path):
    def run(name, seed, **settings):
        config = {"conditioning": "pilault", "seed": seed, "batch_size": 8, **settings}
        return str(write_run(tmp_path / name, seed=seed, tasks=SOME, accuracy=0.6 + seed / 10, config=config))

    places = [run("demo-1", 0, threads=2), run("seed0-1", 0, threads=0), run("seed1-1", 1), run("seed2-1", 2)]
    inputs = read_inputs([*places, places[0]])  # one of them is given twice
    assert [each.path.parent.name for each in inputs.methods["pilault"]] == ["demo-1", "seed1-1", "seed2-1"]
    assert [each.name for each in inputs.single] == ["demo-1", "seed1-1", "seed2-1"]
    (remark,) = inputs.repeated
    assert (
        remark == f"{places[1]} is left out: it has the same method, settings and seed as {places[0]}, which is shown"
    )
    assert main(["report", *places, "--out", str(tmp_path / "out"), "--permutations", "1"]) == 0
    assert remark in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out" / "table3.json").read_text())["facts"]["pairs"] == 3
