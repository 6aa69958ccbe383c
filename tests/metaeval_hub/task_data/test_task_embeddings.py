"""The table of task embeddings."""

import json

import numpy as np
import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard, HfApi

from metaeval_datasets import UnknownTaskError
from metaeval_hub import TaskEmbeddings, UnsafeRepositoryError
from metaeval_hub.hub.retry import HubError

RNG = np.random.default_rng(0)
EMB = TaskEmbeddings(tuple(f"g/{i}" for i in range(12)), RNG.normal(size=(12, 6)).astype(np.float32))


def test_saved_table_is_loaded_back_equal_and_without_torch(tmp_path, run_python):
    EMB.save(tmp_path)
    loaded = TaskEmbeddings.load(tmp_path)
    assert loaded.names == EMB.names
    assert np.array_equal(loaded.values, EMB.values)
    code = """
import sys
from metaeval_hub import TaskEmbeddings
TaskEmbeddings.load(sys.argv[1])
print({"torch", "transformers", "datasets"} & sys.modules.keys())
"""
    assert run_python(code, str(tmp_path)).stdout.strip() == "set()"


def test_several_embeddings_a_task_are_stored_beside_the_one_that_counts(tmp_path):
    copies = RNG.normal(size=(12, 3, 6)).astype(np.float32)
    emb = TaskEmbeddings(EMB.names, copies[:, 0], copies)
    loaded = TaskEmbeddings.load(emb.save(tmp_path))
    assert np.array_equal(loaded.copies, copies)
    assert np.array_equal(loaded.select(("g/4", "g/2")).copies, copies[[4, 2]])
    np.testing.assert_allclose(loaded.centroids().values, copies.mean(axis=1))
    assert EMB.centroids() is EMB
    with pytest.raises(ValueError, match=r"copies have shape \(12, 6\); expected \(12, K, 6\)"):
        TaskEmbeddings(EMB.names, EMB.values, copies[:, 0])
    with pytest.raises(ValueError, match="g/2: an embedding among its copies is not finite"):
        TaskEmbeddings(EMB.names, EMB.values, np.where(np.arange(12)[:, None, None] == 2, np.nan, copies))


def test_nearest_is_by_cosine():
    emb = TaskEmbeddings(("a", "b", "c", "d"), np.array([[1, 0], [10, 1], [0, 1], [-1, 0]]))
    assert [name for name, _ in emb.nearest("a", k=3)] == ["b", "c", "d"]
    assert emb.nearest("a", k=1)[0][1] == pytest.approx(10 / np.sqrt(101))


def test_a_row_of_zeros_is_near_to_nothing():
    emb = TaskEmbeddings(("a", "b"), np.array([[0, 0], [1, 0]]))
    assert emb.nearest("a") == [("b", 0.0)]


def test_unknown_task_names_the_closest():
    with pytest.raises(UnknownTaskError, match=r"^no task 'g/111' among 12; closest: g/11"):
        EMB["g/111"]


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        (("a",), np.zeros((2, 3)), "1 names do not fit"),
        (("a", "a"), np.zeros((2, 3)), "more than once: a"),
        (("a",), np.array([[0.0, np.nan]]), "a: dimension 1 is nan"),
    ],
)
def test_tables_that_do_not_hold_together_are_refused(names, values, message):
    with pytest.raises(ValueError, match=message):
        TaskEmbeddings(names, values)


def test_files_of_another_form_are_refused(tmp_path):
    EMB.save(tmp_path)
    (tmp_path / "task_embeddings.json").write_text(json.dumps({"names": [1, 2]}))
    with pytest.raises(UnsafeRepositoryError, match=r"names\[0\] is 1; expected a string"):
        TaskEmbeddings.load(tmp_path)
    with pytest.raises(UnsafeRepositoryError, match=r"the name of a task is '\.\./up', a path"):
        TaskEmbeddings(("../up",), np.zeros((1, 2))).save(tmp_path)


