"""How z is computed: each way against its equation in plain numpy or torch, and through a whole model."""

import numpy as np
import pytest
import torch

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig, TaskEmbeddings
from metaeval_hub.conditional.conditioning import TaskConditioning

N, Z, F = 4, 5, 6
LABELS = {"x/two": ("no", "yes"), "x/three": ("p", "q", "r"), "x/more": ("u", "v"), "x/last": ("a", "b")}
TEXTS = ["the cat sat on the mat", "a dog ran", "the dog sat very very very still on a mat today"]
MODES = {
    "table": {},
    "projected": {"embeddings_per_task": 3, "dim_table": 7},
    "features": {"z_from": "features"},
    "both": {"z_from": "both", "embeddings_per_task": 2},
}


def some_features(n: int = N, width: int = F) -> np.ndarray:
    """Features of very different sizes, the third of which is the same for all tasks."""
    values = np.random.default_rng(0).normal(size=(n, width)) * 10.0 ** np.arange(width) + np.arange(width)
    values[:, 2] = 0.3
    return values


def standardised(matrix: np.ndarray, by: np.ndarray) -> np.ndarray:
    """The stated rule: (f - mean) / (std * sqrt(features that differ)); the constant third feature is left out."""
    kept = [0, 1, *range(3, by.shape[1])]
    out = np.zeros_like(matrix)
    out[:, kept] = (matrix - by.mean(0))[:, kept] / by.std(0)[kept] / len(kept) ** 0.5
    return out


def make_conditioning(mode: str) -> TaskConditioning:
    torch.manual_seed(0)
    fields = MODES[mode]
    width = F if "z_from" in fields else 0
    conditioning = TaskConditioning(N, Z, dim_features=width, **fields)
    if width:
        conditioning.set_features(some_features())
    for parameter in conditioning.parameters():  # away from the start, where W is zero
        torch.nn.init.normal_(parameter)
    return conditioning.double()


def learned_part(weights: dict[str, np.ndarray]) -> np.ndarray:
    """z of the table without features, (n * K, Z): its vectors v, or P v / sqrt(D)."""
    table = weights["task_embedding"]
    if "table_projection.weight" not in weights:
        return table
    return table @ weights["table_projection.weight"].T / 7**0.5


def by_hand(conditioning: TaskConditioning, ids: list[int], draws: list[int]) -> np.ndarray:
    """z_{i,k} = learned part + W x_i + b, each where it is there."""
    weights = {name: value.detach().numpy() for name, value in conditioning.named_parameters()}
    z = np.zeros((len(ids), Z))
    if "task_embedding" in weights:
        table = learned_part(weights)
        z += table.reshape(N, -1, Z)[ids, draws]
    if "projection.weight" in weights:
        x = standardised(some_features(), some_features())[ids]
        z += x @ weights["projection.weight"].T + weights.get("projection.bias", 0.0)
    return z


@pytest.mark.parametrize("mode", MODES)
def test_z_is_its_equation(mode):
    conditioning = make_conditioning(mode)
    copies = MODES[mode].get("embeddings_per_task", 1)
    ids, draws = [2, 0, 2, 3], [i % copies for i in (0, 1, 2, 3)]
    found = conditioning(torch.tensor(ids), torch.tensor(draws)).detach().numpy()
    np.testing.assert_allclose(found, by_hand(conditioning, ids, draws), rtol=1e-6, atol=1e-6)
    first = conditioning(torch.tensor(ids)).detach().numpy()
    np.testing.assert_allclose(first, by_hand(conditioning, ids, [0] * 4), rtol=1e-6, atol=1e-6)
    last = conditioning(torch.tensor([1]), copies - 1).detach().numpy()
    np.testing.assert_allclose(last, by_hand(conditioning, [1], [copies - 1]), rtol=1e-6, atol=1e-6)
    everything = conditioning.embeddings().numpy()
    assert everything.shape == (N, copies, Z)
    for k in range(copies):
        expected = by_hand(conditioning, list(range(N)), [k] * N)
        np.testing.assert_allclose(everything[:, k], expected, rtol=1e-6, atol=1e-6)


def test_a_step_gives_gradients_to_the_rows_it_used_alone():
    conditioning = make_conditioning("projected")
    conditioning(torch.tensor([2, 0]), torch.tensor([1, 2])).pow(2).sum().backward()
    assert conditioning.task_embedding.grad.any(dim=1).nonzero().flatten().tolist() == [2, 7]  # i * K + k
    assert conditioning.table_projection.weight.grad.all()


