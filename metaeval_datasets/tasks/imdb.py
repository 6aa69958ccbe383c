"""IMDB: film reviews, positive or negative."""

from metaeval_datasets.spec import Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="imdb/plain_text",
        sources=(Source("stanfordnlp/imdb", config="plain_text"),),
        sentence="text",
        names=("neg", "pos"),
        canonical=("negative", "positive"),
        splits=("train", "test"),
        type=TaskType.EMOTION,
        rows={"train": 25000, "test": 25000},
        license="other",
        citation="maas2011imdb",
        notes=(
            "The source's third split (unsupervised, 50,000 reviews) has no labels and is not read. Rows are sorted by "
            "class. Texts are whole reviews, much longer than 128 tokens."
        ),
    ),
]
