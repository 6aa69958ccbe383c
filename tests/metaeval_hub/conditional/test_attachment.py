"""The hooks in `adapters`: one test a wrapped place, on models of width 16 built from a configuration."""

import adapters
import pytest
import torch
from adapters import BnConfig, ConfigUnion, LoRAConfig, SeqBnConfig
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, BertForSequenceClassification

from metaeval_hub.conditional import attachment
from metaeval_hub.conditional.config import ConditionalBnConfig

SMALL = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
CONFIGS = {
    "bert": SMALL,
    "roberta": {**SMALL, "max_position_embeddings": 40, "type_vocab_size": 1, "pad_token_id": 1},
    "xlm-roberta": {**SMALL, "max_position_embeddings": 40, "type_vocab_size": 1, "pad_token_id": 1},
    "distilbert": {"vocab_size": 30, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24},
    "electra": {**SMALL, "embedding_size": 16},
    "deberta-v2": {**SMALL, "type_vocab_size": 0},
    # hooked from outside: `adapters` has no code of its own for it
    "modernbert": {**SMALL, **{f"{role}_token_id": i for i, role in enumerate(("pad", "bos", "eos", "cls", "sep"))}},
}
IDS = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]])
TASKS = torch.tensor([0, 1, 1])


def conditional(method: str = "pilault") -> ConditionalBnConfig:
    return ConditionalBnConfig(conditioning=method, adapter_size=4, dim_z=3, task_names=("a", "b"))


def build(model_type: str = "bert", kind: type = AutoModel) -> torch.nn.Module:
    torch.manual_seed(0)
    model = kind.from_config(AutoConfig.for_model(model_type, **CONFIGS[model_type]))
    adapters.init(model)
    return model.eval()


