"""Folders come before Hub ids, and a mistyped path is not asked about."""

from pathlib import Path

import pytest

from metaeval_hub.hub.names import local_folder


def test_folder_comes_before_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "name").mkdir(parents=True)
    (tmp_path / "org" / "file").touch()
    assert local_folder("org/name") == Path("org/name")
    assert local_folder("other/name") is None
    assert local_folder("bert-base-uncased", needs_owner=False) is None
    for name, why in {
        "missing": "there is no such folder",
        "./missing": "there is no such folder",
        "a/b/c": "there is no such folder",
        "~/missing": "there is no such folder",
        "org/missing/": "there is no such folder",
        Path("org/missing"): "there is no such folder",
        Path("org/file"): "it is a file",
    }.items():
        with pytest.raises(
            ValueError, match=rf'is neither a folder nor a Hub id: {why}, .* form "org/name"; check the'
        ):
            local_folder(name)
