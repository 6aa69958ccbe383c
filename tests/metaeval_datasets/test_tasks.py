"""The registry as a whole: every row of Appendix B is declared, as the paper prints it or with a reason why not."""

from collections import Counter
from pathlib import Path

import pytest

from metaeval_datasets import list_tasks, load_dataset, read_report
from metaeval_datasets.catalog import all_tasks, get_task
from metaeval_datasets.citations import REFERENCES, bibtex
from metaeval_datasets.spec import Embedded, Source, TaskType, normal_name, rows_per_source_row
from tests.metaeval_datasets.conftest import numbered, parquet

APPENDIX_B = {
    row[0]: (row[1], row[2].split("/"))
    for line in (Path(__file__).parents[1] / "data" / "appendix_b.tsv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
    for row in [line.split("\t")]
}
OUTSIDE_THE_101 = {
    "glue/ax", "super_glue/axb", "super_glue/axg", "winograd_wsc/wsc285", "winograd_wsc/wsc273", "scitail/tsv_format",
}  # fmt: skip
# The paper lists no types. Its largest type has 21 tasks (table 4: 20.8 % of 101), so one of our 22 is elsewhere in the
# paper; tweet_eval/irony and super_glue/wic are the least certain.
TYPES = {
    TaskType.OTHER: 22,
    TaskType.DISCOURSE: 20,
    TaskType.NLI: 17,
    TaskType.EMOTION: 14,
    TaskType.ACCEPTABILITY: 11,
    TaskType.GRAMMAR: 9,
    TaskType.FACTICITY: 5,
    TaskType.PARAPHRASE_DETECTION: 3,
}
# Tasks whose printed sizes count splits that are not read: unlabelled reviews, the rounds of ANLI one by one.
OTHER_SPLITS_PRINTED = {"imdb/plain_text", "anli/plain_text"}


def printed_names(printed):
    """The class names of a printed list, and whether it is cut; ', ' also ends a name that ends with a comma."""
    cut = printed.endswith("...")
    names = printed.removeprefix("[").removesuffix("..." if cut else "]").split(", ")
    return names[:-1] if cut else names, cut


def as_printed(name):
    """How the paper prints a name: underscores as blanks."""
    return name.replace("_", " ").strip()


def rounded(count):
    """A size as printed: thousands are rounded half to even."""
    if count < 1000:
        return str(count)
    return f"{round(count / 1000)}k" if count < 1_000_000 else f"{round(count / 1_000_000)}M"


def test_every_row_of_appendix_b_is_declared():
    assert set(list_tasks()) == set(APPENDIX_B)
    assert len(APPENDIX_B) == 107


def test_the_101_are_those_of_the_paper():
    assert set(list_tasks(in_101=False)) == OUTSIDE_THE_101
    assert len(list_tasks(in_101=True)) == 101


def test_types_are_spread_as_the_papers_counts_suggest():
    assert Counter(get_task(name).type for name in list_tasks(in_101=True)) == TYPES


def test_discourse_is_pragmeval():
    assert {get_task(name).group for name in list_tasks(type=TaskType.DISCOURSE)} == {"pragmeval"}
    assert get_task("discovery/discovery").type is TaskType.OTHER


def test_64_tasks_of_the_paper_have_one_text_field():
    """63.4 % of 101 is the majority of Num-Text-Fields in table 4: the paper edition must agree."""
    fields = Counter(get_task(name).edition("paper").num_text_fields for name in list_tasks(in_101=True))
    assert fields == {1: 64, 2: 37}


@pytest.mark.parametrize("name", APPENDIX_B)
def test_the_paper_edition_has_the_printed_classes(name):
    spec = get_task(name).edition("paper")
    printed, cut = printed_names(APPENDIX_B[name][0])
    names = spec.canonical if name == "tweet_eval/emoji" else spec.names  # printed in words, the source has emoji
    declared = [as_printed(class_name) for class_name in names]
    if name in ("tweet_eval/hate", "tweet_eval/offensive"):
        declared = [class_name.replace("non-", "not-") for class_name in declared]  # printed so
    if cut:
        declared = declared[: len(printed)]
    assert declared == [as_printed(class_name) for class_name in printed]


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in APPENDIX_B
        if name not in OTHER_SPLITS_PRINTED and None not in get_task(name).edition("paper").rows.values()
    ],
)
def test_the_declared_rows_round_to_the_printed_sizes(name):
    """Appendix B prints the up to three largest splits of the source, whatever they are."""
    spec = get_task(name).edition("paper")
    rows = sorted((count * rows_per_source_row(spec.sources[0]) for count in spec.rows.values()), reverse=True)
    assert [rounded(count) for count in rows[:3]] == APPENDIX_B[name][1]