@pytest.mark.parametrize("mode", MODES)
def test_every_z_starts_with_norm_about_one(mode):
    torch.manual_seed(0)
    fields = MODES[mode]
    if "dim_table" in fields:
        fields = {**fields, "dim_table": 64}
    conditioning = TaskConditioning(500, 32, dim_features=40 if "z_from" in fields else 0, **fields)
    if "z_from" in fields:
        conditioning.set_features(some_features(500, 40))
    norms = conditioning.embeddings().norm(dim=-1)
    assert 0.9 < norms.square().mean().sqrt() < 1.1


def test_features_aware_embedding_starts_as_the_table():
    """W = 0: nothing is known of what the features mean."""
    torch.manual_seed(0)
    conditioning = TaskConditioning(N, Z, "both", 1, F)
    conditioning.set_features(some_features())
    assert torch.equal(conditioning(torch.arange(N)), conditioning.task_embedding)


@pytest.mark.parametrize("mode", MODES)
def test_unseen_tasks_get_the_mean_embedding_and_their_projection(mode):
    conditioning = make_conditioning(mode)
    unseen = np.random.default_rng(1).normal(size=(2, F))
    weights = {name: value.detach().numpy() for name, value in conditioning.named_parameters()}
    expected = np.zeros((1, Z))
    if "task_embedding" in weights:
        table = learned_part(weights)
        expected = expected + table.mean(axis=0)
    if "projection.weight" in weights:
        x = standardised(unseen, some_features())
        expected = expected + x @ weights["projection.weight"].T + weights.get("projection.bias", 0.0)
    found = conditioning.expect(unseen if "projection.weight" in weights else None).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c(torch.tensor([0, 4])), IndexError, r"task id 4 is outside 0\.\.3"),
        (lambda c: c(torch.tensor([-1])), IndexError, r"task id -1 is outside 0\.\.3"),
        (lambda c: c(torch.tensor([0]), 2), IndexError, r"draw 2 is outside 0\.\.1"),
        (lambda c: c(torch.tensor([0, 1, 2]), torch.tensor([0, 1])), ValueError, "2 draws for 3 task ids"),
        (
            lambda c: c.set_features(np.zeros((3, F))),
            ValueError,
            r"task_features has shape \(3, 6\); expected \(4, 6\)",
        ),
        (lambda c: c.set_features(np.ones((N, F))), ValueError, "are the same for all tasks, so z would"),
        (lambda c: c.set_features(np.full((N, F), np.inf)), ValueError, "of row 0: feature 0 is inf"),
        (lambda c: c.set_features([["a"] * F] * N), ValueError, r"is of <U1 .* expected numbers of shape \(4, 6\)"),
        (
            lambda c: c.expect(),
            ValueError,
            r"z is computed from features \(z_from='both'\), which are missing; give the 6 features",
        ),
        (lambda c: c.expect(np.zeros((1, 2))), ValueError, r"shape \(1, 2\); expected \(any, 6\)"),
        (lambda c: c.append(1, torch.zeros(1, 1, Z), np.zeros((1, F))), ValueError, r"expected \(1, 2, 5\)"),
        (
            lambda c: c.append(2, None, np.zeros((1, F))),
            ValueError,
            r"task_features has shape \(1, 6\); expected \(2, 6\) for 2 tasks",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(make_conditioning("both"))


def test_features_that_were_not_set_are_missed():
    with pytest.raises(ValueError, match="which were not set; call set_features"):
        TaskConditioning(N, Z, "features", 1, F)(torch.tensor([0]))


# --- through a model ---


def make(mode: str, method: str = "pilault", **fields) -> ConditionalAdapterModel:
    config = ConditionalConfig(conditioning=method, adapter_size=8, dim_z=Z, max_length=16, **MODES[mode], **fields)
    options = {"task_features": some_features()} if "z_from" in MODES[mode] else {}
    model = ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=TEXTS, **options)
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn_like(parameter)
    return model


def all_embeddings(model: ConditionalAdapterModel) -> np.ndarray:
    """All embeddings of all tasks, (n, K, Z)."""
    table = model.task_embeddings
    assert table.copies is None or np.array_equal(table.copies[:, 0], table.values)
    return table.values[:, None] if table.copies is None else table.copies


