"""HopeEDI: hope speech in comments on videos, English part."""

from metaeval_datasets.spec import Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="hope_edi/english",
        sources=(Source("dravidianlangtech/hope_edi", config="english", revision="refs/convert/parquet"),),
        sentence="text",
        names=("Hope_speech", "Non_hope_speech", "not-English"),
        canonical=("hope_speech", "not_hope_speech", "not_english"),
        splits=("train", "validation"),
        type=TaskType.OTHER,
        rows={"train": 22762, "validation": 2843},
        license="cc-by-4.0",
        citation="chakravarthi2020hopeedi",
        notes=(
            "There is no labelled test split, so validation becomes test. Only 22 training rows are not English. "
            "The authors also publish two tab-separated files without a header outside the Hub."
        ),
    ),
]
