"""The demo tasks: small, made by :mod:`metaeval_datasets.demo`, of all eight types; no part of the collection."""

from typing import Any

from metaeval_datasets.spec import Embedded, TaskSpec, TaskType
from metaeval_datasets.vocabulary import THREE_WAY_NLI

_MADE_HERE: dict[str, Any] = {
    "sources": (Embedded("demo"),),
    "license": "mit",
    "citation": "sileo2022analysis",
    "in_101": False,
}
_ROWS: dict[str, Any] = {"rows": {"train": 400, "validation": 150, "test": 200}}
_SINGLE = {**_MADE_HERE, **_ROWS, "sentence": "sentence"}
_PAIR = {**_MADE_HERE, **_ROWS, "sentence1": "sentence1", "sentence2": "sentence2"}

TASKS = [
    TaskSpec(
        name="demo/film_reviews",
        names=("negative", "positive"),
        type=TaskType.EMOTION,
        notes="Opinions on films; with two clauses, the last one decides.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/shop_reviews",
        names=("negative", "neutral", "positive"),
        type=TaskType.EMOTION,
        notes="Opinions on things bought; half of them are positive.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/feelings",
        names=("anger", "disgust", "fear", "joy", "sadness", "surprise"),
        type=TaskType.EMOTION,
        notes="What somebody felt, sometimes only to be told from what happened.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/manners",
        names=("unacceptable", "acceptable"),
        canonical=("morally_unacceptable", "morally_acceptable"),
        type=TaskType.ACCEPTABILITY,
        notes="Deeds, good and bad; refusing to do a bad deed is good.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/well_formed",
        names=("unacceptable", "acceptable"),
        type=TaskType.ACCEPTABILITY,
        notes="Sentences with and without a mistake in agreement, verb form, word order or articles.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/subject_number",
        names=("singular", "plural"),
        canonical=("singular_subject", "plural_subject"),
        type=TaskType.GRAMMAR,
        notes="Number of the subject, often with another noun of the other number beside it.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/tense",
        names=("past", "future", "present"),
        type=TaskType.GRAMMAR,
        notes="Tense of the main verb.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/dialogue_acts",
        names=("greeting", "question", "request", "statement", "thanks"),
        type=TaskType.DISCOURSE,
        notes="What an utterance is for.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/connectives",
        names=("because", "but", "so", "then"),
        type=TaskType.DISCOURSE,
        notes="The connective that was left out between two sentences.",
        **_PAIR,
    ),
    TaskSpec(
        name="demo/happened",
        names=("happened", "not_happened", "unknown"),
        type=TaskType.FACTICITY,
        notes="Whether what the verb is about took place (managed to, forgot to, hopes to, and their negations).",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/claims",
        names=("false", "true"),
        type=TaskType.FACTICITY,
        notes="Claims about animals and trees; who makes them is a hint, not a proof.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/picnic_nli",
        names=("entailment", "not_entailment"),
        type=TaskType.NLI,
        notes="Whether the second sentence follows from the first.",
        **_PAIR,
    ),
    TaskSpec(
        name="demo/office_nli",
        names=("not_entailment", "entailment"),
        type=TaskType.NLI,
        notes="The same question with quantifiers; the classes are in the other order, as happens between real tasks.",
        **_PAIR,
    ),
    TaskSpec(
        name="demo/photo_nli",
        names=("entailment", "neutral", "contradiction"),
        canonical=THREE_WAY_NLI,
        type=TaskType.NLI,
        notes="Whether the second sentence follows from the first, may be true, or cannot be.",
        **_PAIR,
    ),
    TaskSpec(
        name="demo/paraphrases",
        names=("not_paraphrase", "paraphrase"),
        type=TaskType.PARAPHRASE_DETECTION,
        notes="Whether two sentences say the same; hard for an encoder that was never trained.",
        **_PAIR,
    ),
    TaskSpec(
        name="demo/topics",
        names=("sports", "food", "music", "science", "weather"),
        type=TaskType.OTHER,
        notes="What a sentence is about; some contain a word of another topic.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/spam",
        names=("not_spam", "spam"),
        type=TaskType.OTHER,
        notes="Unwanted messages, a third of all.",
        **_SINGLE,
    ),
]
