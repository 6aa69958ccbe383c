"""Winograd schemas: which of two things does a pronoun mean? Diagnostic sets, outside the 101."""

from metaeval_datasets.spec import Items, Join, PaperEdition, Source, TaskSpec, TaskType

_OPTIONS = ("first_option", "second_option")
_WHY = "The source and the paper name the classes 0 and 1."
_NOTES = (
    "A choice between two options, test only. The second text is the pronoun and the options, in their order; where "
    "the pronoun stands in the text is left out. wsc273 is part of wsc285, and both overlap with glue/wnli."
)


def _sources(config: str) -> tuple[Source, ...]:
    return (
        Source("coref-data/davis_wsc_raw", config=config),
        Source("ErnestSDavis/winograd_wsc", config=config, revision="refs/convert/parquet"),
    )


TASKS = [
    TaskSpec(
        name="winograd_wsc/wsc285",
        sources=_sources("wsc285"),
        sentence1="text",
        sentence2=Join("pronoun", Items("options", separator=" / "), separator=": "),
        names=("first", "second"),
        canonical=_OPTIONS,
        label_values={"0": "first", "1": "second"},
        splits=("test",),
        type=TaskType.OTHER,
        rows={"test": 285},
        in_101=False,
        license="cc-by-4.0",
        citation="levesque2012winograd",
        paper=PaperEdition(why=_WHY, names=("0", "1"), canonical=_OPTIONS, label_values={}),
        notes=_NOTES,
    ),
    TaskSpec(
        name="winograd_wsc/wsc273",
        sources=_sources("wsc273"),
        sentence1="text",
        sentence2=Join("pronoun", Items("options", separator=" / "), separator=": "),
        names=("first", "second"),
        canonical=_OPTIONS,
        label_values={"0": "first", "1": "second"},
        splits=("test",),
        type=TaskType.OTHER,
        rows={"test": 273},
        in_101=False,
        license="cc-by-4.0",
        citation="levesque2012winograd",
        paper=PaperEdition(why=_WHY, names=("0", "1"), canonical=_OPTIONS, label_values={}),
        notes=_NOTES,
    ),
]
