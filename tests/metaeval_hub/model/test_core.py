"""Baselines without task embeddings agree with the stock library and plain transformers."""

import numpy as np
import pytest
import torch
from transformers import AutoModel

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.encoders.encoder import load_encoder
from metaeval_hub.model.task_changes import add_tasks
from metaeval_hub.safe_files.encoder_files import MODEL_TYPES
from tests.metaeval_hub.safe_files.test_hostile import tiny_encoder

LABELS = {"x/two": ("no", "yes"), "x/three": ("p", "q", "r")}
TEXTS = ["the cat sat on the mat", "a dog ran", "the dog sat very very very still on a mat today"]


def make(method: str, **fields) -> ConditionalAdapterModel:
    config = ConditionalConfig(conditioning=method, adapter_size=13, max_length=16, **fields)
    model = ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=TEXTS)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def plain_encoder(tmp_path):
    """Return the tiny encoder as transformers loads it."""
    ConditionalAdapterModel.create("tiny", LABELS, ConditionalConfig(adapter_size=1), vocabulary=TEXTS).save_pretrained(
        tmp_path / "plain"
    )
    return AutoModel.from_pretrained(tmp_path / "plain/encoder", add_pooling_layer=False).eval()


def test_full_fine_tuning_is_the_plain_encoder_with_gradients_in_every_weight(tmp_path):
    model, encoder = make("full"), plain_encoder(tmp_path)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    encoder.load_state_dict(model.encoder.state_dict())
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    logits = torch.nn.functional.linear(
        encoder(**batch).last_hidden_state[:, 0], model.heads.weight[:2], model.heads.bias[:2]
    )
    found = model(**batch, task_ids=torch.tensor([0])).logits
    assert torch.equal(found, logits)
    wanted = torch.autograd.grad(logits.pow(2).sum(), list(encoder.parameters()))
    found.pow(2).sum().backward()
    gradients = [parameter.grad for parameter in model.trainable_groups()["adapter"]]
    assert all(torch.equal(one, other) for one, other in zip(gradients, wanted, strict=True))
    fresh = ConditionalAdapterModel.create("tiny", LABELS, ConditionalConfig(conditioning="full"), vocabulary=TEXTS)
    assert all(torch.equal(tensor, before[name]) for name, tensor in fresh.encoder.state_dict().items())


@pytest.mark.parametrize("method", ["adapter", "full"])
def test_errors_for_missing_task_embeddings_name_the_method(method):
    model = make(method)
    with pytest.raises(ValueError, match=f"conditioning '{method}' is a baseline without task embeddings"):
        _ = model.task_embeddings
    with pytest.raises(ValueError, match=f"conditioning '{method}' is a baseline"):
        model.add_task("x/new", ("a", "b"), task_embedding=np.zeros(32))
    assert model.task_names == tuple(LABELS)


