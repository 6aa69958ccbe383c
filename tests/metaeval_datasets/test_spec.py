"""Declarations check themselves, and say which task and field is wrong."""

import dataclasses

import pytest

from metaeval_datasets.spec import (
    After,
    Alone,
    Before,
    ConfigText,
    Embedded,
    Join,
    Keep,
    Orient,
    PaperEdition,
    Replace,
    RowModulus,
    SameRow,
    SameText,
    Source,
    SpecError,
    Stack,
    TaskSpec,
    TaskType,
    normal_name,
    text_columns,
)

# Examples of what declarations look like, from the plain to the odd.
COLA = TaskSpec(
    name="glue/cola",
    sources=[Source("nyu-mll/glue", config="cola")],
    sentence="sentence",
    names=("unacceptable", "acceptable"),
    type=TaskType.ACCEPTABILITY,
    unlabelled=("test",),
    rows={"train": 8551, "validation": 1043, "test": 1063},
    license="other",
    citation="warstadt2019neural",
)
MNLI = TaskSpec(
    name="glue/mnli",
    sources=[
        Source("nyu-mll/glue", config="mnli", splits={"validation": "validation_matched", "test": "test_matched"})
    ],
    sentence1="premise",
    sentence2="hypothesis",
    names=("entailment", "neutral", "contradiction"),
    type=TaskType.NLI,
    unlabelled=("test",),
    license="other",
    citation="williams2018mnli",
)
TARGETS = {"stance_abortion": "legalization of abortion", "stance_climate": "climate change is a real concern"}
STANCE = TaskSpec(
    name="tweet_eval/stance",
    sources=[Source("cardiffnlp/tweet_eval", config=tuple(TARGETS))],
    sentence1="text",
    sentence2=ConfigText(TARGETS),
    names=("none", "against", "favor"),
    type=TaskType.OTHER,
    license="unknown",
    citation="mohammad2016stance",
    paper=PaperEdition(why="The target was lost.", sentence="text"),
)
BLIMP = TaskSpec(
    name="blimp_classification/syntax+semantics",
    sources=[
        Source(
            "nyu-mll/blimp",
            config="principle_A_case_2",
            steps=(Stack({"sentence_good": "acceptable", "sentence_bad": "unacceptable"}),),
        ),
        Source(
            "tasksource/blimp_classification", config="syntax+semantics", columns={"sentence": "text"}, groups=Alone()
        ),
    ],
    sentence="sentence",
    names=("acceptable", "unacceptable"),
    type=TaskType.ACCEPTABILITY,
    splits=("train",),
    groups=SameRow(),
    license="cc-by-4.0",
    citation="warstadt2020blimp",
)
UTILITARIANISM = TaskSpec(
    name="ethics/utilitarianism",
    sources=[
        Source(
            "hendrycks/ethics",
            files={"train": "data/utilitarianism/train.csv", "validation": "data/utilitarianism/test.csv"},
            steps=(Orient("baseline", "less_pleasant", labels=("acceptable", "unacceptable")),),
        )
    ],
    sentence1="baseline",
    sentence2="less_pleasant",
    names=("acceptable", "unacceptable"),
    type=TaskType.ACCEPTABILITY,
    splits=("train", "validation"),
    license="mit",
    citation="hendrycks2021ethics",
    paper=PaperEdition(why="One text.", sentence=Join("baseline", "less_pleasant")),
)
PAWS = TaskSpec(
    name="paws/labeled_final",
    sources=[Source("google-research-datasets/paws", config="labeled_final")],
    sentence1="sentence1",
    sentence2="sentence2",
    names=("not_paraphrase", "paraphrase"),
    label_values={"0": "not_paraphrase", "1": "paraphrase"},
    type=TaskType.PARAPHRASE_DETECTION,
    license="other",
    citation="zhang2019paws",
)
ANLI = TaskSpec(
    name="anli/plain_text",
    sources=[
        Source(
            "facebook/anli",
            config="plain_text",
            splits={
                "train": ("train_r1", "train_r2", "train_r3"),
                "validation": ("dev_r1", "dev_r2", "dev_r3"),
                "test": ("test_r1", "test_r2", "test_r3"),
            },
        )
    ],
    sentence1="premise",
    sentence2="hypothesis",
    names=("entailment", "neutral", "contradiction"),
    type=TaskType.NLI,
    license="cc-by-nc-4.0",
    citation="nie2020anli",
    paper=PaperEdition(
        why="Round 1 only.",
        sources=(
            Source(
                "facebook/anli",
                config="plain_text",
                splits={"train": "train_r1", "validation": "dev_r1", "test": "test_r1"},
            ),
        ),
    ),
)
EXAMPLES = [COLA, MNLI, STANCE, BLIMP, UTILITARIANISM, PAWS, ANLI]


