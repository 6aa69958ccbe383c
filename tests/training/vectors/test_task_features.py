import json

import numpy as np
import pytest
from metaeval_training.config import ConfigError
from metaeval_training.data.cache import DataCache
from metaeval_training.data.rows import RowChoice, load_tasks
from metaeval_training.vectors.task_features import aspects, read_vectors

from metaeval_datasets import get_task, list_tasks, load_dataset
from metaeval_datasets.aspects import aspects_of
from metaeval_hub import ConditionalAdapterModel, Description, TaskEmbeddings
from metaeval_hub.task_data.domains import mean_word_vector
from metaeval_hub.task_data.task_features import TaskFeatures

NAMES = ("demo/film_reviews", "demo/feelings", "demo/picnic_nli")
TASKS = ("--tasks", *NAMES, "--steps", "12")


def test_aspects_are_of_whole_splits_and_kept(tmp_path, monkeypatch):
    """Reference: aspects_of on tasks loaded as users do."""
    names, cache = list_tasks(group="demo")[:5], DataCache(tmp_path)
    tasks, _ = load_tasks(names, RowChoice(max_train_rows=20, max_eval_rows=5), cache=cache)
    expected = [aspects_of(load_dataset("metaeval", name), get_task(name)) for name in names]
    assert [aspects(task, cache) for task in tasks] == expected
    monkeypatch.setattr("metaeval_training.vectors.task_features.whole_split", None)
    assert [aspects(task, cache) for task in tasks] == expected


def test_a_run_stores_what_is_known_of_its_tasks(train, tmp_path):
    """Domains by hand: the average of the tiny encoder's own word embeddings over the words of the training rows."""
    assert train(*TASKS) == 0
    folder = tmp_path / "runs" / "multitask-1"
    features = TaskFeatures.load(folder / "model")
    results = json.loads((folder / "results.json").read_text())
    assert features.names == NAMES
    assert features.cosine_with_start == pytest.approx([results["tasks"][name]["cos_z_z0"] for name in NAMES])
    model = ConditionalAdapterModel.from_pretrained(folder / "model")
    vectors = model.encoder.get_input_embeddings().weight.detach().numpy()
    counts = np.zeros(len(vectors), int)
    for text in load_dataset("metaeval", NAMES[1], split="train")["sentence"]:
        for number in model.tokenizer(text, add_special_tokens=False, truncation=True, max_length=62)["input_ids"]:
            counts[number] += number not in model.tokenizer.all_special_ids
    assert features.words[1] == pytest.approx(mean_word_vector(counts, vectors), abs=1e-6)


def test_several_embeddings_a_task_are_all_trained_and_stored(train, tmp_path):
    assert train(*TASKS, "--embeddings-per-task", "3") == 0
    folder = tmp_path / "runs" / "multitask-1"
    start, end = (TaskEmbeddings.load(folder / name) for name in ("task_embeddings_start", "task_embeddings"))
    assert start.copies.shape == end.copies.shape == (3, 3, 32)
    drawn = (start.copies != end.copies).any(axis=2)  # 12 steps, 9 embeddings: most were drawn, perhaps not all
    assert drawn.sum() >= 4
    cosines = [
        np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(x, y, strict=True)])
        for x, y in zip(start.copies, end.copies, strict=True)
    ]
    results = json.loads((folder / "results.json").read_text())
    assert [results["tasks"][name]["cos_z_z0"] for name in NAMES] == pytest.approx(cosines, abs=1e-5)


@pytest.fixture
def vectors(tmp_path):
    values = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    return TaskEmbeddings(("demo/spam", *NAMES), values).save(tmp_path / "vectors")


@pytest.mark.parametrize(
    ("flags", "z_from", "dim"),
    [
        (("--conditioning-vectors", "{vectors}"), "features", 6),
        (("--task-features", "{vectors}"), "both", 6),
        (("--task-features", "aspects"), "both", None),
        (("--task-features", "{vectors}", "--embeddings-per-task", "2", "--step", "mixed"), "both", 6),
    ],
)
def test_z_is_made_of_vectors_that_are_given(flags, z_from, dim, train, tmp_path, vectors):
    assert train(*TASKS, *(flag.format(vectors=vectors) for flag in flags)) == 0
    folder = tmp_path / "runs" / "multitask-1"
    model = ConditionalAdapterModel.from_pretrained(folder / "model")
    features = TaskFeatures.load(folder / "model")
    assert model.config.z_from == z_from
    assert model.config.dim_features == (dim or len(features.columns))
    assert model.conditioning.projection.weight.any()
    if flags[1] == "aspects":
        again = model.expected_embeddings(features.code())
        projected = model.task_embeddings.values - model.conditioning.task_embedding.detach().numpy()
        table = model.conditioning.task_embedding.detach().numpy().mean(axis=0)
        assert again == pytest.approx(projected + table, abs=1e-5)


