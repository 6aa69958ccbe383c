"""The model class: forward pass, storage, and the Hub."""

from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import HfApi, ModelCard
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel

from metaeval_datasets import UnknownTaskError
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.analysis.embedded_runs import read_embedded
from metaeval_hub.conditional.attachment import AttachedAdapter
from metaeval_hub.encoders.tiny import word_tokenizer
from metaeval_hub.encoders.weights import save_encoder
from metaeval_hub.hub.retry import HubError
from metaeval_hub.model import storage
from metaeval_hub.task_data.origins import TaskOrigin

LABELS = {"x/two": ("no", "yes"), "x/three": ("p", "q", "r")}
TEXTS = ["the cat sat on the mat", "a dog ran", "the dog sat very very very still on a mat today"]
PAIRS = [("the cat sat", "the cat"), ("a dog", "a mat ran far"), ("the mat", "a cat")]
SMALL = ConditionalConfig(adapter_size=8, dim_z=5, max_length=16)
CONDITIONAL = ("pilault", "layernorm", "mahabadi")
METHODS = (*CONDITIONAL, "adapter", "full")


def make(config: ConditionalConfig = SMALL, seed: int = 0) -> ConditionalAdapterModel:
    model = ConditionalAdapterModel.create("tiny", LABELS, config, seed=seed, vocabulary=TEXTS)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:  # change the weights, so that a lost tensor is noticed
            parameter.data += 0.2 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="module")
def model() -> ConditionalAdapterModel:
    return make()


def test_a_seed_gives_one_model_and_leaves_the_global_generator_alone():
    torch.manual_seed(7)
    state = torch.get_rng_state()
    one = ConditionalAdapterModel.create("tiny", LABELS, SMALL, seed=3, vocabulary=TEXTS)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(8)
    other = ConditionalAdapterModel.create("tiny", LABELS, SMALL, seed=3, vocabulary=reversed(TEXTS))
    different = ConditionalAdapterModel.create("tiny", LABELS, SMALL, seed=4, vocabulary=TEXTS)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    assert not torch.equal(one.heads.weight, different.heads.weight)


@pytest.mark.parametrize("method", METHODS)
def test_every_trained_tensor_has_one_role(method):
    model = make(ConditionalConfig(conditioning=method, adapter_size=8, dim_z=5))
    groups = model.trainable_groups()
    grouped = {id(parameter) for group in groups.values() for parameter in group}
    assert grouped == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert sum(len(group) for group in groups.values()) == len(grouped)  # no class is in two groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    maps = {names[id(parameter)].rsplit(".", 2)[1] for parameter in groups["map"]}
    assert maps == {
        "pilault": {"z_scale", "z_shift"}, "layernorm": {"z_gamma", "z_beta"}, "adapter": set(), "full": set(),
        "mahabadi": {"z_down", "z_up", "z_down_bias", "z_up_bias"},
    }[method]  # fmt: skip
    assert [tuple(table.shape) for table in groups["task_embedding"]] == ([(2, 5)] if method in CONDITIONAL else [])
    assert bool(groups["adapter"]) == (method != "mahabadi")  # there, z generates the whole adapter


def test_only_adapter_embedding_and_heads_are_trained(model):
    base = [name for name in model.state_dict() if name not in model.trained_state()]
    assert "encoder.embeddings.word_embeddings.weight" in base
    assert not any("adapters" in name or "shared" in name for name in base)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_mixed_batch_equals_task_by_task(method, pooling):
    model = make(ConditionalConfig(conditioning=method, adapter_size=8, dim_z=5, pooling=pooling)).double().eval()
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    mixed = model(**batch, task_ids=torch.tensor([0, 1, 0])).logits
    for row, task in enumerate([0, 1, 0]):
        alone = model(**model.tokenizer(TEXTS[row], return_tensors="pt"), task_ids=torch.tensor([task])).logits
        torch.testing.assert_close(mixed[row, : alone.shape[1]], alone[0], rtol=1e-10, atol=1e-10)


