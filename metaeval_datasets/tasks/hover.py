"""HoVer: claims to be checked against several Wikipedia articles."""

from metaeval_datasets.spec import Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="hover/default",
        sources=(
            Source("vincentkoc/hover-parquet"),
            Source("hover-nlp/hover", config="default", revision="refs/pr/9"),
            Source(
                "hover-nlp/hover",
                config="default",
                note="Has files only after the pull request that adds them is merged.",
            ),
            Source(
                "Dzeniks/hover",
                label_names=("SUPPORTED", "NOT_SUPPORTED"),
                note="A copy with evidence, other splits and reversed labels; only its claims are used.",
            ),
        ),
        sentence="claim",
        names=("NOT_SUPPORTED", "SUPPORTED"),
        unlabelled=("test",),
        type=TaskType.FACTICITY,
        rows={"train": 18171, "validation": 4000, "test": 4000},
        license="cc-by-sa-4.0",
        citation="jiang2020hover",
        notes=(
            "The text is the claim alone, as in the paper: the source gives titles and line numbers of the evidence, "
            "not its text, so the verdict can only be guessed. There is no labelled test split, so validation "
            "becomes test. The card states mit, but the data are under cc-by-sa-4.0."
        ),
    ),
]
