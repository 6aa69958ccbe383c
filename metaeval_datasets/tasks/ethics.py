"""ETHICS (Hendrycks et al. 2021): is it acceptable, reasonable, shown, better?

The raw files code 1 as "wrong" for commonsense and as "reasonable" or "shown" for the others; the numbers are
mapped by their meaning. The official test file is the validation split and the adversarially filtered one
(``test_hard``) the test split, as in the paper's sizes.
"""

from typing import Any

from metaeval_datasets.spec import After, Before, Join, Orient, PaperEdition, Source, TaskSpec, TaskType, Text

_FILES = {
    split: f"data/{{config}}/{name}.csv"
    for split, name in (("train", "train"), ("validation", "test"), ("test", "test_hard"))
}
_MORAL = ("morally_acceptable", "morally_unacceptable")
_WRONG: dict[str | int, str | None] = {0: "acceptable", 1: "unacceptable"}  # commonsense: 1 means wrong
_REASONABLE: dict[str | int, str | None] = {0: "unacceptable", 1: "acceptable"}  # the others: 1 means reasonable
_TRAIT: dict[str, Text] = {"sentence1": Before("scenario", " [SEP] "), "sentence2": After("scenario", " [SEP] ")}
_SWAP = Orient("baseline", "less_pleasant", labels=("first_better", "second_better"))
_ONE_TEXT = "The paper reads metaeval/ethics, which names the classes acceptable and unacceptable"
_HARD = "Validation is the authors' test file, and test is their adversarially filtered file test_hard."


def _csv(config: str, **more: Any) -> Source:
    """Return the repository's own files by name, because the repository also contains a script."""
    return Source("hendrycks/ethics", config=config, files=_FILES, **more)


def _parquet(config: str, **more: Any) -> Source:
    return Source("hendrycks/ethics", config=config, revision="refs/convert/parquet", **more)


def _author(config: str) -> Source:
    """Return the paper's version, for its edition only, because the order of its labels was never verified."""
    return Source(
        "metaeval/ethics",
        config=config,
        revision="refs/convert/parquet",
        label_names=("acceptable", "unacceptable"),
        label_values={},
        note=(
            "Labels are in the order that the paper prints; it is unknown whether the labels of the raw files were "
            "reversed."
        ),
    )


TASKS = [
    TaskSpec(
        name="ethics/commonsense",
        sources=(_csv("commonsense"), _parquet("commonsense")),
        sentence="input",
        names=("acceptable", "unacceptable"),
        canonical=_MORAL,
        label_values=_WRONG,
        type=TaskType.ACCEPTABILITY,
        rows={"train": 13910, "validation": 3885, "test": 3964},
        license="mit",
        citation="hendrycks2021ethics",
        paper=PaperEdition(
            why=f"{_ONE_TEXT} and uses these class names for linguistic acceptability too.",
            sources=(
                _author("commonsense"),
                _csv("commonsense", columns={"text": "input"}),
                _parquet("commonsense", columns={"text": "input"}),
            ),
            sentence="text",
            canonical=("acceptable", "unacceptable"),
        ),
        notes=f"Raw label 1 means wrong. The texts are one-sentence scenarios and posts of many hundred words. {_HARD}",
    ),
    TaskSpec(
        name="ethics/deontology",
        sources=(_csv("deontology"), _parquet("deontology")),
        sentence1="scenario",
        sentence2="excuse",
        names=("acceptable", "unacceptable"),
        canonical=_MORAL,
        label_values=_REASONABLE,
        type=TaskType.ACCEPTABILITY,
        rows={"train": 18164, "validation": 3596, "test": 3536},
        license="mit",
        citation="hendrycks2021ethics",
        paper=PaperEdition(
            why=(
                f"{_ONE_TEXT} and joins scenario and excuse in one text (the separator is unknown; here it is a space)."
            ),
            sources=(
                _author("deontology"),
                _csv("deontology", columns={"text": Join("scenario", "excuse")}),
                _parquet("deontology", columns={"text": Join("scenario", "excuse")}),
            ),
            sentence="text",
            canonical=("acceptable", "unacceptable"),
        ),
        notes=f"Is the excuse reasonable? Raw label 1 means reasonable, named acceptable here. {_HARD}",
    ),
    TaskSpec(
        name="ethics/justice",
        sources=(_csv("justice"), _parquet("justice")),
        sentence="scenario",
        names=("acceptable", "unacceptable"),
        canonical=_MORAL,
        label_values=_REASONABLE,
        type=TaskType.ACCEPTABILITY,
        rows={"train": 21791, "validation": 2704, "test": 2052},
        license="mit",
        citation="hendrycks2021ethics",
        paper=PaperEdition(
            why=f"{_ONE_TEXT} and uses these class names for linguistic acceptability too.",
            sources=(
                _author("justice"),
                _csv("justice", columns={"text": "scenario"}),
                _parquet("justice", columns={"text": "scenario"}),
            ),
            sentence="text",
            canonical=("acceptable", "unacceptable"),
        ),
        notes=f"Is the justification reasonable? Raw label 1 means reasonable, named acceptable here. {_HARD}",
    ),
    TaskSpec(
        name="ethics/utilitarianism",
        sources=(_csv("utilitarianism", steps=(_SWAP,)), _parquet("utilitarianism", steps=(_SWAP,))),
        sentence1="baseline",
        sentence2="less_pleasant",
        names=("first_better", "second_better"),
        type=TaskType.ACCEPTABILITY,
        rows={"train": 13737, "validation": 4807, "test": 4271},
        license="mit",
        citation="hendrycks2021ethics",
        paper=PaperEdition(
            why=(
                "The paper's copy (removed in 2023) had one text and the classes acceptable and unacceptable; its "
                "text for a pair is unknown. Here the two scenarios are joined by 'is better than', and the class is "
                "acceptable if that is true, as in the author's later copy."
            ),
            sentence=Join("baseline", "less_pleasant", separator=" is better than "),
            names=("acceptable", "unacceptable"),
            label_values={"first_better": "acceptable", "second_better": "unacceptable"},
        ),
        notes=(
            "The source has pairs without a label, with the more pleasant scenario first. Half of the pairs, chosen by "
            "a hash of their content, are swapped; the label tells which scenario is more pleasant. The copy on the "
            "Hub has one pair less per split than the authors' files (13,738, 4,808 and 4,272), which have no header "
            f"line: the first pair of each was taken for one. {_HARD}"
        ),
    ),
    TaskSpec(
        name="ethics/virtue",
        sources=(_parquet("virtue"), _csv("virtue")),
        sentence1=Before("scenario", " [SEP] "),
        sentence2=After("scenario", " [SEP] "),
        names=("not_shown", "shown"),
        canonical=("trait_not_shown", "trait_shown"),
        label_values={0: "not_shown", 1: "shown"},
        type=TaskType.ACCEPTABILITY,
        rows={"train": 28245, "validation": 4975, "test": 4780},
        license="mit",
        citation="hendrycks2021ethics",
        paper=PaperEdition(
            why=f"{_ONE_TEXT}, although the question is whether the trait is shown.",
            sources=(
                _author("virtue"),
                _parquet("virtue", columns=_TRAIT),
                _csv("virtue", columns=_TRAIT),
            ),
            sentence1="sentence1",
            sentence2="sentence2",
            names=("acceptable", "unacceptable"),
            label_values={0: "unacceptable", 1: "acceptable"},
        ),
        notes=(
            "Does a scenario show a character trait? About 80 % of the rows do not, because each scenario comes with "
            f"five traits. {_HARD}"
        ),
    ),
]