def test_predictions_keep_the_order_of_the_texts(model):
    texts = TEXTS * 5
    whole = model.predict("x/three", texts, batch_size=4)
    assert len(whole.labels) == 15
    assert whole.names == LABELS["x/three"]
    np.testing.assert_allclose(whole.probabilities.sum(axis=1), 1.0, rtol=1e-6)
    for i, text in enumerate(texts):
        alone = model.predict("x/three", [text]).probabilities[0]
        np.testing.assert_allclose(whole.probabilities[i], alone, atol=1e-6)


def test_pairs_are_read_as_pairs(model):
    together = model.logits("x/two", PAIRS)
    assert not torch.allclose(together, model.logits("x/two", [" ".join(pair) for pair in PAIRS]))
    assert model.predict("x/two", []).labels == []


@pytest.mark.parametrize("texts", ["one string", ["a", ("b", "c")], [("a", "b", "c")], [None]])
def test_texts_of_the_wrong_form_are_refused(model, texts):
    with pytest.raises(TypeError, match="expected"):
        model.predict("x/two", texts)


def test_texts_of_another_form_than_the_task_expects_are_refused(tmp_path):
    origin = TaskOrigin("0.1.0", "careful", "org/data (x) at main", "0" * 40, "cc-by-4.0")
    made = ConditionalAdapterModel.create(
        "tiny", LABELS, SMALL, vocabulary=TEXTS, fields={"x/two": 2}, origins={"x/three": origin}
    )
    made.add_task("x/new", ("a", "b"), fields=1)
    made.save_pretrained(tmp_path)
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path)
    assert loaded.origins == {"x/three": origin}
    for model in (made, loaded):
        with pytest.raises(TypeError, match=r"x/two is a task over pairs of texts, but texts\[0\] is one text: 'the"):
            model.predict("x/two", TEXTS)
        with pytest.raises(TypeError, match=r"x/new is a task over texts, but texts\[0\] is a pair: \('the "):
            model.logits("x/new", PAIRS)
        assert len(model.predict("x/two", PAIRS).labels) == len(model.predict("x/new", TEXTS).labels) == 3
        assert len(model.predict("x/three", PAIRS).labels) == len(model.predict("x/three", TEXTS).labels) == 3
    made.remove_task("x/two")
    made.remove_task("x/three")
    assert (made.fields, made.origins) == ({"x/new": 1}, {})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fields": {"x/two": 3}}, "x/two: fields is 3; expected 1 for a task over texts, or 2"),
        ({"fields": {"x/two": True}}, "x/two: fields is True"),
        ({"fields": {"x/gone": 1}}, "'x/gone' is not a task of this model"),
        ({"origins": {"x/gone": TaskOrigin()}}, "'x/gone' is not a task of this model"),
    ],
)
def test_facts_about_unknown_tasks_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ConditionalAdapterModel.create("tiny", LABELS, SMALL, vocabulary=TEXTS, **options)


def test_an_unknown_task_names_the_closest(model):
    with pytest.raises(UnknownTaskError, match=r"^no task 'x/twoo' among the 2 of this model; closest: x/two"):
        model.predict("x/twoo", TEXTS)


def test_task_ids_that_fit_no_batch_are_refused(model):
    with pytest.raises(ValueError, match=r"task_ids has shape \(2,\); expected \(1,\) or \(3,\)"):
        model(**model.tokenizer(TEXTS, padding=True, return_tensors="pt"), task_ids=torch.tensor([0, 1]))


