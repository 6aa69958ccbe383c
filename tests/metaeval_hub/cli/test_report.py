"""`metaeval report` leaves out unfinished runs and names them, and pushes the report."""

import pytest

from metaeval_hub.cli import main
from metaeval_hub.cli.report import finished
from tests.metaeval_hub.embedded import TASKS, write_results, write_run

RUN = '{"settings": {"output_dir": "runs"}}'  # settings that every run stores when it starts


@pytest.fixture
def unfinished(tmp_path):
    (tmp_path / "probes-1").mkdir()
    (tmp_path / "probes-1" / "config.json").write_text(RUN)
    return tmp_path / "probes-1"


def test_report_is_written_without_unfinished_runs(unfinished, tmp_path, capsys):
    whole, stray, out = write_results(tmp_path / "full-1", TASKS[:12], [0.6] * 12, method="full"), tmp_path / "x", "out"
    stray.mkdir()
    arguments = ["report", str(unfinished), str(whole), str(stray), "--out", str(tmp_path / out)]
    assert main([*arguments, "--permutations", "1"]) == 0
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"left out: {unfinished} has no results.json: the run is not finished; resume it")
    assert first.endswith(f"--resume {unfinished}")
    assert second == f"left out: {stray} has no results.json and no config.json of a run: it is not the folder of a run"
    assert str(whole) in (tmp_path / out / "report.md").read_text(encoding="utf-8")


def test_no_report_without_a_finished_run(unfinished, tmp_path, capsys):
    arguments = ["--out", str(tmp_path / "out")]
    assert main(["report", str(unfinished), *arguments]) == 1
    assert capsys.readouterr().err.startswith(f"metaeval report: {unfinished} has no results.json: the run is not")
    assert main(["report", str(unfinished), str(unfinished), *arguments]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "metaeval report: none of the 2 is a finished run"
    assert not (tmp_path / "out").exists()


def test_folders_of_vectors_are_accepted_and_missing_folders_are_an_error(tmp_path):
    run = write_run(tmp_path / "multitask-1", tasks=TASKS[:12])
    (run / "task_embeddings").rename(tmp_path / "fisher")
    assert finished([str(run), str(tmp_path / "fisher")]) == [str(run), str(tmp_path / "fisher")]
    with pytest.raises(ValueError, match="multitsk-1 is neither the folder of a run nor"):
        finished([str(run), str(tmp_path / "multitsk-1")])


def test_folder_without_a_run_gives_one_line(tmp_path, capsys):
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "has no results.json" in capsys.readouterr().err


def test_report_is_pushed_to_the_repository_of_the_model(tmp_path, hub, capsys):
    from huggingface_hub import HfApi

    repo = hub.name("model")
    run = str(write_run(tmp_path / "multitask-1", tasks=TASKS[:20]))
    arguments = ["report", run, "--out", str(tmp_path / "out"), "--permutations", "1", "--push", repo]
    assert main(arguments) == 1
    assert f"--push {repo}: this model does not exist" in capsys.readouterr().err
    HfApi().create_repo(repo)
    HfApi().upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id=repo)
    HfApi().upload_file(path_or_fileobj=b"old", path_in_repo="report/old.csv", repo_id=repo)
    assert main(arguments) == 0
    files = set(HfApi().list_repo_files(repo))
    assert {"config.json", "report/report.html", "report/report.md", "report/figure5.svg"} <= files
    assert "report/old.csv" not in files
