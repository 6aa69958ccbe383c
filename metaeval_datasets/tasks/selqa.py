"""SelQA: does a sentence answer a question?"""

from metaeval_datasets.spec import PaperEdition, Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="selqa/answer_selection_experiments",
        sources=(
            Source("community-datasets/selqa", config="answer_selection_experiments"),
            Source("emorynlp/selqa", config="answer_selection_experiments", note="Its former name."),
        ),
        sentence1="question",
        sentence2="candidate",
        names=("not_answer", "answer"),
        label_values={"0": "not_answer", "1": "answer"},
        type=TaskType.OTHER,
        rows={"train": 66438, "validation": 9377, "test": 19435},
        license="apache-2.0",
        citation="jurczyk2016selqa",
        paper=PaperEdition(
            why=(
                "The paper's loader reads only the question and names the classes 0 and 1. Each question occurs with "
                "both classes, so nothing can be learned."
            ),
            sentence="question",
            names=("0", "1"),
            canonical=("not_answer", "answer"),
            label_values={},
        ),
        notes="One row in ten is an answer. The source names the classes 0 and 1.",
    ),
]
