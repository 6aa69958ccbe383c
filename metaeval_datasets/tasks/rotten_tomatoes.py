"""Sentences from film reviews, positive or negative."""

from metaeval_datasets.spec import Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="rotten_tomatoes/default",
        sources=(Source("cornell-movie-review-data/rotten_tomatoes", config="default"),),
        sentence="text",
        names=("neg", "pos"),
        canonical=("negative", "positive"),
        type=TaskType.EMOTION,
        rows={"train": 8530, "validation": 1066, "test": 1066},
        license="unknown",
        citation="pang2005rt",
        notes="These are the sentences that glue/sst2 is based on: its training phrases overlap with this test split.",
    ),
]
