"""SuperGLUE, its classification tasks. Test labels are hidden, so validation becomes the test split."""

from metaeval_datasets.spec import Join, PaperEdition, Source, TaskSpec, TaskType
from metaeval_datasets.vocabulary import ENTAILMENT, NLI_NEUTRAL


def _sources(config: str) -> tuple[Source, ...]:
    return (
        Source("aps/super_glue", config=config, revision="3de24cf8022e94f4ee4b9d55a6f539891524d646"),
        Source("aps/super_glue", config=config, revision="refs/convert/parquet"),
    )


TASKS = [
    TaskSpec(
        name="super_glue/boolq",
        sources=_sources("boolq"),
        sentence1="question",
        sentence2="passage",
        names=("False", "True"),
        canonical=("answer_is_no", "answer_is_yes"),
        unlabelled=("test",),
        type=TaskType.FACTICITY,
        rows={"train": 9427, "validation": 3270, "test": 3245},
        license="other",
        citation="clark2019boolq",
        notes="The passage is long: truncate it, not the question. The task type FACTICITY is a guess.",
    ),
    TaskSpec(
        name="super_glue/cb",
        sources=_sources("cb"),
        sentence1="premise",
        sentence2="hypothesis",
        names=("entailment", "contradiction", "neutral"),
        canonical=("entailment", "contradiction", NLI_NEUTRAL),
        unlabelled=("test",),
        type=TaskType.NLI,
        rows={"train": 250, "validation": 56, "test": 250},
        license="other",
        citation="demarneffe2019cb",
        notes="The classes are in another order than in snli and mnli. With 56 test rows, results are uncertain.",
    ),
    TaskSpec(
        name="super_glue/wic",
        sources=_sources("wic"),
        sentence1=Join("word", "sentence1", separator=": "),
        sentence2="sentence2",
        names=("False", "True"),
        canonical=("different_sense", "same_sense"),
        unlabelled=("test",),
        type=TaskType.OTHER,
        rows={"train": 5428, "validation": 638, "test": 1400},
        license="other",
        citation="pilehvar2019wic",
        paper=PaperEdition(
            why="The paper's loader omits the word whose senses are compared.",
            sentence1="sentence1",
            sentence2="sentence2",
        ),
        notes="Does a word have the same sense in two sentences? The word is placed before the first sentence.",
    ),
    TaskSpec(
        name="super_glue/axb",
        sources=_sources("axb"),
        sentence1="sentence1",
        sentence2="sentence2",
        names=("entailment", "not_entailment"),
        canonical=ENTAILMENT,
        splits=("test",),
        type=TaskType.NLI,
        rows={"test": 1104},
        in_101=False,
        license="other",
        citation="wang2019superglue",
        notes=(
            "This diagnostic set has only a test split and is not one of the 101 tasks; it has the sentences of "
            "glue/ax with two classes."
        ),
    ),
    TaskSpec(
        name="super_glue/axg",
        sources=_sources("axg"),
        sentence1="premise",
        sentence2="hypothesis",
        names=("entailment", "not_entailment"),
        canonical=ENTAILMENT,
        splits=("test",),
        type=TaskType.NLI,
        rows={"test": 356},
        in_101=False,
        license="other",
        citation="rudinger2018winogender",
        notes="This diagnostic set (Winogender) has only a test split and is not one of the 101 tasks.",
    ),
]
