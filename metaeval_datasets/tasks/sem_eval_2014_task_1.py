"""SICK (SemEval 2014, task 1): inference between descriptions of pictures."""

from metaeval_datasets.spec import Source, TaskSpec, TaskType
from metaeval_datasets.vocabulary import NLI_NEUTRAL

TASKS = [
    TaskSpec(
        name="sem_eval_2014_task_1/default",
        sources=(
            Source("SemEvalWorkshop/sem_eval_2014_task_1", config="default", revision="refs/convert/parquet"),
            Source(
                "tasksource/sick",
                columns={"premise": "sentence_A", "hypothesis": "sentence_B", "entailment_judgment": "label"},
                label_names=("entailment", "neutral", "contradiction"),
                label_values={"entailment": "ENTAILMENT", "neutral": "NEUTRAL", "contradiction": "CONTRADICTION"},
                note="The same pairs with other splits: 4,439, 495 and 4,906 rows.",
            ),
        ),
        sentence1="premise",
        sentence2="hypothesis",
        label="entailment_judgment",
        names=("NEUTRAL", "ENTAILMENT", "CONTRADICTION"),
        canonical=(NLI_NEUTRAL, "entailment", "contradiction"),
        type=TaskType.NLI,
        rows={"train": 4500, "validation": 500, "test": 4927},
        license="cc-by-4.0",
        citation="marelli2014sick",
        notes="The licence is the one that the card states; SICK itself is under cc-by-nc-sa-3.0.",
    ),
]