@pytest.mark.parametrize("name", all_tasks())
def test_a_declaration_holds_in_all_its_parts(name):
    spec = get_task(name)
    for edition in ("careful", "paper"):
        task = spec.edition(edition)
        assert len(task.canonical) == len(task.names) == len(set(task.canonical))
        assert all(normal_name(canonical) == canonical for canonical in task.canonical)
        assert set(task.rows) <= set(task.splits)
        for source in task.sources:
            assert isinstance(source, Embedded) == (task.group == "demo")
            if isinstance(source, Source):
                assert "/" in source.repo
                assert source.label_names is None or set(source.label_names) <= {
                    *task.names,
                    *(str(value) for value in (source.label_values or task.label_values)),
                }
    assert spec.notes == "" or spec.notes.endswith(".")
    assert spec.paper is None or spec.paper.why.endswith(".")
    assert set(spec.rows) == set(spec.splits)


def test_the_paper_s_emo_has_no_validation_split(hub, tmp_path):
    """Its canonical source has none either: it is whole, and one is cut from train."""
    names = ("others", "happy", "sad", "angry")
    files = {
        f"emo2019/{split}/0000.parquet": parquet(numbered(0, count, 4), names)
        for split, count in (("train", 10), ("test", 5))
    }
    branch = {"repo_type": "dataset", "revision": "refs/convert/parquet"}
    hub.add_repo("SemEvalWorkshop/emo", files, **branch)
    try:
        loaded = load_dataset("metaeval", "emo/emo2019", edition="paper", cache_dir=str(tmp_path))
    finally:
        hub.remove("SemEvalWorkshop/emo", "dataset")
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 8, "validation": 2, "test": 5}
    assert read_report(loaded["test"].info).missing == []


HANS = (  # repository, revision, path of each split, columns
    (
        "tasksource/hans",
        "main",
        {split: f"data/{split}-00000-of-00001.parquet" for split in ("train", "validation", "test")},
        ("sentence1", "sentence2", "labels"),
    ),
    (
        "jhu-cogsci/hans",
        "refs/convert/parquet",
        {"train": "plain_text/train/0000.parquet", "validation": "plain_text/validation/0000.parquet"},
        ("premise", "hypothesis", "label"),
    ),
)


def load_hans(hub, repo, revision, paths, columns, numbers, cache):
    """Load HANS from one source whose splits have pairs with the given numbers, with odd numbers in class 1."""
    files = {}
    for split, path in paths.items():
        texts = [f"The judge saw {number} nurses ." for number in numbers[split]]
        rows = dict(zip(columns, (texts, texts, [number % 2 for number in numbers[split]]), strict=True))
        files[path] = parquet(rows)
    hub.add_repo(repo, files, repo_type="dataset", revision=revision)
    try:
        return load_dataset("metaeval", "hans/plain_text", cache_dir=str(cache))
    finally:
        hub.remove(repo, "dataset")


def test_hans_has_the_same_rows_from_the_package_and_from_the_original(hub, tmp_path):
    """The package cuts the official validation split in two; no row of it may be lost."""
    numbers = (
        {"train": range(20), "validation": range(101, 130, 2), "test": range(100, 130, 2)},
        {"train": range(20), "validation": range(100, 130)},
    )
    package, original = (
        load_hans(hub, *source, rows, tmp_path / str(place))
        for place, (source, rows) in enumerate(zip(HANS, numbers, strict=True))
    )
    assert {split: len(rows) for split, rows in package.items()} == {"train": 16, "validation": 4, "test": 30}
    assert read_report(package["test"].info).missing == read_report(original["test"].info).missing == []
    for split, rows in package.items():
        texts, others = (sorted(zip(each["sentence1"], each["label"], strict=True)) for each in (rows, original[split]))
        assert texts == others


