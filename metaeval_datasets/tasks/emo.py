"""EmoContext (SemEval 2019, task 3): the emotion at the end of a short dialogue."""

from metaeval_datasets.spec import Join, PaperEdition, Source, TaskSpec, TaskType

_CANONICAL = (
    Source("SemEvalWorkshop/emo", config="emo2019", revision="refs/convert/parquet"),
    Source("aladar/emo", config="default", revision="refs/convert/parquet", note="A third-party copy."),
)

TASKS = [
    TaskSpec(
        name="emo/emo2019",
        sources=(
            Source("oneonlee/cleansed_emocontext", columns={"text": Join("turn1", "turn2", "turn3")}),
            *_CANONICAL,
        ),
        sentence="text",
        names=("others", "happy", "sad", "angry"),
        canonical=("other_emotion", "joy", "sadness", "anger"),
        type=TaskType.EMOTION,
        rows={"train": 30160, "validation": 2755, "test": 5509},
        license="unknown",
        citation="chatterjee2019emocontext",
        paper=PaperEdition(
            why="The paper uses the canonical texts: lower case, emoji spelled out, without a validation split.",
            sources=_CANONICAL,
            splits=("train", "test"),
            rows={"train": 30160, "test": 5509},
        ),
        notes=(
            "No copy of the canonical texts exists as plain files. The first source has cleaned spelling (licence "
            "mpl-2.0) and adds a validation split. Its three turns are joined by spaces."
        ),
    ),
]
