"""`metaeval analyze` prints tables, writes files with the command that made them, and reports errors in one line."""

import csv
import json
import re

import numpy as np
import pytest

from metaeval_hub import TaskEmbeddings
from metaeval_hub.cli import main
from tests.metaeval_hub.embedded import TASKS, write_results, write_run


@pytest.fixture
def runs(tmp_path):
    return [str(write_run(tmp_path / f"seed{seed}-1", seed=seed, copies=3)) for seed in range(2)]


@pytest.fixture
def small(tmp_path):
    return str(write_run(tmp_path / "small", tasks=TASKS[:16]))


def test_geometry_writes_a_table_and_figures_with_the_same_stem(runs, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["analyze", "geometry", runs[0], "--method", "pca", "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["pca.csv", "pca.json", "pca.png", "pca.svg"]
    stored = json.loads((out / "pca.json").read_text())
    assert stored["made_by"]["command"] == f"metaeval analyze geometry {runs[0]} --method pca --out {out}"
    with (out / "pca.csv").open() as file:
        assert {row["task"] for row in csv.DictReader(file)} == set(TASKS)
    shown = capsys.readouterr().out
    assert "distance from centre" in shown
    assert "... and 33 more" in shown


def test_figures_of_several_runs_have_different_stems(runs, tmp_path):
    out = tmp_path / "out"
    assert main(["analyze", "geometry", *runs, "--method", "pca", "--out", str(out)]) == 0
    assert {path.stem for path in out.iterdir()} == {"pca-seed0-1", "pca-seed1-1"}


def test_stability_shows_both_tables_with_their_chance_level(runs, tmp_path, capsys):
    assert main(["analyze", "stability", *runs, "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "Stability within a run" in shown
    assert "Stability across runs" in shown
    assert shown.count("chance") == 2
    assert {path.stem for path in (tmp_path / "out").iterdir()} == {"stability_within", "stability_across"}


def test_stability_needs_several_runs_or_embeddings(tmp_path, capsys):
    assert main(["analyze", "stability", str(write_run(tmp_path / "a"))]) == 1
    assert "give two or more runs" in capsys.readouterr().err


def test_probing_uses_the_features_of_the_run_and_further_vectors(small, tmp_path, capsys):
    TaskEmbeddings(TASKS, np.random.default_rng(0).normal(size=(len(TASKS), 5))).save(tmp_path / "fisher")
    arguments = ["--vectors", f"Fisher={tmp_path / 'fisher'}", "--permutations", "3", "--out", str(tmp_path / "out")]
    assert main(["analyze", "probing", small, *arguments]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("Fisher", "latent z", "latent + TextEmb", "majority", "ridge from aspects"))
    assert "p 0.250)" in shown
    assert {path.stem for path in (tmp_path / "out").iterdir()} == {"probing", "probing_across", "prediction"}


def test_error_for_missing_features_names_the_option(small, tmp_path, capsys):
    place = str(write_run(tmp_path / "a", features=False, tasks=TASKS[:16]))
    assert main(["analyze", "probing", place]) == 1
    assert "no task features are stored with a;" in capsys.readouterr().err
    assert main(["analyze", "probing", place, "--features", f"{small}/model", "--permutations", "1"]) == 0


def test_transfer_ranks_tasks_and_compares_with_measured_gains(runs, tmp_path, capsys):
    measured = tmp_path / "gains.csv"
    measured.write_text("target," + ",".join(TASKS[:6]) + "\n" + f"{TASKS[0]},,0.01,0.02,-0.01,0.03,0.05\n")
    assert main(["analyze", "transfer", runs[0], "--target", TASKS[0], "--measured", str(measured)]) == 0
    shown = capsys.readouterr().out
    assert "by z" in shown
    assert "by TextEmb" in shown
    first = next(line for line in shown.splitlines() if line.strip().startswith("1 "))
    assert first.split()[-3:] == ["+5.0", "60.0", "50.0"]
    assert "Do near tasks help?" in shown


def test_transfer_measures_gains_from_runs_with_and_without_a_task(runs, tmp_path, capsys):
    rest = [str(write_run(tmp_path / f"without{i}", tasks=TASKS[:i] + TASKS[i + 1 :], accuracy=0.5)) for i in range(4)]
    assert main(["analyze", "transfer", runs[0], "--measured", runs[0], *rest]) == 0
    assert "Do near tasks help?" in capsys.readouterr().out


def test_transfer_shows_the_accuracies_of_the_run(runs, capsys):
    assert main(["analyze", "transfer", runs[0], "--target", TASKS[0]]) == 0
    first = next(line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("1 ")).split()
    assert first[3:5] == first[7:9] == ["60.0", "50.0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs/a-1"], "unknown analysis 'runs/a-1'; expected .* as in: metaeval analyze geometry runs/a-1$"),
        (["nosuch"], "unknown analysis 'nosuch'; expected .* as in: metaeval analyze geometry runs/multitask-1$"),
        (["probng", "runs/a-1"], "unknown analysis 'probng'; expected .* as in: metaeval analyze probing RUN$"),
        ([], "expected the kind of analysis, geometry, .* as in: metaeval analyze geometry RUN$"),
        (["geometry"], "the following arguments are required: RUN$"),
    ],
)
def test_missing_kind_of_analysis_is_suggested(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["analyze", *arguments])
    assert re.search(message, capsys.readouterr().err.strip())


@pytest.mark.parametrize("command", [["analyze", "geometry"], ["page"]])
def test_error_for_a_run_without_task_embeddings_names_its_kind(tmp_path, command, capsys):
    place = write_results(tmp_path / "single-1" / "full", TASKS[:3], [0.5] * 3, method="full").parent
    assert main([*command, str(place)]) == 1
    error = capsys.readouterr().err
    assert f"{place} has no task embeddings of its own: it is a run of full; expected a run of" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "glue/colla"], "no task 'glue/colla' among 48; closest: glue/cola"),
        ([], "give --target TASK"),
        (["--target", TASKS[0], "--vectors", "TextEmb"], "--vectors TextEmb: expected NAME=FOLDER"),
    ],
)
def test_invalid_arguments_give_one_line(runs, arguments, message, capsys):
    assert main(["analyze", "transfer", runs[0], *arguments]) == 1
    assert message in capsys.readouterr().err


def test_embeddings_at_their_random_start_are_refused_unless_forced(tmp_path, capsys):
    place = str(write_run(tmp_path / "a", cosine=0.95))
    assert main(["analyze", "geometry", place, "--method", "pca"]) == 1
    assert "a: z is still at its random start (mean cos(z, z0) 0.95" in capsys.readouterr().err
    assert main(["analyze", "geometry", place, "--method", "pca", "--force"]) == 0
    assert "warning: a: z is still at its random start" in capsys.readouterr().out
