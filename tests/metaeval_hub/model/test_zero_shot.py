"""Zero-shot classifiers: z comes from a description and label vectors from other tasks; errors name what is missing."""

import logging
import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from metaeval_datasets.aspects import Aspects
from metaeval_datasets.spec import TaskType
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig, UnsafeRepositoryError
from metaeval_hub.encoders.encoder import load_encoder
from metaeval_hub.encoders.text_vectors import count_tokens, domain_vector, text_embedding
from metaeval_hub.encoders.tokens import TextEncoder
from metaeval_hub.model.feature_choice import UNCHOSEN_C
from metaeval_hub.model.logistic import Linear, fit_logistic
from metaeval_hub.model.zero_shot import NOTHING_EXPLAINED, Description
from metaeval_hub.task_data.task_features import compute_task_features
from metaeval_hub.task_data.z_prediction import fit_ridge

WORDS = [
    "the",
    "cat",
    "dog",
    "film",
    "meal",
    "sat",
    "ran",
    "was",
    "good",
    "bad",
    "fine",
    "awful",
    "on",
    "a",
    "mat",
    "and",
]
VOCABULARY = [" ".join(WORDS)]
RNG = np.random.default_rng(0)
POLARITY, NLI = ("negative", "positive"), ("entailment", "not_entailment")
# ten tasks over texts about films, ten over pairs about cats
TASKS = {f"x/{'film' if i % 2 else 'cat'}{i}": (1, POLARITY) if i % 2 else (2, NLI) for i in range(20)}
FILMS = ["the film was good", "a bad meal was awful", "the meal was fine and good"]
CATS = [("the cat sat on a mat", "a dog ran"), ("a cat and a dog sat", "the mat")]


def texts_of(fields):
    return FILMS if fields == 1 else CATS


def make(z_from="table", by="aspects", share_labels=True, features=True, **options):
    """Return a model whose z depends on the number of text fields of the task."""
    config = ConditionalConfig(adapter_size=8, dim_z=4, max_length=24, z_from=z_from, **options)
    bare = ConditionalAdapterModel.create("tiny", {"x/y": ("a", "b")}, ConditionalConfig(), vocabulary=VOCABULARY)
    aspects, words, means = [], [], []
    for i, (name, (fields, _)) in enumerate(TASKS.items()):
        kind = TaskType.EMOTION if fields == 1 else TaskType.NLI
        tokens = TextEncoder(bare.tokenizer, 24)(texts_of(fields))
        counts = count_tokens(tokens["input_ids"], len(bare.tokenizer), bare.tokenizer.all_special_ids)
        counts = counts + (counts > 0) * RNG.integers(0, 3, len(counts))
        words.append(domain_vector(bare.encoder, counts))
        means.append(text_embedding(bare.encoder, bare.tokenizer, tokens) + 0.01 * RNG.normal(size=128))
        aspects.append(Aspects(name, 100 * (i + 1), fields, 4.0 + fields + i / 10, kind))
    known = compute_task_features(aspects, np.stack(words), np.stack(means))
    matrix = None if z_from == "table" else (known.code() if by == "aspects" else known.texts)
    model = ConditionalAdapterModel.create(
        "tiny", {name: labels for name, (_, labels) in TASKS.items()}, config, vocabulary=VOCABULARY,
        label_vectors={name: labels for name, (_, labels) in TASKS.items()} if share_labels else None,
        task_features=matrix,
    )  # fmt: skip
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn_like(parameter)
    if model.conditioning.task_embedding is not None:
        sides = torch.tensor([1.0 if fields == 1 else -1.0 for fields, _ in TASKS.values()])
        copies = sides.repeat_interleave(config.embeddings_per_task)
        table = 0.05 * torch.randn_like(model.conditioning.task_embedding)
        model.conditioning.task_embedding.data = table + copies[:, None] * torch.tensor([1.0, 2.0, 0.0, 0.0])
    model.features = known if features else None
    return model


DESCRIPTION = Description("emotion", FILMS)


