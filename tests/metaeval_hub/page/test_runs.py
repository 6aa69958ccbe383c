"""Facts that the page shows about runs and tasks, and which texts it may show."""

import json

import numpy as np
import pytest
from datasets import Dataset, DatasetDict

from metaeval_datasets import TaskType, get_task, load_dataset
from metaeval_datasets.aspects import Aspects
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.analysis.distance_from_start import StillAtStartError
from metaeval_hub.analysis.embedded_runs import read_embedded
from metaeval_hub.page.runs import OPEN_LICENSES, editions_of, facts_of, may_show, read_data, space_of
from metaeval_hub.task_data.domains import fit_domains
from metaeval_hub.task_data.task_features import TaskFeatures
from tests.metaeval_hub.demo_run import DEMO, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "demo-1")


def test_run_is_read_with_its_statistics(run):
    space = space_of(read_embedded(str(run)), methods=["pca"])
    assert space.name == "demo-1"
    np.testing.assert_allclose(space.statistics["test"], [np.nan, 0.6, 0.7, 0.8])
    np.testing.assert_allclose(space.statistics["gain"], [np.nan, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(space.statistics["train_rows"], 40)
    assert "validation" not in space.statistics  # no task has this type
    about = {
        "Encoder": "tiny",
        "Size of z": "4",
        "Training steps": "4,000",
        "Seed": "0",
        "Written by": "metaeval 0.1.0",
        "Control tasks": "it was not measured whether z describes tasks: the run has no twins. A run of the same "
        "settings with --twins measures it",
    }
    assert space.about == about
    assert space.warning == ""


def test_facts_come_from_the_catalogue_and_the_run(run):
    facts = facts_of([read_embedded(str(run))])
    assert tuple(facts) == DEMO
    found = facts["demo/picnic_nli"]
    assert found.aspects == {
        **{"Task type": "NLI", "Texts": "Pairs", "Group": "demo"},
        **{"Classes": 2, "Training rows": 401.0, "Licence": "mit", "Median words": None, "Domain": None},
    }
    assert found.labels == get_task("demo/picnic_nli").names
    assert (found.source, found.repo, found.commit) == ("metaeval_datasets.demo", "", "")


def test_training_rows_are_those_of_the_task_if_the_run_read_a_part_of_its_source(tmp_path):
    """The run of the helper has 400 rows or a few more; the catalogue declares 16,000, 9,594 and 120,000."""
    tasks = ("emotion/default", "hate_speech18/default", "ag_news/default", "my/own")
    folder = make_run(tmp_path / "run", tasks)
    official = {"emotion/default": 8000, "hate_speech18/default": 500, "ag_news/default": 120_000}
    origins = {task: {"official": {"train": {"read": count}}} for task, count in official.items()}
    (folder / "data.json").write_text(json.dumps({"origins": origins}), encoding="utf-8")
    facts = facts_of([read_embedded(str(folder))])
    train = get_task("hate_speech18/default").rows["train"]
    derived = train - round(train / 5)  # test, then validation, is a fifth of what is left
    assert [facts[task].aspects["Training rows"] for task in tasks] == [
        16_000, derived - round(derived / 5), 402, 403,
    ]  # fmt: skip


def test_sources_on_the_hub_are_named_with_their_commit(tmp_path):
    folder = make_run(tmp_path / "run", ("glue/cola", "my/own"))
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    results["tasks"]["glue/cola"]["origin"] = {"source": "nyu-mll/glue (cola)", "commit": "ab12", "edition": "paper"}
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    runs = [read_embedded(str(folder))]
    facts = facts_of(runs)
    assert (facts["glue/cola"].repo, facts["glue/cola"].commit) == ("nyu-mll/glue", "ab12")
    assert facts["my/own"].aspects["Task type"] == "Not known"
    assert editions_of(runs) == {"glue/cola": "paper"}  # the other is not in the catalogue


def test_runs_at_their_random_start_are_refused_or_marked(tmp_path):
    run = read_embedded(str(make_run(tmp_path / "run", cosine=0.95)))
    with pytest.raises(StillAtStartError, match="still at its random start"):
        space_of(run, methods=["pca"])
    assert "mean cos(z, z0) 0.95" in space_of(run, methods=["pca"], force=True).warning
    little = space_of(read_embedded(str(make_run(tmp_path / "two", cosine=0.8))), methods=["pca"])
    assert "z is close to its random start" in little.warning


def test_tables_and_models_are_read_too(run, tmp_path):
    table = read_embedded(str(run / "task_embeddings"), "mine")
    assert "the distance of z from its random start is not stored" in space_of(table, methods=["pca"]).warning
    config = ConditionalConfig(adapter_size=4, dim_z=3, max_length=8)
    labels = {"my/one": ("no", "yes"), "my/two": ("a", "b")}
    model = ConditionalAdapterModel.create("tiny", labels, config, vocabulary=["a cat"])
    loaded = read_embedded(str(model.save_pretrained(tmp_path / "model")))
    assert space_of(loaded, methods=["pca", "umap"]).maps.keys() == {"pca"}  # too few tasks for UMAP


def test_features_stored_with_a_run_give_lengths_and_domains(run, tmp_path):
    folder = make_run(tmp_path / "run", ("demo/spam", "my/own", "my/other"))
    kinds = (TaskType.OTHER, TaskType.GRAMMAR, TaskType.NLI)
    tasks = read_embedded(str(folder)).tasks
    aspects = [Aspects(task, 40 + i, 1 + i % 2, 7.5 + i, kinds[i]) for i, task in enumerate(tasks)]
    words = np.eye(3, 5, dtype=np.float32)
    features = TaskFeatures(tuple(aspects), words, fit_domains(words, 2))
    features.save(folder / "model")
    found = facts_of([read_embedded(str(folder))])
    own = found["my/own"].aspects
    assert {key: own[key] for key in ("Task type", "Texts", "Training rows", "Median words", "Group")} == {
        **{"Task type": "Grammar", "Texts": "Pairs", "Training rows": 401.0, "Median words": 8.5, "Group": "my"},
    }
    clusters = [f"Cluster {number + 1}" for number in features.classes("domain_cluster")]
    assert [found[task].aspects["Domain"] for task in features.names] == clusters


# --- data ---


def test_lengths_and_examples_are_read_from_training_rows(run):
    facts = facts_of([read_embedded(str(run))])
    editions = {"demo/film_reviews": "careful", "demo/picnic_nli": "careful"}
    found, failed = read_data(
        facts, lambda task, edition: load_dataset("metaeval", task, edition=edition), editions, "demo"
    )
    assert failed == {}
    rows = load_dataset("metaeval", "demo/picnic_nli")["train"]
    words = [len(row["sentence1"].split()) + len(row["sentence2"].split()) for row in rows]
    assert found["demo/picnic_nli"].aspects["Median words"] == np.median(words)
    for example in found["demo/picnic_nli"].examples:
        row = next(row for row in rows if rows.features["label"].int2str(row["label"]) == example.label)
        assert example.texts == (row["sentence1"], row["sentence2"])
    assert [example.label for example in found["demo/film_reviews"].examples] == ["negative", "positive"]
    assert found["demo/spam"] == facts["demo/spam"]  # not asked for


def test_examples_are_few_and_shortened(run):
    facts = facts_of([read_embedded(str(run))])
    rows = [{"sentence": "word " * 100, "label": label, "idx": label} for label in range(5)]
    task = get_task("demo/topics")
    splits = DatasetDict(train=Dataset.from_list(rows, features=load_dataset("metaeval", task.name)["train"].features))
    found, _ = read_data(facts, lambda task, edition: splits, {task.name: "careful"}, "open")
    assert [example.label for example in found[task.name].examples] == list(task.names[:4])
    assert {len(example.texts[0]) for example in found[task.name].examples} == {200}


def test_tasks_that_do_not_load_keep_what_is_known(run):
    facts = facts_of([read_embedded(str(run))])

    def load(task, edition):
        raise OSError(f"task {task}: the source\nis on fire")

    found, failed = read_data(facts, load, {"demo/spam": "careful"}, "all")
    assert failed == {"demo/spam": "OSError: the source is on fire"}
    assert found == facts


def test_only_open_licences_and_demo_tasks_are_shown_by_default():
    demo, cola = get_task("demo/spam"), get_task("glue/cola")
    assert cola.license not in OPEN_LICENSES
    shown = {which: (may_show(demo, which), may_show(cola, which)) for which in ("none", "demo", "open", "all")}
    assert shown == {"none": (False, False), "demo": (True, False), "open": (True, False), "all": (True, True)}
    for license in OPEN_LICENSES:
        assert not any(word in license for word in ("nc", "nd", "unknown", "other"))


# --- the command ---


# --- the Hub ---
