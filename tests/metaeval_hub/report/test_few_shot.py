"""The section on few-shot accuracy."""

import numpy as np
import pytest

from metaeval_hub.cli import main
from metaeval_hub.report.few_shot import ALL_ROWS, TITLES, means_table, task_table
from metaeval_hub.report.inputs import read_inputs
from tests.metaeval_hub.report.runs import SOME, write_few_shot


def test_few_shot_means_are_over_tasks_with_results_of_all_methods(tmp_path):
    folder = tmp_path / "few"
    write_few_shot(folder, "zero_shot", 0, [[0.6], [0.7]], {SOME[2]: "no label row"})
    write_few_shot(folder, "zero_shot", 8, [[0.7, 0.9], [0.8, 0.9]], {SOME[2]: "no label row"})
    write_few_shot(folder, "probe", 8, [[0.5, 0.6], [0.6, 0.5], [0.1, 0.2]])
    write_few_shot(folder, "full", 8, [[0.6, 0.8], [0.6, 0.6], [0.9, 0.9]])
    write_few_shot(folder, "full", 99, [], dict.fromkeys(SOME[:3], "60 training rows are fewer than 99"))
    (runs,) = read_inputs([str(folder)]).few_shot.values()
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


def test_few_shot_run_without_complete_tasks_does_not_break_the_report(tmp_path):
    write_few_shot(tmp_path / "few", "zero_shot", 0, [], {SOME[0]: "no label row"})
    write_few_shot(tmp_path / "few", "fit", 8, [[0.7, 0.9]])
    write_few_shot(tmp_path / "few", "zero_shot", 8, [], {SOME[0]: "no label row"})
    out = tmp_path / "out"
    assert main(["report", str(tmp_path / "few"), "--out", str(out), "--permutations", "1"]) == 0
    text = (out / "report.md").read_text(encoding="utf-8")
    assert f"{SOME[0]} has no result for zero_shot-0, zero_shot-8: no label row." in text