@pytest.mark.parametrize("by", ["aspects", "texts", "type"])
def test_predicted_z_is_near_those_of_similar_tasks(by):
    classifier = make().zero_shot("my/films", DESCRIPTION, POLARITY, by=by)
    evidence = classifier.evidence
    assert all("film" in name and cosine > 0.9 for name, cosine in evidence.nearest)
    assert evidence.z == pytest.approx([1, 2, 0, 0], abs=0.2)
    if by != "type":
        assert evidence.explained > 0.9
    pairs = make().zero_shot("my/cats", Description("NLI", CATS), NLI, by=by)
    assert all("cat" in name for name, _ in pairs.evidence.nearest)


def test_untrained_tasks_are_not_used_for_predictions():
    model = make()
    first = model.zero_shot("my/films", DESCRIPTION, POLARITY).evidence
    again = model.zero_shot("my/more", DESCRIPTION, POLARITY).evidence
    assert np.array_equal(first.z, again.z)
    assert first.nearest == again.nearest  # the first new task is not among them


def test_z_is_the_ridge_regression_from_the_aspects():
    model = make()
    evidence = model.zero_shot("my/films", Description("emotion", FILMS, train_rows=500), POLARITY).evidence
    known, values = model.features, model.task_embeddings.values[:20]
    fitted = fit_ridge(known.code(), values)
    centred = known.code() - known.code().mean(axis=0)
    alpha = fitted.penalty * np.mean(np.linalg.svd(centred, compute_uv=False) ** 2)
    counts = count_tokens(TextEncoder(model.tokenizer, 24)(FILMS)["input_ids"], len(model.tokenizer), [0, 1, 2, 3, 4])
    aspects = Aspects("my/films", 500, 1, 4.0, TaskType.EMOTION)  # 4, 5 and 6 words
    code = known.code([Aspects("my/films", 500, 1, 5.0, aspects.type)], domain_vector(model.encoder, counts)[None])
    expected = Ridge(alpha=alpha).fit(known.code(), values).predict(code)[0]
    assert evidence.z == pytest.approx(expected, abs=1e-4)


def test_classes_use_label_vectors_of_other_tasks_without_changing_them():
    model = make()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    logits = model.logits("x/film1", FILMS)
    classifier = model.zero_shot("my/films", DESCRIPTION, {"thumbs up": "Positive", "thumbs down": "negative"})
    assert classifier.evidence.label_vectors == {"thumbs up": "positive", "thumbs down": "negative"}
    assert classifier.config.id2label == {0: "thumbs up", 1: "thumbs down"}
    assert torch.equal(model.logits("x/film1", FILMS), logits)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor[: len(before[name])], before[name]), name
    z = torch.from_numpy(classifier.evidence.z[None])
    pooled = model.encode(model.tokenizer(FILMS, padding=True, return_tensors="pt"), z)
    vectors = [model.heads.find("positive"), model.heads.find("negative")]
    expected = torch.nn.functional.linear(pooled, model.heads.weight[vectors], model.heads.bias[vectors])
    torch.testing.assert_close(model.logits("my/films", FILMS), expected.detach())


def test_class_without_a_label_vector_is_reported_and_never_predicted(caplog):
    model = make()
    with caplog.at_level(logging.WARNING):
        classifier = model.zero_shot("my/films", DESCRIPTION, ("negative", "positive", "mixed feelings"))
    assert "no trained label vector for 'mixed feelings'" in caplog.text
    assert classifier.evidence.label_vectors["mixed feelings"] is None
    assert "mixed feelings" not in model.predict("my/films", [f"the {word} was {word}" for word in WORDS]).labels
    assert "mixed_feelings" not in model.shared_labels  # so that no other task uses it


@pytest.mark.parametrize("more", [{}, {"so so": "entailment"}])
def test_named_label_vector_that_does_not_exist_is_an_error(more):
    """The number of classes that remain does not matter."""
    model = make()
    message = r"no label vector 'negatve' \(for class 'no'\), closest: negative; model.shared_labels lists all"
    with pytest.raises(ValueError, match=message):
        model.zero_shot("my/films", DESCRIPTION, {"no": "negatve", "yes": "positive", **more})
    assert "my/films" not in model.task_names


