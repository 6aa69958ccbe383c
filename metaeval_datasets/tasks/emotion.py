"""CARER: emotions of tweets, labelled by their hashtags."""

from metaeval_datasets.spec import Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="emotion/default",
        sources=(Source("dair-ai/emotion", config="split"),),
        sentence="text",
        names=("sadness", "joy", "love", "anger", "fear", "surprise"),
        type=TaskType.EMOTION,
        rows={"train": 16000, "validation": 2000, "test": 2000},
        license="other",
        citation="saravia2018carer",
        notes=(
            "Which emotion does a tweet express? The labels come from hashtags and are noisy. The card allows use for "
            "education and research only."
        ),
    ),
]