def perturb(model: torch.nn.Module) -> None:
    """Move what is trained away from its start, so that a tensor that was lost shows."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.3 * torch.randn_like(parameter)


@pytest.mark.parametrize("method", ["pilault", "layernorm", "mahabadi"])
@pytest.mark.parametrize("model_type", CONFIGS)
def test_adapter_is_trained_saved_and_loaded_by_the_librarys_own_calls(model_type, method, tmp_path):
    model = build(model_type)
    before = model(IDS)[0]
    model.add_adapter("tasks", config=conditional(method))
    model.train_adapter("tasks")
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert trained
    assert all(".adapters.tasks." in name or name.startswith("shared_parameters.tasks.") for name in trained)
    perturb(model)
    model.eval()
    mixed = model(IDS, task_ids=TASKS)[0]
    assert not torch.allclose(mixed, before)
    assert not torch.allclose(mixed, model(IDS, task_ids=TASKS.flip(0))[0])  # the task matters
    model.save_adapter(tmp_path, "tasks")

    other = build(model_type)
    other.load_adapter(str(tmp_path), load_as="renamed", set_active=True)
    assert torch.equal(other.eval()(IDS, task_ids=TASKS)[0], mixed)


def test_explicit_embeddings_equal_those_of_the_table():
    model = build()
    model.add_adapter("tasks", config=conditional(), set_active=True)
    model.train_adapter("tasks")
    perturb(model)
    model.eval()
    z = model.base_model.shared_parameters["tasks"].task_embedding[TASKS]
    assert torch.equal(model(IDS, task_embeddings=z)[0], model(IDS, task_ids=TASKS)[0])


def test_a_pass_without_a_task_says_what_to_pass():
    model = build()
    model.add_adapter("tasks", config=conditional(), set_active=True)
    with pytest.raises(ValueError, match=r"adapter 'tasks' .* pass task_ids="):
        model(IDS)


def test_embeddings_of_the_wrong_length_are_refused():
    model = build()
    model.add_adapter("tasks", config=conditional(), set_active=True)
    with pytest.raises(ValueError, match=r"shape \(B, 3\), got \(3, 5\)"):
        model(IDS, task_embeddings=torch.zeros(3, 5))


def test_gradient_checkpointing_gives_the_same_gradients():
    def gradients(checkpointing: bool) -> list[torch.Tensor]:
        model = build()
        model.add_adapter("tasks", config=conditional())
        model.train_adapter("tasks")
        torch.manual_seed(1)
        perturb(model)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
        model(IDS, task_ids=TASKS)[0].pow(2).sum().backward()
        return [parameter.grad for parameter in model.parameters() if parameter.requires_grad]

    assert all(torch.equal(one, other) for one, other in zip(gradients(False), gradients(True), strict=True))


def test_union_with_a_stock_method_survives_saving(tmp_path):
    model = build()
    model.add_adapter("tasks", config=ConfigUnion(conditional(), LoRAConfig(r=2)), set_active=True)
    model.train_adapter("tasks")
    perturb(model)
    expected = model.eval()(IDS, task_ids=TASKS)[0]
    model.save_adapter(tmp_path, "tasks")
    other = build()
    other.load_adapter(str(tmp_path), set_active=True)
    assert torch.equal(other.eval()(IDS, task_ids=TASKS)[0], expected)


def test_whole_classifier_survives_save_pretrained(tmp_path):
    model = build(kind=AutoModelForSequenceClassification)
    model.add_adapter("tasks", config=conditional(), set_active=True)
    model.train_adapter("tasks")
    perturb(model)
    expected = model.eval()(IDS, task_ids=TASKS).logits
    model.save_pretrained(tmp_path)
    other = adapters.load_model(str(tmp_path), BertForSequenceClassification)
    other.set_active_adapters("tasks")
    assert torch.equal(other.eval()(IDS, task_ids=TASKS).logits, expected)


@pytest.mark.parametrize("weights", [None, [3.0, 1.0]])
@pytest.mark.parametrize("method", ["pilault", "layernorm", "mahabadi"])
def test_average_is_that_of_every_tensor_z_included(method, weights):
    model = build()
    for name in ("one", "other"):
        model.add_adapter(name, config=conditional(method))
        perturb(model)
    model.average_adapter("mean", ["one", "other"], weights, set_active=True)
    share = 0.5 if weights is None else 0.75
    state = {name.replace(".mean.", ".X."): tensor for name, tensor in model.state_dict().items() if ".mean." in name}
    assert "shared_parameters.X.task_embedding" in state
    for name, tensor in state.items():
        one, other = (model.state_dict()[name.replace(".X.", f".{part}.")] for part in ("one", "other"))
        torch.testing.assert_close(tensor, share * one + (1 - share) * other)
    assert torch.isfinite(model(IDS, task_ids=TASKS)[0]).all()


def test_average_over_other_features_is_refused_and_adds_nothing():
    model = build()
    config = ConditionalBnConfig(adapter_size=4, dim_z=3, task_names=("a", "b"), z_from="both", dim_features=2)
    for name, sign in (("one", 1.0), ("other", -1.0), ("same", 1.0)):
        model.add_adapter(name, config=config)
        model.shared_parameters[name].set_features([[0.0, sign], [1.0, 2.0]])
    with pytest.raises(ValueError, match="adapters 'one' and 'other' cannot be averaged: their feature"):
        model.average_adapter("mean", ["one", "other"])
    assert "mean" not in model.adapters_config
    model.average_adapter("mean", ["one", "same"], set_active=True)
    assert torch.equal(model.shared_parameters["mean"].features, model.shared_parameters["one"].features)
    assert torch.isfinite(model(IDS, task_ids=TASKS)[0]).all()


def test_summary_counts_layers_and_embeddings():
    model = build()
    model.add_adapter("tasks", config=conditional())
    # 2 layers x 2 places x (D and U with biases, W_h and W_b), and 2 embeddings of 3 numbers
    assert model.adapter_summary(as_dict=True)[0]["#param"] == 4 * (2 * 16 * 4 + 4 + 16 + 2 * 3 * 16) + 2 * 3


PLACES = [
    (adapters.configuration.AdapterConfig, "_get_config_class"),
    (adapters.methods.bottleneck.BottleneckLayer, "add_adapter"),
    (adapters.model_mixin.ModelAdaptersMixin, "_add_adapter_weights"),
    (adapters.model_mixin.ModelAdaptersMixin, "forward_context"),
    (adapters.model_mixin.ModelAdaptersMixin, "average_adapter"),
    (adapters.loading.AdapterLoader, "filter_func"),
    (adapters.loading.AdapterLoader, "rename_func"),
]


@pytest.fixture
def without_hooks(monkeypatch):
    def remove() -> None:
        for owner, name in PLACES:
            original = getattr(owner, name).__wrapped__
            monkeypatch.setattr(owner, name, staticmethod(original) if name == "_get_config_class" else original)

    return remove


def test_stock_adapters_are_as_without_the_hooks(without_hooks):
    def output() -> torch.Tensor:
        model = build()
        model.add_adapter("stock", config=SeqBnConfig(reduction_factor=4), set_active=True)
        return model(IDS)[0]

    hooked = output()
    without_hooks()
    assert torch.equal(output(), hooked)


def test_stock_library_refuses_our_folder_loudly(tmp_path, without_hooks):
    """Without this package the folder must not load as a plain adapter whose z is silently lost."""
    model = build()
    model.add_adapter("tasks", config=conditional(), set_active=True)
    model.save_adapter(tmp_path, "tasks")
    without_hooks()
    with pytest.raises(KeyError, match="conditional_bn"):
        build().load_adapter(str(tmp_path))


def test_installing_twice_wraps_once():
    before = [getattr(owner, name) for owner, name in PLACES]
    attachment.install()
    assert [getattr(owner, name) for owner, name in PLACES] == before
    assert all(function._metaeval for function in before)


def test_other_versions_of_the_library_are_refused(monkeypatch):
    monkeypatch.setattr(attachment, "version", lambda package: "1.4.0")
    with pytest.raises(ImportError, match=r"extends adapters 1\.3\.x, found 1\.4\.0"):
        attachment.install()


def test_stock_configurations_still_resolve():
    assert type(adapters.AdapterConfig.load(SeqBnConfig(reduction_factor=8).to_dict())) is BnConfig