def test_common_label_vectors_are_listed_if_none_is_close(caplog):
    model = make()
    model.add_task("x/many", [f"odd{i}" for i in range(4)], label_vectors=[f"odd{i}" for i in range(4)])
    listed = "closest: none; label vectors of the model: entailment, not_entailment, negative, positive, odd0 and 3"
    with pytest.raises(ValueError, match=listed):
        model.zero_shot("my/films", DESCRIPTION, ("positive", "poem"))
    with caplog.at_level(logging.WARNING):
        model.zero_shot("my/films", DESCRIPTION, ("positive", "negative", "poem"))
    assert listed in caplog.text
    assert "model.shared_labels lists all label vectors" in caplog.text


@pytest.mark.parametrize(
    ("description", "labels", "message"),
    [
        (DESCRIPTION, "yes", "my/films: labels is 'yes'; expected a list of two or more class names"),
        (DESCRIPTION, 2, "my/films: labels is 2; expected a list"),
        (DESCRIPTION, [0, 1], "labels has 0; expected names of classes"),
        (DESCRIPTION, {"no": None, "yes": "positive"}, "labels has None; expected names of classes"),
        (FILMS, POLARITY, r"description is \['the film was good', .*; expected Description\(type, texts\)"),
    ],
)
def test_arguments_of_the_wrong_type_are_refused(description, labels, message):
    with pytest.raises(TypeError, match=message):
        make().zero_shot("my/films", description, labels)


def test_description_that_does_not_predict_z_gives_one_warning_per_model(recwarn):
    model = make()
    model.zero_shot("my/good", DESCRIPTION, POLARITY)
    assert not recwarn.list
    table = model.conditioning.task_embedding
    table.data = torch.ones_like(table)
    for number in range(3):
        evidence = model.zero_shot(f"my/{number}", DESCRIPTION, POLARITY).evidence
        with warnings.catch_warnings():  # as libraries do; it resets the registry of warnings
            pass
    assert evidence.explained == 0.0 < NOTHING_EXPLAINED
    [found] = recwarn.list
    assert "the aspects of a description do not predict z for this model" in str(found.message)
    assert "train on more tasks, or try by='texts' or by='type'" in str(found.message)
    assert found.filename == __file__


@pytest.mark.parametrize(
    ("change", "labels", "message"),
    [
        ({}, ("positve", "awful"), "a trained label vector, and the model has none for 'positve', closest: positive"),
        ({}, ("positive", "poem"), "the model has none for 'poem', closest: none"),
        ({"share_labels": False}, POLARITY, "no tasks of this model share label vectors"),
        ({"features": False}, POLARITY, "does not store the features of its tasks"),
    ],
)
def test_models_that_lack_something_are_refused_and_unchanged(change, labels, message):
    model = make(**change)
    with pytest.raises(ValueError, match=message):
        model.zero_shot("my/films", DESCRIPTION, labels)
    assert "my/films" not in model.task_names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("poem", FILMS), "task type 'poem'; expected one of acceptability"),
        (("emotoin", FILMS), "task type 'emotoin'; closest: emotion; expected one of acceptability"),
        (("nli", []), "one or more texts"),
        (("nli", "text"), "one or more texts"),
        (("nli", None), "texts is None; expected a list of one or more texts"),
        (("nli", ["a", ("b", "c")]), r"texts\[1\] is \('b', 'c'\); expected all texts, or all pairs"),
        (("nli", [1, 2]), r"texts\[0\] is 1; expected all texts, or all pairs"),
        (("nli", ["a", " \t"]), r"texts\[1\] is ' \\t'; leave texts without words out"),
        (("nli", [("", "b"), ("", " ")]), r"texts\[1\] is \('', ' '\); leave texts without words out"),
        (("nli", ["a"], -1), "train_rows is -1; expected a whole number of at least 1, or None"),
        (("nli", ["a"], 0), "train_rows is 0; expected"),
        (("nli", ["a"], 2.5), "train_rows is 2.5; expected"),
        (("nli", ["a"], "9"), "train_rows is '9'; expected"),
        (("nli", [("b", "c", "d")]), r"texts\[0\] is \('b', 'c', 'd'\); expected all texts, or all pairs"),
    ],
)
def test_invalid_descriptions_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Description(*arguments)


