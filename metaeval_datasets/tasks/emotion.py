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
        notes="For education and research only, says the card. Labels come from hashtags and are noisy.",
    ),
]
