"""HANS: templates on which shallow inference heuristics fail."""

from metaeval_datasets.spec import Source, TaskSpec, TaskType
from metaeval_datasets.vocabulary import ENTAILMENT

TASKS = [
    TaskSpec(
        name="hans/plain_text",
        sources=(
            Source(
                "tasksource/hans",
                splits={"validation": ("validation", "test")},
                columns={"premise": "sentence1", "hypothesis": "sentence2", "label": "labels"},
                note="It has the official validation split as two halves, validation and test, which are joined here.",
            ),
            Source("jhu-cogsci/hans", config="plain_text", revision="refs/convert/parquet"),
        ),
        sentence1="premise",
        sentence2="hypothesis",
        names=("entailment", "non-entailment"),
        canonical=ENTAILMENT,
        splits=("train", "validation"),
        type=TaskType.NLI,
        rows={"train": 30000, "validation": 30000},
        license="unknown",
        citation="mccoy2019hans",
        notes=(
            "There is no official test split, so validation becomes test. The first source divides the official "
            "validation split into validation and test; the two halves are joined. The authors' repository has the "
            "MIT licence."
        ),
    ),
]
