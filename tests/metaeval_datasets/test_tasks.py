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
TYPES = {
    TaskType.DISCOURSE: 21,
    TaskType.OTHER: 21,
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