def bits(model: ConditionalAdapterModel) -> list[str]:
    values = [model.logits(task, TEXTS) for task in model.task_names]
    return [value.hex() for logits in values for row in logits.double().tolist() for value in row]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", ["pilault", "layernorm", "mahabadi"])
def test_mixed_batch_equals_task_by_task_whatever_z_is_made_of(mode, method):
    model = make(mode, method).double()
    copies = model.config.embeddings_per_task
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    draws = torch.tensor([0, 1, 2]) % copies
    mixed = model(**batch, task_ids=torch.tensor([0, 1, 0]), draws=draws).logits
    for row, task in enumerate([0, 1, 0]):
        alone = model.tokenizer(TEXTS[row], return_tensors="pt")
        found = model(**alone, task_ids=torch.tensor([task]), draws=int(draws[row])).logits
        torch.testing.assert_close(mixed[row, : found.shape[1]], found[0], rtol=1e-10, atol=1e-10)
        z = torch.from_numpy(by_hand(model.conditioning, [task], [int(draws[row])]))
        pooled = model.encode(alone, z)
        torch.testing.assert_close(found, model.heads(pooled, torch.tensor([task])), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_model_is_saved_and_pushed_and_loaded_in_a_new_process_to_the_last_bit(mode, hub, tmp_path, run_python):
    model = make(mode)
    model.save_pretrained(tmp_path)
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path)
    assert bits(loaded) == bits(model)
    assert np.array_equal(all_embeddings(loaded), all_embeddings(model))
    assert {name: len(group) for name, group in loaded.trainable_groups().items()} == {
        name: len(group) for name, group in model.trainable_groups().items()
    }
    model.push_to_hub(repo := hub.name("model"))
    code = f"""
from metaeval_hub import ConditionalAdapterModel
model = ConditionalAdapterModel.from_pretrained({repo!r})
values = [model.logits(task, {TEXTS!r}) for task in model.task_names]
print([value.hex() for logits in values for row in logits.double().tolist() for value in row])
"""
    assert run_python(code).stdout.strip().splitlines()[-1] == str(bits(model))


@pytest.mark.parametrize("mode", MODES)
def test_roles_of_what_z_is_made_of(mode):
    groups = make(mode).trainable_groups()
    rows = N * MODES[mode].get("embeddings_per_task", 1)
    width = MODES[mode].get("dim_table", Z)
    assert [tuple(p.shape) for p in groups["task_embedding"]] == ([] if mode == "features" else [(rows, width)])
    expected = {"features": [(Z, F), (Z,)], "both": [(Z, F)], "projected": [(Z, 7)]}.get(mode, [])
    assert [tuple(p.shape) for p in groups["projection"]] == expected


@pytest.mark.parametrize("mode", MODES)
def test_tasks_come_and_go_and_leave_the_others_bit_by_bit(mode, tmp_path):
    model = make(mode)
    before, z = bits(model), all_embeddings(model)
    features = {} if "z_from" not in MODES[mode] else {"task_features": np.arange(F)}
    model.add_task("x/new", ("a", "b", "c"), **features)
    expected = model.expected_embeddings(*features.values())[0]
    if mode in ("table", "features"):
        np.testing.assert_allclose(model.task_embeddings["x/new"], expected, rtol=1e-5, atol=1e-6)
    if mode == "projected":  # each of the K is the mean of its own
        np.testing.assert_allclose(all_embeddings(model)[-1], z.mean(axis=0), rtol=1e-5, atol=1e-6)
    if mode != "features":
        given = np.linspace(-1, 1, Z)
        model.add_task("x/given", ("a", "b"), given, **features)
        np.testing.assert_allclose(all_embeddings(model)[-1], np.tile(given, (z.shape[1], 1)), atol=1e-6)
    else:
        with pytest.raises(
            ValueError, match="x/given: task_embeddings are given, but z is computed from features only"
        ):
            model.add_task("x/given", ("a", "b"), np.zeros(Z), **features)
    model.save_pretrained(tmp_path)
    assert bits(ConditionalAdapterModel.from_pretrained(tmp_path)) == bits(model)
    for name in model.task_names[4:]:
        model.remove_task(name)
    assert bits(model) == before
    model.remove_task("x/two")
    assert np.array_equal(all_embeddings(model), z[1:])