@pytest.mark.parametrize("encoder_dropout", [False, True])
def test_frozen_encoder_drops_units_only_if_asked(encoder_dropout):
    config = ConditionalConfig(adapter_size=8, dim_z=5, adapter_dropout=0.0, encoder_dropout=encoder_dropout)
    model = make(config)
    for module in model.encoder.modules():
        if isinstance(module, torch.nn.Dropout) and module.p == 0.0:
            module.p = 0.5  # "tiny" has no vocabulary of its own
    for layer in model.encoder.modules():
        if hasattr(layer, "z_scale"):
            layer.dropout.p = 0.0
    model.train()
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    first, second = (model(**batch, task_ids=torch.tensor([0])).logits for _ in range(2))
    same = torch.equal(first, second)
    assert same is not encoder_dropout
    assert not model.eval().training


@pytest.mark.parametrize("method", METHODS)
def test_saved_and_loaded_model_gives_the_same_bits(method, tmp_path):
    model = make(ConditionalConfig(conditioning=method, adapter_size=8, dim_z=5, pooling="mean", max_length=16))
    model.save_pretrained(tmp_path, results={"x/two": {"majority": 0.5, "validation": None, "test": 0.75}})
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path)
    assert loaded.config == model.config
    assert loaded.labels == model.labels
    for task in LABELS:
        assert torch.equal(loaded.logits(task, TEXTS), model.logits(task, TEXTS))
    if method in CONDITIONAL:
        assert np.array_equal(loaded.task_embeddings.values, model.task_embeddings.values)
    assert not list(tmp_path.rglob("*.bin")) + list(tmp_path.rglob("*.pkl"))
    card = (tmp_path / "README.md").read_text()
    assert "| `x/two` | - | `no`, `yes` | 50.0 | 75.0 |" in card


def test_pushed_model_is_loaded_back_in_a_new_process_bit_by_bit(model, hub, run_python):
    repo = hub.name("model")
    address = model.push_to_hub(repo, private=True)
    assert repo in address
    assert f'from_pretrained("{repo}")' in ModelCard.load(repo).content
    code = f"""
from metaeval_hub import ConditionalAdapterModel
model = ConditionalAdapterModel.from_pretrained({repo!r})
print([value.hex() for row in model.logits("x/three", {TEXTS!r}).double().tolist() for value in row])
"""
    expected = [value.hex() for row in model.logits("x/three", TEXTS).double().tolist() for value in row]
    assert run_python(code).stdout.strip().splitlines()[-1] == str(expected)


def test_options_of_the_cache_apply_to_the_model_and_to_its_encoder(hub, tmp_path):
    hub_encoder(tmp_path / "encoder", encoder := hub.name("encoder"))
    mine, other = {"cache_dir": tmp_path / "mine"}, {"cache_dir": str(tmp_path / "other")}
    ConditionalAdapterModel.create(encoder, LABELS, SMALL, **mine).push_to_hub(repo := hub.name("model"))
    load = ConditionalAdapterModel.from_pretrained
    hub.requests.clear()
    with pytest.raises(HubError, match=rf"{repo} are not in the cache .*mine, and local_files_only=True"):
        load(repo, **mine, local_files_only=True)
    assert len(hub.requests) == 0
    expected = load(repo, **other).logits("x/three", TEXTS)
    assert sorted(path.name.split("--")[-1] for path in (tmp_path / "other").glob("models--*")) == sorted(
        name.split("/")[1] for name in (encoder, repo)
    )
    hub.requests.clear()
    assert torch.equal(load(repo, **other, local_files_only=True).logits("x/three", TEXTS), expected)
    assert len(hub.requests) == 0
    load(repo, **other, force_download=True)
    assert hub.requests.count(match=f"{encoder}/", route="resolve", method="GET")
    with pytest.raises(ValueError, match="force_download and local_files_only are both True"):
        load(repo, force_download=True, local_files_only=True)


def test_a_push_is_checked_before_anything_is_written(model, hub, monkeypatch):
    name = hub.name("own").split("/")[1]
    assert f"/user/{name}/commit/" in model.push_to_hub(name)
    assert f'from_pretrained("user/{name}")' in ModelCard.load(f"user/{name}").content
    monkeypatch.setattr(storage, "save_model", None)  # this would fail
    with pytest.raises(ValueError, match="'my model' is not the id of a repository"):
        model.push_to_hub("my model")


