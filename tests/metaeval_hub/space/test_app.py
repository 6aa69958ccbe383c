"""The program of a Space, with a stand-in for Gradio: its answers, its errors, and that the page is built."""

import importlib
import json
import sys
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig

LABELS = {"x/one": ("no", "yes"), "x/pair": ("a", "b", "c"), "x/both": ("p", "q")}


class Refused(Exception):
    """Stands in for gradio.Error."""

    def __init__(self, message, print_exception):
        assert not print_exception  # an error of the visitor needs no traceback in the log
        super().__init__(message)


@pytest.fixture
def gradio():
    return mock.MagicMock(Error=Refused, update=lambda **changes: changes)


@pytest.fixture
def app(gradio, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", gradio)
    monkeypatch.delitem(sys.modules, "metaeval_hub.space.app", raising=False)
    yield importlib.import_module("metaeval_hub.space.app")
    sys.modules.pop("metaeval_hub.space.app", None)


def make(conditioning="pilault", **change):
    config = ConditionalConfig(conditioning, adapter_size=4, max_length=16, **change)
    model = ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=["a cat sat"])
    model.fields.update({"x/one": 1, "x/pair": 2})
    return model


def test_answers_are_those_of_predict(app):
    model = make(dim_z=3)
    for task, given, text in (
        ("x/one", ("a cat", "left over"), "a cat"),
        ("x/pair", ("a cat", "sat"), ("a cat", "sat")),
        ("x/both", ("a cat", " "), "a cat"),
        ("x/both", ("a cat", "sat"), ("a cat", "sat")),
    ):
        found = app.classify(model, task, *given)
        assert list(found) == list(LABELS[task])
        np.testing.assert_array_equal(list(found.values()), model.predict(task, [text]).probabilities[0])


def test_texts_that_are_missing_or_too_long_are_refused(app):
    model = make(dim_z=3)
    with pytest.raises(Refused, match=r"^Enter a text\.$"):
        app.classify(model, "x/one", " ", "")
    with pytest.raises(Refused, match=r"^Enter both texts\.$"):
        app.classify(model, "x/pair", "a cat", "")
    with pytest.raises(Refused, match="more than 20,000 characters; shorten it"):
        app.classify(model, "x/one", "a" * 20_001, "")


def test_the_boxes_fit_the_task(app):
    model = make(dim_z=3)
    first, second, classes, near, answer = app.show_task(model, "x/one")
    assert (first["label"], second["visible"], classes, answer) == ("Text", False, "no, yes", None)
    expected = model.task_embeddings.nearest("x/one")
    assert near == [[name, round(cosine, 2)] for name, cosine in expected]
    first, second, *_ = app.show_task(model, "x/pair")
    assert (first["label"], second["label"], second["visible"]) == ("First text", "Second text", True)
    assert app.show_task(model, "x/both")[1]["label"] == "Second text (may stay empty)"


def test_tasks_without_a_z_have_no_nearest_tasks(app):
    assert app.nearest(make("adapter"), "x/one") == []
    model = make(dim_z=3)
    model.frozen_tasks.add("x/one")
    assert app.nearest(model, "x/one") == []
    assert len(app.nearest(model, "x/pair")) == 2


def test_the_page_is_built_from_the_files_next_to_the_program(app, gradio, tmp_path):
    model = make(dim_z=3)
    model.save_pretrained(tmp_path / "model")
    config = {"format": "metaeval-space", "repo_id": None, "revision": None, "title": "Mine"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded, title = app.load(tmp_path)
    app.build(loaded, title)
    gradio.Blocks.assert_called_once_with(title="Mine", analytics_enabled=False)
    assert gradio.Dropdown.call_args.args[0] == list(LABELS)
    assert gradio.Dataframe.call_args.kwargs["visible"]
    (_, function, inputs, _), options = gradio.on.call_args
    assert list(function("x/one", "a cat", "")) == ["no", "yes"]
    assert len(inputs) == 3
    assert options == {"api_name": "classify"}


def test_a_model_of_the_hub_is_loaded_at_its_commit(app, tmp_path, monkeypatch):
    config = {"format": "metaeval-space", "repo_id": "org/name", "revision": "abc", "title": "Mine"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(app, "ConditionalAdapterModel", SimpleNamespace(from_pretrained=lambda *a, **k: (a, k)))
    assert app.load(tmp_path) == ((("org/name",), {"revision": "abc"}), "Mine")
