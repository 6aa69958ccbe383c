"""Paths and labels of a command line."""

import pytest

from metaeval_hub.cli import compare, main
from metaeval_hub.results.terminal import labelled, path_of
from tests.metaeval_hub.results.test_comparison import task, write


def test_labels_are_distinguished_from_names_with_equals_signs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("lr=0.1-1", "plain", "a b[c]'"):
        (tmp_path / name).mkdir()
    assert labelled("lr=0.1-1") == (None, "lr=0.1-1")
    assert labelled("x=lr=0.1-1") == ("x", "lr=0.1-1")
    assert labelled("x=1=lr=0.1-1") == ("x=1", "lr=0.1-1")
    assert labelled("fixed/z=plain") == ("fixed/z", "plain")
    assert labelled("x=a b[c]'") == ("x", "a b[c]'")
    assert labelled("x=org/name") == ("x", "org/name")
    assert labelled("none/a=b") == (None, "none/a=b")
    for wrong in ("x=", ""):
        with pytest.raises(ValueError, match=r"does not name a run|is empty"):
            labelled(wrong)


def test_tilde_is_the_home_folder_in_all_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "run", {"g/a": task(0.5), "g/b": task(0.7)})
    assert main(["compare", "~/run", "x=~/run", "--out=~/t.md"]) == 0
    assert path_of("~/t.md").exists()
    assert not (tmp_path / "~").exists()
    assert [run.label for run in compare.read_all(["~/run", "x=~/run"])] == ["run", "x"]