@pytest.mark.parametrize("name", ["missing", "runs/1/model", "./missing", Path("org/missing")])
def test_missing_folder_is_reported_without_asking_the_hub(name, hub):
    for load in (ConditionalAdapterModel.from_pretrained, lambda name: read_embedded(str(name))):
        if isinstance(name, str) or load == ConditionalAdapterModel.from_pretrained:
            with pytest.raises(ValueError, match="is neither a folder nor a Hub id: there is no such folder"):
                load(name)
    assert len(hub.requests) == 0


HALVES = [torch.float16, torch.bfloat16]


def hub_encoder(folder, repo):
    """Push a small random encoder; return it and its commit."""
    torch.manual_seed(0)
    encoder = AutoModel.from_config(AutoConfig.for_model("bert", vocab_size=40, hidden_size=16, num_hidden_layers=1,
                                                         num_attention_heads=2, intermediate_size=16))  # fmt: skip
    encoder.save_pretrained(folder)
    word_tokenizer(TEXTS).save_pretrained(folder)
    HfApi().create_repo(repo)
    return encoder, HfApi().upload_folder(repo_id=repo, folder_path=folder).oid


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("method", ["pilault", "layernorm", "mahabadi", "adapter", "full"])
def test_half_precision_is_stored_bit_identically(method, dtype, tmp_path):
    model = make(ConditionalConfig(conditioning=method, adapter_size=8, dim_z=5, max_length=16)).to(dtype)
    model.save_pretrained(tmp_path)
    for file in ("model.safetensors", "encoder/model.safetensors")[: 1 if method == "full" else 2]:
        assert {tensor.dtype for tensor in load_file(tmp_path / file).values()} == {dtype}
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path)
    assert loaded.dtype == dtype
    expected, found = model.state_dict(), loaded.state_dict()
    assert all(
        torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in expected.items()
    )
    for task in LABELS:
        assert torch.equal(loaded.logits(task, TEXTS), model.logits(task, TEXTS))
    loaded.save_pretrained(tmp_path)  # store the loaded model again
    again = ConditionalAdapterModel.from_pretrained(tmp_path)
    assert torch.equal(again.logits("x/two", TEXTS), model.logits("x/two", TEXTS))


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_crosses_processes_and_keeps_to_the_encoder_of_the_hub(dtype, hub, tmp_path, run_python):
    _, commit = hub_encoder(tmp_path / "encoder", repo := hub.name("encoder"))
    model = ConditionalAdapterModel.create(repo, LABELS, SMALL).to(dtype)
    expected = [value.hex() for row in model.logits("x/three", TEXTS).double().tolist() for value in row]
    model.save_pretrained(tmp_path / "alone")
    model.save_pretrained(tmp_path / "whole", include_base=True)
    code = f"""
import sys
from metaeval_hub import ConditionalAdapterModel
for folder in sys.argv[1:]:
    model = ConditionalAdapterModel.from_pretrained(folder)
    print(model.base.kind, model.base.id, model.base.revision)
    print([value.hex() for row in model.logits("x/three", {TEXTS!r}).double().tolist() for value in row])
"""
    lines = run_python(code, str(tmp_path / "alone"), str(tmp_path / "whole")).stdout.strip().splitlines()[-4:]
    # rounded weights differ from those on the Hub, so the model stores its own
    assert lines == [f"hub {repo} {commit}", str(expected), f"local {repo} {commit}", str(expected)]


