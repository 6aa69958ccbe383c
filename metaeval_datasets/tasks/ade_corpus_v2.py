"""ADE: does a sentence from a medical report describe an adverse drug effect?"""

from metaeval_datasets.spec import PaperEdition, Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="ade_corpus_v2/Ade_corpus_v2_classification",
        sources=(
            Source("ade-benchmark-corpus/ade_corpus_v2", config="Ade_corpus_v2_classification"),
            Source("SetFit/ade_corpus_v2_classification", splits={"train": ("train", "test")}),
        ),
        sentence="text",
        names=("Not-Related", "Related"),
        canonical=("no_adverse_effect", "adverse_effect"),
        splits=("train",),
        distinct=True,
        type=TaskType.OTHER,
        rows={"train": 23516},
        license="unknown",
        citation="gurulingappa2012ade",
        paper=PaperEdition(why="The paper keeps repeated sentences.", distinct=False),
        notes=(
            "The source repeats a sentence for each drug and effect that it names (23,516 rows, 20,896 distinct "
            "sentences). Each sentence is kept once."
        ),
    ),
]
