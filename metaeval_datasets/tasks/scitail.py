"""SciTail: does an answer to a science question follow from a sentence?"""

from metaeval_datasets.spec import PaperEdition, Source, TaskSpec, TaskType
from metaeval_datasets.vocabulary import NLI_NEUTRAL, THREE_WAY_NLI

TASKS = [
    TaskSpec(
        name="scitail/tsv_format",
        sources=(Source("allenai/scitail", config="tsv_format"),),
        sentence1="premise",
        sentence2="hypothesis",
        names=("entails", "neutral"),
        canonical=("entailment", NLI_NEUTRAL),
        type=TaskType.NLI,
        rows={"train": 23097, "validation": 1304, "test": 2126},
        in_101=False,
        license="unknown",
        citation="khot2018scitail",
        paper=PaperEdition(
            why="Appendix B lists three classes, but no row is a contradiction.",
            names=("entailment", "neutral", "contradiction"),
            canonical=THREE_WAY_NLI,
            label_values={"entails": "entailment"},
        ),
        notes="The task is listed in Appendix B but is not one of the 101 tasks of figure 5.",
    ),
]
