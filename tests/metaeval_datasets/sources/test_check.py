"""The source check: every way in which a source can be other than declared is told, as loading would see it."""

import json
import threading
import time

import pytest

from metaeval_datasets import get_task
from metaeval_datasets.catalog import list_tasks
from metaeval_datasets.sources import asking, hub_answers
from metaeval_datasets.sources.asking import NoSourceError
from metaeval_datasets.sources.check import check_source, check_tasks
from metaeval_datasets.sources.check_results import SourceCheck, TaskCheck
from metaeval_datasets.sources.hub_answers import Answers, whole_lines
from metaeval_datasets.sources.hub_files import Access
from metaeval_datasets.sources.opening import open_source
from metaeval_datasets.spec import Source, Stack
from tests.metaeval_datasets.conftest import numbered, parquet, task

SPLITS = ("train", "validation", "test")
NAMES = ("no", "yes")
ROWS = {"train": 10, "validation": 10, "test": 10}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """No test waits for the pauses between attempts."""
    monkeypatch.setattr(asking.time, "sleep", lambda seconds: None)


def files(table=None, label_names=NAMES, splits=SPLITS, **options):
    content = parquet(table or numbered(0, 10), label_names)
    return {f"cola/{split}-00000-of-00001.parquet": content for split in splits} | options


@pytest.fixture
def add(hub):
    def add(contents, **options):
        name = hub.name("checked")
        hub.add_repo(name, contents, repo_type="dataset", **options)
        return name

    return add


def look(source, **fields):
    fields = {"rows": ROWS, **fields}
    return check_source(task(sources=(source,), **fields), source, Answers())


def test_a_source_as_declared(hub, add):
    name = add(files(**{"README.md": "---\nlicense: cc0-1.0\n---\n"}))
    found = look(Source(name, config="cola"))
    assert (found.status, found.findings) == ("usable", [])
    assert found.commit == hub.repo(name, "dataset").commit().sha
    assert {split: (entry.files, entry.rows) for split, entry in found.splits.items()} == dict.fromkeys(SPLITS, (1, 10))
    assert found.columns == {"text": "string", "label": "int64"}
    assert (found.label_names, found.licenses) == (["no", "yes"], ["cc0-1.0"])


# --- Not usable: loading passes it over too ---------------------------------------------------------------------------

OTHER_NAMES = parquet(numbered(0, 10), ("nope", "yep"))
TEXT_LABELS = {"text": ["a", "b"], "label": ["maybe", "perhaps"]}
BROKEN = {
    "repository": (None, {}, "no such repository, or a private one"),
    "revision": (files(), {"revision": "v9"}, "no such revision"),
    "config": (files(), {"config": "colla"}, "has no config 'colla'; it has 'cola'"),
    "splits": (files(splits=("odd",)), {}, "has none of the splits train, validation, test; its files: 'cola/odd-"),
    "files": (files(), {"files": {"train": "{config}.csv"}}, "has no file 'cola.csv'; nearest 'cola/test-00000-of-"),
    "data": ({"script.py": "print('no code of a source runs')"}, {}, "has no Parquet, CSV or JSON file (2 files)"),
    "columns": (files({"words": ["a"], "label": [0]}), {}, "has no column 'text'; its columns are words, label"),
    "a nested text": (files({"text": [["a"]], "label": [0]}), {}, "column 'text' contains list<"),
    "class names": (files(label_names=("nope", "yep")), {}, "['nope', 'yep'] are not among the declared names"),
    "a broken file": (dict.fromkeys(files(), b"PAR1 no Parquet PAR1"), {}, "is not a readable Parquet file"),
    "an empty file": (dict.fromkeys(files(), b""), {}, "is empty"),
    "an array": ({"cola/train.json": '[{"text": "a", "label": 0}]'}, {}, "is a JSON array; expected JSON lines"),
    "CSV columns": ({"cola/train.csv": "words,label\na,0\n"}, {}, "has no column 'text'; its columns are words, label"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_serve_is_told_and_loading_agrees(add, what):
    contents, options, reason = BROKEN[what]
    name = "nobody/nothing" if contents is None else add(contents)
    source = Source(name, **{"config": "cola", **options})
    found = look(source)
    assert found.status == "not usable"
    assert reason in found.problems[0]
    assert found.answered
    with pytest.raises(NoSourceError):
        open_source(task(sources=(source,)), Access(remote=True))


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (TEXT_LABELS, "train: labels 'maybe', 'perhaps' outside the declared names 'no', 'yes'"),
        ({"text": ["a"], "label": [7]}, "train: label 7 outside the declared names"),
        ({"text": list("abcd"), "label": [1, 2, 1, 2]}, "train: label 2 outside the declared names"),
        ({"text": ["a", "b"], "label": [-1, -1]}, "train: no row has a label; if the labels are hidden"),
    ],
)
def test_a_split_without_a_row_to_use_is_a_problem(add, table, reason):
    found = look(Source(add(files(table, None)), config="cola"))
    assert found.status == "not usable"
    assert reason in found.problems[0]


