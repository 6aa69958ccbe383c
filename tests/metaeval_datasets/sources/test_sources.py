"""Finding and reading sources on the Hub: revisions, layouts, formats, fallbacks with their reasons, failures."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metaeval_datasets.sources import asking, readers
from metaeval_datasets.sources.asking import NoSourceError, SourceError
from metaeval_datasets.sources.hub_files import Access
from metaeval_datasets.sources.opening import open_source
from metaeval_datasets.sources.parquet import BATCH_ROWS
from metaeval_datasets.sources.source_files import SourceFile, read_source_file
from metaeval_datasets.spec import Alone, Items, Keep, RowModulus, Source, Stack
from tests.metaeval_datasets.conftest import numbered, parquet, task

SPLIT_FILES = {
    f"cola/{split}-00000-of-00001.parquet": parquet(numbered(start, start + 10), ("no", "yes"))
    for split, start in (("train", 0), ("validation", 10), ("test", 20))
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """No test waits for the pauses between attempts."""
    monkeypatch.setattr(asking.time, "sleep", lambda seconds: None)


@pytest.fixture
def repo(hub):
    """A repository with one config of three splits."""
    name = hub.name("source")
    hub.add_repo(name, SPLIT_FILES, repo_type="dataset")
    return name


def add(hub, files, **options):
    name = hub.name("source")
    hub.add_repo(name, files, repo_type="dataset", **options)
    return name


def rows(opened, split="train"):
    tables = [table for piece in opened.pieces[split] for table in read_source_file(piece, opened.spec, opened.source)]
    return pa.concat_tables(tables).to_pylist()


def test_the_first_source_serves(hub, repo):
    spec = task(sources=(Source(repo, config="cola"), Source("not/there")))
    opened = open_source(spec)
    assert opened.source.repo == repo
    assert opened.commit == hub.repo(repo, "dataset").commit().sha
    assert (opened.failures, opened.missing) == ((), ())
    assert {split: len(rows(opened, split)) for split in opened.pieces} == {"train": 10, "validation": 10, "test": 10}
    assert rows(opened)[1] == {"text": "text number 1", "label": 1}
    assert opened.pieces["train"][0].label_names == ("no", "yes")
    assert not hub.requests.count("not/there")


def test_a_revision_is_read_as_it_was(hub, repo):
    commit = hub.repo(repo, "dataset").commit().sha
    hub.add_repo(repo, {"cola/train-00000-of-00001.parquet": parquet(numbered(0, 3))}, repo_type="dataset")
    spec = task(sources=(Source(repo, config="cola", revision=commit),))
    assert len(rows(open_source(spec))) == 10
    assert open_source(spec).commit == commit
    assert len(rows(open_source(spec, revision="main"))) == 3


def test_the_convert_branch(hub):
    name = add(hub, {"script.py": "print('no code of a source runs')"})
    hub.add_repo(
        name,
        {f"cola/{split}/0000.parquet": parquet(numbered(0, 4)) for split in ("train", "validation", "test")},
        repo_type="dataset",
        revision="refs/convert/parquet",
    )
    spec = task(sources=(Source(name, config="cola", revision="refs/convert/parquet"),))
    assert len(rows(open_source(spec))) == 4


def test_the_card_says_where_files_are(hub):
    card = {
        "configs": [{"config_name": "cola", "data_files": [{"split": "train", "path": "odd/*.parquet"}]}],
        "dataset_info": {
            "config_name": "cola",
            "features": [{"name": "label", "dtype": {"class_label": {"names": {"0": "yes", "1": "no"}}}}],
        },
    }
    files = {"README.md": f"---\n{json.dumps(card)}\n---\n", "odd/b.parquet": parquet(numbered(0, 2))}
    spec = task(sources=(Source(add(hub, files), config="cola"),), splits=("train",))
    opened = open_source(spec)
    assert rows(opened) == [{"text": "text number 0", "label": 0}, {"text": "text number 1", "label": 1}]
    assert opened.pieces["train"][0].label_names == ("yes", "no")


def test_declared_files_configs_and_splits_are_read_in_order(hub):
    files = {f"data/{config}/{part}.csv": f"text,label\n{config} {part},0\n" for config in "ab" for part in ("x", "y")}
    source = Source(
        add(hub, files),
        config=("b", "a"),
        files={"x": "data/{config}/x.csv", "y": "data/{config}/y.csv"},
        splits={"train": ("y", "x")},
    )
    opened = open_source(task(sources=(source,), splits=("train",)))
    assert [row["text"] for row in rows(opened)] == ["b y", "b x", "a y", "a x"]
    assert [piece.config for piece in opened.pieces["train"]] == ["b", "b", "a", "a"]


# --- Formats --------------------------------------------------------------------------------------------------------


def test_csv_is_read_as_text(hub):
    content = 'text,label,other\n007,1,x\n"two\nlines, one comma",0,y\nNA,1,z\n"",0,z\n'
    spec = task(sources=(Source(add(hub, {"train.csv": content})),), splits=("train",))
    assert rows(open_source(spec)) == [
        {"text": "007", "label": "1"},
        {"text": "two\nlines, one comma", "label": "0"},
        {"text": "NA", "label": "1"},
        {"text": "", "label": "0"},
    ]


def test_csv_with_another_delimiter_and_without_header(hub):
    name = add(hub, {"train.tsv": "a b\tyes\nc\tno\n", "raw.csv": "a b;yes\nc;no\n"})
    tabs = Source(name, files={"train": "train.tsv"}, header=("text", "label"))
    semicolons = Source(name, files={"train": "raw.csv"}, header=("text", "label"), delimiter=";")
    expected = [{"text": "a b", "label": "yes"}, {"text": "c", "label": "no"}]
    for source in (tabs, semicolons):
        assert rows(open_source(task(sources=(source,), splits=("train",)))) == expected


def test_json_lines(hub, monkeypatch):
    monkeypatch.setattr(readers, "BLOCK_BYTES", 64)  # many blocks, and lines across them
    lines = [{"text": f"é text {number}", "label": number % 2} for number in range(50)]
    lines[3]["rare"] = "only here"
    content = "\n".join(json.dumps(line) for line in lines)
    for extension in ("jsonl", "json"):
        spec = task(sources=(Source(add(hub, {f"train.{extension}": content})),), splits=("train",))
        assert rows(open_source(spec)) == [{"text": line["text"], "label": line["label"]} for line in lines]


def test_json_arrays_are_refused_with_a_reason(hub):
    spec = task(sources=(Source(add(hub, {"train.json": '[{"text": "a", "label": 0}]'})),), splits=("train",))
    with pytest.raises(NoSourceError, match="is a JSON array; expected JSON lines"):
        open_source(spec)


def test_only_the_columns_needed_are_read_in_batches(hub):
    table = pa.table({**numbered(0, 3 * BATCH_ROWS), "heavy": ["x" * 10] * (3 * BATCH_ROWS)})
    spec = task(sources=(Source(add(hub, {"train.parquet": parquet(table)})),), splits=("train",))
    opened = open_source(spec)
    (piece,) = opened.pieces["train"]
    assert piece.rows == 3 * BATCH_ROWS
    batches = list(read_source_file(piece, spec, opened.source))
    assert all(len(batch) <= BATCH_ROWS and batch.column_names == ["text", "label"] for batch in batches)
    assert sum(map(len, batches)) == piece.rows


@pytest.mark.parametrize("group", [1_000, 60_000])
def test_a_large_file_is_read_in_the_memory_of_a_batch(tmp_path, group):
    rng = np.random.default_rng(0)
    texts = pa.array([rng.bytes(150).hex() for _ in range(60_000)])  # 18 MB that do not compress to less than half
    pq.write_table(
        pa.table({"text": texts, "label": np.arange(60_000) % 2}), tmp_path / "x.parquet", row_group_size=1000
    )
    del texts
    before, most, rows = pa.total_allocated_bytes(), 0, 0
    for table in read_source_file(SourceFile(str(tmp_path / "x.parquet"), "parquet"), task(), Source("made/up")):
        rows += len(table)
        most = max(most, pa.total_allocated_bytes() - before)
    assert rows == 60_000
    assert most < 3 * 8192 * 304


def test_labels_are_read_on_where_the_first_rows_do_not_decide(hub):
    """A file may be sorted by its labels."""
    labels = ["maybe"] * 100 + ["no", "yes"] * BATCH_ROWS
    content = parquet({"text": [f"text {row}" for row in range(len(labels))], "label": labels})
    spec = task(sources=(Source(add(hub, {"train.parquet": content})),), splits=("train",))
    assert len(rows(open_source(spec))) == len(labels)


def test_reading_remotely_gives_the_same_and_downloads_nothing(hub, repo):
    spec = task(sources=(Source(repo, config="cola"),))
    local, remote = open_source(spec), open_source(spec, Access(remote=True))
    assert all(piece.remote and not piece.num_bytes for pieces in remote.pieces.values() for piece in pieces)
    assert all(piece.num_bytes for pieces in local.pieces.values() for piece in pieces)
    for split in local.pieces:
        assert rows(remote, split) == rows(local, split)


# --- Fallbacks ------------------------------------------------------------------------------------------------------


def test_each_source_that_cannot_serve_is_named_with_its_reason(hub, repo):
    hub.add_user("other")
    private = hub.name("private", owner="other")
    hub.add_repo(private, SPLIT_FILES, repo_type="dataset", private=True)
    gated = hub.name("gated", owner="other")
    hub.add_repo(gated, SPLIT_FILES, repo_type="dataset", gated="manual")
    wrong_column = add(hub, dict.fromkeys(SPLIT_FILES, parquet({"words": ["a"], "label": [0]})))
    wrong_names = add(hub, {path: parquet(numbered(0, 4), ("no", "Yes")) for path in SPLIT_FILES})
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"]), pa.array([0])], names=["text", "text", "label"])
    doubled = add(hub, dict.fromkeys(SPLIT_FILES, parquet(twice)))
    lists = add(hub, dict.fromkeys(SPLIT_FILES, parquet({"text": ["a"], "label": [[0]]})))
    from_one = add(hub, dict.fromkeys(SPLIT_FILES, parquet({"text": list("abcd"), "label": [1, 2, 1, 2]})))
    spelt = add(hub, dict.fromkeys(SPLIT_FILES, parquet({"text": list("abcd"), "label": ["No", "Yes"] * 2})))
    empty = add(
        hub, dict.fromkeys(SPLIT_FILES, parquet({"text": pa.array([], pa.string()), "label": pa.array([], "int64")}))
    )
    broken = add(hub, dict.fromkeys(SPLIT_FILES, b"PAR1 this is no Parquet file PAR1"))
    expected = [
        (Source("nobody/nothing"), "no such repository"),
        (Source(repo, config="cola", revision="0" * 40), "no such revision"),
        (Source(repo, config="mrpc"), "has none of the splits"),
        (Source(private, config="cola"), "no such repository, or a private one"),
        (Source(gated, config="cola"), "gated"),
        (Source(wrong_column, config="cola"), "has no column 'text'; its columns are words, label"),
        (Source(wrong_names, config="cola"), "['Yes'] are not among the declared names"),
        (Source(doubled, config="cola"), "has the column 'text' 2 times"),
        (Source(lists, config="cola"), "column 'label' contains list<"),
        (Source(from_one, config="cola"), "labels are counted from 1"),
        (Source(spelt, config="cola"), "4 of 4 labels are outside the declared names, such as 'No', 'Yes'"),
        (Source(empty, config="cola"), "the train split has no rows"),
        (Source(broken, config="cola"), "not a readable Parquet file"),
    ]
    bad = [source for source, _ in expected]
    opened = open_source(task(sources=[*bad, Source(repo, config="cola")]))
    assert opened.source.repo == repo
    for (name, reason), (source, text) in zip(opened.failures, expected, strict=True):
        assert name.startswith(source.repo)
        assert text in reason
    with pytest.raises(NoSourceError) as raised:
        open_source(task(sources=bad))
    for source, text in expected:
        assert any(f"- {source.repo}" in line and text in line for line in str(raised.value).splitlines())


@pytest.mark.parametrize("remote", [False, True])
def test_a_token_opens_a_private_source(hub, remote):
    token = hub.add_user("owner-of-private")
    name = hub.name("private", owner="owner-of-private")
    hub.add_repo(name, SPLIT_FILES, repo_type="dataset", private=True)
    spec = task(sources=(Source(name, config="cola"),))
    with pytest.raises(NoSourceError, match="private"):
        open_source(spec, Access(remote=remote))
    opened = open_source(spec, Access(token, remote=remote))
    assert sum(len(table) for table in read_source_file(opened.pieces["train"][0], spec, opened.source, token)) == 10


def test_a_source_with_all_splits_is_preferred_to_one_with_some(hub, repo):
    partial = add(hub, {path: content for path, content in SPLIT_FILES.items() if "validation" not in path})
    spec = task(sources=(Source(partial, config="cola"), Source(repo, config="cola")))
    opened = open_source(spec)
    assert opened.source.repo == repo
    assert opened.failures == ((f"{partial} (cola)", "lacks split 'validation' of config 'cola'"),)


def test_a_source_with_some_splits_serves_if_no_other_can(hub):
    partial = add(hub, {path: content for path, content in SPLIT_FILES.items() if "validation" not in path})
    less = add(hub, {path: content for path, content in SPLIT_FILES.items() if "train" in path})
    spec = task(sources=(Source(less, config="cola"), Source(partial, config="cola"), Source("not/there")))
    opened = open_source(spec)
    assert opened.source.repo == partial
    assert opened.missing == ("split 'validation' of config 'cola'",)
    assert [name for name, _ in opened.failures] == [f"{less} (cola)", "not/there"]


def test_a_split_with_files_missing_is_not_read_as_if_whole(hub):
    name = add(hub, {"train-00000-of-00002.parquet": parquet(numbered(0, 3)), "test.parquet": parquet(numbered(3, 6))})
    opened = open_source(task(sources=(Source(name),), splits=("train", "test")))
    assert list(opened.pieces) == ["test"]
    assert opened.missing == ("split 'train': has 1 of 2 files train-*",)


def test_a_given_revision_allows_no_other_source(hub, repo):
    spec = task(sources=(Source(repo, config="cola"), Source(repo, config="cola")))
    with pytest.raises(NoSourceError, match="at v9: no such revision"):
        open_source(spec, revision="v9")


def test_unlabelled_splits_are_counted_and_not_fetched(hub, repo):
    spec = task(sources=(Source(repo, config="cola"),), unlabelled=("test",))
    opened = open_source(spec)
    assert list(opened.pieces) == ["train", "validation"]
    assert opened.unlabelled == {"test": 10}
    asked = hub.requests.select("cola/test", method="GET")
    assert all(request.range for request in asked), "only ranges of it: its footer"


def test_steps_and_columns_of_a_source(hub):
    pairs = parquet({"good": ["g0", "g1"], "bad": ["b0", "b1"], "field": ["f", "f"], "list": [["a"], ["b"]]})
    source = Source(
        add(hub, {"train.parquet": pairs}),
        steps=(Keep("field", ("f",)), Stack({"good": "yes", "bad": "no"})),
        columns={"text": "sentence", "more": Items("list")},
        groups=Alone(),
    )
    spec = task(sources=(source,), sentence1="text", sentence2="more", splits=("train",), groups=RowModulus(2))
    assert list(rows(open_source(spec))[0]) == ["list", "field", "good", "bad"]


# --- Failures that pass ---------------------------------------------------------------------------------------------

FAULTS = {
    "server error": {"status": 503, "times": 2},
    "too many requests": {"status": 429, "retry_after": 1, "times": 1},
    "reset": {"reset": True, "times": 2},
}


@pytest.mark.parametrize("route", ["api", "resolve"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("remote", [False, True])
def test_failures_that_pass_are_waited_for(hub, repo, fault, route, remote):
    hub.faults.add("/api/datasets" if route == "api" else "/resolve/", **FAULTS[fault])
    spec = task(sources=(Source(repo, config="cola"), Source("not/there")))
    opened = open_source(spec, Access(remote=remote))
    assert opened.source.repo == repo
    assert len(rows(opened)) == 10


def test_a_truncated_download_is_completed(hub):
    content = parquet(numbered(0, 5000), ("no", "yes"))
    name = add(hub, {"train.parquet": content})
    fault = hub.faults.add("train.parquet", method="GET", truncate=len(content) // 2)
    opened = open_source(task(sources=(Source(name),), splits=("train",)))
    assert fault.hits == 1
    assert len(rows(opened)) == 5000


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_file_cut_off_in_the_cache_is_not_read_as_if_whole(hub, monkeypatch, kind):
    """A CSV or JSON-lines file that ends at a line break looks whole."""
    content = {
        "csv": "text,label\n" + "".join(f"text {row},{row % 2}\n" for row in range(20)),
        "jsonl": "".join(json.dumps({"text": f"text {row}", "label": row % 2}) + "\n" for row in range(20)),
        "parquet": parquet(numbered(0, 20)),
    }[kind]
    spec = task(sources=(Source(add(hub, {f"train.{kind}": content})),), splits=("train",))
    (piece,) = open_source(spec).pieces["train"]
    whole = Path(piece.path).read_bytes()

    def cut():
        Path(piece.path).resolve().write_bytes(
            whole[: whole.rindex(b"\n", 0, -1) + 1] if kind != "parquet" else whole[:-9]
        )

    cut()
    assert len(rows(open_source(spec))) == 20  # fetched again
    cut()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(NoSourceError, match=rf"train\.{kind} has [\d,]+ bytes; expected {len(whole):,}; delete it"):
        open_source(spec)


def test_a_failure_that_stays_is_a_reason(hub, repo):
    hub.faults.add(repo, status=500, times=None)
    with pytest.raises(NoSourceError, match="the Hub answered 500"):
        open_source(task(sources=(Source(repo, config="cola"),)))


def test_the_wait_is_what_the_hub_asks_for(hub, repo, monkeypatch):
    waits = []
    monkeypatch.setattr(asking.time, "sleep", waits.append)
    hub.faults.add("/api/datasets", status=429, retry_after=7)
    hub.faults.add("/api/datasets", status=502, times=2)
    open_source(task(sources=(Source(repo, config="cola"),)))
    assert waits[0] == 7
    assert waits[1] < waits[2]


def test_offline_reads_what_was_read_before(hub, repo, monkeypatch):
    spec = task(sources=(Source(repo, config="cola"),))
    online = rows(open_source(spec))
    hub.requests.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert rows(open_source(spec)) == online
    assert len(hub.requests) == 0
    with pytest.raises(NoSourceError, match="offline"):
        open_source(task(sources=(Source("never/read"),)))


def test_unreadable_rows_name_the_file(hub):
    spec = task(sources=(Source(add(hub, {"train.csv": "text,label\na,0\nb,1,2\n"})),), splits=("train",))
    with pytest.raises(NoSourceError, match=r"train\.csv.*columns"):
        open_source(spec)
    assert issubclass(NoSourceError, SourceError)