def test_a_new_task_without_features_says_what_is_missing():
    model = make("features")
    with pytest.raises(ValueError, match=r"x/new: z is computed from features .* give the 6 features of the task"):
        model.add_task("x/new", ("a", "b"))
    assert model.task_names == tuple(LABELS)
    with pytest.raises(ValueError, match="x/new: task_features are given, but z is not computed from features"):
        make("table").add_task("x/new", ("a", "b"), task_features=np.zeros(F))


@pytest.mark.parametrize("mode", ["features", "both"])
def test_few_shot_task_keeps_what_its_features_say(mode):
    model = make(mode)
    examples = [("the cat", "cat"), ("a dog", "dog")]
    start = model.expected_embeddings(np.arange(F)[None])[0]
    model.fit_task("my/task", examples, task_features=np.arange(F))
    assert model.predict("my/task", ["the cat", "a dog"]).labels == ["cat", "dog"]
    np.testing.assert_allclose(model.task_embeddings["my/task"], start, atol=1e-5)
    with pytest.raises(ValueError, match="z is computed from features"):
        model.fit_task("my/other", examples)


def test_features_and_what_z_is_made_of_have_to_agree():
    def create(features, **fields):
        config = ConditionalConfig(adapter_size=8, dim_z=Z, max_length=16, **fields)
        return ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=TEXTS, task_features=features)

    with pytest.raises(ValueError, match="z_from is 'features' and task_features are missing"):
        create(None, z_from="features")
    with pytest.raises(ValueError, match="z_from is 'table' and task_features are given"):
        create(some_features())
    with pytest.raises(ValueError, match="dim_features is 4, but task_features have 6"):
        create(some_features(), z_from="both", dim_features=4)
    with pytest.raises(ValueError, match="conditioning 'full' has none"):
        create(None, conditioning="full", embeddings_per_task=3)
    names = (*reversed(LABELS), "x/further")
    table = TaskEmbeddings(names, np.vstack([some_features()[::-1], np.ones(F)]).astype(np.float32))
    one, other = create(table, z_from="features"), create(some_features().astype(np.float32), z_from="features")
    assert np.array_equal(one.task_embeddings.values, other.task_embeddings.values)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_what_features_are_standardised_by(dtype, tmp_path):
    """A spread of 1e-8, as of Fisher information, is zero in float16."""
    config = ConditionalConfig(adapter_size=8, dim_z=Z, max_length=16, z_from="features")
    features = 1e-8 * np.random.default_rng(0).normal(size=(N, F))
    model = ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=TEXTS, task_features=features)
    wide = model.expected_embeddings(features)
    model.to(dtype).save_pretrained(tmp_path)
    loaded = ConditionalAdapterModel.from_pretrained(tmp_path)
    assert loaded.conditioning.features.dtype == dtype
    assert loaded.conditioning.feature_scale.dtype == torch.float32
    np.testing.assert_allclose(loaded.expected_embeddings(features), wide, atol=0.02)
    assert bits(loaded) == bits(model)


def test_a_step_of_adam_changes_z_as_much_with_a_projected_table():
    """The stated factor for D = 512 and Z = 32, so that z keeps its learning rate."""
    lengths = []
    for dim_table in (0, 512):
        torch.manual_seed(0)
        conditioning = TaskConditioning(50, 32, dim_table=dim_table)
        before = conditioning.embeddings()
        optimizer = torch.optim.Adam(conditioning.table(), lr=1e-3)
        (conditioning(torch.arange(50)) * torch.randn(50, 32)).sum().backward()
        optimizer.step()
        lengths.append((conditioning.embeddings() - before).norm(dim=-1).mean())
    assert 0.5 < lengths[1] / lengths[0] < 0.65


def test_the_contribution_of_features_is_the_mean_ratio_of_the_two_parts():
    conditioning = make_conditioning("both")
    table = conditioning.task_embedding.detach().numpy().reshape(N, 2, Z)
    weight = conditioning.projection.weight.detach().numpy()
    projected = standardised(some_features(), some_features()) @ weight.T
    if conditioning.projection.bias is not None:
        projected = projected + conditioning.projection.bias.detach().numpy()
    expected = np.mean(np.linalg.norm(projected, axis=1) / np.linalg.norm(table, axis=2).mean(axis=1))
    assert conditioning.projection_ratio() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("mode", ["table", "features", "projected"])
def test_features_contribute_to_a_sum_only(mode):
    assert make_conditioning(mode).projection_ratio() is None
