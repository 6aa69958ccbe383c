"""Movie rationales: whole film reviews, positive or negative."""

from metaeval_datasets.spec import Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="movie_rationales/default",
        sources=(Source("eraser-benchmark/movie_rationales", config="default", revision="refs/convert/parquet"),),
        sentence="review",
        names=("NEG", "POS"),
        canonical=("negative", "positive"),
        type=TaskType.EMOTION,
        rows={"train": 1600, "validation": 200, "test": 199},
        license="unknown",
        citation="deyoung2020eraser",
        notes="Reviews have several hundred words. The task has only one source because other copies are truncated.",
    ),
]
