"""MultiRC as cast by ERASER: is this answer to a question about a passage right?"""

from metaeval_datasets.spec import Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="eraser_multi_rc/default",
        sources=(Source("CogComp/eraser_multi_rc", config="default", revision="refs/convert/parquet"),),
        sentence1="passage",
        sentence2="query_and_answer",
        names=("False", "True"),
        canonical=("wrong_answer", "right_answer"),
        type=TaskType.FACTICITY,
        rows={"train": 24029, "validation": 3214, "test": 4848},
        license="other",
        citation="deyoung2020eraser",
        notes=(
            "Question and answer are joined by ' || ' in the source. The passage is long: truncate it, not "
            "the question. The task type FACTICITY is a guess."
        ),
    ),
]