def test_one_task_has_no_aspects_to_compare(train, capsys):
    assert train("--tasks", "demo/topics", "--task-features", "aspects") == 1
    assert "--task-features aspects compares tasks, but the run has only one: demo/topics" in capsys.readouterr().out


def test_classes_of_one_name_share_a_row(train, tmp_path):
    names = ["demo/picnic_nli", "demo/office_nli", "demo/film_reviews", "demo/shop_reviews"]
    assert train("--tasks", *names, "--steps", "4", "--share-labels") == 0
    model = ConditionalAdapterModel.from_pretrained(tmp_path / "runs" / "multitask-1" / "model")
    expected = {name for task in names for name in get_task(task).canonical}
    assert set(model.shared_labels) == expected
    assert model.heads.weight.shape[0] == len(expected) < sum(len(get_task(task).names) for task in names)


def test_missing_vectors_are_named(vectors, tmp_path):
    with pytest.raises(ConfigError, match=r"--x .*vectors has no vector for 1 of 2 tasks: demo/topics\. Compute"):
        read_vectors(str(vectors), ["demo/spam", "demo/topics"], "--x")
    with pytest.raises(ConfigError, match=r"--x .*none"):
        read_vectors(str(tmp_path / "none"), ["demo/spam"], "--x")


def test_stored_features_let_the_model_answer_a_described_task(train, tmp_path):
    assert train(*TASKS, "--share-labels", "--text-emb") == 0
    folder = tmp_path / "runs" / "multitask-1"
    model = ConditionalAdapterModel.from_pretrained(folder / "model")
    assert model.features.texts.shape == model.features.words.shape
    labels = {"yes": "entailment", "no": "not_entailment"}
    classifier = model.zero_shot("my/nli", Description("nli", [("a man swims", "a man is wet")]), labels, by="texts")
    assert classifier.evidence.method == "ridge from TextEmb of 3 tasks"
    assert json.loads((folder / "results.json").read_text())["parameters"]["task_embedding"] == 3 * 32


def test_text_embeddings_are_means_of_means(train, tmp_path):
    """Reference: the same by training/task_vectors.py, on as many rows."""
    from metaeval_training.commands import task_vectors

    flags = ("--tasks", *NAMES[:2], "--max-train-rows", "30", "--threads", "1", "--output-dir", str(tmp_path / "runs"))
    assert task_vectors.main(["textemb", *flags]) == 0
    expected = TaskEmbeddings.load(tmp_path / "runs" / "textemb-1" / "textemb")
    assert train("--max-train-rows", "30", "--text-emb", "--steps", "1") == 0  # the same tasks
    found = TaskFeatures.load(tmp_path / "runs" / "multitask-1" / "model").select(expected.names)
    assert found.texts == pytest.approx(expected.values, abs=1e-4)


def test_held_out_tasks_are_not_trained_on(train, tmp_path, capsys):
    assert train(*TASKS, "--held-out", NAMES[1]) == 0
    assert set(json.loads((tmp_path / "runs/multitask-1/results.json").read_text())["tasks"]) == {NAMES[0], NAMES[2]}
    assert train(*TASKS, "--held-out", "demo") == 1
    assert "--held-out contains all of the --tasks" in capsys.readouterr().out


def test_rows_that_held_out_tasks_evaluate_on_are_left_out(monkeypatch):
    def load(name, edition):
        loaded = load_dataset("metaeval", name, edition=edition)
        if name == NAMES[1]:  # its test rows are training rows of another task
            loaded["test"] = load_dataset("metaeval", NAMES[0], split="train").select(range(7))
        return loaded

    monkeypatch.setattr("metaeval_training.data.rows._load_whole", load)
    (alone,), _ = load_tasks(NAMES[:1], RowChoice(), decontaminate="whole")
    (beside,), _ = load_tasks(NAMES[:1], RowChoice(), decontaminate="whole", held_out=NAMES[1:2])
    assert 5 <= beside.left_out - alone.left_out <= 7  # short texts do not count
    assert len(alone.splits["train"]) - len(beside.splits["train"]) == beside.left_out - alone.left_out