def test_type_without_a_task_gets_the_mean_of_all_tasks(caplog):
    model = make()
    mean = model.task_embeddings.values.mean(axis=0)
    with caplog.at_level(logging.WARNING):
        evidence = model.zero_shot("my/films", Description("grammar", FILMS), POLARITY, by="type").evidence
    assert "no task of the model has type grammar" in caplog.text
    assert evidence.z == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("by", ["aspects", "texts"])
@pytest.mark.parametrize("z_from", ["both", "features"])
def test_z_computed_from_features_uses_those_of_the_new_task(z_from, by):
    model = make(z_from, by)
    evidence = model.zero_shot("my/films", DESCRIPTION, POLARITY).evidence
    assert "features-aware" in evidence.method
    assert model.task_embeddings["my/films"] == pytest.approx(evidence.z, abs=1e-5)
    other = model.zero_shot("my/cats", Description("nli", CATS), NLI).evidence
    assert not np.allclose(other.z, evidence.z, atol=0.1)


def test_task_features_are_stored_and_loaded(tmp_path):
    model = make()
    loaded = ConditionalAdapterModel.from_pretrained(model.save_pretrained(tmp_path))
    first = model.zero_shot("my/films", DESCRIPTION, POLARITY)
    again = loaded.zero_shot("my/films", DESCRIPTION, POLARITY)
    assert np.array_equal(first.evidence.z, again.evidence.z)
    assert torch.equal(model.logits("my/films", FILMS), loaded.logits("my/films", FILMS))
    model.features = None
    assert ConditionalAdapterModel.from_pretrained(model.save_pretrained(tmp_path)).features is None


def test_task_features_of_another_encoder_are_refused(tmp_path):
    model = make()
    model.save_pretrained(tmp_path)
    known = model.features
    compute_task_features(known.aspects, known.words[:, :7], known.texts).save(tmp_path)
    with pytest.raises(UnsafeRepositoryError, match="words has 7 numbers per task; the model's encoder requires 128"):
        ConditionalAdapterModel.from_pretrained(tmp_path)
    compute_task_features(known.aspects, known.words, known.texts[:, :9]).save(tmp_path)
    with pytest.raises(UnsafeRepositoryError, match="texts has 9 numbers per task"):
        ConditionalAdapterModel.from_pretrained(tmp_path)


def test_task_features_are_pushed_to_the_hub_and_loaded(hub):
    model, repo = make(), hub.name("zero")
    model.push_to_hub(repo)
    assert ConditionalAdapterModel.from_pretrained(repo).features.names == tuple(TASKS)


@pytest.mark.parametrize("z_from", ["table", "both", "features"])
def test_fitting_continues_from_a_zero_shot_task(z_from):
    model = make(z_from)
    model.zero_shot("my/films", DESCRIPTION, {"bad": "negative", "good": "positive"})
    before = model.logits("my/films", FILMS)
    examples = [("the film was good", "good"), ("a meal was fine", "good"), ("the film was awful", "bad")]
    report = model.fit_task("my/fitted", examples[:1], start="my/films").fit_report
    assert report.features == "z of my/films, known classifier"
    vectors = model.heads.table[model.task_id("my/films"), :2]
    prior = Linear(*(tensor[vectors].detach().numpy() for tensor in model.heads.parameters()))
    z = torch.tensor(model.task_embeddings["my/films"])[None]
    pooled = model.encode(model.tokenizer("the film was good", return_tensors="pt"), z).detach().numpy()
    wanted = fit_logistic(pooled, np.array([1]), 2, UNCHOSEN_C, prior=prior)
    texts = torch.cat([model.encode(model.tokenizer(text, return_tensors="pt"), z) for text in FILMS]).detach().numpy()
    np.testing.assert_allclose(model.logits("my/fitted", FILMS), wanted.logits(texts), rtol=1e-3, atol=1e-3)
    model.fit_task("my/better", examples * 2, start="my/films")
    assert model.predict("my/better", [text for text, _ in examples]).labels == [label for _, label in examples]
    assert torch.equal(model.logits("my/films", FILMS), before)
    with pytest.raises(ValueError, match=r"not the .* of my/films"):
        model.fit_task("my/other", examples, labels=("good", "bad", "odd"), start="my/films")
    with pytest.raises(KeyError, match="no task 'my/fillms'"):
        model.fit_task("my/other", examples, start="my/fillms")


