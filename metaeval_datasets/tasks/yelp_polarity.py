"""Yelp reviews, negative or positive."""

from metaeval_datasets.spec import PaperEdition, Replace, Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="yelp_polarity/plain_text",
        sources=(Source("fancyzhx/yelp_polarity", config="plain_text"),),
        sentence=Replace("text", "\\n", "\n"),
        names=("negative", "positive"),
        label_values={"1": "negative", "2": "positive"},
        splits=("train", "test"),
        type=TaskType.EMOTION,
        rows={"train": 560000, "test": 38000},
        license="unknown",
        citation="zhang2015charcnn",
        paper=PaperEdition(
            why="The source and the paper call the classes 1 and 2; line breaks stay a backslash and an n.",
            sentence="text",
            names=("1", "2"),
            canonical=("negative", "positive"),
            label_values={},
        ),
        notes=(
            "Is a review negative or positive? The source calls the classes 1 and 2, and writes a line break as a "
            "backslash and an n; here it is one. Some reviews are also in yelp_review_full. Yelp's terms apply."
        ),
    ),
]
