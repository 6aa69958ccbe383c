"""AutoConfig and AutoModel load a model as from_pretrained does."""

import json

import pytest
import torch
from transformers import AutoConfig, AutoModel

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig, UnsafeRepositoryError

TEXTS = ["a cat sat", "a dog ran on the mat"]


@pytest.fixture(scope="module")
def model():
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=16)
    return ConditionalAdapterModel.create("tiny", {"x/one": ("no", "yes")}, config, vocabulary=TEXTS)


def change_config(folder, **changes):
    """Change keys of config.json; None removes a key."""
    config = json.loads((folder / "config.json").read_text())
    config = {key: value for key, value in {**config, **changes}.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))


def test_auto_classes_load_a_folder(model, tmp_path):
    model.save_pretrained(tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    assert (config.model_type, config.tasks) == ("metaeval", [{"name": "x/one", "labels": ["no", "yes"]}])
    loaded = AutoModel.from_pretrained(tmp_path)
    assert type(loaded) is ConditionalAdapterModel
    assert torch.equal(loaded.logits("x/one", TEXTS), model.logits("x/one", TEXTS))
    assert AutoModel.from_pretrained(tmp_path, dtype="auto").dtype == torch.float32
    assert AutoModel.from_pretrained(tmp_path, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_auto_model_loads_a_revision_from_the_hub(model, hub):
    repo = hub.name("auto")
    first = model.push_to_hub(repo).rpartition("/")[2]
    changed = ConditionalAdapterModel.from_pretrained(repo)
    changed.heads.bias.data += 1
    changed.push_to_hub(repo)
    assert torch.equal(AutoModel.from_pretrained(repo, revision=first).heads.bias, model.heads.bias)
    assert torch.equal(AutoModel.from_pretrained(repo).heads.bias, changed.heads.bias)


def test_a_folder_of_an_earlier_release_is_loaded(model, tmp_path):
    model.save_pretrained(tmp_path)
    change_config(tmp_path, model_type=None)
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path)
    assert torch.equal(loaded.logits("x/one", TEXTS), model.logits("x/one", TEXTS))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attn_implementation": "org/kernel"}, "attn_implementation"),
        ({"auto_map": {"AutoModel": "evil.Model"}}, "auto_map"),
        ({"surprise": 1}, "unknown key 'surprise'"),
    ],
)
def test_auto_classes_refuse_what_from_pretrained_refuses(model, tmp_path, changes, message):
    model.save_pretrained(tmp_path)
    change_config(tmp_path, **changes)
    for load in (AutoConfig.from_pretrained, AutoModel.from_pretrained, ConditionalAdapterModel.from_pretrained):
        with pytest.raises(UnsafeRepositoryError, match=message):
            load(tmp_path)


def test_auto_model_checks_every_file(model, tmp_path):
    model.save_pretrained(tmp_path)
    (tmp_path / "training_args.bin").touch()
    with pytest.raises(UnsafeRepositoryError, match="contains code, or a pickle"):
        AutoModel.from_pretrained(tmp_path)


def test_another_model_type_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path)
    change_config(tmp_path, model_type="bert")
    with pytest.raises(UnsafeRepositoryError, match="model_type is 'bert'; expected"):
        ConditionalAdapterModel.from_pretrained(tmp_path)
