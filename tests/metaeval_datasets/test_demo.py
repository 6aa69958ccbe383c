"""The embedded demo tasks: the same everywhere, balanced as declared, clean between splits, and learnable."""

import hashlib
import json
import re

import numpy as np
import pytest

from metaeval_datasets.demo import LABEL_NOISE, ROWS, demo_names, generate
from metaeval_datasets.demo_templates import DEMO_TEMPLATES, DemoTemplates
from metaeval_datasets.spec import TaskType
from metaeval_datasets.tasks.demo import TASKS

NAMES = demo_names()


def words(text):
    return re.findall(r"\w+", text.lower())


def text_columns(table):
    return [name for name in table.column_names if name != "label"]


def texts(table):
    return list(zip(*(table[name].to_pylist() for name in text_columns(table)), strict=True))


def test_content_is_pinned():
    """Changing a template changes published numbers: this hash is to be changed with them, never by accident."""
    digest = hashlib.sha256()
    for name in NAMES:
        for split, table in generate(name).items():
            digest.update(json.dumps([name, split, table.to_pylist()], ensure_ascii=False).encode())
    assert digest.hexdigest()[:16] == "0099db27efa944d0"


def test_there_are_single_sentences_pairs_and_two_to_six_classes():
    assert len(NAMES) >= 14
    fields = {name: len(text_columns(generate(name)["test"])) for name in NAMES}
    assert sorted(set(fields.values())) == [1, 2]
    assert sum(count == 2 for count in fields.values()) >= 5
    sizes = {len(DEMO_TEMPLATES[name].templates) for name in NAMES}
    assert sizes >= {2, 3, 4, 5, 6}


def test_vocabulary_is_closed_and_small():
    vocabulary = {
        word
        for name in NAMES
        for table in generate(name).values()
        for column in text_columns(table)
        for text in table[column].to_pylist()
        for word in words(text)
    }
    assert 500 < len(vocabulary) < 1500


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_whole_and_unique_over_all_splits(name):
    tables = generate(name)
    assert {split: table.num_rows for split, table in tables.items()} == ROWS
    rows = [row for table in tables.values() for row in texts(table)]
    assert len(set(rows)) == len(rows)
    for row in rows:
        for text in row:
            assert len(words(text)) >= 2
            assert not re.search(r"[{}|_]|  |\ba [aeiou]", text), text
            assert text == text.strip()
            assert text[0].isupper()


@pytest.mark.parametrize("name", NAMES)
def test_every_class_is_in_every_split_and_none_dominates(name):
    n_classes = len(DEMO_TEMPLATES[name].templates)
    for table in generate(name).values():
        counts = np.bincount(table["label"].to_numpy(), minlength=n_classes)
        assert counts.size == n_classes
        assert counts.min() >= 8
        assert 0.24 <= counts.max() / counts.sum() <= 0.75


def test_the_share_of_wrong_labels_is_small_and_present():
    changed = total = 0
    for name in NAMES:
        noisy, clean = generate(name), generate(name, label_noise=0)
        for split in ROWS:
            assert texts(noisy[split]) == texts(clean[split])
            changed += int((noisy[split]["label"].to_numpy() != clean[split]["label"].to_numpy()).sum())
            total += ROWS[split]
    assert changed / total == pytest.approx(LABEL_NOISE, abs=0.007)  # 4 standard errors of 12,750 draws


@pytest.mark.parametrize("name", [name for name in NAMES if text_columns(generate(name)["test"]) == ["sentence"]])
def test_words_alone_beat_the_majority_class(name):
    pytest.importorskip("sklearn")
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    train, test = (generate(name)[split] for split in ("train", "test"))
    model = make_pipeline(CountVectorizer(binary=True, ngram_range=(1, 2)), LogisticRegression(max_iter=500))
    model.fit(train["sentence"].to_pylist(), train["label"].to_numpy())
    gold = test["label"].to_numpy()
    accuracy = model.score(test["sentence"].to_pylist(), gold)
    assert accuracy > np.bincount(gold).max() / gold.size + 0.08


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(KeyError, match="closest: film_reviews"):
        generate("film_review")


@pytest.mark.parametrize("shares", [(0.5, 0.4), (1.0,)])
def test_shares_must_match_the_classes(shares):
    with pytest.raises(ValueError, match="share"):
        DemoTemplates(templates={"a": ("x",), "b": ("y",)}, shares=shares)


def test_every_demo_task_is_declared_with_the_class_names_of_its_templates():
    declared = {spec.name: spec.names for spec in TASKS}
    assert declared == {f"demo/{name}": tuple(DEMO_TEMPLATES[name].templates) for name in NAMES}
    assert {spec.type for spec in TASKS} == set(TaskType)


@pytest.mark.parametrize("spec", TASKS, ids=lambda spec: spec.name)
def test_the_declared_rows_are_those_made(spec):
    tables = generate(spec.name)
    assert {split: table.num_rows for split, table in tables.items()} == dict(spec.rows)
    assert text_columns(tables["train"]) == list(spec.texts)