@pytest.mark.parametrize("several", [False, True])
def test_table_goes_to_the_hub_and_back_and_datasets_reads_it(several, hub):
    emb = TaskEmbeddings(EMB.names, EMB.values, RNG.normal(size=(12, 3, 6)).astype(np.float32) if several else None)
    repo = hub.name("embeddings")
    address = emb.push_to_hub(repo, model="org/model")
    assert f"datasets/{repo}/commit/" in address
    loaded = TaskEmbeddings.from_hub(repo)
    rows = load_dataset(repo, split="train")
    assert loaded.names == emb.names == tuple(rows["task"])
    assert np.array_equal(loaded.values, emb.values)
    assert np.array_equal(rows.with_format("numpy")["embedding"][:], emb.values)
    assert rows.column_names == ["task", "embedding", "copies"][: 3 if several else 2]
    if several:
        assert np.array_equal(loaded.copies, emb.copies)
        assert np.array_equal(np.array(rows["copies"][:], dtype=np.float32), emb.copies)
    card = DatasetCard.load(repo)
    assert card.data.configs[0]["config_name"] == "default"
    nearest, cosine = emb.nearest("g/0", k=1)[0]
    assert f"| `g/0` | `{nearest}` {cosine:.2f} |" in card.content
    assert "[org/model](/org/model)" in card.content
    # of an earlier push nothing is left, and the card keeps to what there is
    emb.select(("g/3",)).push_to_hub(repo)
    assert TaskEmbeddings.from_hub(repo).names == ("g/3",)
    assert "# Embeddings of 1 task\n" in DatasetCard.load(repo).content


def test_options_of_the_cache_apply_to_a_table(hub, tmp_path):
    EMB.push_to_hub(repo := hub.name("embeddings"))
    hub.requests.clear()
    with pytest.raises(HubError, match=rf"{repo} are not in the cache {tmp_path}, and local_files_only=True"):
        TaskEmbeddings.from_hub(repo, cache_dir=tmp_path, local_files_only=True)
    assert len(hub.requests) == 0
    TaskEmbeddings.from_hub(repo, cache_dir=tmp_path)
    hub.requests.clear()
    found = TaskEmbeddings.from_hub(repo, cache_dir=str(tmp_path), local_files_only=True)
    assert np.array_equal(found.values, EMB.values)
    assert len(hub.requests) == 0
    TaskEmbeddings.from_hub(repo, cache_dir=tmp_path, force_download=True)
    assert hub.requests.count(route="resolve", method="GET")


def test_a_push_is_checked_before_anything_is_written(hub, monkeypatch):
    name = hub.name("own").split("/")[1]
    assert f"datasets/user/{name}/commit/" in EMB.push_to_hub(name)
    assert f'from_hub("user/{name}")' in DatasetCard.load(f"user/{name}").content
    monkeypatch.setattr(TaskEmbeddings, "save", None)  # would fail
    for repo_id in ("a b", "a/b/c", ""):
        with pytest.raises(ValueError, match="is not the id of a repository"):
            EMB.push_to_hub(repo_id)
    hub.faults.add(route="whoami", status=401)
    with pytest.raises(HubError, match="the token is not valid"):
        EMB.push_to_hub("my-table")


def test_a_repository_of_a_table_that_holds_code_is_refused_unread(hub, tmp_path):
    EMB.save(tmp_path)
    (tmp_path / "loader.py").write_text("raise SystemExit\n")
    repo = hub.name("embeddings")
    HfApi().create_repo(repo, repo_type="dataset")
    HfApi().upload_folder(repo_id=repo, folder_path=tmp_path, repo_type="dataset")
    hub.requests.clear()
    with pytest.raises(UnsafeRepositoryError, match=rf"{repo}: loader\.py contains code"):
        TaskEmbeddings.from_hub(repo)
    assert hub.requests.count(route="resolve") == 0
