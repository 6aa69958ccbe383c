"""PUBHEALTH: claims about health, with the article that checks them."""

from metaeval_datasets.spec import ConfigText, PaperEdition, Source, TaskSpec, TaskType

_CANONICAL = Source("ImperialCollegeLondon/health_fact", config="default", revision="refs/convert/parquet")

TASKS = [
    TaskSpec(
        name="health_fact/default",
        sources=(
            _CANONICAL,
            Source(
                "marcov/health_fact_promptsource",
                config="default",
                columns={"main_text": ConfigText({"default": ""})},
                note="Claims without the article, from a copy made for prompts that probably repeats rows.",
            ),
        ),
        sentence1="claim",
        sentence2="main_text",
        may_be_empty=("sentence2",),
        names=("false", "mixture", "true", "unproven"),
        distinct=True,
        type=TaskType.FACTICITY,
        rows={"train": 9832, "validation": 1225, "test": 1235},
        license="mit",
        citation="kotonya2020pubhealth",
        paper=PaperEdition(
            why="The paper keeps repeated rows and uses only the canonical copy.",
            sources=(_CANONICAL,),
            distinct=False,
        ),
        notes=(
            "Rows with label -1 (veracity missing) are dropped. The second text is a whole article, much longer than "
            "128 tokens. A claim without an article is kept. Exact duplicates are removed, because one copy has "
            "them."
        ),
    ),
]
