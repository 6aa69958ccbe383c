"""Hate speech from a white supremacy forum (de Gibert et al. 2018)."""

from metaeval_datasets.spec import PaperEdition, Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="hate_speech18/default",
        sources=(
            Source("tasksource/hate_speech18", label_names=("noHate", "hate", "idk/skip", "relation")),
            Source("odegiber/hate_speech18", config="default", revision="refs/convert/parquet"),
        ),
        sentence="text",
        names=("noHate", "hate"),
        canonical=("not_hate", "hate"),
        label_values={"idk/skip": None, "relation": None},
        splits=("train",),
        type=TaskType.OTHER,
        rows={"train": 10944},
        license="cc-by-sa-3.0",
        citation="gibert2018hate",
        paper=PaperEdition(
            why="The paper keeps all four annotation states as classes.",
            names=("noHate", "hate", "idk/skip", "relation"),
            canonical=("not_hate", "hate", "hate_skipped", "hate_with_neighbours"),
            label_values={},
        ),
        notes=(
            "Two of the four annotation states are not classes and are dropped: idk/skip (73 rows) and relation "
            "(168 rows, hateful only together with neighbouring sentences)."
        ),
    ),
]