@pytest.mark.parametrize("method", ["adapter", "full"])
def test_tasks_of_baselines_are_added_removed_and_fitted_by_classifier_only(method):
    model = make(method)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    before = model.logits("x/three", TEXTS)
    model.fit_task("my/task", [("the cat", "cat"), ("a dog", "dog")])
    assert model.predict("my/task", ["the cat", "a dog"]).labels == ["cat", "dog"]
    assert torch.equal(model.logits("x/three", TEXTS), before)
    model.remove_task("my/task")
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("method", ["pilault", "mahabadi", "adapter"])
def test_a_model_with_layer_norm_starts_near_its_encoder_learns_gamma_and_beta_and_is_stored(method, tmp_path):
    fields = {} if method == "adapter" else {"dim_table": 40}
    config = ConditionalConfig(method, adapter_size=13, max_length=16, layer_norm=True, **fields)
    model = ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=TEXTS)
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    plain = model.encoder(**batch).last_hidden_state[:, 0]
    pooled = model.encode(batch, model.embed_tasks(torch.tensor([1])))
    assert 0.01 < (pooled - plain).norm() / plain.norm() < 0.3
    model = make(method, layer_norm=True, **fields)
    model(**batch, task_ids=torch.tensor([1]), labels=torch.tensor([0, 1, 2])).loss.backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    norms = {name for name in model.trained_state() if "adapter_norm_after" in name}
    assert len(norms) == 2 * 2 * len(model.adapter.layers)  # gamma and beta at both places of each layer
    assert norms <= reached
    if fields:
        assert {"adapter.conditioning.table_projection.weight", "adapter.conditioning.task_embedding"} <= reached
        assert model.conditioning.task_embedding.grad.any(dim=1).tolist() == [False, True]
    assert {id(model.get_parameter(name)) for name in norms} <= {id(p) for p in model.trainable_groups()["adapter"]}
    model.save_pretrained(tmp_path)
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path)
    assert (loaded.config.layer_norm, loaded.config.dim_table) == (True, fields.get("dim_table", 0))
    assert torch.equal(loaded.logits("x/three", TEXTS), model.logits("x/three", TEXTS))
    assert "with a learned LayerNorm at the end of the bottleneck" in (tmp_path / "README.md").read_text()
    if fields:
        assert "40 learned numbers, projected to 32 by one linear layer" in (tmp_path / "README.md").read_text()


def test_full_fine_tuning_keeps_no_second_encoder(tmp_path):
    model = make("full")
    make("adapter").save_pretrained(tmp_path)  # an earlier model in the folder, with its encoder
    model.save_pretrained(tmp_path)
    assert [path.name for path in (tmp_path / "encoder").iterdir()] == ["config.json"]
    assert "A fully fine-tuned encoder for 2 classification tasks" in (tmp_path / "README.md").read_text()
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path)
    assert loaded.base == model.base
    assert all(
        torch.equal(one, other)
        for one, other in zip(loaded.state_dict().values(), model.state_dict().values(), strict=True)
    )
    with pytest.raises(ValueError, match="full fine-tuning replaced the encoder's weights"):
        model.save_pretrained(tmp_path, include_base=True)


@pytest.mark.parametrize("encoder_dropout", [False, True])
def test_full_fine_tuning_drops_units_only_if_asked(encoder_dropout):
    model = make("full", encoder_dropout=encoder_dropout)
    for module in model.encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    model.train()
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    first, second = (model(**batch, task_ids=torch.tensor([0])).logits for _ in range(2))
    same = torch.equal(first, second)
    assert same is not encoder_dropout


@pytest.mark.parametrize("kind", sorted(MODEL_TYPES))
@pytest.mark.parametrize("method", ["adapter", "full", "both"])
def test_every_encoder_type_trains_all_tensors_and_is_loaded_bit_identically(kind, method, tmp_path):
    """Training with several processes fails if a tensor has no gradient in a mixed step."""
    tiny_encoder(tmp_path / "encoder", kind)
    fields = {"z_from": "both", "embeddings_per_task": 2} if method == "both" else {"conditioning": method}
    model = ConditionalAdapterModel.create(
        tmp_path / "encoder", LABELS, ConditionalConfig(adapter_size=5, dim_z=4, max_length=16, **fields),
        label_vectors={"x/two": ("no", "yes")}, task_features=np.eye(2) if method == "both" else None,
    )  # fmt: skip
    batch = model.tokenizer(TEXTS[:2], padding=True, return_tensors="pt")
    model.train()
    model(**batch, task_ids=torch.tensor([0, 1]), labels=torch.tensor([1, 2])).loss.backward()
    assert not [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    model.eval().save_pretrained(tmp_path / "model")
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path / "model")
    assert all(torch.equal(loaded.logits(task, TEXTS), model.logits(task, TEXTS)) for task in LABELS)


