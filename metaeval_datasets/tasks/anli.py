"""Adversarial NLI, three rounds."""

from metaeval_datasets.spec import PaperEdition, Source, TaskSpec, TaskType
from metaeval_datasets.vocabulary import THREE_WAY_NLI

TASKS = [
    TaskSpec(
        name="anli/plain_text",
        sources=(
            Source(
                "facebook/anli",
                config="plain_text",
                splits={
                    "train": ("train_r1", "train_r2", "train_r3"),
                    "validation": ("dev_r1", "dev_r2", "dev_r3"),
                    "test": ("test_r1", "test_r2", "test_r3"),
                },
            ),
        ),
        sentence1="premise",
        sentence2="hypothesis",
        names=("entailment", "neutral", "contradiction"),
        canonical=THREE_WAY_NLI,
        type=TaskType.NLI,
        rows={"train": 162865, "validation": 3200, "test": 3200},
        license="cc-by-nc-4.0",
        citation="nie2020anli",
        paper=PaperEdition(
            why="The paper's loader finds only the first round.",
            sources=(
                Source(
                    "facebook/anli",
                    config="plain_text",
                    splits={"train": "train_r1", "validation": "dev_r1", "test": "test_r1"},
                ),
            ),
            rows={"train": 16946, "validation": 1000, "test": 1000},
        ),
        notes="The three rounds are concatenated in order within each split.",
    ),
]
