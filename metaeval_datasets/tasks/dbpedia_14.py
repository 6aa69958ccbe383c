"""DBpedia: the kind of thing that an article describes."""

from metaeval_datasets.spec import Source, TaskSpec, TaskType

_KINDS = (
    "Company", "EducationalInstitution", "Artist", "Athlete", "OfficeHolder", "MeanOfTransportation", "Building",
    "NaturalPlace", "Village", "Animal", "Plant", "Album", "Film", "WrittenWork",
)  # fmt: skip

TASKS = [
    TaskSpec(
        name="dbpedia_14/dbpedia_14",
        sources=(Source("fancyzhx/dbpedia_14", config="dbpedia_14"),),
        sentence="content",
        names=_KINDS,
        splits=("train", "test"),
        type=TaskType.OTHER,
        rows={"train": 560000, "test": 70000},
        license="cc-by-sa-3.0",
        citation="zhang2015charcnn",
        notes="The text is the beginning of the article without its title, as in the paper. Rows are sorted by class.",
    ),
]
