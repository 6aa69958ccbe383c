"""The whole model as one ONNX graph: the answers of torch, and the files around the graph."""

import json
import shutil

import numpy as np
import pytest
import torch

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig, OnnxModel, UnsafeRepositoryError
from metaeval_hub.cli import main
from metaeval_hub.model.task_changes import add_tasks
from metaeval_hub.safe_files.encoder_files import MODEL_TYPES
from metaeval_hub.serve.limits import Limits
from metaeval_hub.serve.onnx_export import export_onnx
from tests.metaeval_hub.safe_files.test_hostile import tiny_encoder
from tests.metaeval_hub.serve.running import running
from tests.metaeval_hub.serve.test_torch_engine import LABELS, expected, make, questions


@pytest.fixture(scope="module")
def model():
    """A model with a private part for one task."""
    model = make(pooling="mean", private_rank=2)
    with torch.no_grad():
        model.adapter.private.up[0].normal_(std=0.1)
    model.find_private_tasks()
    return model


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return export_onnx(model, tmp_path_factory.mktemp("onnx") / "float32")


@pytest.fixture
def exported_before(folder, monkeypatch):
    """Exports of the model take its graph from the folder, because tracing it takes seconds."""

    def write(model, has_segments, path):
        shutil.copy(folder / "model.onnx", path)

    monkeypatch.setattr("metaeval_hub.serve.onnx_export._write_graph", write)


@pytest.fixture
def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.mark.parametrize("count", [1, 2, 24])
def test_mixed_batches_equal_torch(model, folder, count):
    loaded = OnnxModel(folder, threads=1)
    tasks, texts = questions(count)
    found = loaded.probabilities(loaded.rows(tasks, texts))
    for one, other in zip(found, expected(model, tasks, texts), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_predict_equals_torch(model, folder):
    loaded = OnnxModel(folder, threads=1)
    assert repr(loaded) == "OnnxModel(3 tasks; encoder: tiny, float32)"
    assert (loaded.labels, loaded.fields) == (LABELS, {"x/one": 1, "x/pair": 2})
    texts = ["a", "a cat sat and a dog ran in the rain " * 9, "unknown words", ""]  # the second is truncated
    for task, given in (("x/one", texts), ("x/pair", [(text, "a dog") for text in texts])):
        found, other = loaded.predict(task, given, batch_size=2), model.predict(task, given)
        assert found.labels == other.labels
        np.testing.assert_allclose(found.probabilities, other.probabilities, atol=1e-4)
    assert loaded.predict("x/one", []).probabilities.shape == (0, 2)


def test_errors_of_predict(folder):
    loaded = OnnxModel(folder, threads=1)
    with pytest.raises(KeyError, match="no task 'x/onee' among the 3 of this model; closest: x/one"):
        loaded.predict("x/onee", ["a"])
    with pytest.raises(TypeError, match=r"x/pair is a task over pairs of texts, but texts\[0\] is one text: 'a'"):
        loaded.predict("x/pair", ["a"])
    with pytest.raises(TypeError, match="texts is one string"):
        loaded.predict("x/one", "a")


def test_int8_is_smaller_and_close(model, folder, exported_before, tmp_path):
    small = export_onnx(model, tmp_path / "int8", int8=True)
    assert (small / "model.onnx").stat().st_size < 0.5 * (folder / "model.onnx").stat().st_size
    loaded = OnnxModel(small, threads=1)
    assert loaded.record.weights == "int8"
    tasks, texts = questions()
    pairs = zip(loaded.probabilities(loaded.rows(tasks, texts)), expected(model, tasks, texts), strict=True)
    difference = np.mean([np.abs(one - other).max() for one, other in pairs])
    assert 1e-6 < difference < 0.05


def test_the_files(folder):
    assert {path.name for path in folder.iterdir()} == {"README.md", "config.json", "model.onnx", "tokenizer.json"}
    config = json.loads((folder / "config.json").read_text())
    assert config["tasks"][1] == {"name": "x/pair", "labels": ["same", "other", "none"], "fields": 2}
    assert 'OnnxModel(".").predict(\'x/one\', ["a text"])' in (folder / "README.md").read_text()


def test_an_export_is_served_without_torch(folder, run_python):
    code = (
        "import sys; from metaeval_hub import OnnxModel; model = OnnxModel(sys.argv[1], threads=1)\n"
        "print(model.predict('x/one', ['a cat']).names, 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    assert run_python(code, str(folder)).stdout.strip() == "('no', 'yes') False False"


def test_an_export_is_served(model, folder):
    loaded = OnnxModel(folder, threads=1)
    loaded.held = None
    tasks, texts = questions(6)
    with running(loaded, Limits(batch=4)) as client:
        inputs = [{"task": task, "text": text} for task, text in zip(tasks, texts, strict=True)]
        status, answer = client.predict({"inputs": inputs})
    assert status == 200
    for prediction, other in zip(answer["predictions"], expected(model, tasks, texts), strict=True):
        np.testing.assert_allclose(list(prediction["probabilities"].values()), other, atol=1e-4)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_changed_file_is_refused(copied, name):
    with (copied / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(UnsafeRepositoryError, match=f"{name} is not the file that was exported: its SHA-256 differs"):
        OnnxModel(copied)
    (copied / name).unlink()
    with pytest.raises(UnsafeRepositoryError, match=f"contains no {name}; export the model again"):
        OnnxModel(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "format is 'other' 1; this release reads 'metaeval-onnx' 1"),
        ({"tasks": [{"name": "x"}]}, "tasks is not a list of objects with a name and labels"),
        ({"tasks": [{"name": "x", "labels": ["a"]}]}, "config.json: "),
        ({"max_length": 0}, "max_length is 0; expected a whole number of at least 1"),
        ({"truncation_side": "up"}, "truncation_side is 'up'; expected left or right"),
        ({"sha256": []}, "model.onnx is not the file that was exported"),
        ({"pad_id": None}, "pad_id is None; expected a whole number of at least 0"),
    ],
)
def test_invalid_config(copied, change, message):
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(UnsafeRepositoryError) as caught:
        OnnxModel(copied)
    assert message in str(caught.value)


def test_a_missing_key_is_named(copied):
    config = json.loads((copied / "config.json").read_text())
    del config["base"]
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsafeRepositoryError, match=r"config\.json: the key 'base' is missing"):
        OnnxModel(copied)


