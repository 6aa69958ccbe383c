"""Recast (the Diverse Natural Language Inference Collection): other annotations recast as inference.

Formerly metaeval/recast. Index 1 is entailment, the reverse of snli and mnli.
"""

from typing import Any

from metaeval_datasets.spec import Source, TaskSpec, TaskType

_NLI: dict[str, Any] = {
    "sentence1": "context",
    "sentence2": "hypothesis",
    "names": ("not-entailed", "entailed"),
    "canonical": ("not_entailment", "entailment"),
    "type": TaskType.NLI,
    "license": "unknown",
    "citation": "poliak2018dnc",
}


def _sources(config: str) -> tuple[Source, ...]:
    return (
        Source("tasksource/recast", config=config),
        Source("tasksource/recast", config=config, revision="refs/convert/parquet"),
    )


TASKS = [
    TaskSpec(
        name="recast/recast_kg_relations",
        sources=_sources("recast_kg_relations"),
        sentence1="context",
        sentence2="hypothesis",
        names=("1", "2", "3", "4", "5", "6"),
        canonical=tuple(f"relation_grade_{grade}" for grade in range(1, 7)),
        type=TaskType.NLI,
        rows={"train": None, "validation": 2466, "test": 761},
        license="unknown",
        citation="poliak2018dnc",
        notes=(
            "The classes are six undocumented annotation grades, not inference labels. Validation has no row of "
            "grade 6, test none of grades 2 and 6. The task is kept because it is part of the benchmark."
        ),
    ),
    TaskSpec(
        name="recast/recast_puns",
        sources=_sources("recast_puns"),
        rows={"train": None, "validation": 1752, "test": 1756},
        notes="The same jokes occur with different names of persons in all splits.",
        **_NLI,
    ),
    TaskSpec(
        name="recast/recast_factuality",
        sources=_sources("recast_factuality"),
        rows={"train": None, "validation": 5328, "test": 4342},
        **_NLI,
    ),
    TaskSpec(
        name="recast/recast_verbnet",
        sources=_sources("recast_verbnet"),
        rows={"train": 1398, "validation": 143, "test": 160},
        **_NLI,
    ),
    TaskSpec(
        name="recast/recast_verbcorner",
        sources=_sources("recast_verbcorner"),
        rows={"train": None, "validation": None, "test": None},
        notes="The texts are templates with invented verbs.",
        **_NLI,
    ),
    TaskSpec(
        name="recast/recast_ner",
        sources=_sources("recast_ner"),
        rows={"train": None, "validation": None, "test": None},
        **_NLI,
    ),
    TaskSpec(
        name="recast/recast_sentiment",
        sources=_sources("recast_sentiment"),
        rows={"train": 4800, "validation": 600, "test": 600},
        notes="The texts are templates with reviews. The classes are balanced.",
        **_NLI,
    ),
    TaskSpec(
        name="recast/recast_megaveridicality",
        sources=_sources("recast_megaveridicality"),
        rows={"train": 9450, "validation": 1182, "test": 1182},
        **_NLI,
    ),
]