@pytest.mark.parametrize("labels", [[1, 2] * 20, ["no"] * 30 + ["Yes"] * 10])
def test_other_labels_in_the_first_rows_are_a_problem_as_they_are_for_loading(add, labels):
    content = "".join(f"text {row},{label}\n" for row, label in enumerate(labels))
    source = Source(add({"train.csv": "text,label\n" + content}))
    (problem,) = look(source, splits=("train",), rows={}).problems
    with pytest.raises(NoSourceError) as raised:
        open_source(task(sources=(source,), splits=("train",)))
    assert problem.removeprefix("train: ") in str(raised.value)


def test_quotes_may_be_text(add):
    content = "text\tlabel\n" + '"a\tno\n' * 20_000  # longer than what is looked at
    source = Source(add({"train.tsv": content}), quote=None)
    assert not look(source, splits=("train",), rows={}).problems


def test_a_gated_source_is_not_usable_unless_the_token_opens_it(hub):
    hub.add_user("gatekeeper")
    name = hub.name("gated", owner="gatekeeper")
    repo = hub.add_repo(name, files(), repo_type="dataset", gated="manual")
    found = look(Source(name, config="cola"))
    assert (found.status, found.gated) == ("not usable", True)
    assert "accept its conditions" in found.problems[0]
    repo.granted.add(hub.user)
    found = look(Source(name, config="cola"))
    assert (found.status, found.gated, found.findings) == ("differs", True, ["is gated; this token has access"])


# --- Usable, differs --------------------------------------------------------------------------------------------------


def test_what_differs_is_told(hub, add):
    old = add(files(splits=("train", "test"), **{"README.md": "---\nlicense: mit\n---\n"}))
    new = hub.name("new")
    hub.move(old, new, "dataset")
    found = look(Source(old, config="cola"), rows={"train": 12, "test": 10})
    assert found.status == "differs"
    assert found.name == new
    assert found.findings == [
        "lacks split 'validation'",
        f"is now called {new}",
        "licence mit (declared cc0-1.0)",
        "train 10 rows (declared 12)",
    ]


def test_labels_that_are_dropped_are_told(add):
    mixed = look(Source(add(files({"text": ["a", "b"], "label": ["no", "unsure"]}, None)), config="cola"), rows={})
    assert mixed.findings[0] == "train: label 'unsure' outside the declared names; such rows are dropped"
    declared = {"label_values": {"unsure": None}, "rows": {}}
    assert not look(
        Source(add(files({"text": ["a", "b"], "label": ["no", "unsure"]}, None)), config="cola"), **declared
    ).findings


def test_labels_of_a_split_declared_hidden_are_told(add):
    hidden = {"text": ["a", "b"], "label": [-1, -1]}
    contents = files() | {"cola/test-00000-of-00001.parquet": parquet(hidden)}
    rows = {**ROWS, "test": 2}
    assert not look(Source(add(contents), config="cola"), unlabelled=("test",), rows=rows).findings
    assert look(Source(add(files()), config="cola"), unlabelled=("test",)).findings == [
        "test has labels (declared hidden)"
    ]
    del contents["cola/test-00000-of-00001.parquet"]
    assert look(Source(add(contents), config="cola"), unlabelled=("test",)).findings == [
        "lacks split 'test' (labels hidden)"
    ]


