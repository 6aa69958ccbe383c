"""A task exported as a stock adapter gives the model's logits in a process without this package."""

import json
import re

import pytest
import torch
from huggingface_hub import HfApi
from safetensors.torch import load_file

from tests.with_adapters import adapters  # isort: skip

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.model.task_changes import add_tasks
from tests.metaeval_hub.model.test_model import hub_encoder
from tests.metaeval_hub.safe_files.test_hostile import tiny_encoder

LABELS = {"x/one": ("no", "yes"), "x/three.way": ("p", "q", "r")}
TEXTS = ["a cat sat", "a dog ran on the mat", "the cat"]
CODE = """
import sys, json, torch, adapters
from adapters import AutoAdapterModel, BertAdapterModel
from transformers import AutoTokenizer, BertConfig, BertModel
base, ids, *folders = sys.argv[1:]
for folder in folders:
    model = AutoAdapterModel.from_pretrained(base)
    if (setup := "setup" in folder):
        model.load_adapter_setup(folder, set_active=True, use_safetensors=True)
    else:
        name = model.load_adapter(folder, set_active=True, use_safetensors=True)
        model.active_head = name
    batch = {key: torch.tensor(value) for key, value in json.loads(ids).items()}
    with torch.inference_mode():
        print(json.dumps(model.eval()(**batch).logits.tolist()))
assert not [name for name in sys.modules if name.startswith("metaeval")]
"""


FEATURES = {"x/one": [0.5, -1.0, 2.0], "x/three.way": [1.5, 0.0, -1.0]}


def make(method: str, adapter_size: int, **choices) -> ConditionalAdapterModel:
    config = ConditionalConfig(conditioning=method, adapter_size=adapter_size, dim_z=5, max_length=16, **choices)
    features = None if choices.get("z_from", "table") == "table" else FEATURES
    model = ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=TEXTS, task_features=features)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def test_stock_library_gives_the_same_logits_without_this_package(tmp_path, run_python):
    expected, folders = [], []
    cases = [
        ("layernorm", 13, {}),
        ("mahabadi", 17, {}),
        ("adapter", 15, {}),
        ("layernorm", 13, {"z_from": "features"}),
        ("layernorm", 13, {"z_from": "both"}),
        ("layernorm", 13, {"embeddings_per_task": 3}),
        ("adapter", 15, {"layer_norm": True}),
        ("mahabadi", 17, {"layer_norm": True, "dim_table": 9}),
        ("pilault", 30, {}),
        ("pilault", 30, {"layer_norm": True, "dim_table": 9}),
    ]
    for number, (method, size, choices) in enumerate(cases):
        model = make(method, size, **choices)
        folder = tmp_path / (f"case{number}" if method != "pilault" else f"setup{number}")
        model.export_adapter("x/three.way", folder)
        assert not list(folder.rglob("*.bin"))
        folders.append(str(folder))
        batch = model.tokenizer(TEXTS, padding=True)
        tensors = {key: torch.tensor(value) for key, value in batch.items()}
        with torch.inference_mode():
            expected.append(model(**tensors, task_ids=torch.tensor([1])).logits)
    model.save_pretrained(tmp_path / "model")  # all have the same encoder
    ids = json.dumps(dict(batch))
    # this package is installed, so the code checks at its end that only the library was imported
    printed = run_python(CODE, str(tmp_path / "model/encoder"), ids, *folders).stdout.strip().splitlines()
    found = [torch.tensor(json.loads(line)) for line in printed]
    for case, got, wanted in zip(cases, found, expected, strict=True):
        if case[0] == "pilault":  # a stack
            torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)
        else:
            assert torch.equal(got, wanted), case


def test_a_model_in_half_precision_is_exported_in_full(tmp_path):
    folder = make("layernorm", 13).bfloat16().export_adapter("x/one", tmp_path / "half")
    full = make("layernorm", 13).bfloat16().float().export_adapter("x/one", tmp_path / "full")
    for file in sorted(path.name for path in full.glob("*.safetensors")):
        expected, found = load_file(full / file), load_file(folder / file)
        for name, tensor in expected.items():
            assert found[name].dtype == torch.float32
            torch.testing.assert_close(found[name], tensor, rtol=0.02, atol=0.02)  # W z was rounded to 8 bits


