"""The real clients against the test Hub: what the other tests build on."""

from __future__ import annotations

from pathlib import Path

import datasets
import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError


def test_upload_and_download(hub, tmp_path):
    repo, api = hub.name("model"), HfApi()
    api.create_repo(repo)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "weights.bin").write_bytes(bytes(range(256)) * 100)
    api.upload_folder(repo_id=repo, folder_path=tmp_path)
    assert hub.repo(repo).files() == [".gitattributes", "config.json", "weights.bin"]
    assert Path(hf_hub_download(repo, "weights.bin")).read_bytes() == bytes(range(256)) * 100
    assert Path(snapshot_download(repo), "config.json").read_text() == "{}"


def test_mirror(hub, mirror):
    data = datasets.load_dataset("sileod/pragmeval", "sarcasm")
    print(hub.requests)
    assert data["train"].num_rows


def test_push(hub):
    repo = hub.name("tasks")
    datasets.DatasetDict({"train": datasets.Dataset.from_dict({"a": [1, 2]})}).push_to_hub(repo, "x")
    assert datasets.load_dataset(repo, "x", split="train")["a"][:] == [1, 2]
    print(hub.requests)