def change(spec, **fields):
    return dataclasses.replace(spec, **fields)


def test_a_declaration_answers_what_a_reader_asks():
    assert COLA.group == "glue"
    assert COLA.config_name == "glue-cola"
    assert COLA.texts == {"sentence": "sentence"}
    assert MNLI.num_text_fields == 2
    assert MNLI.columns == ("premise", "hypothesis", "label")
    assert COLA.canonical == ("unacceptable", "acceptable")
    assert STANCE.columns == ("text", "label")
    assert ANLI.sources[0].source_splits("train") == ("train_r1", "train_r2", "train_r3")
    assert COLA.sources[0].source_splits("train") == ("train",)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "cola"}, "name"),
        ({"sources": ()}, "sources"),
        ({"sources": ("nyu-mll/glue",)}, "sources"),
        ({"sentence": None}, "sentence"),
        ({"sentence1": "premise"}, "sentence"),
        ({"sentence": 3}, "sentence"),
        ({"sentence": Before("sentence", "")}, "sentence"),
        ({"label": ""}, "label"),
        ({"names": ("one",)}, "names"),
        ({"names": ("one", "one")}, "names"),
        ({"names": "ab"}, "names"),
        ({"canonical": ("acceptable",)}, "canonical"),
        ({"canonical": ("Not Acceptable", "acceptable")}, "canonical"),
        ({"label_values": {"0": "wrong"}}, "label_values"),
        ({"type": "nli"}, "type"),
        ({"splits": ("train", "dev")}, "splits"),
        ({"splits": ()}, "splits"),
        ({"unlabelled": ("dev",)}, "unlabelled"),
        ({"unlabelled": "test"}, "unlabelled"),
        ({"groups": "pair"}, "groups"),
        ({"groups": RowModulus(1)}, "groups"),
        ({"may_be_empty": ("sentence2",)}, "may_be_empty"),
        ({"rows": {"dev": 3}}, "rows"),
        ({"rows": {"train": 0}}, "rows"),
        ({"license": ""}, "license"),
        ({"citation": "Warstadt et al."}, "citation"),
        ({"paper": PaperEdition(why="")}, "paper"),
        ({"paper": PaperEdition(why="Other names.", names=("one",))}, "names"),
        ({"sources": (Source("a/b", label_values={1: "wrong"}),)}, "label_values"),
        ({"sources": (Source("a/b", steps=(Stack({"x": "good", "y": "bad"}),)),)}, "sources"),
        ({"sources": (Source("a/b", splits={"test": "dev"}),), "splits": ("train",), "unlabelled": ()}, "sources"),
    ],
)
def test_errors_name_task_and_field(fields, field):
    if "sources" in fields and "splits" in fields:
        fields = {**fields, "rows": {}}
    with pytest.raises(SpecError) as raised:
        change(COLA, **fields)
    assert f"`{field}`" in str(raised.value)
    assert fields.get("name", COLA.name) in str(raised.value)


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: Source("glue"), "repo"),
        (lambda: Source("GitHub: a/b"), "repo"),
        (lambda: Source("a/b", config=("x", "x")), "config"),
        (lambda: Source("a/b", config=("x", None)), "config"),
        (lambda: Source("a/b", splits={"dev": "validation"}), "splits"),
        (lambda: Source("a/b", splits={"train": "all", "test": "all"}), "splits"),
        (lambda: Source("a/b", files={"train": ()}), "files"),
        (lambda: Source("a/b", columns={"text": 1}), "columns"),
        (lambda: Source("a/b", steps=("stack",)), "steps"),
        (lambda: Source("a/b", steps=(Stack({"x": "good"}),)), "steps"),
        (lambda: Source("a/b", steps=(Orient("x", "x", ("a", "b")),)), "steps"),
        (lambda: Source("a/b", steps=(Keep("field", "syntax"),)), "steps"),
        (lambda: Source("a/b", label_names=("x", "x")), "label_names"),
        (lambda: Source("a/b", groups=3), "groups"),
        (lambda: Source("a/b", delimiter="::"), "delimiter"),
        (lambda: Embedded("../demo"), "module"),
    ],
)
def test_source_errors_name_the_field(build, field):
    with pytest.raises(SpecError, match=f"`{field}"):
        build()


