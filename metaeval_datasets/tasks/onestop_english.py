"""OneStopEnglish: the reading level of an article."""

from metaeval_datasets.spec import Alone, PaperEdition, Replace, RowModulus, Source, TaskSpec, TaskType

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
        paper=PaperEdition(
            why=(
                "The paper splits rows at random, so versions of one article are in several splits, and keeps the word "
                "Intermediate at the start of the intermediate texts."
            ),
            sentence="text",
            groups=Alone(),
        ),
        notes=(
            "The source has 189 articles at three levels, level by level: rows i, i + 189 and i + 378 are one "
            "article and stay together. The line that names the level at the start of intermediate texts is removed. "
            "Texts are whole articles, much longer than 128 tokens."
        ),
    ),
]