def test_text_embeddings_do_not_use_the_adapter():
    model = make()
    tokens = TextEncoder(model.tokenizer, 24)(FILMS)
    found = text_embedding(model.encoder, model.tokenizer, tokens)
    bare = load_encoder("tiny", vocabulary=VOCABULARY).module  # without adapters
    states = [bare(torch.tensor([ids])).last_hidden_state[0].mean(dim=0) for ids in tokens["input_ids"]]
    assert found == pytest.approx(torch.stack(states).mean(dim=0).detach().numpy(), abs=1e-5)
    assert model.encoder.active_adapters is not None


def test_names_answer_a_task_whose_labels_were_never_trained():
    model = make(share_labels=False, features=False)
    before = model.logits("x/film1", FILMS)
    task = model.zero_shot("my/new", Description("other", FILMS), {"a": "good film", "b": "awful meal"}, by="names")
    assert task.evidence.method == "names of the classes"
    assert dict(task.evidence.label_vectors) == {"a": None, "b": None}
    assert model.frozen_tasks == {"my/new"}
    assert torch.equal(model.logits("x/film1", FILMS), before)
    assert model.predict("my/new", ["good film", "awful meal"]).labels == ["a", "b"]
    fitted = model.fit_task("my/fitted", [("good film", "a"), ("awful meal", "b")], start="my/new")
    assert model.predict("my/fitted", ["good film", "awful meal"]).labels == ["a", "b"]
    assert fitted.fit_report.features == "frozen, classifier of my/new"
    pairs = model.zero_shot("my/pairs", Description("nli", CATS), ("yes", "no"), by="names")
    assert model.fields["my/pairs"] == 2
    assert pairs.evidence.z.shape == (4,)


@pytest.mark.parametrize("options", [{"z_from": "features"}, {"conditioning": "adapter"}])
def test_names_answer_with_other_kinds_of_models(options):
    if "conditioning" in options:
        config = ConditionalConfig(adapter_size=8, max_length=24, **options)
        model = ConditionalAdapterModel.create("tiny", {"x/y": ("a", "b")}, config, vocabulary=VOCABULARY)
    else:
        model = make(**options)
    task = model.zero_shot("my/new", Description("emotion", FILMS), ("good film", "awful meal"), by="names")
    assert model.predict("my/new", ["good film", "awful meal"]).labels == ["good film", "awful meal"]
    assert task.evidence.z.shape == ((0,) if "conditioning" in options else (4,))


def test_names_need_words_and_a_frozen_encoder():
    config = ConditionalConfig(conditioning="full", max_length=24)
    full = ConditionalAdapterModel.create("tiny", {"x/y": ("a", "b")}, config, vocabulary=VOCABULARY)
    with pytest.raises(ValueError, match="by='names' needs a frozen encoder, and full fine-tuning has changed"):
        full.zero_shot("my/new", Description("emotion", FILMS), POLARITY, by="names")
    with pytest.raises(TypeError, match="labels has ' '; expected words that describe each class"):
        make().zero_shot("my/new", Description("emotion", FILMS), {"a": "good", "b": " "}, by="names")
    with pytest.raises(ValueError, match="by is 'name'; expected one of aspects, texts, type, names"):
        make().zero_shot("my/new", Description("emotion", FILMS), POLARITY, by="name")


def test_class_names_with_equal_tokens_cause_a_warning(caplog):
    model = make(share_labels=False, features=False)
    model.zero_shot("my/new", Description("other", FILMS), {"a": "Film", "b": "meal", "c": "film"}, by="names")
    assert "reads the class names 'Film' and 'film' as the same tokens" in caplog.text
    caplog.clear()
    model.zero_shot("my/other", Description("other", FILMS), ("film", "meal"), by="names")
    assert not caplog.text