def test_rows_are_compared_in_those_of_the_source(add):
    pairs = {"good": ["a"] * 6, "bad": ["b"] * 6}
    steps = (Stack({"good": "yes", "bad": "no"}, into="text"),)
    stacked = Source(add({"train.parquet": parquet(pairs)}), steps=steps)
    plain = Source(add({"train.parquet": parquet(numbered(0, 12))}))
    for first, second, declared in ((stacked, plain, 6), (plain, stacked, 12)):
        spec = task(sources=(first, second), splits=("train",), rows={"train": declared})
        assert [check_source(spec, source, Answers()).findings for source in (first, second)] == [[], []]


def test_the_convert_branch_has_the_licence_of_the_main_one(hub, add):
    name = add({"README.md": "---\nlicense: gpl-3.0\n---\n"})
    converted = {f"cola/{split}/0000.parquet": parquet(numbered(0, 10)) for split in SPLITS}
    hub.add_repo(name, converted, repo_type="dataset", revision="refs/convert/parquet")
    found = look(Source(name, config="cola", revision="refs/convert/parquet"))
    assert found.findings == ["licence gpl-3.0 (declared cc0-1.0)"]


# --- CSV and JSON -----------------------------------------------------------------------------------------------------


def test_only_the_head_of_text_files_is_read(hub, add, monkeypatch):
    monkeypatch.setattr(hub_answers, "HEAD_BYTES", 300)
    lines = [f'"text, number {number}\nof many","{NAMES[number % 2]}"' for number in range(200)]
    card = {"dataset_info": {"config_name": "c", "splits": [{"name": "train", "num_examples": 200, "num_bytes": 1}]}}
    name = add(
        {"c/train.csv": "text,label\n" + "\n".join(lines) + "\n", "README.md": f"---\n{json.dumps(card)}\n---\n"}
    )
    found = look(Source(name, config="c"), splits=("train",), rows={"train": 200})
    assert (found.findings, found.splits["train"].rows) == ([], 200)  # by the card
    assert [request.range for request in hub.requests.select("train.csv", method="GET")] == ["bytes=0-299"]


def test_small_text_files_are_counted(add):
    jsonl = "\n".join(json.dumps({"text": f"t {number}", "label": number % 2}) for number in range(5))
    for extension in ("jsonl", "json"):
        found = look(Source(add({f"train.{extension}": jsonl})), splits=("train",), rows={"train": 6})
        assert found.findings == ["train 5 rows (declared 6)"]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"a,b\nc,d\ne,", b"a,b\nc,d\n"),
        (b'a,"b\nc"\n"d\ne', b'a,"b\nc"\n'),
        (b'a,"say ""b"" \nc"\n"d\ne\n', b'a,"say ""b"" \nc"\n'),
        (b'tall 6" man\nshort', b'tall 6" man\n'),  # never even: quotes that are none
        (b"one long line", b"one long line"),
    ],
)
def test_heads_end_with_a_whole_row(content, kept):
    assert whole_lines(content) == kept


# --- What is asked ----------------------------------------------------------------------------------------------------


def test_what_tasks_share_is_asked_for_once(hub, add, declare):
    name = add(files() | {f"mrpc/{split}.parquet": parquet(numbered(0, 10)) for split in SPLITS})
    names = [
        declare(task(name=f"made_up/{number}", sources=(Source(name, config=config),)))
        for number, config in enumerate(("cola", "cola", "cola", "mrpc"))
    ]
    done = []
    answers = Answers()
    checks = check_tasks([(task_name, "careful") for task_name in names], answers, workers=4, on_source=done.append)
    assert [entry.status for entry in checks] == ["usable"] * 4
    assert sorted(done) == sorted(names)
    assert hub.requests.count(route="info") == answers.count("repo") == 1
    assert hub.requests.count(route="cdn") == answers.count("footer") == 6
    assert all(request.range for request in hub.requests.select(route="cdn"))


def test_a_footer_longer_than_the_first_range(hub, add, monkeypatch):
    monkeypatch.setattr(hub_answers, "FOOTER_BYTES", 100)
    found = look(Source(add(files()), config="cola"))
    assert not found.findings
    assert hub.requests.count("/cdn/") == 6


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429, "retry_after": 1}, {"reset": True}])
def test_failures_that_pass_are_waited_for(hub, add, fault):
    name = add(files())
    hub.faults.add(name, times=2, **fault)
    assert not look(Source(name, config="cola")).findings


def test_no_answer_is_told_apart_from_no(hub, add):
    name = add(files())
    hub.faults.add(name, status=503, times=None)
    found = look(Source(name, config="cola"))
    assert (found.status, found.answered, found.problems) == ("not usable", False, ["the Hub answered 503"])