def test_an_edition_differs_from_the_task():
    for name in list_tasks():
        spec = get_task(name)
        if spec.paper is not None:
            paper, careful = (
                {key: value for key, value in spec.edition(edition).to_dict().items() if key != "notes"}
                for edition in ("paper", "careful")
            )
            assert paper != careful, name


def test_the_same_class_has_one_canonical_name_and_other_classes_another():
    """The cases that a head shared between tasks depends on, and those in which one spelling means two things."""
    classes = {
        (name, class_name): canonical
        for name, spec in all_tasks().items()
        for class_name, canonical in zip(spec.names, spec.canonical, strict=True)
    }
    assert classes["hans/plain_text", "non-entailment"] == classes["recast/recast_ner", "not-entailed"]
    assert classes["hans/plain_text", "non-entailment"] == classes["glue/rte", "not_entailment"]
    assert classes["glue/wnli", "entailment"] == classes["sem_eval_2014_task_1/default", "ENTAILMENT"]
    assert classes["glue/mrpc", "equivalent"] == classes["paws/labeled_final", "paraphrase"]
    assert classes["imdb/plain_text", "pos"] == classes["glue/sst2", "positive"]
    assert classes["glue/cola", "acceptable"] == classes["blimp_classification/syntax", "acceptable"]
    assert classes["ethos/binary", "hate_speech"] == classes["tweet_eval/hate", "hate"]
    assert classes["glue/mnli", "neutral"] != classes["tweet_eval/sentiment", "neutral"]
    assert classes["glue/cola", "acceptable"] != classes["ethics/justice", "acceptable"]
    assert classes["crowdflower/text_emotion", "hate"] != classes["tweet_eval/hate", "hate"]
    assert classes["super_glue/boolq", "True"] != classes["liar/default", "true"]
    ratings = [spec.canonical for spec in all_tasks().values() if spec.names == ("low", "high")]
    assert len(set(ratings)) == len(ratings) == 10


def classes_by_canonical_name(edition):
    """Canonical name -> the classes (task, number) of the 101 tasks that have it."""
    classes = {}
    for name in list_tasks(in_101=True):
        for number, canonical in enumerate(get_task(name).edition(edition).canonical):
            classes.setdefault(canonical, set()).add((name, number))
    return classes


def test_the_paper_edition_shares_a_label_vector_only_between_classes_of_one_meaning():
    """The paper itself shares only the names acceptable and unacceptable between different meanings (ETHICS)."""
    careful = {member: name for name, members in classes_by_canonical_name("careful").items() for member in members}
    mixed = {
        canonical
        for canonical, members in classes_by_canonical_name("paper").items()
        if canonical.isdecimal() or len({careful.get(member) for member in members}) > 1
    }
    assert mixed == {"acceptable", "unacceptable"}


@pytest.mark.parametrize("name", ["cola", "sst2", "mrpc", "qqp", "mnli", "qnli", "rte"])
@pytest.mark.parametrize("edition", ["careful", "paper"])
def test_every_class_of_table_5_has_a_label_vector_that_other_tasks_train(name, edition):
    others = {
        canonical
        for other in list_tasks(in_101=True)
        if not other.startswith("glue/")
        for canonical in get_task(other).edition(edition).canonical
    }
    assert set(get_task(f"glue/{name}").edition(edition).canonical) <= others


def test_every_citation_has_a_reference_and_every_reference_a_task():
    cited = {spec.citation for spec in all_tasks().values()}
    assert cited == set(REFERENCES)


def test_a_reference_is_bibtex():
    assert bibtex("zhang2019paws") == (
        "@misc{zhang2019paws,\n"
        "  author = {{Zhang} and {Baldridge} and {He}},\n"
        "  title = {{PAWS: Paraphrase Adversaries from Word Scrambling}},\n"
        "  year = {2019}\n"
        "}"
    )
    assert "{Coucke} and others}" in bibtex("coucke2018snips")
    with pytest.raises(KeyError, match=r"no reference 'zhang2020paws'.*citations\.py"):
        bibtex("zhang2020paws")
