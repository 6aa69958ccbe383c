"""Our progress bars obey the switches of huggingface_hub and of datasets."""

import sys

import datasets
import huggingface_hub.utils
import pytest

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.utils.progress import bars_are_off

TEXTS = ["the cat sat on the mat", "a dog ran"]


@pytest.fixture(scope="module")
def model():
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)
    return ConditionalAdapterModel.create("tiny", {"x/two": ("no", "yes")}, config, vocabulary=TEXTS)


def bars(model, capsys):
    """Return which of the two bars are shown, although the calls ask for both."""
    model.predict("x/two", TEXTS, batch_size=1, progress=True)
    model.fit_task("x/new", [("a cat", "no"), ("a dog", "yes")], progress=True)
    model.remove_task("x/new")
    written = capsys.readouterr().err
    return [name for name in ("x/two:", "fit x/new:") if name in written]


@pytest.mark.parametrize("library", [huggingface_hub.utils, datasets], ids=["huggingface_hub", "datasets"])
def test_bars_are_shown_unless_a_library_switched_them_off(library, model, capsys, monkeypatch):
    for module, name in (("huggingface_hub", "HF_HUB"), ("datasets", "HF_DATASETS")):  # the tests set both variables
        monkeypatch.setattr(sys.modules[f"{module}.utils.tqdm"], f"{name}_DISABLE_PROGRESS_BARS", None)
    huggingface_hub.utils.enable_progress_bars()
    datasets.enable_progress_bars()
    assert bars(model, capsys) == ["x/two:", "fit x/new:"]
    library.disable_progress_bars()
    assert bars(model, capsys) == []
    library.enable_progress_bars()
    datasets.disable_progress_bars()  # as before the test, which its variable no longer ensures


@pytest.mark.parametrize(("hub", "data", "off"), [(None, "", False), (True, "", True), (None, "yes", True)])
def test_environment_variables_count_before_datasets_is_imported(hub, data, off, monkeypatch):
    monkeypatch.setattr(sys.modules["huggingface_hub.utils.tqdm"], "HF_HUB_DISABLE_PROGRESS_BARS", hub)
    monkeypatch.setenv("HF_DATASETS_DISABLE_PROGRESS_BARS", data)
    monkeypatch.delitem(sys.modules, "datasets")
    assert bars_are_off() is off
    assert "datasets" not in sys.modules
