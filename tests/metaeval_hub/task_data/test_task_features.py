"""What is known of tasks without labels: coded as in the paper, alike for known and unseen tasks, stored safely."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.stats import norm

from metaeval_datasets.aspects import Aspects
from metaeval_datasets.spec import TaskType
from metaeval_hub.safe_files.repository import UnsafeRepositoryError
from metaeval_hub.task_data.domains import fit_domains, mean_word_vector
from metaeval_hub.task_data.task_features import ASPECTS, TABLE_FILE, TENSOR_FILE, TaskFeatures, compute_task_features

KINDS = list(TaskType)


def planted(n=24, clusters=4, dim=10, noise=0.02, seed=0):
    """Tasks whose domain vectors lie around a few centres."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n) % clusters
    words = rng.normal(size=(clusters, dim))[groups] + noise * rng.normal(size=(n, dim))
    aspects = [Aspects(f"g/{i}", 100 * (i + 1), 1 + i % 2, float(5 + i), KINDS[i % 8]) for i in range(n)]
    return aspects, words.astype(np.float32), groups


def test_domain_vectors_average_words_of_length_one():
    vectors = np.array([[3.0, 0.0], [0.0, 5.0], [7.0, 7.0]])
    found = mean_word_vector(np.array([3, 4, 0]), vectors)
    assert found.tolist() == pytest.approx([0.6, 0.8])
    with pytest.raises(ValueError, match="no word of the vocabulary occurs"):
        mean_word_vector(np.zeros(3, int), vectors)
    with pytest.raises(ValueError, match="do not fit"):
        mean_word_vector(np.ones(2, int), vectors)


def test_planted_domains_are_found():
    _, words, groups = planted()
    found = fit_domains(words, 4).activations(words).argmax(axis=1)
    assert len(set(zip(found.tolist(), groups.tolist(), strict=True))) == 4  # one cluster for each group


def test_activations_are_the_mixture_s_probabilities():
    _, words, _ = planted(noise=1.0)
    domains = fit_domains(words, 3)
    points = (words - domains.centre) @ domains.axes.T
    densities = np.array(
        [
            [
                weight * np.prod(norm.pdf(point, mean, np.sqrt(variance)))
                for weight, mean, variance in zip(domains.weights, domains.means, domains.variances, strict=True)
            ]
            for point in points
        ]
    )
    np.testing.assert_allclose(
        domains.activations(words), densities / densities.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-12
    )


def test_few_tasks_get_few_clusters():
    _, words, _ = planted(n=3)
    assert fit_domains(words).activations(words).shape == (3, 3)
    assert fit_domains(words[:1]).activations(words).tolist() == [[1.0]] * 3
    assert fit_domains(np.repeat(words[:1], 5, axis=0)).activations(words).shape == (3, 1)


