"""Publishing to the test Hub and loading back: whole, in part, again, interrupted, by two, while the Hub fails."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest
import yaml

from metaeval_datasets import get_task, load_dataset
from metaeval_datasets.record import load_records
from metaeval_hub.cli import main
from metaeval_hub.hub import retry, upload

SOME = ("demo/photo_nli", "demo/topics", "demo/spam")
FIRST, SECOND, THIRD = SOME


@pytest.fixture
def waits(monkeypatch, fast_retries):
    """Seconds that this package's own attempts would have waited for; nobody waits."""
    found = []
    monkeypatch.setattr(retry, "sleep", found.append)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all tests build: the tasks are the same."""
    return tmp_path_factory.mktemp("published")


@pytest.fixture
def publish(hub, folder, capsys):
    """Call ``metaeval publish``; returns its exit status and what it printed."""
    repo = hub.name("tasks")

    def call(*tasks, **options):
        flags = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is True]
        values = {"repo_id": repo, "folder": folder, **{k: v for k, v in options.items() if v is not True}}
        named = [part for name, value in values.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        status = main(["publish", *named, *flags, *(["--tasks", *tasks] if tasks else [])])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    call.repo = repo
    return call


@pytest.fixture
def stored(hub, publish):
    """What the repository holds: commit, and path -> content."""

    def look():
        repo = hub.repo(publish.repo, "dataset")
        files = {name: repo.read(name) for name in repo.files() if name != ".gitattributes"}
        return repo.commit("main").sha, files

    return look


def tasks_of(files):
    """Names of the tasks that a repository describes; its card, its records and its files must agree."""
    records = load_records(files["tasks.json"].decode())
    card = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    configs = {record.config for record in records.values()}
    assert {entry["config_name"] for entry in card["configs"]} == configs
    assert {entry["config_name"] for entry in card["dataset_info"]} == configs
    paths = {path: size for record in records.values() for path, size in record.paths.items()}
    assert {name: len(content) for name, content in files.items() if "/" in name} == paths
    assert all(f"| `{config}` |" in files["README.md"].decode() for config in configs)
    return list(records)


def commits(hub, repo):
    return [commit.title for commit in hub.repo(repo, "dataset").history()][:-1]  # the last is the repository's own


# --- What is published ----------------------------------------------------------------------------------------------

LOAD_BACK = """
import json, sys
from datasets import get_dataset_config_names, load_dataset

repo, configs = sys.argv[1], sys.argv[2:]
assert get_dataset_config_names(repo) == configs, get_dataset_config_names(repo)
found = {}
for config in configs:
    loaded = load_dataset(repo, config)
    streamed = load_dataset(repo, config, streaming=True)
    for split, rows in loaded.items():
        assert list(streamed[split]) == rows.to_list()
        assert streamed[split].features == rows.features
        found[f"{config} {split}"] = [rows.features["label"].names, rows.info.license, rows.to_list()]
