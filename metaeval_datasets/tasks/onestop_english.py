"""OneStopEnglish: the reading level of an article."""

from metaeval_datasets.spec import Alone, Edition, Replace, RowModulus, Source, TaskSpec, TaskType

TASKS = [
    TaskSpec(
        name="onestop_english/default",
        sources=(Source("iastate/onestop_english", config="default"),),
        sentence=Replace(Replace("text", "Intermediate \n", ""), "Intermediate\n", ""),
        names=("ele", "int", "adv"),
        canonical=("elementary_level", "intermediate_level", "advanced_level"),
        splits=("train",),
        groups=RowModulus(189),
        type=TaskType.OTHER,
        rows={"train": 567},
        license="cc-by-sa-4.0",
        citation="vajjala2018onestop",
        paper=Edition(
            why=(
                "The paper splits rows at random, so that versions of one article fall on both sides, and leaves the "
                "word Intermediate at the head of the intermediate texts."
            ),
            sentence="text",
            groups=Alone(),
        ),
        notes=(
            "189 articles at three levels, stored level by level: rows i, i + 189 and i + 378 are one article and stay "
            "together. All intermediate texts begin with a line that says so; it is taken away. Whole articles, far "
            "beyond 128 tokens."
        ),
    ),
]
