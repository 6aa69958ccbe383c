"""Amazon reviews, negative or positive."""

from metaeval_datasets.spec import Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="amazon_polarity/amazon_polarity",
        sources=(Source("fancyzhx/amazon_polarity", config="amazon_polarity"),),
        sentence="content",
        names=("negative", "positive"),
        splits=("train", "test"),
        type=TaskType.EMOTION,
        rows={"train": 3600000, "test": 400000},
        license="apache-2.0",
        citation="zhang2015charcnn",
        notes=(
            "The text is the body of the review, without its title, as in the paper. The task has 3.6 million "
            "training rows."
        ),
    ),
]
