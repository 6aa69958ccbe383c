"""ETHOS: hate speech in comments."""

from metaeval_datasets.spec import Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="ethos/binary",
        sources=(
            Source("SetFit/ethos_binary", splits={"train": ("train", "test")}),
            Source("iamollas/ethos", config="binary", revision="refs/convert/parquet"),
        ),
        sentence="text",
        names=("no_hate_speech", "hate_speech"),
        canonical=("not_hate", "hate"),
        splits=("train",),
        type=TaskType.OTHER,
        rows={"train": 998},
        license="agpl-3.0",
        citation="mollas2020ethos",
        notes="The first source splits the 998 comments in two (598 and 400); both parts are concatenated.",
    ),
]
