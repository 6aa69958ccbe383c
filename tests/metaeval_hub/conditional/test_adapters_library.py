"""The extension of `adapters`: one test per wrapped function, on models of width 16 built from a configuration."""

import pytest
import torch
from huggingface_hub import HfApi
from transformers import AutoModel, AutoModelForSequenceClassification, BertForSequenceClassification

from tests.with_adapters import adapters  # isort: skip

from adapters import BnConfig, ConfigUnion, LoRAConfig, SeqBnConfig

from metaeval_hub.conditional import adapters_library
from metaeval_hub.conditional.adapters_library import ConditionalBnConfig, library_config
from metaeval_hub.conditional.attachment import AttachedAdapter
from metaeval_hub.conditional.config import ConditionalConfig
from tests.metaeval_hub.conditional.encoders import CONFIGS, IDS, TASKS, encoder_of, perturb
from tests.metaeval_hub.conditional.test_conditioning import LABELS, MODES, F, some_features


def conditional(method: str = "pilault") -> ConditionalBnConfig:
    return ConditionalBnConfig(conditioning=method, adapter_size=4, dim_z=3, task_names=("a", "b"))


def build(model_type: str = "bert", kind: type = AutoModel) -> torch.nn.Module:
    model = encoder_of(model_type, kind)
    adapters.init(model)
    return model


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


def test_a_conditional_adapter_is_pushed_and_loaded_from_the_hub(hub, tmp_path):
    model = build()
    model.add_adapter("tasks", config=conditional(), set_active=True)
    model.train_adapter("tasks")
    perturb(model)
    expected = model.eval()(IDS, task_ids=TASKS)[0]
    model.save_adapter(tmp_path, "tasks", use_safetensors=True)
    HfApi().create_repo(repo := hub.name("conditional"))
    HfApi().upload_folder(repo_id=repo, folder_path=tmp_path)
    other = build()
    other.load_adapter(repo, source="hf", set_active=True, use_safetensors=True)
    assert torch.equal(other.eval()(IDS, task_ids=TASKS)[0], expected)


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
    adapters_library.install()
    assert [getattr(owner, name) for owner, name in PLACES] == before
    assert all(function._metaeval for function in before)


def test_other_versions_of_the_library_are_refused(monkeypatch):
    monkeypatch.setattr(adapters_library, "version", lambda package: "1.4.0")
    with pytest.raises(ImportError, match=r"extends adapters 1\.3\.x, found 1\.4\.0"):
        adapters_library.install()


def test_stock_configurations_still_resolve():
    assert type(adapters.AdapterConfig.load(SeqBnConfig(reduction_factor=8).to_dict())) is BnConfig


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("conditioning", "other", "conditioning is 'other'"),
        ("adapter_size", 0, "adapter_size must be at least 1"),
        ("is_parallel", True, "is_parallel=True is not supported"),
        ("scaling", "learned", "scaling must be a number, got 'learned'"),
        ("reduction_factor", 16, "give the width as adapter_size"),
        ("z_from", "both", "dim_features is 0 with z_from='both'"),
        ("dim_features", 3, "z_from='table' uses no features"),
        ("embeddings_per_task", 0, "embeddings_per_task must be a whole number of at least 1, got 0"),
        ("dim_table", 8, "dim_table is 8, which is less than dim_z=32"),
    ],
)
def test_configuration_errors_name_the_field(field, value, message):
    with pytest.raises(ValueError, match=message):
        ConditionalBnConfig(**{field: value})
    with pytest.raises(ValueError, match="computes the weights of its LayerNorm from z; leave layer_norm out"):
        ConditionalBnConfig(conditioning="layernorm", layer_norm=True)


def test_configuration_survives_the_librarys_round_trip():
    config = ConditionalBnConfig(
        conditioning="mahabadi", adapter_size=7, dim_z=3, task_names=("a", "b"), layer_norm=True, dim_table=5
    )
    read = adapters.AdapterConfig.load(config.to_dict())
    assert type(read) is ConditionalBnConfig
    assert read == config
    assert read.architecture is None  # to the library it is a bottleneck