assert not {"metaeval_datasets", "metaeval_hub"} & sys.modules.keys()
print(json.dumps(found))
"""


def test_published_tasks_load_without_this_package_and_are_verified(hub, publish, stored, run_python):
    status, printed = publish(FIRST, SECOND)
    assert status == 0
    assert "2 new, 0 changed, 0 removed, 0 unchanged; 8 files to upload" in printed
    head, files = stored()
    assert f"commit/{head}" in printed
    assert tasks_of(files) == [FIRST, SECOND]
    assert commits(hub, publish.repo) == ["Publish 2 tasks"]
    assert hub.repo(publish.repo, "dataset").commit("v0.1.0").sha == head

    configs = [get_task(name).config_name for name in (FIRST, SECOND)]
    found = json.loads(run_python(LOAD_BACK, publish.repo, *configs).stdout)
    for name in (FIRST, SECOND):
        for split, rows in load_dataset("metaeval", name).items():
            expected = [rows.features["label"].names, get_task(name).license, rows.to_list()]
            assert found.pop(f"{get_task(name).config_name} {split}") == expected
    assert not found

    status, printed = publish(FIRST, SECOND, verify=True)
    assert status == 0
    assert printed.endswith(f"{publish.repo} at {head}: 2 tasks read back, as built\n")


def test_an_unchanged_publish_sends_nothing(hub, publish, stored):
    publish(*SOME)
    before = stored()
    hub.requests.clear()
    status, printed = publish(*SOME)
    assert status == 0
    assert "0 new, 0 changed, 0 removed, 3 unchanged; 0 files to upload" in printed
    assert stored() == before
    assert {request.method for request in hub.requests} <= {"GET", "HEAD"}
    assert len(hub.requests) <= 8


def test_a_dry_run_sends_nothing(hub, publish, stored, folder):
    status, printed = publish(FIRST, SECOND, dry_run=True)
    assert status == 0
    assert f"new        {FIRST}" in printed
    assert {request.method for request in hub.requests} <= {"GET", "HEAD"}
    assert ("dataset", publish.repo) not in hub.store.repos
    assert publish.repo in (folder / "README.md").read_text(encoding="utf-8")
    publish(FIRST, SECOND)
    before = stored()
    status, printed = publish(SECOND, THIRD, dry_run=True, prune=True)
    lines = [line.split() for line in printed.splitlines() if line.startswith("  ")]
    assert lines == [["unchanged", SECOND], ["new", THIRD], ["removed", FIRST]]
    assert stored() == before


def test_publishing_some_tasks_keeps_the_others(hub, publish, stored):
    publish(FIRST, SECOND)
    _, before = stored()
    hub.requests.clear()
    status, printed = publish(THIRD)
    assert status == 0
    assert "1 new, 0 changed, 0 removed, 2 unchanged" in printed
    _, after = stored()
    assert tasks_of(after) == list(SOME)
    assert {name: after[name] for name in before if "/" in name} == {n: c for n, c in before.items() if "/" in n}
    uploaded = hub.requests.count(route="lfs_upload")
    assert uploaded == 3


def test_only_prune_removes_tasks(publish, stored):
    publish(*SOME)
    status, printed = publish(SECOND, prune=True)
    assert status == 0
    assert "0 new, 0 changed, 2 removed, 1 unchanged" in printed
    assert tasks_of(stored()[1]) == [SECOND]


def test_what_a_task_no_longer_has_goes_with_the_commit(hub, publish, stored):
    publish(FIRST, SECOND)
    old = {"demo-topics/train-00000-of-00002.parquet": b"PAR1", "notes/mine.txt": b"kept"}
    hub.add_repo(publish.repo, old, repo_type="dataset")
    assert publish(SECOND)[0] == 0
    _, files = stored()
    assert files.pop("notes/mine.txt") == b"kept"
    assert tasks_of(files) == [FIRST, SECOND]


def test_a_task_whose_files_are_gone_leaves_the_card_or_is_sent_again(hub, publish, stored):
    publish(FIRST, SECOND)
    head, whole = stored()
    repo = hub.repo(publish.repo, "dataset")
    gone = {name: None for name in whole if name.startswith("demo-topics/train")}
    repo.add_commit("refs/heads/main", gone, author="user", title="By hand", parent=head)
    status, printed = publish(THIRD)
    assert status == 0
    assert "demo-topics/train-00000-of-00001.parquet is missing; demo/topics is not in the card" in printed
    records = load_records(stored()[1]["tasks.json"].decode())
    assert list(records) == [FIRST, THIRD]
    assert publish(SECOND)[0] == 0
    assert tasks_of(stored()[1]) == list(SOME)


# --- What is refused ------------------------------------------------------------------------------------------------


def test_a_repository_of_something_else_is_left_alone(hub, publish, stored):
    hub.add_repo(publish.repo, {"README.md": "# Mine", "train.csv": "a,b\n1,2\n"}, repo_type="dataset")
    before = stored()
    status, printed = publish(FIRST)
    assert status == 1
    assert f"metaeval publish: {publish.repo} contains train.csv but no tasks.json" in printed
    assert stored() == before


def test_a_repository_with_a_card_alone_is_published_to(hub, publish, stored):
    hub.add_repo(publish.repo, {"README.md": "---\nlicense: mit\n---\n"}, repo_type="dataset")
    assert publish(FIRST)[0] == 0
    assert tasks_of(stored()[1]) == [FIRST]


def test_records_of_another_format_are_left_alone(hub, publish, stored):
    hub.add_repo(publish.repo, {"tasks.json": '{"format": 9, "tasks": []}'}, repo_type="dataset")
    before = stored()
    status, printed = publish(FIRST)
    assert status == 1
    assert "tasks.json has format 9, expected 1" in printed
    assert stored() == before


def test_private_is_for_new_repositories(hub, publish):
    assert publish(FIRST, private=True)[0] == 0
    assert hub.repo(publish.repo, "dataset").private
    public = hub.name("public")
    hub.add_repo(public, repo_type="dataset")
    status, printed = publish(FIRST, private=True, repo_id=public)
    assert status == 1
    assert f"{public} is public and --private only applies to new repositories" in printed
    assert hub.repo(public, "dataset").files() == [".gitattributes"]


def test_a_repository_holds_one_edition(hub, publish, stored):
    publish(FIRST, SECOND)
    before = stored()
    status, printed = publish(FIRST, edition="paper")
    assert status == 1
    assert f"{publish.repo} contains {SECOND} in the careful edition, and a repository has one" in printed
    assert stored() == before
    assert publish(FIRST, edition="paper", prune=True)[0] == 0
    assert {record.edition for record in load_records(stored()[1]["tasks.json"].decode()).values()} == {"paper"}


def test_nothing_is_sent_where_a_task_cannot_be_built(hub, publish, stored, waits):
    status, printed = publish(FIRST, "hans/plain_text")
    assert status == 1
    assert "not built: hans/plain_text: none of its sources can be used\n  - " in printed
    assert "1 of 2 tasks not built, nothing uploaded; --skip-failed uploads the others" in printed
    assert ("dataset", publish.repo) not in hub.store.repos
    assert publish(FIRST, "hans/plain_text", skip_failed=True)[0] == 0
    assert tasks_of(stored()[1]) == [FIRST]
    assert publish(FIRST, "hans/plain_text", verify=True)[0] == 1
    assert publish(FIRST, "hans/plain_text", verify=True, skip_failed=True)[0] == 0


@pytest.mark.parametrize("repo_id", ["a b", "", "a/b/c", "org/name/"])
def test_a_bad_id_is_told_before_anything_is_built(repo_id, hub, publish, tmp_path):
    status, printed = publish(FIRST, repo_id=repo_id, folder=tmp_path / "built")
    assert status == 1
    assert printed.startswith(f"metaeval publish: {repo_id!r} is not the id of a repository, expected")
    assert not (tmp_path / "built").exists()
    assert len(hub.requests) == 0


def test_a_token_that_will_not_do_is_told_before_anything_is_built(hub, publish, tmp_path, monkeypatch):
    options = {"repo_id": "org/name", "folder": tmp_path / "built"}
    for token, told in {
        None: "nobody is logged in to push to org/name; log in (hf auth login), or set HF_TOKEN",
        "hf_wrong": "asking whose the token is, to push to org/name failed: the token is not valid",
        hub.add_user("reader", role="read"): "the token for org/name may only read",
    }.items():
        monkeypatch.setenv("HF_TOKEN", token) if token else monkeypatch.delenv("HF_TOKEN")
        status, printed = publish(FIRST, **options)
        assert (status, told in printed) == (1, True), printed
        assert not (tmp_path / "built").exists()
    assert publish(FIRST, dry_run=True, **options)[0] == 0  # which sends nothing


def test_a_name_alone_is_a_repository_of_the_user(hub, publish, tmp_path):
    name = hub.name("own").split("/")[1]
    assert publish(FIRST, repo_id=name)[0] == 0
    assert "tasks.json" in hub.repo(f"user/{name}", "dataset").files()


def test_a_busy_hub_does_not_keep_from_building(hub, publish, waits):
    hub.faults.add(route="whoami", status=429, times=None)
    assert publish(FIRST)[0] == 0


def test_a_folder_that_cannot_be_written_is_told_at_once(hub, publish):
    status, printed = publish(FIRST, folder="/proc/no-such-place")
    assert status == 1
    assert printed.startswith("metaeval publish: --folder /proc/no-such-place: files cannot be written into /proc (")


def test_no_right_is_one_line(hub, publish):
    status, printed = publish(FIRST, repo_id=hub.name("x", owner="somebody"))
    assert status == 1
    assert printed.splitlines()[-1].startswith("metaeval publish: creating somebody/x-")


def test_a_tag_stays_where_it_is_unless_moved(hub, publish, stored):
    publish(FIRST)
    first, _ = stored()
    status, printed = publish(SECOND)
    assert status == 0
    assert f"tag v0.1.0 stays at {first}; use --move-tag to move it, or --tag for another name" in printed
    second, _ = stored()
    repo = hub.repo(publish.repo, "dataset")
    assert publish(SECOND, tag="v0.1.1")[0] == 0
    assert (repo.commit("v0.1.0").sha, repo.commit("v0.1.1").sha) == (first, second)
    assert publish(SECOND, move_tag=True)[0] == 0
    assert repo.commit("v0.1.0").sha == second


# --- What is compared -----------------------------------------------------------------------------------------------


def test_verification_tells_what_differs(hub, publish, folder):
    publish(FIRST, SECOND)
    train, test = (f"demo-topics/{split}-00000-of-00001.parquet" for split in ("train", "test"))
    hub.add_repo(publish.repo, {test: (folder / train).read_bytes()}, repo_type="dataset")
    hub.requests.clear()
    status, printed = publish(*SOME, verify=True)
    assert status == 1
    head = hub.repo(publish.repo, "dataset").commit("main").sha
    assert printed.splitlines()[1:] == [
        "demo/topics: test: has 400 rows; expected 200",
        "demo/spam: is not published",
        f"{publish.repo} at {head}: 3 tasks read back, 2 of 3 tasks differ",
    ]
    assert {request.method for request in hub.requests} <= {"GET", "HEAD"}
    assert not (folder / ".verify").exists()


def test_verification_reads_the_hub_and_no_cache(hub, publish, folder):
    publish(FIRST)
    publish(FIRST, verify=True)
    hub.requests.clear()
    assert publish(FIRST, verify=True)[0] == 0
    assert hub.requests.count(route="cdn") == 3  # the files themselves, again
    hub.faults.add(route="cdn", truncate=100, times=1)
    assert publish(FIRST, verify=True)[0] == 0


def test_verification_tells_where_the_card_is_of_other_rows(hub, publish, stored):
    publish(FIRST)
    records = json.loads(stored()[1]["tasks.json"])
    records["tasks"][0]["splits"]["train"]["files"] = {"train-00000-of-00001.parquet": 1}  # another pyarrow
    hub.add_repo(publish.repo, {"tasks.json": json.dumps(records)}, repo_type="dataset")
    assert publish(FIRST, verify=True)[0] == 0
    records["tasks"][0]["splits"]["train"]["content"] = "0" * 64
    hub.add_repo(publish.repo, {"tasks.json": json.dumps(records)}, repo_type="dataset")
    status, printed = publish(FIRST, verify=True)
    assert status == 1
    assert f"{FIRST}: its record in tasks.json differs from the built one" in printed


def test_verification_of_nothing_is_an_error(publish):
    status, printed = publish(FIRST, verify=True)
    assert status == 1
    assert f"there is no dataset {publish.repo}" in printed


# --- Interruptions --------------------------------------------------------------------------------------------------

FAULTS = {
    "look 503": {"route": "info", "status": 503},
    "look 429": {"route": "info", "status": 429, "retry_after": 7},
    "look reset": {"route": "info", "reset": True},
    "records cut off": {"match": "tasks.json", "method": "GET", "truncate": 10},
    "records 500": {"match": "tasks.json", "method": "GET", "status": 500},
    "check of the card 502": {"route": "validate_yaml", "status": 502},
    "preupload 429": {"route": "preupload", "status": 429, "retry_after": 3},
    "preupload cut off": {"route": "preupload", "truncate": 5},
    "batch 500": {"route": "lfs_batch", "status": 500},
    "upload reset": {"route": "lfs_upload", "reset": True},
    "upload 503 twice": {"route": "lfs_upload", "status": 503, "times": 2},
    "commit 500": {"route": "commit", "status": 500},
    "commit reset": {"route": "commit", "reset": True},
    "commit made, answer lost": {"route": "commit", "reset": True, "applied": True},
    "commit made, answer cut off": {"route": "commit", "truncate": 5},
    "tags 503": {"route": "refs", "status": 503},
    "tag made, answer lost": {"route": "tag", "reset": True, "applied": True},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_failing_hub_is_survived_with_one_commit(name, hub, publish, stored, waits):
    publish(FIRST)
    fault = hub.faults.add(**FAULTS[name])
    status, printed = publish(SECOND, tag="second")
    assert status == 0, printed
    assert fault.hits == FAULTS[name].get("times", 1)
    assert commits(hub, publish.repo) == ["Publish 1 task", "Publish 1 task"]
    head, files = stored()
    assert tasks_of(files) == [FIRST, SECOND]
    assert hub.repo(publish.repo, "dataset").commit("second").sha == head


def requests_of_a_publish(hub, publish):
    """Number of requests of a publish that adds a task, by trying one in another repository."""
    other = hub.name("other")
    publish(FIRST, repo_id=other)
    hub.requests.clear()
    publish(SECOND, repo_id=other)
    return len(hub.requests)


def check_interrupted_at(number, hub, publish, stored, before):
    """A publish whose connection breaks for good at a request leaves the old state or the new one, nothing between."""
    hub.faults.add(skip=number, times=None, reset=True)
    status, _ = publish(SECOND)
    hub.faults.clear()
    after = stored()
    if after != before:
        assert tasks_of(after[1]) == [FIRST, SECOND]
    else:
        assert status == 1
    return after != before


@pytest.mark.parametrize("share", [0.0, 0.4, 0.7, 0.9])
def test_interrupted_anywhere_the_repository_is_as_it_was(share, hub, publish, stored, waits):
    total = requests_of_a_publish(hub, publish)
    publish(FIRST)
    before = stored()
    check_interrupted_at(int(share * total), hub, publish, stored, before)
    assert publish(SECOND)[0] == 0
    assert tasks_of(stored()[1]) == [FIRST, SECOND]
    assert commits(hub, publish.repo) == ["Publish 1 task", "Publish 1 task"]


@pytest.mark.slow
def test_interrupted_at_every_request(hub, publish, stored, waits):
    total = requests_of_a_publish(hub, publish)
    publish(FIRST)
    before = stored()
    done = [check_interrupted_at(number, hub, publish, stored, before) for number in range(total)]
    first = done.index(True)
    assert not any(done[:first])
    assert 0 < first < total
    assert len(commits(hub, publish.repo)) == 2


def test_an_upload_that_was_interrupted_is_not_sent_twice(hub, publish, waits):
    publish(FIRST)
    hub.faults.add(route="commit", times=None, status=503)
    assert publish(SECOND)[0] == 1
    hub.faults.clear()
    hub.requests.clear()
    assert publish(SECOND)[0] == 0
    assert hub.requests.count(route="lfs_upload") == 0


def start(repo, folder, *tasks):
    code = "import sys; from metaeval_hub.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["publish", "--repo-id", repo, "--folder", str(folder), "--tasks", *tasks]
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def kill_when(process, reached, timeout=60):
    """Kill a process without warning once something holds; False where it ended before."""
    end = time.monotonic() + timeout
    while process.poll() is None and not reached():
        assert time.monotonic() < end
        time.sleep(0.005)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return alive


def test_killed_while_uploading_the_repository_is_as_it_was(hub, publish, stored, folder):
    publish(SECOND, dry_run=True)
    publish(FIRST)
    before = stored()
    hub.requests.clear()
    hub.faults.add(route="lfs_upload", delay=1.0, times=None)
    process = start(publish.repo, folder, SECOND)
    assert kill_when(process, lambda: hub.requests.count(route="lfs_batch"))
    assert stored() == before
    hub.faults.clear()
    assert publish(SECOND)[0] == 0
    assert tasks_of(stored()[1]) == [FIRST, SECOND]


@pytest.mark.slow
def test_killed_ten_times_at_random_points(hub, publish, stored, tmp_path):
    """Five times at a random moment of building, five times at a random request of sending."""
    chance = random.Random(5)
    publish(FIRST)
    states = [stored()]
    hub.faults.add(delay=0.05, times=None)
    for turn in range(10):
        hub.requests.clear()
        process = start(publish.repo, tmp_path, *SOME)
        if turn < 5:
            moment = time.monotonic() + chance.uniform(2.0, 6.0)
            kill_when(process, lambda moment=moment: time.monotonic() > moment)
        else:
            number = chance.randrange(1, 20)
            kill_when(process, lambda number=number: len(hub.requests) >= number)
        time.sleep(0.3)  # a request that was on its way takes effect
        after = stored()
        if after != states[-1]:
            states.append(after)
        assert tasks_of(after[1]) in ([FIRST], list(SOME))
    hub.faults.clear()
    assert len(states) <= 2
    assert publish(*SOME, folder=tmp_path)[0] == 0
    assert tasks_of(stored()[1]) == list(SOME)
    assert publish(*SOME, folder=tmp_path, verify=True)[0] == 0
    assert len(commits(hub, publish.repo)) == 2


# --- Two at once ----------------------------------------------------------------------------------------------------


def test_of_two_publishers_one_wins_and_the_other_goes_on(hub, publish, stored, tmp_path, monkeypatch):
    publish(FIRST)
    push = upload.push_files

    def late(*arguments, **options):
        """The other publishes everything between our look at the repository and our commit."""
        monkeypatch.setattr(upload, "push_files", push)
        assert main(["publish", "--repo-id", publish.repo, "--folder", str(tmp_path), "--tasks", THIRD]) == 0
        return push(*arguments, **options)

    monkeypatch.setattr(upload, "push_files", late)
    status, printed = publish(SECOND)
    assert status == 1
    assert f"{publish.repo} was changed by someone else meanwhile, so nothing was uploaded" in printed
    assert tasks_of(stored()[1]) == [FIRST, THIRD]
    assert publish(SECOND)[0] == 0
    assert tasks_of(stored()[1]) == [FIRST, SECOND, THIRD]


def test_two_first_publishers_do_not_overwrite_each_other(hub, publish, stored, tmp_path, monkeypatch):
    create = upload.create_repo

    def late(*arguments, **options):
        monkeypatch.setattr(upload, "create_repo", create)
        assert main(["publish", "--repo-id", publish.repo, "--folder", str(tmp_path), "--tasks", FIRST]) == 0
        return create(*arguments, **options)

    monkeypatch.setattr(upload, "create_repo", late)
    assert publish(SECOND)[0] == 0
    assert tasks_of(stored()[1]) == [FIRST, SECOND]


def test_one_folder_has_one_publisher(publish, folder):
    from metaeval_datasets.publish import locked

    with locked(folder):
        status, printed = publish(FIRST)
    assert status == 1
    assert f"{folder} is in use by another `metaeval publish`" in printed
