"""The report has every part with the paper's numbers, or names the missing run."""

import json

import pytest

from metaeval_hub.cli import main
from tests.metaeval_hub.embedded import write_run
from tests.metaeval_hub.report.runs import SOME


def test_report_has_every_table_and_figure_with_the_papers_numbers(report):
    stems = {path.stem for path in report.iterdir()}
    tables = {
        "runs",
        "claims",
        "deviations",
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


def test_missing_runs_are_named_with_their_commands(report):
    text = (report / "report.md").read_text(encoding="utf-8")
    assert "**Missing:** a run of adapter, one per task" in text
    assert "training/single_task.py --preset small --tasks all --methods adapter" in text
    assert "**Missing:** Fisher vectors of the tasks" in text
    assert "training/zero_shot.py --preset small --tasks all --held-out groups" in text
    assert "The sources of 2 tasks had fewer rows than the full task" in text
    assert "RoBERTa-base on all of its 101 tasks" in text


def test_runs_at_their_random_start_are_named_and_not_analysed(tmp_path):
    place = str(write_run(tmp_path / "still-1", tasks=SOME, cosine=0.96))
    assert main(["report", place, "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "still-1: z is still at its random start" in text
    assert "a run whose task embeddings have left their random start" in text
    assert not (tmp_path / "out" / "figure5.png").exists()