def test_paper_edition_replaces_fields_and_nothing_else():
    paper = STANCE.edition("paper")
    assert paper.texts == {"sentence": "text"}
    assert paper.names == STANCE.names
    assert paper.paper is None
    assert "The target was lost." in paper.notes
    assert STANCE.edition("careful").texts == STANCE.texts
    assert ANLI.edition("paper").sources[0].source_splits("test") == ("test_r1",)


def test_an_edition_can_have_other_splits():
    paper = PaperEdition(why="No validation.", splits=("train", "test"), rows={"train": 10})
    spec = change(COLA, unlabelled=(), paper=paper)
    assert spec.edition("paper").splits == ("train", "test")
    assert spec.edition("careful").splits == ("train", "validation", "test")
    with pytest.raises(SpecError, match=r"`rows` counts 'validation'; `splits` is \('train', 'test'\)"):
        change(COLA, unlabelled=(), rows={"validation": 5}, paper=PaperEdition(why="None.", splits=("train", "test")))


def test_edition_without_differences_is_the_task_itself():
    assert COLA.edition("paper") == COLA.edition("careful")
    with pytest.raises(SpecError, match="unknown edition 'upstream'"):
        COLA.edition("upstream")


@pytest.mark.parametrize("spec", EXAMPLES, ids=lambda spec: spec.name)
def test_digest_depends_on_the_whole_declaration(spec):
    assert spec.digest() == change(spec).digest()
    assert change(spec, notes="Another note.").digest() != spec.digest()
    assert change(spec, names=spec.names[::-1], canonical=spec.canonical[::-1]).digest() != spec.digest()


def test_digest_tells_operations_and_key_types_apart():
    before = change(COLA, sentence=Before("sentence", "|"))
    after = change(COLA, sentence=After("sentence", "|"))
    assert before.digest() != after.digest()
    assert (
        change(COLA, label_values={"0": "acceptable"}).digest() != change(COLA, label_values={0: "acceptable"}).digest()
    )


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a", ("a",)),
        (Join("a", Before("b", "|"), "a"), ("a", "b")),
        (Replace(After("c", ":"), "x", "y"), ("c",)),
        (ConfigText({"x": "y"}), ()),
    ],
)
def test_text_columns(text, columns):
    assert text_columns(text) == columns


@pytest.mark.parametrize("build", [lambda: Join("a"), lambda: Join("a", 3), SameText, lambda: SameText(3)])
def test_malformed_operations_raise(build):
    with pytest.raises(SpecError):
        build()


@pytest.mark.parametrize(
    ("name", "normal"), [("non-entailment", "non_entailment"), (" Sci / Tech", "sci_/_tech"), ("1 star", "1_star")]
)
def test_normal_name(name, normal):
    assert normal_name(name) == normal
