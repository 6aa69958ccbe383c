"""A new report replaces the files of an older one."""

import json

import numpy as np

from metaeval_hub.cli import main
from tests.metaeval_hub.embedded import write_results
from tests.metaeval_hub.report.runs import SOME


def test_report_replaces_the_files_of_an_older_one_and_no_others(places, tmp_path):
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