def test_models_that_no_stock_classifier_can_represent_are_not_exported(tmp_path):
    with pytest.raises(ValueError, match="x/one cannot be exported: the model's classifiers read the mean"):
        make("layernorm", 4, pooling="mean").export_adapter("x/one", tmp_path / "out")
    with pytest.raises(ValueError, match=r"a model of full fine-tuning \('full'\) has no adapter to export"):
        make("full", 4).export_adapter("x/one", tmp_path / "out")
    spoiled = make("layernorm", 4)
    spoiled.heads.bias.data[0] = float("nan")
    with pytest.raises(ValueError, match=r"heads\.bias contains values that are not finite"):
        spoiled.export_adapter("x/one", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_task_that_reads_all_layers_is_not_exported(tmp_path):
    model = make("pilault", 4)
    add_tasks(model, {"my/new": ("a", "b")}, layered=["my/new"])
    with pytest.raises(ValueError, match="my/new reads all layers of the encoder, for which `adapters` has no head"):
        model.export_adapter("my/new", tmp_path / "new")


def test_modernbert_is_not_exported_because_the_library_alters_it(tmp_path):
    tiny_encoder(tmp_path / "encoder", "modernbert")
    model = ConditionalAdapterModel.create(
        tmp_path / "encoder", LABELS, ConditionalConfig(adapter_size=4, max_length=16)
    )
    with pytest.raises(ValueError, match="gives the attention of ModernBERT random biases"):
        model.export_adapter("x/one", tmp_path / "out")


def test_the_folder_of_an_export_may_be_below_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert make("layernorm", 4).export_adapter("x/one", "~/out") == tmp_path / "out"


def run_readme(folder, text, monkeypatch):
    """Run the code of an export's README on another text; return its result."""
    monkeypatch.chdir(folder)
    [code] = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)
    made = {}
    exec(code.replace('tokenizer("a text"', f"tokenizer({text!r}"), made)
    return made


@pytest.mark.parametrize("method", ["pilault", "mahabadi"])
def test_code_in_the_readme_of_an_export_gives_the_models_predictions(method, tmp_path, monkeypatch, capsys):
    long = "a dog ran on the mat " * 9  # is cut
    model = make(method, 8)
    folder = model.export_adapter("x/three.way", tmp_path / "out")
    logits = run_readme(folder, long, monkeypatch)["logits"]
    torch.testing.assert_close(logits, model.logits("x/three.way", [long]), rtol=1e-4, atol=1e-4)
    assert capsys.readouterr().out.strip() == model.predict("x/three.way", [long]).labels[0]


def test_an_export_is_loaded_from_the_hub(tmp_path, hub):
    model = make("layernorm", 8)
    folder = model.export_adapter("x/three.way", tmp_path / "out")
    HfApi().create_repo(repo := hub.name("export"))
    HfApi().upload_folder(repo_id=repo, folder_path=folder)
    stock = adapters.AutoAdapterModel.from_pretrained(folder / "encoder").eval()
    stock.load_adapter(repo, source="hf", set_active=True, use_safetensors=True)
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        assert torch.equal(stock(**batch).logits, model(**batch, task_ids=torch.tensor([1])).logits)


def test_the_readme_of_an_export_finds_an_encoder_of_the_hub(tmp_path, monkeypatch, hub):
    _, commit = hub_encoder(tmp_path / "encoder", repo := hub.name("encoder"))
    model = ConditionalAdapterModel.create(repo, LABELS, ConditionalConfig(adapter_size=4, dim_z=3, max_length=16))
    folder = model.export_adapter("x/one", tmp_path / "out")
    assert f'from_pretrained("{repo}", revision="{commit}")' in (folder / "README.md").read_text()
    assert not (folder / "encoder").exists()
    logits = run_readme(folder, "a cat", monkeypatch)["logits"]
    torch.testing.assert_close(logits, model.logits("x/one", ["a cat"]), rtol=1e-4, atol=1e-4)


def test_non_empty_folder_is_not_written_to(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="is not empty"):
        make("layernorm", 4).export_adapter("x/one", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