@pytest.mark.parametrize("kind", sorted(MODEL_TYPES))
def test_create_leaves_the_function_of_an_encoder_unchanged(kind, tmp_path):
    tiny_encoder(tmp_path, kind)
    plain = AutoModel.from_pretrained(tmp_path).eval()
    for conditioning in ("pilault", "full"):
        config = ConditionalConfig(conditioning, adapter_size=4, dim_z=3, max_length=16)
        model = ConditionalAdapterModel.create(tmp_path, LABELS, config)
        batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
        found, expected = model.encoder(**batch).last_hidden_state, plain(**batch).last_hidden_state
        assert torch.equal(found, expected)
        own, other = model.encoder.state_dict(), plain.state_dict()
        assert own.keys() <= other.keys()
        assert not [name for name in other.keys() - own.keys() if not name.startswith("pooler.")]


def test_loss_of_a_mixed_batch_is_finite_and_the_mean_cross_entropy():
    model = make("pilault")
    batch, labels = model.tokenizer(TEXTS, padding=True, return_tensors="pt"), torch.tensor([1, 2, 0])
    output = model(**batch, task_ids=torch.tensor([0, 1, 0]), labels=labels)
    assert output.logits[0, 2] == -torch.inf  # the first task has two classes
    alone = [model.logits(task, [text]) for task, text in zip(["x/two", "x/three", "x/two"], TEXTS, strict=True)]
    losses = [-logits.log_softmax(-1)[0, label] for logits, label in zip(alone, labels.tolist(), strict=True)]
    torch.testing.assert_close(output.loss, torch.stack(losses).mean())
    output.loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    assert model(**batch, task_ids=torch.tensor([0])).loss is None


@pytest.mark.parametrize("method", ["pilault", "adapter"])
def test_a_frozen_task_reads_the_mean_of_the_encoder_without_adapters(method, tmp_path):
    model = make(method, pooling="cls")
    add_tasks(model, {"my/frozen": ("no", "yes"), "my/adapted": ("no", "yes")}, frozen=["my/frozen"])
    torch.nn.init.normal_(model.heads.weight)
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    hidden = plain_encoder(tmp_path)(**batch).last_hidden_state
    means = torch.stack([states[mask.bool()].mean(dim=0) for states, mask in zip(hidden, batch["attention_mask"])])  # noqa: B905
    vectors = model.heads.table[2, :2]
    logits = means @ model.heads.weight[vectors].T + model.heads.bias[vectors]
    torch.testing.assert_close(model(**batch, task_ids=torch.tensor([2])).logits, logits)
    torch.testing.assert_close(model.logits("my/frozen", TEXTS), logits)
    mixed = model(**batch, task_ids=torch.tensor([3, 2, 0])).logits
    for place, (task, name) in enumerate(((3, "my/adapted"), (2, "my/frozen"), (0, "x/two"))):
        torch.testing.assert_close(mixed[place], model.logits(name, TEXTS)[place])
        torch.testing.assert_close(mixed[place], model(**batch, task_ids=torch.tensor([task])).logits[place])
    together = model.predict_tasks(["my/frozen", "x/three", "my/adapted"], TEXTS)
    assert list(together) == ["my/frozen", "x/three", "my/adapted"]
    for name, found in together.items():
        np.testing.assert_allclose(found.probabilities, model.predict(name, TEXTS).probabilities, atol=1e-5)
    loaded = ConditionalAdapterModel.from_pretrained(model.save_pretrained(tmp_path / "saved"))
    assert loaded.frozen_tasks == {"my/frozen"}
    assert torch.equal(loaded.logits("my/frozen", TEXTS), model.logits("my/frozen", TEXTS))
    model.remove_task("my/frozen")
    assert model.frozen_tasks == set()


def test_only_a_frozen_encoder_has_frozen_tasks():
    with pytest.raises(ValueError, match="x/two reads the frozen encoder, which full fine-tuning changed"):
        ConditionalAdapterModel(
            load_encoder("tiny", vocabulary=TEXTS), LABELS, ConditionalConfig(conditioning="full"), frozen=["x/two"]
        )
    with pytest.raises(ValueError, match="'x/other' is not a task of this model"):
        add_tasks(make("adapter"), {"x/new": ("a", "b")}, frozen=["x/other"])