def test_a_hub_that_is_away_is_one_error(declare, monkeypatch):
    names = [declare(task(name=f"made_up/{number}")) for number in range(3)]
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        ConnectionError, match=r"the Hub at http://127.0.0.1:9 cannot be reached \(Connection refused\)"
    ):
        check_tasks([(name, "careful") for name in names], Answers())


def test_a_token_that_is_refused_is_one_error(declare):
    name = declare(task())
    with pytest.raises(ConnectionError, match="refuses the token"):
        check_tasks([(name, "careful")], Answers("hf_wrong"))


def test_offline_is_one_error(declare, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConnectionError, match="HF_HUB_OFFLINE"):
        check_tasks([(declare(task()), "careful")], Answers())


def test_ctrl_c_does_not_wait_for_the_hub(add, declare):
    held = threading.Event()

    class Stuck(Answers):
        def footer(self, *args):
            held.wait(30)
            raise AssertionError("waited")

    names = [
        declare(task(name=f"made_up/{number}", sources=(Source(add(files()), config="cola"),))) for number in (1, 2)
    ]
    embedded = list_tasks(group="demo")[:1]

    def interrupt(task_name):
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        check_tasks([(name, "careful") for name in [*names, *embedded]], Stuck(), workers=3, on_source=interrupt)
    assert time.monotonic() - started < 10
    held.set()


# --- The whole task ---------------------------------------------------------------------------------------------------


def test_demo_tasks_need_no_hub(hub):
    entries = [(name, "careful") for name in list_tasks(group="demo")]
    checks = check_tasks(entries, Answers())
    assert {entry.status for entry in checks} == {"usable"}
    assert checks[0].sources[0].splits["train"].rows == 400
    assert len(hub.requests) == 0


def entry(*found):
    return TaskCheck("made_up/task", "careful", list(found))


def test_a_task_is_what_the_source_is_that_serves_it():
    whole, other = SourceCheck("whole"), SourceCheck("other", differences=["train 1 rows (declared 2)"])
    gone, partial = (
        SourceCheck("gone", problems=["no such repository"]),
        SourceCheck("partial", missing=["split 'test'"]),
    )
    assert (entry(whole, gone).serves, entry(whole, gone).status) == (0, "usable")
    assert (entry(other, whole).serves, entry(other, whole).status) == (0, "differs")
    assert (entry(gone, whole).serves, entry(gone, whole).status) == (1, "differs")
    assert (entry(partial, other).serves, entry(partial, other).status) == (1, "differs")
    assert (entry(gone, partial).serves, entry(gone, partial).status) == (1, "differs")
    assert (entry(gone, gone).serves, entry(gone, gone).status) == (None, "not usable")


@pytest.mark.mirror
@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("edition", ["careful", "paper"])
def test_real_tasks_are_served_by_the_source_that_loading_chooses(edition):
    names = [name for name in list_tasks() if edition == "careful" or get_task(name).paper][::4]
    for found in check_tasks([(name, edition) for name in names], Answers()):
        spec = get_task(found.task).edition(edition)
        try:
            opened = open_source(spec, Access(remote=True))
        except NoSourceError:
            assert found.serves is None, found.task
            continue
        assert found.serves is not None, found.task
        assert spec.sources[found.serves] == opened.source
        served = found.sources[found.serves]
        assert served.commit == opened.commit
        assert len(served.missing) == len(opened.missing)
        for split, pieces in opened.pieces.items():
            assert served.splits[split].rows == sum(piece.rows for piece in pieces)


def test_a_source_that_breaks_the_check_ends_no_other(add, declare, monkeypatch):
    broken, whole = add(files()), add(files())
    names = [
        declare(task(name=f"made_up/{number}", sources=(Source(name, config="cola"),)))
        for number, name in enumerate((broken, whole))
    ]
    ask = hub_answers.repo_facts
    monkeypatch.setattr(hub_answers, "repo_facts", lambda repo, *rest: {}[repo] if repo == broken else ask(repo, *rest))
    first, second = check_tasks([(name, "careful") for name in reversed(names)], Answers())
    assert (first.status, second.status) == ("usable", "not usable")
    assert second.sources[0].problems == [f"cannot be checked: KeyError: '{broken}'"]
