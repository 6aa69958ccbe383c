"""TREC: what a question asks for, in fine classes."""

from metaeval_datasets.spec import PaperEdition, Source, TaskSpec, TaskType

_FINE = (
    "ABBR:abb", "ABBR:exp",
    "ENTY:animal", "ENTY:body", "ENTY:color", "ENTY:cremat", "ENTY:currency", "ENTY:dismed", "ENTY:event", "ENTY:food",
    "ENTY:instru", "ENTY:lang", "ENTY:letter", "ENTY:other", "ENTY:plant", "ENTY:product", "ENTY:religion",
    "ENTY:sport", "ENTY:substance", "ENTY:symbol", "ENTY:techmeth", "ENTY:termeq", "ENTY:veh", "ENTY:word",
    "DESC:def", "DESC:desc", "DESC:manner", "DESC:reason",
    "HUM:gr", "HUM:ind", "HUM:title", "HUM:desc",
    "LOC:city", "LOC:country", "LOC:mount", "LOC:other", "LOC:state",
    "NUM:code", "NUM:count", "NUM:date", "NUM:dist", "NUM:money", "NUM:ord", "NUM:other", "NUM:period", "NUM:perc",
    "NUM:speed", "NUM:temp", "NUM:volsize", "NUM:weight",
)  # fmt: skip
_PAPER = (
    "manner", "cremat", "animal", "exp", "ind", "gr", "title", "def", "date", "reason", "event", "state", "desc",
    "count", "other", "letter", "religion", "food", "country", "color", "termeq", "city", "body", "dismed", "mount",
    "money", "product", "period", "substance", "sport", "plant", "techmeth", "volsize", "instru", "abb", "speed",
    "word", "lang", "perc", "code", "dist", "temp", "symbol", "ord", "veh", "weight", "currency",
)  # fmt: skip

TASKS = [
    TaskSpec(
        name="trec/default",
        sources=(
            Source("tasksource/trec", label_names=_FINE),
            Source("CogComp/trec", config="default", revision="refs/convert/parquet"),
        ),
        sentence="text",
        label="fine_label",
        names=_FINE,
        canonical=tuple(f"asks_{name.lower().replace(':', '_')}" for name in _FINE),
        splits=("train", "test"),
        type=TaskType.OTHER,
        rows={"train": 5452, "test": 500},
        license="unknown",
        citation="li2002trec",
        paper=PaperEdition(
            why=(
                "The paper's copy had 47 classes in another order: fine classes with the same name under different "
                "coarse classes (desc, other) were merged."
            ),
            names=_PAPER,
            canonical=tuple(f"asks_{name}" for name in _PAPER),
            label_values={name: name.split(":")[1] for name in _FINE},
        ),
        notes="The task has 50 fine classes; several have no row in the test split (500 rows).",
    ),
]