def test_type_of_weights_can_be_chosen_when_loading(tmp_path):
    make().save_pretrained(tmp_path / "full")
    make().half().save_pretrained(tmp_path / "half")
    for choice in ("bfloat16", torch.bfloat16):
        loaded = ConditionalAdapterModel.from_pretrained(tmp_path / "full", dtype=choice)
        assert loaded.dtype == torch.bfloat16
        assert torch.equal(loaded.logits("x/two", TEXTS), make().bfloat16().logits("x/two", TEXTS))
    raised = ConditionalAdapterModel.from_pretrained(tmp_path / "half", dtype=torch.float32)
    assert torch.equal(raised.logits("x/two", TEXTS), make().half().float().logits("x/two", TEXTS))
    with pytest.raises(ValueError, match="dtype is 'float64'; expected one of float32, float16, bfloat16"):
        ConditionalAdapterModel.from_pretrained(tmp_path / "full", dtype="float64")
    large = make()
    large.heads.bias.data[0] = 1e5
    large.save_pretrained(tmp_path / "full")
    with pytest.raises(ValueError, match=r"heads\.bias contains values that are too large for float16"):
        ConditionalAdapterModel.from_pretrained(tmp_path / "full", dtype="float16")


def test_weights_of_types_that_are_not_stored_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"are of torch\.float64 \(encoder\..*; expected all float32, float16 or"):
        make().double().save_pretrained(tmp_path / "model")
    mixed = make()
    mixed.heads.half()
    with pytest.raises(ValueError, match=r"are of torch\.float32 \(encoder\..*torch\.float16 \(heads\.weight\)"):
        mixed.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_model_on_a_hub_encoder_stores_no_encoder_weights(hub, tmp_path):
    folder, repo = tmp_path / "encoder", hub.name("encoder")
    encoder, commit = hub_encoder(folder, repo)
    model = ConditionalAdapterModel.create(repo, LABELS, SMALL)
    assert (model.base.kind, model.base.id, model.base.revision) == ("hub", repo, commit)
    model.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model/encoder").exists()
    assert sum(path.stat().st_size for path in (tmp_path / "model").glob("*.safetensors")) < 60_000
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path / "model")
    assert torch.equal(loaded.logits("x/two", TEXTS), model.logits("x/two", TEXTS))

    # the main branch of the encoder changes, and the model still uses its commit
    encoder.embeddings.word_embeddings.weight.data += 1
    encoder.save_pretrained(folder)
    HfApi().upload_folder(repo_id=repo, folder_path=folder)
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path / "model")
    assert torch.equal(loaded.logits("x/two", TEXTS), model.logits("x/two", TEXTS))


def test_encoder_weights_that_differ_from_training_are_refused(tmp_path):
    make().save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "encoder/model.safetensors")
    tensors["embeddings.LayerNorm.weight"] += 1
    save_file(tensors, tmp_path / "encoder/model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"the weights of tiny have SHA-256 .* its predictions would be wrong"):
        ConditionalAdapterModel.from_pretrained(tmp_path)


def test_encoder_with_a_missing_tensor_is_not_filled_at_random(tmp_path):
    make().save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "encoder/model.safetensors")
    del tensors["encoder.layer.1.output.dense.weight"]
    save_file(tensors, tmp_path / "encoder/model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lack 1 tensors .* encoder.layer.1.output.dense.weight"):
        ConditionalAdapterModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["no such folder", "a/b/c", "../up"])
def test_a_name_that_is_neither_folder_nor_id_is_refused(name):
    with pytest.raises(ValueError, match="neither a folder nor a Hub id"):
        ConditionalAdapterModel.from_pretrained(name)


def test_too_long_inputs_are_refused_at_the_start():
    with pytest.raises(ValueError, match="max_length is 4096; the encoder tiny takes at most 128 tokens"):
        ConditionalAdapterModel.create("tiny", LABELS, ConditionalConfig(max_length=4096), vocabulary=TEXTS)


def _trained_parameters(config) -> tuple[int, int]:
    """Return the numbers of trained parameters for RoBERTa-base's shape: without z, and of z."""
    with torch.device("meta"):
        encoder = AutoModel.from_config(AutoConfig.for_model("roberta", vocab_size=50265, max_position_embeddings=514))
        adapter = AttachedAdapter(encoder, config, n_tasks=101)
    assert not any(p.requires_grad for p in encoder.parameters())
    table = [] if adapter.conditioning is None else [p.numel() for p in adapter.conditioning.table()]
    return sum(p.numel() for p in adapter.parameters()) - sum(table), sum(table)