@pytest.mark.parametrize("mode", MODES)
def test_librarys_own_calls_save_and_load_what_z_is_made_of(mode, tmp_path):
    fields = MODES[mode]
    width = F if "z_from" in fields else 0
    config = ConditionalBnConfig(adapter_size=4, dim_z=3, task_names=tuple(LABELS), dim_features=width, **fields)
    model, ids, tasks = build(), torch.tensor([[5, 6, 7], [8, 9, 10]]), torch.tensor([3, 1])
    model.add_adapter("tasks", config=config, set_active=True)
    model.train_adapter("tasks")
    conditioning = model.base_model.shared_parameters["tasks"]
    if width:
        conditioning.set_features(some_features())
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.3 * torch.randn_like(parameter)
    assert all(parameter.requires_grad for parameter in conditioning.parameters())
    expected = model.eval()(ids, task_ids=tasks)[0]
    last = conditioning(tasks, fields.get("embeddings_per_task", 1) - 1)
    drawn = model(ids, task_embeddings=last)[0]
    model.save_adapter(str(tmp_path), "tasks")

    other = build()
    other.load_adapter(str(tmp_path), load_as="renamed", set_active=True)
    assert torch.equal(other.eval()(ids, task_ids=tasks)[0], expected)
    again = other.base_model.shared_parameters["renamed"](tasks, fields.get("embeddings_per_task", 1) - 1)
    assert torch.equal(other(ids, task_embeddings=again)[0], drawn)
    assert torch.equal(drawn, expected) == (mode in ("table", "features"))


# --- both attachments ---


VARIANT = {"layer_norm": True, "dim_table": 4}


@pytest.mark.parametrize(
    ("model_type", "method", "fields"),
    [
        *((kind, method, {}) for kind in CONFIGS for method in ("pilault", "layernorm", "mahabadi", "adapter")),
        *(("bert", method, VARIANT) for method in ("pilault", "mahabadi")),
        ("bert", "adapter", {"layer_norm": True}),
    ],
)
def test_both_attachments_give_the_same_bits(model_type, method, fields):
    """Compare starting values, outputs and gradients, for a batch of mixed tasks and a batch of one task."""
    config = ConditionalConfig(method, adapter_size=4, dim_z=3, **fields)
    own_encoder, library = encoder_of(model_type), encoder_of(model_type)
    torch.manual_seed(2)
    own = AttachedAdapter(own_encoder, config, n_tasks=2)
    torch.manual_seed(2)
    adapters.init(library)
    if model_type == "modernbert":  # the library gives its attention random biases
        for layer in library.layers:
            layer.attn.Wqkv.bias.data.zero_()
    library.add_adapter("a", config=library_config(config, ("a", "b"), 16))
    library.train_adapter("a")
    library.eval()
    pairs = list(zip(own.parameters(), trained_in_order(library), strict=True))
    if model_type != "modernbert":
        different = [(one, other) for one, other in pairs if not torch.equal(one, other)]
        gammas = [] if method != "adapter" or not fields else [(0.05, 1.0)] * 4  # the stock LayerNorm starts at 1
        assert [(one[0].item(), other[0].item()) for one, other in different] == [
            (pytest.approx(own), stock) for own, stock in gammas
        ]
    for parameter, other in pairs:
        parameter.data += 0.3 * torch.randn_like(parameter)
        other.data.copy_(parameter)
    for tasks in (TASKS, TASKS[:1]):
        z = None if own.conditioning is None else own.conditioning(tasks)
        with own.active(own_encoder, z):
            found = own_encoder(IDS).last_hidden_state
        expected = library(IDS, **({} if z is None else {"task_ids": tasks})).last_hidden_state
        assert torch.equal(found, expected)
        wanted = torch.autograd.grad(expected.pow(3).sum(), [other for _, other in pairs])
        gradients = torch.autograd.grad(found.pow(3).sum(), [one for one, _ in pairs])
        assert all(torch.equal(one, other) for one, other in zip(gradients, wanted, strict=True))


def trained_in_order(model: torch.nn.Module) -> list[torch.nn.Parameter]:
    """Return the trained tensors of a model of `adapters`: those of the layers in the order of a pass, then z."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    shared = [parameter for name, parameter in named if name.startswith("shared_parameters")]
    attention_first = sorted(
        (number, ("output.adapters" in name and "attention" not in name) or "output_adapters" in name, i)
        for i, (name, _) in enumerate(named)
        if not name.startswith("shared_parameters")
        for number in [int(next(part for part in name.split(".") if part.isdigit()))]
    )
    return [named[i][1] for *_, i in attention_first] + shared