def test_other_folders_are_not_overwritten(model, tmp_path):
    saved = model.save_pretrained(tmp_path / "model")
    with pytest.raises(FileExistsError, match="which is not part of an export; choose a new folder"):
        export_onnx(model, saved)
    with pytest.raises(UnsafeRepositoryError, match="this release reads 'metaeval-onnx' 1"):
        OnnxModel(saved)
    assert main(["export-onnx", str(saved), "--out", str(saved)]) == 1


def test_the_command(model, exported_before, tmp_path, capsys):
    saved = model.save_pretrained(tmp_path / "model")
    assert main(["export-onnx", str(saved), "--out", str(tmp_path / "onnx")]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'onnx'}: 3 tasks, 2.")
    assert OnnxModel(tmp_path / "onnx", threads=1).predict("x/any", [("a", "b")]).names == ("a", "b")


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(MODEL_TYPES))
def test_encoders_of_each_type_are_exported(kind, tmp_path):
    tiny_encoder(tmp_path / "encoder", kind)
    config = ConditionalConfig(adapter_size=4, dim_z=5, max_length=16)
    model = ConditionalAdapterModel.create(tmp_path / "encoder", LABELS, config)
    loaded = OnnxModel(export_onnx(model, tmp_path / "onnx"), threads=1)
    texts = ["the cat sat on the mat", "a dog", "the dog sat very very very still on a mat"]
    for task, given in (("x/one", texts), ("x/pair", [(text, "the cat") for text in texts])):
        found, other = loaded.predict(task, given, batch_size=2), model.predict(task, given)
        np.testing.assert_allclose(found.probabilities, other.probabilities, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("conditioning", ["layernorm", "mahabadi", "adapter"])
def test_every_conditioning_is_exported(conditioning, tmp_path):
    model = make(conditioning=conditioning)
    loaded = OnnxModel(export_onnx(model, tmp_path / "onnx"), threads=1)
    for count in (1, 12):
        tasks, texts = questions(count)
        found = loaded.probabilities(loaded.rows(tasks, texts))
        for one, other in zip(found, expected(model, tasks, texts), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.slow
def test_a_task_that_reads_the_encoder_without_adapters_is_exported(tmp_path):
    model = make(pooling="cls")
    model.frozen_tasks.add("x/any")
    loaded = OnnxModel(export_onnx(model, tmp_path / "onnx"), threads=1)
    tasks, texts = questions(12)
    found = loaded.probabilities(loaded.rows(tasks, texts))
    for one, other in zip(found, expected(model, tasks, texts), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_tasks_that_read_all_layers_are_exported(pooling, tmp_path):
    model = make(pooling=pooling, private_rank=2)
    names = dict(list(model.labels.items())[:2])
    model.remove_tasks(names)
    add_tasks(model, names, frozen=list(names)[:1], layered=list(names))
    model.readouts.weight.normal_(std=0.1)
    for task in names:
        vectors = model.heads.table[model.task_id(task), : len(names[task])]
        model.heads.weight.data[vectors] = torch.eye(len(vectors), 128)
    loaded = OnnxModel(export_onnx(model, tmp_path / "onnx"), threads=1)
    tasks, texts = questions(24)
    found = loaded.probabilities(loaded.rows(tasks, texts))
    for one, other in zip(found, expected(model, tasks, texts), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
