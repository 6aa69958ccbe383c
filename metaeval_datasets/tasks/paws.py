"""PAWS: paraphrases made by swapping words."""

from metaeval_datasets.spec import PaperEdition, Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="paws/labeled_final",
        sources=(Source("google-research-datasets/paws", config="labeled_final"),),
        sentence1="sentence1",
        sentence2="sentence2",
        names=("not_paraphrase", "paraphrase"),
        label_values={"0": "not_paraphrase", "1": "paraphrase"},
        type=TaskType.PARAPHRASE_DETECTION,
        rows={"train": 49401, "validation": 8000, "test": 8000},
        license="other",
        citation="zhang2019paws",
        paper=PaperEdition(
            why="The source and the paper name the classes 0 and 1.",
            names=("0", "1"),
            canonical=("not_paraphrase", "paraphrase"),
            label_values={},
        ),
        notes=(
            "Do two sentences with nearly the same words mean the same? The source names the classes 0 and 1. The card "
            "allows free use with acknowledgement."
        ),
    ),
]