def test_classes_are_the_aspects_of_table_4():
    aspects, words, groups = planted()
    features = compute_task_features(aspects, words)
    assert features.classes("train_rows").tolist() == [i // 6 for i in range(24)]
    assert features.classes("median_words").tolist() == [i // 6 for i in range(24)]
    assert features.classes("text_fields").tolist() == [i % 2 for i in range(24)]
    assert features.classes("task_type").tolist() == [i % 8 for i in range(24)]
    assert set(ASPECTS) == {"train_rows", "median_words", "text_fields", "task_type", "domain_cluster"}
    clusters = features.classes("domain_cluster")
    assert all(len(set(groups[clusters == each])) == 1 for each in set(clusters.tolist()))


def test_an_unseen_task_is_coded_in_terms_of_the_known_ones():
    aspects, words, _ = planted()
    features = compute_task_features(aspects, words)
    assert features.code().shape == (24, len(features.columns))
    unseen = Aspects("new", 10**9, 2, 5.5, TaskType.NLI)
    [code] = features.code([unseen], words[4:5])
    held = {column for column, value in zip(features.columns, code, strict=True) if value > 0.99}
    assert held >= {"train_rows:4", "text_fields:2", "median_words:1", "task_type:nli"}
    np.testing.assert_allclose(code[18:], features.code()[4, 18:])
    assert code[18:].sum() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="1 tasks need as many domain vectors"):
        features.code([unseen])


def test_a_stored_table_is_read_back(tmp_path):
    aspects, words, _ = planted()
    texts = np.random.default_rng(0).normal(size=(24, 6))
    features = compute_task_features(aspects, words, texts)
    features = TaskFeatures(features.aspects, features.words, features.domains, features.texts, np.full(24, 0.25))
    loaded = TaskFeatures.load(features.save(tmp_path))
    assert loaded.aspects == features.aspects
    assert np.array_equal(loaded.code(), features.code())
    assert np.array_equal(loaded.texts, features.texts)
    assert loaded.cosine_with_start.tolist() == [0.25] * 24
    bare = TaskFeatures.load(compute_task_features(aspects, words).save(tmp_path))
    assert bare.texts is None
    assert bare.cosine_with_start is None
    part = loaded.select(["g/3", "g/1"])
    assert part.names == ("g/3", "g/1")
    assert np.array_equal(part.texts, loaded.texts[[3, 1]])
    with pytest.raises(KeyError, match="no features of g/x; it has those of g/0"):
        loaded.select(["g/1", "g/x"])


def test_tables_that_do_not_hold_together_are_refused():
    aspects, words, _ = planted()
    with pytest.raises(ValueError, match=r"words has shape \(23, 10\) for 24 tasks"):
        TaskFeatures(tuple(aspects), words[1:], fit_domains(words))
    with pytest.raises(ValueError, match="all different"):
        TaskFeatures((aspects[0], aspects[0]), words[:2], fit_domains(words))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.update(format="other"), "format is 'other'"),
        (lambda table: table.update(more=1), "format is"),
        (lambda table: table.update(tasks=[]), "tasks is not a list"),
        (lambda table: table["tasks"][1].update(name="../x"), r"tasks\[1\].name is '../x', a path"),
        (lambda table: table["tasks"][1].update(type="poem"), r"tasks\[1\].type is 'poem'"),
        (lambda table: table["tasks"][1].update(text_fields=3), r"tasks\[1\].text_fields is 3"),
        (lambda table: table["tasks"][1].update(train_rows=True), r"tasks\[1\].train_rows is True"),
        (lambda table: table["tasks"][1].update(cos_z_z0="x"), r"tasks\[1\].cos_z_z0 is 'x'"),
        (lambda table: table["tasks"][1].pop("type"), r"tasks\[1\] is"),
        (lambda table: table["tasks"].pop(), "float32 tensors"),
        (lambda table: table["tasks"][1].update(name="g/0"), "all different"),
    ],
)
def test_stored_tables_of_another_form_are_refused(tmp_path, change, message):
    aspects, words, _ = planted()
    compute_task_features(aspects, words).save(tmp_path)
    table = json.loads((tmp_path / TABLE_FILE).read_text())
    change(table)
    (tmp_path / TABLE_FILE).write_text(json.dumps(table))
    with pytest.raises(UnsafeRepositoryError, match=message):
        TaskFeatures.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("domain_axes"), "expected float32 tensors"),
        (lambda tensors: tensors.update(more=np.zeros(2, np.float32)), "expected float32 tensors"),
        (lambda tensors: tensors.update(words=np.ones((), np.float32)), "expected float32 tensors"),
        (lambda tensors: tensors.update(domain_means=np.zeros((2, 2, 2), np.float32)), "expected float32 tensors"),
        (lambda tensors: tensors.update(words=tensors["words"].astype(np.float64)), "expected float32 tensors"),
        (lambda tensors: tensors["words"].fill(np.nan), "words contains values that are not finite"),
        (lambda tensors: tensors["domain_variances"].fill(0), "domain_variances contains values that are not above 0"),
    ],
)
def test_stored_tensors_of_another_form_are_refused(tmp_path, change, message):
    aspects, words, _ = planted()
    compute_task_features(aspects, words).save(tmp_path)
    tensors = {name: np.array(value) for name, value in load_file(tmp_path / TENSOR_FILE).items()}
    change(tensors)
    save_file({name: np.asarray(value) for name, value in tensors.items()}, tmp_path / TENSOR_FILE)
    with pytest.raises(UnsafeRepositoryError, match=message):
        TaskFeatures.load(tmp_path)
