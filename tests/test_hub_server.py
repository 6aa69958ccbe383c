"""The real clients against the test Hub: what the tests of publishing and loading build on."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import datasets
import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationCopy,
    CommitOperationDelete,
    HfApi,
    HfFileSystem,
    hf_hub_download,
    snapshot_download,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from metaeval_datasets.sources.transport import HTTP_ERRORS
from tests.conftest import ROOT
from tests.hub import Hub
from tests.hub.store import LFS_PATTERNS, Blob, check_card

WEIGHTS = bytes(range(256)) * 64  # 16 KiB, binary
README = "---\nlicense: mit\nlanguage: en\ntags: [adapters, demo]\n---\n# Card\n"


@pytest.fixture
def api() -> HfApi:
    return HfApi()


@pytest.fixture
def filled(hub):
    """A model repository with a card, a regular file, and an LFS file in a folder."""
    name = hub.name("filled")
    hub.add_repo(name, {"README.md": README, "config.json": "{}", "sub/weights.bin": WEIGHTS})
    return name


def push_tables(hub, name: str, api: HfApi) -> None:
    """A dataset repository with two configs as Parquet, described in the card."""
    card = {"configs": []}
    for config, rows in (("a-one", 3), ("a-two", 5)):
        features = datasets.Features(
            {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
        )
        data = datasets.Dataset.from_dict(
            {"sentence": [f"row {i}" for i in range(rows)], "label": [i % 2 for i in range(rows)]}, features
        )
        path = f"{config}/train-00000-of-00001.parquet"
        hub.add_repo(name, {path: parquet(data)}, repo_type="dataset")
        card["configs"].append({"config_name": config, "data_files": [{"split": "train", "path": path}]})
    api.upload_file(
        path_or_fileobj=f"---\n{json.dumps(card)}\n---\n".encode(),
        path_in_repo="README.md",
        repo_id=name,
        repo_type="dataset",
    )


def parquet(data: datasets.Dataset) -> bytes:
    sink = pa.BufferOutputStream()
    data.to_parquet(sink)
    return sink.getvalue().to_pybytes()


# Who


def test_whoami_names_user_and_organisations(hub, api):
    hub.add_org("lab", {"member": "write"})
    token = hub.add_user("member", role="read")
    answer = api.whoami(token)
    assert (answer["name"], [org["name"] for org in answer["orgs"]]) == ("member", ["lab"])
    assert answer["auth"]["accessToken"]["role"] == "read"
    assert api.whoami()["name"] == hub.user


def test_unknown_token_is_refused_everywhere(filled, api):
    with pytest.raises((*HTTP_ERRORS, HfHubHTTPError), match=r"Invalid user token|401"):
        api.whoami("hf_wrong")
    with pytest.raises(HfHubHTTPError, match="Invalid credentials in Authorization header"):
        api.repo_info(filled, token="hf_wrong")


@pytest.mark.parametrize(
    ("role", "org_role", "allowed"), [("write", "write", True), ("read", "write", False), ("write", "read", False)]
)
def test_writing_takes_a_role_in_token_and_organisation(hub, api, role, org_role, allowed):
    org, user = hub.name("org").replace("/", "-"), hub.name("member").replace("/", "-")
    hub.add_org(org, {user: org_role})
    token, name = hub.add_user(user, role=role), f"{org}/model"
    if allowed:
        assert api.create_repo(name, token=token).repo_id == name
    else:
        with pytest.raises(HfHubHTTPError, match="403"):
            api.create_repo(name, token=token)


def test_private_repository_is_seen_by_its_owners_only(hub, api):
    name = hub.name("secret")
    api.create_repo(name, private=True)
    api.upload_file(path_or_fileobj=WEIGHTS, path_in_repo="w.bin", repo_id=name)
    assert Path(hf_hub_download(name, "w.bin")).read_bytes() == WEIGHTS  # storage takes no token
    for token in (False, hub.add_user("stranger")):
        with pytest.raises(RepositoryNotFoundError):
            api.repo_info(name, token=token)
        with pytest.raises(RepositoryNotFoundError):
            hf_hub_download(name, "README.md", token=token)
        assert name not in [model.id for model in api.list_models(author=hub.user, token=token)]
    assert name in [model.id for model in api.list_models(author=hub.user)]
    api.update_repo_settings(name, private=False)
    assert api.repo_info(name, token=False).id == name


def test_gated_repository_shows_its_files_but_not_their_content(hub, api, filled):
    api.update_repo_settings(filled, gated="manual")
    token = hub.add_user("reader")
    for who in (False, token):
        assert "config.json" in api.list_repo_files(filled, token=who)
        with pytest.raises(GatedRepoError):
            hf_hub_download(filled, "config.json", token=who)
    hub.repo(filled).granted.add("reader")
    assert Path(hf_hub_download(filled, "config.json", token=token)).read_text() == "{}"


# Repositories


def test_create_again_is_a_conflict_that_exist_ok_forgives(hub, api):
    name = hub.name("model")
    url = api.create_repo(name)
    assert (url.repo_id, url.repo_type) == (name, "model")
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo(name)
    assert api.create_repo(name, exist_ok=True) == url
    api.create_repo(name, repo_type="dataset")  # types have names of their own
    api.delete_repo(name)
    assert not api.repo_exists(name)
    assert api.repo_exists(name, repo_type="dataset")
    api.delete_repo(name, missing_ok=True)
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo(name)


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_old_name_of_a_moved_repository_redirects(hub, api, kind):
    old, new = hub.name("old"), hub.name("new")
    hub.add_repo(old, {"a.txt": "text", "w.bin": WEIGHTS}, repo_type=kind)
    api.move_repo(old, new, repo_type=kind)
    assert api.repo_info(old, repo_type=kind).id == new
    assert Path(hf_hub_download(old, "a.txt", repo_type=kind)).read_text() == "text"
    assert Path(hf_hub_download(old, "w.bin", repo_type=kind)).read_bytes() == WEIGHTS
    api.upload_file(path_or_fileobj=b"b", path_in_repo="b.txt", repo_id=old, repo_type=kind)
    assert "b.txt" in hub.repo(new, kind).files()
    api.delete_repo(new, repo_type=kind)
    with pytest.raises(RepositoryNotFoundError):
        api.repo_info(old, repo_type=kind)


def test_name_of_one_word_redirects(hub, api, filled):
    word = filled.partition("/")[2]
    hub.move(word, filled)
    assert api.model_info(word).id == filled
    assert api.list_repo_refs(word).branches[0].name == "main"
    assert Path(hf_hub_download(word, "config.json")).read_text() == "{}"
    hub.remove(word)
    assert not api.repo_exists(word)


def test_listing_filters_by_author_tag_and_word_over_pages(hub, api):
    owner = hub.name("owner").replace("/", "-")
    names = [f"{owner}/model-{i}" for i in range(5)]
    for name in names:
        hub.add_repo(name, {"README.md": README, "config.json": '{"model_type": "bert"}'})
    hub.add_repo(f"{owner}/untagged", {"a.txt": ""})
    hub.limits.list_page = 2
    found = list(api.list_models(author=owner, filter="adapters", full=True, fetch_config=True))
    assert sorted(model.id for model in found) == names
    assert {model.config["model_type"] for model in found} == {"bert"}
    assert {"license:mit", "en", "demo"} <= set(found[0].tags)
    assert hub.requests.count(route="list") == 3
    assert [model.id for model in api.list_models(author=owner, search="UNTAG")] == [f"{owner}/untagged"]
    assert len(list(api.list_models(author=owner, limit=3))) == 3


def test_errors_of_what_is_missing_are_told_apart(hub, filled, api):
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download(hub.name("absent"), "config.json")
    with pytest.raises(EntryNotFoundError) as error:
        hf_hub_download(filled, "absent.json")
    assert error.value.response.headers["X-Repo-Commit"] == hub.repo(filled).commit().sha
    for revision in ("absent", "0" * 40):
        with pytest.raises(RevisionNotFoundError):
            hf_hub_download(filled, "config.json", revision=revision)
        with pytest.raises(RevisionNotFoundError):
            api.repo_info(filled, revision=revision)
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(filled, "absent"))
    with pytest.raises(HfHubHTTPError, match="404"):
        api.get_space_runtime(filled)  # an endpoint the test Hub does not have
    assert [request.route for request in hub.requests][-1] is None


# Commits


def test_files_go_up_as_regular_or_lfs_and_unchanged_ones_stay(hub, api):
    name = hub.name("model")
    api.create_repo(name)
    first = api.upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id=name)
    assert hub.requests.count(route="lfs_batch") == 0
    second = api.upload_file(path_or_fileobj=WEIGHTS, path_in_repo="a/w.safetensors", repo_id=name)
    assert hub.requests.count(route="lfs_upload") == hub.requests.count(route="lfs_verify") == 1
    rows = {row.path: row for row in api.list_repo_tree(name, recursive=True) if hasattr(row, "size")}
    assert rows["config.json"].lfs is None
    assert (
        rows["config.json"].blob_id == "9e26dfeeb6e641a33dae4961196235bdb965b21b"
    )  # printf '{}' | git hash-object --stdin
    assert (rows["a/w.safetensors"].lfs.size, rows["a/w.safetensors"].size) == (len(WEIGHTS),) * 2
    assert [commit.sha for commit in hub.repo(name).history()][:2] == [second.oid, first.oid]

    hub.requests.clear()
    again = api.upload_file(path_or_fileobj=WEIGHTS, path_in_repo="a/w.safetensors", repo_id=name)
    assert again.oid == second.oid
    assert hub.requests.count(route="commit") == hub.requests.count(route="lfs_upload") == 0
    # The same bytes under another name: a commit, but nothing is sent again.
    api.upload_file(path_or_fileobj=WEIGHTS, path_in_repo="b.safetensors", repo_id=name)
    assert (hub.requests.count(route="commit"), hub.requests.count(route="lfs_upload")) == (1, 0)


def test_binary_and_large_files_go_through_lfs_whatever_their_name(hub, api):
    name = hub.name("model")
    api.create_repo(name)
    hub.limits.regular_bytes = 1000
    for path, content in (("text", b"a" * 1000), ("large", b"a" * 1001), ("binary", b"a\0b")):
        api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=name)
    assert {path for path, entry in hub.repo(name).commit().files.items() if entry.lfs} == {"large", "binary"}


def test_folder_is_uploaded_in_one_commit_with_deletions(hub, api, tmp_path):
    name = hub.name("tasks")
    hub.add_repo(
        name,
        {"old/x.parquet": WEIGHTS, "old/y.parquet": b"y", "keep.txt": "keep", "sub/a.txt": "a"},
        repo_type="dataset",
    )
    before = hub.repo(name, "dataset").history()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("changed")
    (tmp_path / "new.parquet").write_bytes(WEIGHTS[::-1])
    (tmp_path / "skip.tmp").write_text("not this one")
    api.upload_folder(
        repo_id=name,
        repo_type="dataset",
        folder_path=tmp_path,
        delete_patterns="old/*",
        ignore_patterns="*.tmp",
        commit_message="Second",
    )
    repo = hub.repo(name, "dataset")
    assert repo.files() == [".gitattributes", "keep.txt", "new.parquet", "sub/a.txt"]
    assert [commit.title for commit in repo.history()] == ["Second", *(commit.title for commit in before)]
    assert repo.read("sub/a.txt") == b"changed"
    assert repo.read("old/x.parquet", before[0].sha) == WEIGHTS  # history keeps what was deleted
    hub.requests.clear()
    api.upload_folder(repo_id=name, repo_type="dataset", folder_path=tmp_path, ignore_patterns="*.tmp")
    assert hub.requests.count(route="commit") == hub.requests.count(route="lfs_upload") == 0


def test_large_file_goes_up_in_parts(hub, api):
    name = hub.name("model")
    api.create_repo(name)
    hub.limits.multipart_bytes = 5000
    api.upload_file(path_or_fileobj=WEIGHTS, path_in_repo="w.bin", repo_id=name)
    assert (hub.requests.count(route="lfs_part"), hub.requests.count(route="lfs_complete")) == (4, 1)  # 16384 / 5000
    assert hub.repo(name).read("w.bin") == WEIGHTS


def test_commit_on_a_stale_parent_is_refused_and_changes_nothing(hub, api, filled):
    head = hub.repo(filled).commit().sha
    api.upload_file(path_or_fileobj=b"1", path_in_repo="one", repo_id=filled, parent_commit=head)
    with pytest.raises(HfHubHTTPError, match="412"):
        api.upload_file(path_or_fileobj=b"2", path_in_repo="two", repo_id=filled, parent_commit=head)
    assert "two" not in hub.repo(filled).files()
    operations = [CommitOperationAdd("three", b"3"), CommitOperationDelete("absent")]
    with pytest.raises(EntryNotFoundError, match="A file with this name doesn't exist"):
        api.create_commit(filled, operations, commit_message="one half is impossible")
    assert "three" not in hub.repo(filled).files()


def test_copy_and_delete(hub, api, filled):
    operations = [
        CommitOperationCopy("sub/weights.bin", "copy.bin"),
        CommitOperationDelete("sub/"),
        CommitOperationDelete("config.json"),
    ]
    api.create_commit(filled, operations, commit_message="Copy and delete")
    assert hub.repo(filled).files() == [".gitattributes", "README.md", "copy.bin"]
    assert hub.repo(filled).read("copy.bin") == WEIGHTS


def test_branches_and_tags(hub, api, filled):
    first = hub.repo(filled).commit().sha
    api.create_tag(filled, tag="v1", tag_message="First")
    api.create_branch(filled, branch="side/one")
    api.upload_file(path_or_fileobj=b"on the side", path_in_repo="config.json", repo_id=filled, revision="side/one")
    api.upload_file(path_or_fileobj=b"on main", path_in_repo="config.json", repo_id=filled)
    for revision, content in (
        ("v1", "{}"),
        (first, "{}"),
        ("side/one", "on the side"),
        ("main", "on main"),
        (None, "on main"),
    ):
        folder = snapshot_download(filled, revision=revision)
        assert Path(folder, "config.json").read_text() == content
        assert Path(folder, "sub", "weights.bin").read_bytes() == WEIGHTS
    refs = api.list_repo_refs(filled)
    assert {ref.name for ref in refs.branches} == {"main", "side/one"}
    assert [(ref.name, ref.target_commit) for ref in refs.tags] == [("v1", first)]
    for again in (lambda: api.create_tag(filled, tag="v1"), lambda: api.create_branch(filled, branch="side/one")):
        with pytest.raises(HfHubHTTPError, match="409"):
            again()
    with pytest.raises(RevisionNotFoundError):
        api.create_tag(filled, tag="v2", revision="absent")
    with pytest.raises(RevisionNotFoundError):
        api.upload_file(path_or_fileobj=b"", path_in_repo="x.txt", repo_id=filled, revision="v1")  # a tag is no branch
    api.delete_tag(filled, tag="v1")
    api.delete_branch(filled, branch="side/one")
    with pytest.raises(RevisionNotFoundError):
        api.repo_info(filled, revision="v1")


def test_history_comes_in_pages_newest_first(hub, api, filled):
    hub.limits.commits_page = 2
    made = [
        api.upload_file(path_or_fileobj=bytes([i]), path_in_repo="n", repo_id=filled, commit_message=f"n {i}").oid
        for i in range(4)
    ]
    commits = api.list_repo_commits(filled)
    assert [commit.commit_id for commit in commits[:4]] == made[::-1]
    assert [commit.title for commit in commits] == ["n 3", "n 2", "n 1", "n 0", "Add files", "initial commit"]
    assert hub.requests.count(route="commits") == 3


def test_squash_keeps_files_and_forgets_history(hub, api, filled):
    api.upload_file(path_or_fileobj=b"new", path_in_repo="new.txt", repo_id=filled)
    files = hub.repo(filled).files()
    api.super_squash_history(filled, commit_message="All in one")
    assert [commit.title for commit in hub.repo(filled).history()] == ["All in one"]
    assert hub.repo(filled).files() == files


def test_pull_request_leaves_the_branch_alone(hub, api, filled):
    info = api.upload_file(path_or_fileobj=b"proposal", path_in_repo="config.json", repo_id=filled, create_pr=True)
    assert (info.pr_num, info.pr_revision) == (1, "refs/pr/1")
    assert hub.repo(filled).read("config.json") == b"{}"
    assert Path(hf_hub_download(filled, "config.json", revision="refs/pr/1")).read_text() == "proposal"


def test_card_is_checked_before_the_commit(hub, api, filled):
    with pytest.raises(ValueError, match=r"Invalid metadata in README\.md"):
        api.upload_file(path_or_fileobj=b"---\nlicense: [a\n---\n", path_in_repo="README.md", repo_id=filled)
    with pytest.raises(ValueError, match="language"):
        api.upload_file(path_or_fileobj=b"---\nlanguage: no\n---\n", path_in_repo="README.md", repo_id=filled)
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
        api.upload_file(path_or_fileobj=b"# A card\n", path_in_repo="README.md", repo_id=filled)
    assert hub.repo(filled).read("README.md") == b"# A card\n"


@pytest.mark.parametrize(
    ("card", "part"),
    [
        ("configs: {}", "configs"),
        ("configs: [{data_files: x}]", "config_name"),
        ("configs: [{config_name: a/b}]", "config_name"),
        ("- a\n- b", "mapping"),
    ],
)
def test_dataset_card_errors(card, part):
    errors, _ = check_card(f"---\n{card}\n---\n", "dataset")
    assert [error for error in errors if part in error]


def test_concurrent_uploads_all_arrive_in_one_line_of_history(hub, api):
    name = hub.name("model")
    api.create_repo(name)

    def upload(i: int) -> str:
        content = WEIGHTS + bytes([i])
        return api.upload_file(path_or_fileobj=content, path_in_repo=f"{i}.bin", repo_id=name).oid

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(upload, range(16)))
    repo = hub.repo(name)
    assert {commit.sha for commit in repo.history()[:16]} == set(made)
    assert all(repo.read(f"{i}.bin") == WEIGHTS + bytes([i]) for i in range(16))


# Downloads


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=100-", 206, 100, len(WEIGHTS)),
        ("bytes=-5", 206, len(WEIGHTS) - 5, len(WEIGHTS)),
        ("bytes=16000-99999", 206, 16000, len(WEIGHTS)),
        ("bytes=16384-", 416, 0, 0),
        (None, 200, 0, len(WEIGHTS)),
    ],
)
@pytest.mark.parametrize("path", ["sub/weights.bin", "plain"])
def test_ranges(hub, filled, asked, status, start, end, path):
    hub.repo(filled)
    if path == "plain":
        hub.add_repo(filled, {"plain": WEIGHTS})
    answer = requests.get(f"{hub.url}/{filled}/resolve/main/{path}", headers={"Range": asked} if asked else {})
    assert (answer.status_code, answer.content) == (status, WEIGHTS[start:end])
    if status == 206:
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(WEIGHTS)}"
    assert len(answer.history) == (path != "plain")  # LFS: a redirection to storage


def test_head_describes_regular_and_lfs_files(hub, filled):
    sha = hub.repo(filled).commit().sha
    plain = requests.head(f"{hub.url}/{filled}/resolve/main/config.json")
    assert (plain.status_code, plain.headers["X-Repo-Commit"], plain.headers["Content-Length"]) == (200, sha, "2")
    assert plain.headers["ETag"] == '"9e26dfeeb6e641a33dae4961196235bdb965b21b"'
    large = requests.head(f"{hub.url}/{filled}/resolve/main/sub/weights.bin")
    assert (large.status_code, large.headers["X-Repo-Commit"]) == (302, sha)
    assert large.headers["X-Linked-Size"] == str(len(WEIGHTS))
    assert large.headers["Location"].startswith(hub.cdn_url)
    assert requests.get(large.headers["Location"].partition("?")[0]).status_code == 403  # without its signature


def test_tree_comes_in_pages(hub, api):
    name = hub.name("many")
    hub.add_repo(name, {f"folder {i}/ä{j}.txt": f"{i}{j}" for i in range(3) for j in range(3)})
    hub.limits.tree_page = hub.limits.tree_page_expanded = 2
    whole = list(api.list_repo_tree(name, recursive=True))
    assert len(whole) == 1 + 3 + 9
    assert [row.path for row in api.list_repo_tree(name, "folder 1")] == [f"folder 1/ä{j}.txt" for j in range(3)]
    assert [row.path for row in api.list_repo_tree(name)] == [".gitattributes", "folder 0", "folder 1", "folder 2"]
    assert all(row.last_commit for row in api.list_repo_tree(name, recursive=True, expand=True))
    assert Path(hf_hub_download(name, "folder 2/ä1.txt")).read_text() == "21"
    paths = api.get_paths_info(name, ["folder 0", "folder 1/ä1.txt", "absent"])
    assert [row.path for row in paths] == ["folder 0", "folder 1/ä1.txt"]


def test_info_lists_sizes(api, filled):
    info = api.model_info(filled, files_metadata=True)
    assert {file.rfilename: file.size for file in info.siblings}["sub/weights.bin"] == len(WEIGHTS)
    assert info.card_data.license == "mit"
    assert info.last_modified is not None


def test_cached_download_asks_once(hub, filled):
    hf_hub_download(filled, "sub/weights.bin")
    hub.requests.clear()
    hf_hub_download(filled, "sub/weights.bin")
    assert [(request.method, request.status) for request in hub.requests] == [("HEAD", 302)]
    hub.requests.clear()
    hf_hub_download(filled, "sub/weights.bin", revision=hub.repo(filled).commit().sha)
    assert len(hub.requests) == 0


def test_file_system_reads_and_writes(hub, filled):
    fs = HfFileSystem(skip_instance_cache=True)
    with fs.open(f"{filled}/sub/weights.bin", "rb", block_size=1000) as file:
        file.seek(5000)
        assert file.read(10) == WEIGHTS[5000:5010]
    assert all(request.range for request in hub.requests.select(route="cdn"))
    fs.write_text(f"{filled}/note.txt", "hello")
    assert hub.repo(filled).read("note.txt") == b"hello"
    assert fs.glob(f"{filled}/**/*.txt") == [f"{filled}/note.txt"]


# datasets


def test_load_dataset_by_config(hub, api):
    name = hub.name("tasks")
    push_tables(hub, name, api)
    assert datasets.get_dataset_config_names(name) == ["a-one", "a-two"]
    two = datasets.load_dataset(name, "a-two", split="train")
    assert two.num_rows == 5
    assert two.features["label"].names == ["no", "yes"]
    streamed = datasets.load_dataset(name, "a-one", split="train", streaming=True)
    assert [row["sentence"] for row in streamed] == ["row 0", "row 1", "row 2"]
    hub.requests.clear()
    datasets.load_dataset(name, "a-two", split="train")
    assert hub.requests.count(method="GET", route="cdn") == 0


def test_push_to_hub_adds_configs_and_reads_back(hub, tmp_path):
    name = hub.name("pushed")
    data = datasets.DatasetDict(
        train=datasets.Dataset.from_dict({"x": [1, 2, 3]}), test=datasets.Dataset.from_dict({"x": [4]})
    )
    data.push_to_hub(name, "one", private=True)
    data["test"].push_to_hub(name, "two", split="test")
    repo = hub.repo(name, "dataset")
    assert repo.private
    assert len(repo.history()) == 3
    data.push_to_hub(name, "one")
    assert len(repo.history()) == 3  # nothing had changed
    assert sorted(datasets.get_dataset_config_names(name)) == ["one", "two"]
    assert datasets.load_dataset(name, "one", split="test")["x"][:] == [4]
    with pytest.raises((datasets.exceptions.DatasetNotFoundError, RepositoryNotFoundError)):
        datasets.load_dataset(name, "one", token=hub.add_user("stranger"), cache_dir=tmp_path)


def test_parquet_of_the_convert_branch(hub):
    name = hub.name("converted")
    table = datasets.Dataset.from_dict({"x": [1, 2]})
    hub.add_repo(name, {"script.py": ""}, repo_type="dataset")
    hub.add_repo(name, {"cfg/train/0000.parquet": parquet(table)}, repo_type="dataset", revision="refs/convert/parquet")
    assert [ref.name for ref in HfApi().list_repo_refs(name, repo_type="dataset").converts] == ["parquet"]
    url = f"hf://datasets/{name}@refs%2Fconvert%2Fparquet/cfg/train/*.parquet"
    assert datasets.load_dataset("parquet", data_files=url, split="train")["x"][:] == [1, 2]


# A folder on disk


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "datasets" / "some" / "tables" / "cfg"
    place.mkdir(parents=True)
    pq.write_table(pa.table({"x": [1, 2, 3]}), place / "train-00000-of-00001.parquet")
    return tmp_path


def test_folder_is_served_read_only_as_the_hub_would(hub, api, folder):
    with hub.only_folder(folder):
        assert [row.id for row in api.list_datasets(author="some")] == ["some/tables"]
        assert datasets.load_dataset("some/tables", data_dir="cfg", split="train")["x"][:] == [1, 2, 3]
        url = "hf://datasets/some/tables@refs%2Fconvert%2Fparquet/cfg/train/0000.parquet"
        assert datasets.load_dataset("parquet", data_files=url, split="train").num_rows == 3
        sha = api.dataset_info("some/tables").sha
        pinned = api.dataset_info("some/tables", revision="ab" * 20)  # any commit stands for the folder
        assert (pinned.sha, len(pinned.siblings)) == ("ab" * 20, 1)
        with pytest.raises(RevisionNotFoundError):
            api.dataset_info("some/tables", revision="0" * 40)
        with pytest.raises(HfHubHTTPError, match="403"):
            api.upload_file(path_or_fileobj=b"", path_in_repo="x", repo_id="some/tables", repo_type="dataset")
        with pytest.raises(ValueError, match="served from a folder"):
            hub.add_repo("some/tables", {"x": ""}, repo_type="dataset")
    assert not api.repo_exists("some/tables", repo_type="dataset")
    with hub.only_folder(folder):
        assert api.dataset_info("some/tables").sha == sha  # by content


def test_folder_is_not_read_before_it_is_asked_for(hub, api, folder, monkeypatch):
    hashed = []
    original = Blob._hash
    monkeypatch.setattr(Blob, "_hash", lambda self, *rest: hashed.append(self.path) or original(self, *rest))
    other = folder / "datasets" / "some" / "other"
    other.mkdir()
    (other / "data.csv").write_text("x\n1\n")
    with hub.only_folder(folder):
        assert hashed == []
        api.dataset_info("some/other")
        assert {path.name for path in hashed} == {"data.csv"}


@pytest.mark.mirror
def test_mirror_loads_through_the_server(hub, mirror):
    facts = json.loads((mirror / "manifest.json").read_text())["pragmeval/sarcasm"]
    data = datasets.load_dataset("sileod/pragmeval", "sarcasm")
    assert {split: rows.num_rows for split, rows in data.items()} == facts["rows_kept"]
    assert set(data["train"].features) == set(facts["columns"])
    converted = datasets.load_dataset(
        "sileod/pragmeval", data_dir="sarcasm", revision="refs/convert/parquet", split="test"
    )
    assert converted.num_rows == facts["rows_kept"]["test"]


# Faults


def tried(call, times: int = 3):
    """The result of a call that may fail before: releases of the client differ in what they try again themselves."""
    for _ in range(times - 1):
        try:
            return call()
        except (HfHubHTTPError, LocalEntryNotFoundError, *HTTP_ERRORS):
            pass
    return call()


@pytest.mark.parametrize(
    ("method", "route", "fault"),
    [
        ("HEAD", "resolve", {"status": 503}),
        ("HEAD", "resolve", {"status": 429, "retry_after": 7}),
        ("HEAD", "resolve", {"reset": True}),
        ("GET", "cdn", {"status": 503}),
        ("GET", "cdn", {"status": 429, "retry_after": 7}),
        ("GET", "cdn", {"reset": True}),
        ("GET", "cdn", {"truncate": 9000}),
    ],
)
def test_download_goes_through_in_the_end(hub, filled, fast_retries, method, route, fault):
    struck = hub.faults.add("weights.bin", method=method, route=route, **fault)
    assert Path(tried(lambda: hf_hub_download(filled, "sub/weights.bin"))).read_bytes() == WEIGHTS
    assert struck.hits == 1
    assert hub.requests.select("weights.bin", method, route)[0].status == fault.get(
        "status", None if struck.reset else 200
    )


def test_retry_after_reaches_the_client(hub, filled):
    hub.faults.add(route="info", status=429, retry_after=7)
    with pytest.raises(HfHubHTTPError) as error:
        HfApi().repo_info(filled)
    assert (error.value.response.status_code, error.value.response.headers["Retry-After"]) == (429, "7")


def test_truncated_download_is_resumed(hub, filled, fast_retries, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    hub.faults.add("weights.bin", route="cdn", truncate=10_500)
    assert Path(tried(lambda: hf_hub_download(filled, "sub/weights.bin"))).read_bytes() == WEIGHTS
    assert [request.range for request in hub.requests.select(route="cdn")] == [None, "bytes=10000-"]


def test_reset_connection_leaves_the_server_well(hub, filled, fast_retries):
    hub.faults.add("config.json", method="HEAD", times=None, reset=True)
    with pytest.raises((*HTTP_ERRORS, LocalEntryNotFoundError)):
        hf_hub_download(filled, "config.json")
    hub.faults.clear()
    assert Path(hf_hub_download(filled, "config.json")).read_text() == "{}"


@pytest.mark.parametrize("fault", [{"status": 503}, {"reset": True}, {"status": 500, "applied": True}])
def test_upload_to_storage_is_tried_again(hub, api, filled, fast_retries, fault):
    struck = hub.faults.add(route="lfs_upload", times=2, **fault)
    api.upload_file(path_or_fileobj=WEIGHTS[::-1], path_in_repo="new.bin", repo_id=filled)
    assert struck.hits == 2
    assert hub.repo(filled).read("new.bin") == WEIGHTS[::-1]


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("fault", [{"status": 503}, {"reset": True}])
def test_failed_commit_is_whole_or_absent(hub, api, filled, fault, applied):
    hub.faults.add(route="commit", applied=applied, **fault)
    with pytest.raises((*HTTP_ERRORS, HfHubHTTPError)):
        api.upload_file(path_or_fileobj=b"new", path_in_repo="new.txt", repo_id=filled)
    assert ("new.txt" in hub.repo(filled).files()) == applied


def test_stale_listing_shows_the_state_before_the_last_commit(hub, api, filled):
    before = hub.repo(filled).commit().sha
    api.upload_file(path_or_fileobj=b"new", path_in_repo="new.txt", repo_id=filled)
    hub.faults.add(route="tree", stale=True)
    hub.faults.add(route="info", stale=True)
    assert "new.txt" not in [row.path for row in api.list_repo_tree(filled)]
    assert "new.txt" in [row.path for row in api.list_repo_tree(filled)]
    assert api.repo_info(filled).sha == before


def test_fault_rules_count_skip_and_match(hub, api, filled):
    fault = hub.faults.add(re.compile(rf"^/api/models/{filled}$"), skip=1, times=2, status=500)
    outcomes = []
    for _ in range(5):
        try:
            api.repo_info(filled)
            outcomes.append(200)
        except HfHubHTTPError as error:
            outcomes.append(error.response.status_code)
    assert outcomes == [200, 500, 500, 200, 200]
    assert fault.hits == 2
    hub.faults.add(lambda request: request.user is None, status=500)
    assert api.repo_info(filled).id == filled
    for wrong in (
        {},
        {"status": 500, "reset": True},
        {"truncate": 1, "applied": True},
        {"reset": True, "retry_after": 1},
    ):
        with pytest.raises(ValueError, match=r"goes with|a fault is"):
            hub.faults.add(**wrong)


def test_delay_lets_others_pass(hub, api, filled):
    hub.faults.add("config.json", delay=0.5, method="HEAD")
    slow = threading.Thread(target=hf_hub_download, args=(filled, "config.json"))
    slow.start()
    api.repo_info(filled)
    assert slow.is_alive()
    slow.join()


def test_streaming_survives_a_truncated_read(hub, api, fast_retries):
    name = hub.name("streamed")
    push_tables(hub, name, api)
    rows = datasets.load_dataset(name, "a-two", split="train", streaming=True)
    fault = hub.faults.add(method="GET", route="cdn", truncate=20)
    assert tried(lambda: [row["sentence"] for row in rows]) == [f"row {i}" for i in range(5)]
    assert fault.hits == 1


def test_interrupted_upload_leaves_nothing(hub, api, filled):
    place = requests.post(
        f"{hub.url}/{filled}.git/info/lfs/objects/batch",
        json={"operation": "upload", "objects": [{"oid": "ab" * 32, "size": 100}]},
        headers={"Authorization": f"Bearer {hub.token}"},
    ).json()["objects"][0]["actions"]["upload"]["href"]
    answer = requests.put(place, data=b"other bytes than announced")
    assert answer.status_code == 400
    address = urlsplit(place)
    with socket.create_connection((address.hostname, address.port)) as connection:
        head = f"PUT {address.path}?{address.query} HTTP/1.1\r\nHost: hub\r\nContent-Length: 100\r\n\r\n"
        connection.sendall(head.encode() + b"less than announced")
    partial = hub.store.blobs.root / "partial"
    deadline = time.monotonic() + 10
    while list(partial.iterdir()):  # until the server has noticed
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert hub.repo(filled).lfs == {hub.repo(filled).commit().files["sub/weights.bin"].blob.sha256}
    lines = [
        {"key": "header", "value": {"summary": "points at nothing"}},
        {"key": "lfsFile", "value": {"path": "x.bin", "algo": "sha256", "oid": "ab" * 32}},
    ]
    answer = requests.post(
        f"{hub.url}/api/models/{filled}/commit/main",
        data="\n".join(map(json.dumps, lines)),
        headers={"Authorization": f"Bearer {hub.token}"},
    )
    assert answer.status_code == 400
    assert "does not exist" in answer.json()["error"]


# transformers and adapters


@pytest.fixture(scope="module")
def tiny_bert():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=3
    )
    return transformers.BertForSequenceClassification(config).eval()


def test_model_is_pushed_and_loaded_with_the_same_logits(hub, tiny_bert, tmp_path):
    import torch
    from transformers import AutoModelForSequenceClassification

    name = hub.name("bert")
    tiny_bert.push_to_hub(name, private=True)
    loaded = AutoModelForSequenceClassification.from_pretrained(name).eval()
    ids = torch.arange(12).reshape(2, 6)
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, tiny_bert(ids).logits)
    with pytest.raises(OSError, match="is not a valid model identifier"):
        AutoModelForSequenceClassification.from_pretrained(name, token=hub.add_user("stranger"), cache_dir=tmp_path)


def test_adapter_is_loaded_from_the_hub(hub, tmp_path):
    torch = pytest.importorskip("torch")
    AutoAdapterModel = pytest.importorskip("adapters").AutoAdapterModel
    from transformers import BertConfig

    config = BertConfig(vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    model = AutoAdapterModel.from_config(config)
    model.add_adapter("demo", config="seq_bn")
    model.save_adapter(tmp_path, "demo")
    name = hub.name("adapter")
    HfApi().create_repo(name)
    HfApi().upload_folder(repo_id=name, folder_path=tmp_path)
    other = AutoAdapterModel.from_config(config)
    loaded = other.load_adapter(name)
    weights = {key: value for key, value in model.state_dict().items() if ".adapters.demo." in key}
    assert weights
    assert all(torch.equal(value, other.state_dict()[key.replace("demo", loaded)]) for key, value in weights.items())


# The rest of the equipment


def test_names_are_unique(hub):
    names = {hub.name("x") for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch(rf"{hub.user}/x-[0-9a-f]{{8}}", name) for name in names)


def test_new_process_talks_to_the_same_hub(hub, filled, run_python, tmp_path):
    code = """if True:
        import os, sys, huggingface_hub
        print(os.getcwd())
        print(open(huggingface_hub.hf_hub_download(sys.argv[1], "config.json")).read())
    """
    assert run_python(code, filled).stdout.split() == [str(tmp_path), "{}"]
    assert hub.requests.count(filled) > 0
    offline = run_python(code, filled, env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}, check=False)
    assert (offline.returncode, "LocalEntryNotFoundError" in offline.stderr) == (1, True)
    with pytest.raises(pytest.fail.Exception, match="ZeroDivisionError"):
        run_python("1 / 0")


def test_two_hubs_are_apart():
    with Hub(user="a") as one, Hub(user="b") as two:
        HfApi(one.url, one.token).create_repo("a/model")
        assert HfApi(one.url, one.token).repo_exists("a/model")
        assert not HfApi(two.url, two.token).repo_exists("a/model")


def test_default_attributes_are_those_of_the_client():
    from huggingface_hub.constants import SAFETENSORS_SINGLE_FILE

    assert "*.parquet" in LFS_PATTERNS
    assert f"*.{SAFETENSORS_SINGLE_FILE.rpartition('.')[2]}" in LFS_PATTERNS


def test_by_hand(folder):
    command = [sys.executable, str(ROOT / "tests" / "hub_server.py"), "--mirror", str(folder), "--token", "hf_hand"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)
    try:
        assert process.stdout is not None
        exports = dict(process.stdout.readline().removeprefix("export ").strip().split("=", 1) for _ in range(2))
        api = HfApi(exports["HF_ENDPOINT"], exports["HF_TOKEN"])
        assert api.whoami()["name"] == "user"
        assert api.list_repo_files("some/tables", repo_type="dataset") == ["cfg/train-00000-of-00001.parquet"]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    wrong = subprocess.run([*command[:3], str(folder / "absent")], capture_output=True, text=True, check=False)
    assert (wrong.returncode, "has no folder" in wrong.stderr) == (2, True)
