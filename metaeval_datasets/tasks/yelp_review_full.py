"""Yelp reviews, one to five stars."""

from metaeval_datasets.spec import PaperEdition, Replace, Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="yelp_review_full/yelp_review_full",
        sources=(Source("Yelp/yelp_review_full", config="yelp_review_full"),),
        sentence=Replace("text", "\\n", "\n"),
        names=("1 star", "2 star", "3 stars", "4 stars", "5 stars"),
        canonical=("1_star", "2_stars", "3_stars", "4_stars", "5_stars"),
        splits=("train", "test"),
        type=TaskType.EMOTION,
        rows={"train": 650000, "test": 50000},
        license="other",
        citation="zhang2015charcnn",
        paper=PaperEdition(
            why="The paper reads the texts with line breaks written as a backslash and an n.", sentence="text"
        ),
        notes=(
            "How many stars has a review? The source writes a line break as a backslash and an n; here it is a line "
            "break. Some reviews are also in yelp_polarity. Yelp's terms apply."
        ),
    ),
]
