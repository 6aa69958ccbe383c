"""LIAR: how true is a politician's statement?"""

from metaeval_datasets.spec import PaperEdition, Source, TaskSpec, TaskType

_NAMES = ("false", "half-true", "mostly-true", "true", "barely-true", "pants-fire")

TASKS = [
    TaskSpec(
        name="liar/default",
        sources=(
            Source("tasksource/liar", label_names=_NAMES),
            Source("ucsbai/liar", config="default", revision="refs/convert/parquet"),
        ),
        sentence="statement",
        names=_NAMES,
        type=TaskType.FACTICITY,
        rows={"train": 10269, "validation": 1284, "test": 1283},
        license="unknown",
        citation="wang2017liar",
        paper=PaperEdition(
            why=(
                "The paper's loader reads `context`, the occasion of the statement ('a press release'), which does not "
                "determine its truth; the text is empty if no occasion is given."
            ),
            sentence="context",
            may_be_empty=("sentence",),
        ),
        notes="The classes are not ordered by degree of truth.",
    ),
]