@pytest.mark.parametrize(
    ("config", "millions"),
    [
        # Sileo & Moens 2022, Table 1 prints 38M and 10M; the exact counts below follow from the shapes:
        # 24 places of 2 * 768 a + a + 768 (bottleneck), 2 * 32 * 768 (W_h, W_b), 32 (2 * 768 a + a + 768) (generated)
        (ConditionalConfig(conditioning="pilault"), 10.641408),
        (ConditionalConfig(conditioning="layernorm"), 10.641408),
        (ConditionalConfig(conditioning="mahabadi"), 38.363136),
        (ConditionalConfig(conditioning="adapter"), 9.461760),
        # section 3.1: 24 LayerNorms of 2 * 768 more; 512 values per task: 512 * 32 for their projection to z
        (ConditionalConfig(conditioning="pilault", layer_norm=True), 10.678272),
        (ConditionalConfig(conditioning="mahabadi", layer_norm=True), 38.4),
        (ConditionalConfig(conditioning="adapter", layer_norm=True), 9.498624),
        (ConditionalConfig(conditioning="mahabadi", layer_norm=True, dim_table=512), 38.416384),
    ],
)
def test_parameter_counts_of_table_1(config, millions):
    trained, table = _trained_parameters(config)
    assert trained == round(millions * 1e6)
    assert table == (101 * (config.dim_table or 32) if config.has_task_embeddings else 0)


def test_encoder_is_written_as_transformers_reads_it(model, tmp_path):
    state = model.encoder.state_dict()
    save_encoder(tmp_path, model.encoder_config, {key: state[key] for key in model.base_keys})
    plain = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False).state_dict()
    assert all(torch.equal(plain[key], state[key]) for key in plain)


def test_adding_and_removing_tasks_leaves_the_others_bit_identical(tmp_path):
    model = make()
    before = {task: model.logits(task, TEXTS) for task in LABELS}
    assert model.add_task("x/new", ("a", "b", "c", "d")) == 2
    assert np.allclose(model.task_embeddings["x/new"], model.task_embeddings.values[:2].mean(axis=0))
    model.add_task("x/given", ("a", "b"), task_embedding=np.arange(5))
    assert model.task_embeddings["x/given"].tolist() == [0, 1, 2, 3, 4]
    new = model.logits("x/new", TEXTS)
    assert new.shape == (3, 4)
    assert all(torch.equal(model.logits(task, TEXTS), before[task]) for task in LABELS)

    model.save_pretrained(tmp_path)
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path)
    assert loaded.task_names == ("x/two", "x/three", "x/new", "x/given")
    assert torch.equal(loaded.logits("x/new", TEXTS), new)

    model.remove_task("x/two")
    model.remove_task("x/given")
    assert model.task_names == ("x/three", "x/new")
    assert torch.equal(model.logits("x/three", TEXTS), before["x/three"])
    assert torch.equal(model.logits("x/new", TEXTS), new)
    assert model.conditioning.n_tasks == 2


def test_tasks_that_cannot_be_added_or_removed_are_refused():
    model = make()
    with pytest.raises(ValueError, match="has a task 'x/two' already"):
        model.add_task("x/two", ("a", "b"))
    with pytest.raises(ValueError, match=r"x/new: task_embedding has shape \(4,\); expected \(5,\)"):
        model.add_task("x/new", ("a", "b"), task_embedding=np.zeros(4))
    with pytest.raises(ValueError, match="x/new: expected two or more different class names"):
        model.add_task("x/new", ("a",))
    model.remove_task("x/two")
    with pytest.raises(ValueError, match="would leave no task"):
        model.remove_task("x/three")
