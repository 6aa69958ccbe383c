"""SNLI: does the caption follow?"""

from metaeval_datasets.spec import Source, TaskSpec, TaskType
from metaeval_datasets.vocabulary import THREE_WAY_NLI

TASKS = [
    TaskSpec(
        name="snli/plain_text",
        sources=(Source("stanfordnlp/snli", config="plain_text"),),
        sentence1="premise",
        sentence2="hypothesis",
        names=("entailment", "neutral", "contradiction"),
        canonical=THREE_WAY_NLI,
        type=TaskType.NLI,
        rows={"train": 550152, "validation": 10000, "test": 10000},
        license="cc-by-sa-4.0",
        citation="bowman2015snli",
        notes=(
            "Rows on which the annotators disagree have label -1 (785 train, 158 validation, 176 test) and are "
            "dropped; the original repository keeps them."
        ),
    ),
]
