"""AG News: the section of a news item."""

from metaeval_datasets.spec import Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="ag_news/default",
        sources=(Source("fancyzhx/ag_news", config="default"),),
        sentence="text",
        names=("World", "Sports", "Business", "Sci/Tech"),
        splits=("train", "test"),
        type=TaskType.OTHER,
        rows={"train": 120000, "test": 7600},
        license="unknown",
        citation="zhang2015charcnn",
        notes="The source is a collection for non-commercial use.",
    ),
]
