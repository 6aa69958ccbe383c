"""The report: every part beside the paper's figures, or with the run that is missing; files that stand alone."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from metaeval_datasets.catalog import get_task
from metaeval_hub import TaskEmbeddings
from metaeval_hub.cli import main
from metaeval_hub.report.claims import claims
from metaeval_hub.report.few_shot import ALL_ROWS, TITLES, means_table, task_table
from metaeval_hub.report.inputs import method_of, read_inputs
from metaeval_hub.report.overview import overview
from metaeval_hub.report.paper_tables import compare_methods, table_1
from metaeval_hub.report.zero_shot import glue_table, group_table
from metaeval_hub.results import paper
from tests.metaeval_hub.embedded import TASKS, write_results, write_run

SOME = TASKS[:20]
RNG = np.random.default_rng(0)


def write_zero_shot(folder, method, tasks, accuracies, held_out="glue"):
    facts = {"method": method, "experiment": "zero_shot", "held_out": held_out}
    return write_results(folder / method, tasks, accuracies, **facts)


def write_few_shot(folder, method, shots, draws, unanswered=(), notes=()):
    """Results of a method at a number of examples; ``draws`` (n, draws) are its accuracies on the first tasks."""
    tasks = SOME[: len(draws)]
    facts = {"experiment": "few_shot", "answered_by": method, "shots": shots, "notes": list(notes)}
    facts |= {"unanswered": dict(unanswered)}
    place = write_results(folder / f"{method}-{shots}", tasks, [np.mean(each) for each in draws], **facts)
    stored = json.loads((place / "results.json").read_text())
    for task, each in zip(tasks, draws, strict=True):
        stored["tasks"][task] |= {"draws": list(each), "spread": float(np.std(each, ddof=1)) if len(each) > 1 else None}
    (place / "results.json").write_text(json.dumps(stored))


def of_each_task(place, **facts):
    """Put facts into the row of every task of written results."""
    stored = json.loads((place / "results.json").read_text())
    for row in stored["tasks"].values():
        row |= facts
    (place / "results.json").write_text(json.dumps(stored))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """One run of every sort that the report knows, on 20 tasks."""
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


@pytest.fixture(scope="module")
def report(places, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    assert main(["report", *places, "--out", str(out), "--permutations", "1"]) == 0
    return out


def test_runs_are_sorted_by_what_they_are(places):
    inputs = read_inputs(places)
    assert set(inputs.methods) == {"pilault", "pilault, embeddings per task: 3", "full"}
    assert {key: len(runs) for key, runs in inputs.compared.items()} == {"pilault": 2, "full": 1}
    assert [run.name for run in inputs.single] == ["multitask-1", "multitask-2"]
    assert [run.name for run in inputs.several] == ["within-1"]
    assert set(inputs.vectors) == {"TextEmb"}
    assert set(inputs.zero_shot["glue"]) == {"ridge_aspects", "same_type_mean"}
    declared = get_task(SOME[2]).rows["train"]
    assert inputs.partial == {SOME[1]: "test", SOME[2]: f"train: 7 of {declared:,} rows"}


def test_every_task_has_its_accuracies_and_what_its_source_lacks(report):
    table = json.loads((report / "tasks.json").read_text(encoding="utf-8"))
    rows = {row["task"]: row for row in table["rows"]}
    assert set(rows) == set(SOME)
    means = [np.mean([row[method] for row in rows.values()]) for method in ("pilault", "full")]
    assert means == pytest.approx([0.71, 0.65], abs=0.01)
    assert rows[SOME[1]]["lacks"] == "test"
    assert rows[SOME[0]]["lacks"] is None


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
    ],
)  # fmt: skip
def test_methods_are_told_by_their_settings(tmp_path, facts, method):
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


def test_runs_of_other_rates_and_of_many_other_settings_are_kept_apart(tmp_path):
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


def test_claims_of_zero_shot_are_the_differences_of_table_5(tmp_path):
    """Over the tasks of its averages: one that is not in the table, and one that a method lacks, stay out."""
    tasks = [*paper.GLUE[:4], "glue/wnli"]
    write_zero_shot(tmp_path / "z", "aware_aspects", tasks, [0.6, 0.7, 0.8, 0.9, 0.9])
    write_zero_shot(tmp_path / "z", "same_type_full", tasks, [0.6, 0.6, 0.7, 0.7, 0.1])
    write_zero_shot(tmp_path / "z", "majority", tasks[1:], [0.5, 0.5, 0.5, 0.5])
    inputs = read_inputs([str(tmp_path / "z")])
    averages = {(row["method"], row["source"]): row["average"] for row in glue_table(inputs.zero_shot["glue"]).records}
    (row,) = claims(inputs, None, {}).blocks[0].table.records
    better, worse = "features-aware, aspects", "same-type full fine-tuning"
    assert row["claim"] == f"zero-shot on GLUE: {better} above {worse}"
    assert row["count"] == "3 tasks"
    assert row["ours"] == pytest.approx(averages[better, "ours"] - averages[worse, "ours"]) == pytest.approx(0.4 / 3)
    assert row["paper"] == pytest.approx(averages[better, "paper"] - averages[worse, "paper"])


def test_tasks_without_an_answer_are_told_in_a_line(tmp_path):
    for method in ("majority", "ridge_aspects"):
        write_zero_shot(tmp_path / "z", method, SOME[:2], [0.5, 0.6], "groups")
    place = tmp_path / "z" / "ridge_aspects" / "results.json"
    stored = json.loads(place.read_text())
    stored["unanswered"] = {name: f"no trained label row for {name}" for name in SOME[2:]}
    place.write_text(json.dumps(stored))
    table = group_table(read_inputs([str(tmp_path / "z")]).zero_shot["groups"])
    (note,) = (note for note in table.notes if note.startswith("Some methods"))
    assert note.startswith("Some methods have no result for 18 tasks")
    assert all(name in note for name in SOME[2:])


def test_a_run_of_seconds_does_not_take_no_minutes(tmp_path):
    place = write_results(tmp_path / "run", SOME, np.ones(20), method="full", seconds={"training": 15, "evaluation": 4})
    table = overview(read_inputs([str(place)]), []).blocks[0].table
    shown = dict(zip([column.key for column in table.columns], table.cells()[0], strict=True))
    assert shown["minutes"] == "0.3"


def test_every_table_and_figure_is_there_beside_the_paper_s(report):
    stems = {path.stem for path in report.iterdir()}
    tables = {
        "runs",
        "claims",
        "table1",
        "table2",
        "table3",
        "table4",
        "table4_groups",
        "table5",
        "prediction",
        "few_shot",
        "tasks",
    }
    assert stems == {*tables, "figure3", "figure4", "figure5", "few_shot_tasks", "report", "report_files"}
    for stem in stems - {"report", "report_files"}:
        stored = json.loads((report / f"{stem}.json").read_text())
        assert stored["made_by"]["command"].startswith("metaeval report ")
    assert all((report / f"figure{i}.{ending}").exists() for i in (3, 4, 5) for ending in ("png", "svg", "csv"))
    rows = {row["method"]: row for row in json.loads((report / "table1.json").read_text())["rows"]}
    pilault = rows["conditional adapter (Pilault)"]
    assert (pilault["paper"], pilault["runs"], pilault["parameters"]) == (0.797, 2, "2.5M (32)")
    assert pilault["ours"] == pytest.approx(0.71)
    assert rows["full fine-tuning, one model per task"]["parameters"] == "22M (22M)"
    assert rows["majority class"]["ours"] == pytest.approx(0.5)
    of_paper = {row["type"]: row["paper"] for row in json.loads((report / "table2.json").read_text())["rows"]}
    assert of_paper["chance"] == 0.01
    assert of_paper["Acceptability"] == 0.571


def test_claims_are_read_with_their_intervals(report):
    rows = {row["claim"]: row for row in json.loads((report / "claims.json").read_text())["rows"]}
    claim = rows["conditional adapter (Pilault) above full fine-tuning, one model per task"]
    assert claim["paper"] == pytest.approx(0.028)
    assert claim["ours"] == pytest.approx(0.06, abs=0.01)
    assert claim["verdict"] == "holds"
    claim = rows["zero-shot on GLUE: offline ridge, aspects above same-type mean embedding"]
    assert (claim["ours"], claim["verdict"]) == (pytest.approx(0.1), "holds")
    assert rows["stability within a run above chance"]["verdict"] == "holds"


def test_what_no_run_speaks_to_is_named_with_its_command(report):
    text = (report / "report.md").read_text(encoding="utf-8")
    assert "**Missing:** a run of adapter, one per task" in text
    assert "training/single_task.py --preset small --tasks all --methods adapter" in text
    assert "**Missing:** Fisher vectors of the tasks" in text
    assert "training/zero_shot.py --preset small --tasks all --held-out groups" in text
    assert "The sources of 2 tasks had fewer rows than the full task" in text
    assert "RoBERTa-base on all of its 101 tasks" in text


def test_the_page_needs_no_other_file(report):
    page = (report / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 4
    assert re.findall(r"(?:src|href)=\"(?!data:)", page) == []
    assert page.count("<h2>") == (report / "report.md").read_text(encoding="utf-8").count("\n## ")


def test_runs_whose_z_has_not_moved_are_named_and_not_analysed(tmp_path):
    place = str(write_run(tmp_path / "still-1", tasks=SOME, cosine=0.96))
    assert main(["report", place, "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "still-1: z is still at its random start" in text
    assert "a run whose task embeddings have left their random start" in text
    assert not (tmp_path / "out" / "figure5.png").exists()


def test_runs_on_other_tasks_are_compared_apart(tmp_path):
    places = []
    for name, tasks, of_seed in (("a", TASKS[:12], 0.6), ("a2", TASKS[:10], 0.7), ("b", TASKS[20:32], 0.8)):
        places.append(write_results(tmp_path / f"{name}-full", tasks, [of_seed] * len(tasks), method="full"))
        places.append(write_run(tmp_path / f"{name}-1", tasks=tasks, seed=len(name)))
    inputs = read_inputs(list(map(str, places)))
    found = [compare_methods(group) for group in inputs.groups]
    assert [each.tasks for each in found] == [TASKS[:10], TASKS[20:32]]
    assert {key: len(runs) for key, runs in inputs.groups[1].methods.items()} == {"full": 1, "pilault": 1}
    assert set(inputs.single[0].tasks) <= set(inputs.features.names)
    assert set(replace(inputs, embedded=inputs.embedded[2:]).features.names) == {*TASKS[20:32]}
    arguments = [*map(str, places), "--out", str(tmp_path / "out"), "--permutations", "1"]
    assert main(["report", *arguments]) == 0
    rows = json.loads((tmp_path / "out" / "table1_2.json").read_text(encoding="utf-8"))["rows"]
    ours = {row["method"]: row["ours"] for row in rows if "spread" in row}
    assert ours["full fine-tuning, one model per task"] == pytest.approx(0.8)
    assert {row["task"] for row in json.loads((tmp_path / "out" / "tasks_2.json").read_text())["rows"]} == {
        *TASKS[20:32]
    }


def test_a_seed_counts_once_and_the_other_run_is_named(tmp_path):
    def run(name, seed, **settings):
        config = {"conditioning": "pilault", "seed": seed, "batch_size": 8, **settings}
        return str(write_run(tmp_path / name, seed=seed, tasks=SOME, accuracy=0.6 + seed / 10, config=config))

    places = [run("demo-1", 0, threads=2), run("seed0-1", 0, threads=0), run("seed1-1", 1), run("seed2-1", 2)]
    inputs = read_inputs([*places, places[0]])  # and one of them twice
    assert [each.path.parent.name for each in inputs.methods["pilault"]] == ["demo-1", "seed1-1", "seed2-1"]
    assert [each.name for each in inputs.single] == ["demo-1", "seed1-1", "seed2-1"]
    (told,) = inputs.repeated
    assert told == f"{places[1]} is left out: it has the same method, settings and seed as {places[0]}, which is shown"
    assert main(["report", *places, "--out", str(tmp_path / "out"), "--permutations", "1"]) == 0
    assert told in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out" / "table3.json").read_text())["facts"]["pairs"] == 3


def test_a_report_takes_the_place_of_an_older_one_and_of_nothing_else(places, tmp_path):
    out = tmp_path / "out"
    assert main(["report", *places, "--out", str(out), "--permutations", "1"]) == 0
    assert (out / "figure4.png").exists()
    (out / "notes.csv").write_text("mine")
    (out / "table2.csv").write_text("changed by hand")
    place = str(write_results(tmp_path / "full-1", SOME, np.ones(20), method="full"))
    assert main(["report", place, "--out", str(out)]) == 0
    listed = json.loads((out / "report_files.json").read_text())
    assert {path.name for path in out.iterdir()} == {*listed, "report_files.json", "notes.csv", "table2.csv"}
    assert "figure4.png" not in listed
    assert (out / "notes.csv").read_text() == "mine"


def test_a_folder_without_a_run_ends_in_a_line(tmp_path, capsys):
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "has no results.json" in capsys.readouterr().err


def test_a_report_goes_into_the_model_s_repository(places, tmp_path, hub, capsys):
    from huggingface_hub import HfApi

    repo = hub.name("model")
    arguments = ["report", places[1], "--out", str(tmp_path / "out"), "--permutations", "1", "--push", repo]
    assert main(arguments) == 1
    assert f"--push {repo}: this model does not exist" in capsys.readouterr().err
    HfApi().create_repo(repo)
    HfApi().upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id=repo)
    HfApi().upload_file(path_or_fileobj=b"old", path_in_repo="report/old.csv", repo_id=repo)
    assert main(arguments) == 0
    files = set(HfApi().list_repo_files(repo))
    assert {"config.json", "report/report.html", "report/report.md", "report/figure5.svg"} <= files
    assert "report/old.csv" not in files


def test_table_5_has_the_paper_s_averages_over_the_tasks_shown(tmp_path):
    shown = paper.GLUE[:3]
    place = write_zero_shot(tmp_path / "z", "ridge_aspects", shown, [0.6, 0.7, 0.8])
    table = glue_table(read_inputs([str(place.parent)]).zero_shot["glue"])
    ours, theirs = table.records
    assert ours["average"] == pytest.approx(0.7)
    assert theirs["average"] == pytest.approx((0.762 + 0.920 + 0.676) / 3)
    assert "Our runs have no results for glue/qqp" in table.notes[1]


def test_averages_of_table_5_are_over_the_tasks_that_every_method_answers(tmp_path):
    """A method that cannot answer a task is not compared with others on it; nor is the paper."""
    shown = paper.GLUE[:3]
    write_zero_shot(tmp_path / "z", "majority", shown, [0.5, 0.6, 0.7])
    write_zero_shot(tmp_path / "z", "ridge_aspects", shown[:2], [0.6, 0.7])
    table = glue_table(read_inputs([str(tmp_path / "z")]).zero_shot["glue"])
    averages = {(row["method"], row["source"]): row["average"] for row in table.records}
    assert averages["majority class", "ours"] == pytest.approx(0.55)
    assert averages["offline ridge, aspects", "ours"] == pytest.approx(0.65)
    assert averages["offline ridge, aspects (features not stated)", "paper"] == pytest.approx((0.762 + 0.920) / 2)
    assert table.records[0][shown[2]] == 0.7
    assert f"the 2 tasks for which all our methods have results: {', '.join(shown[:2])}." in table.notes[0]


def test_groups_are_averaged_by_type_over_the_tasks_of_all_methods(tmp_path):
    for method, accuracy, tasks in (("ridge_aspects", 0.8, SOME), ("majority", 0.5, SOME[:-1])):
        write_zero_shot(tmp_path / "z", method, tasks, np.full(len(tasks), accuracy), "groups")
    table = group_table(read_inputs([str(tmp_path / "z")]).zero_shot["groups"])
    assert table.records[-1]["tasks"] == 19
    assert table.records[-1]["ridge_aspects"] == pytest.approx(0.8)
    assert table.records[-1]["majority"] == pytest.approx(0.5)


def test_few_shot_means_are_over_the_tasks_that_all_methods_answer(tmp_path):
    few = tmp_path / "few"
    write_few_shot(few, "zero_shot", 0, [[0.6], [0.7]], {SOME[2]: "no label row"})
    write_few_shot(few, "zero_shot", 8, [[0.7, 0.9], [0.8, 0.9]], {SOME[2]: "no label row"})
    write_few_shot(few, "probe", 8, [[0.5, 0.6], [0.6, 0.5], [0.1, 0.2]])
    write_few_shot(few, "full", 8, [[0.6, 0.8], [0.6, 0.6], [0.9, 0.9]])
    write_few_shot(few, "full", 99, [], dict.fromkeys(SOME[:3], "60 training rows are fewer than 99"))
    (runs,) = read_inputs([str(few)]).few_shot.values()
    table = means_table(runs)
    rows = {(row["method"], row["shots"]): row for row in table.records}
    ours, probe, full = (TITLES[key] for key in ("zero_shot", "probe", "full"))
    assert set(rows) == {(ALL_ROWS, None), (ours, 0), (ours, 8), (probe, 8), (full, 8)}
    assert rows[ours, 0]["mean"] == pytest.approx(0.65)
    assert rows[ours, 0]["spread"] is None
    assert rows[ours, 8]["mean"] == pytest.approx(0.825)
    assert rows[ours, 8]["spread"] == pytest.approx(np.std([0.75, 0.9], ddof=1))  # of the two draws' means
    # by task 0.8 - 0.55 and 0.85 - 0.55; of two tasks the interval is 12.7 standard errors to either side
    assert rows[ours, 8]["probe"] == "+27.5 (-4.3 to +59.3)"
    assert "full" not in rows[full, 8]
    assert rows[ALL_ROWS, None]["mean"] == pytest.approx(0.5)
    text = " ".join(table.notes)
    assert f"{SOME[2]} has no result for zero_shot-0, zero_shot-8: no label row." in text
    assert f"{SOME[0]} has no result for full-99: 60 training rows are fewer than 99." in text
    by_task = {(row["task"], row["method"]): row for row in task_table(runs).records}
    assert by_task[SOME[2], probe]["k8"] == pytest.approx(0.15)
    assert (SOME[2], ours) not in by_task
    assert by_task["mean of 2", full]["k8"] == pytest.approx(0.65)
    assert "k0" not in by_task["mean of 2", full]


def test_each_few_shot_run_has_its_own_tables_and_figure(tmp_path):
    for name in ("a", "b"):
        write_few_shot(tmp_path / name, "fit", 8, [[0.7, 0.9], [0.8, 0.9]])
    out = tmp_path / "out"
    assert main(["report", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(out), "--permutations", "1"]) == 0
    assert {path.name for path in out.glob("few_shot*.png")} == {"few_shot_tasks.png", "few_shot_2_tasks.png"}
    text = (out / "report.md").read_text(encoding="utf-8")
    assert (
        text.index(f"Results of `{tmp_path / 'a'}`")
        < text.index("(few_shot_tasks.png)")
        < text.index(f"Results of `{tmp_path / 'b'}`")
    )


def test_a_few_shot_run_that_no_task_has_answered_whole_leaves_the_report_as_it_is(tmp_path):
    write_few_shot(tmp_path / "few", "zero_shot", 0, [], {SOME[0]: "no label row"})
    write_few_shot(tmp_path / "few", "fit", 8, [[0.7, 0.9]])
    write_few_shot(tmp_path / "few", "zero_shot", 8, [], {SOME[0]: "no label row"})
    out = tmp_path / "out"
    assert main(["report", str(tmp_path / "few"), "--out", str(out), "--permutations", "1"]) == 0
    text = (out / "report.md").read_text(encoding="utf-8")
    assert f"{SOME[0]} has no result for zero_shot-0, zero_shot-8: no label row." in text
