"""The demo tasks: small generated tasks of all eight types (:mod:`metaeval_datasets.demo`), not in the collection."""

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
        notes="Opinions on films. If a sentence has two clauses, the last one decides the class.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/shop_reviews",
        names=("negative", "neutral", "positive"),
        type=TaskType.EMOTION,
        notes="Opinions on products. Half of the rows are positive.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/feelings",
        names=("anger", "disgust", "fear", "joy", "sadness", "surprise"),
        type=TaskType.EMOTION,
        notes="The classes are what a person felt. Some texts only describe the event that caused the emotion.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/manners",
        names=("unacceptable", "acceptable"),
        canonical=("morally_unacceptable", "morally_acceptable"),
        type=TaskType.ACCEPTABILITY,
        notes="The texts are good and bad actions. Refusing a bad action is good.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/well_formed",
        names=("unacceptable", "acceptable"),
        type=TaskType.ACCEPTABILITY,
        notes="The sentences are correct or have a mistake in agreement, verb form, word order or articles.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/subject_number",
        names=("singular", "plural"),
        canonical=("singular_subject", "plural_subject"),
        type=TaskType.GRAMMAR,
        notes="The class is the number of the subject. Often another noun in the sentence has the other number.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/tense",
        names=("past", "future", "present"),
        type=TaskType.GRAMMAR,
        notes="The class is the tense of the main verb.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/dialogue_acts",
        names=("greeting", "question", "request", "statement", "thanks"),
        type=TaskType.DISCOURSE,
        notes="The class is the purpose of an utterance.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/connectives",
        names=("because", "but", "so", "then"),
        type=TaskType.DISCOURSE,
        notes="The class is the connective that was removed between two sentences.",
        **_PAIR,
    ),
    TaskSpec(
        name="demo/happened",
        names=("happened", "not_happened", "unknown"),
        type=TaskType.FACTICITY,
        notes="The class tells whether the event took place (managed to, forgot to, hopes to, and their negations).",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/claims",
        names=("false", "true"),
        type=TaskType.FACTICITY,
        notes="The texts are claims about animals and trees. The speaker of a claim is a hint, not a proof.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/picnic_nli",
        names=("entailment", "not_entailment"),
        type=TaskType.NLI,
        notes="The class tells whether the second sentence follows from the first.",
        **_PAIR,
    ),
    TaskSpec(
        name="demo/office_nli",
        names=("not_entailment", "entailment"),
        type=TaskType.NLI,
        notes="The same question, with quantifiers. The classes are in reverse order, as happens between real tasks.",
        **_PAIR,
    ),
    TaskSpec(
        name="demo/photo_nli",
        names=("entailment", "neutral", "contradiction"),
        canonical=THREE_WAY_NLI,
        type=TaskType.NLI,
        notes="The second sentence follows from the first, may be true, or contradicts the first.",
        **_PAIR,
    ),
    TaskSpec(
        name="demo/paraphrases",
        names=("not_paraphrase", "paraphrase"),
        type=TaskType.PARAPHRASE_DETECTION,
        notes="Do two sentences have the same meaning? The task is hard for an encoder that was never trained.",
        **_PAIR,
    ),
    TaskSpec(
        name="demo/topics",
        names=("sports", "food", "music", "science", "weather"),
        type=TaskType.OTHER,
        notes="The class is the topic of a sentence. Some sentences contain a word of another topic.",
        **_SINGLE,
    ),
    TaskSpec(
        name="demo/spam",
        names=("not_spam", "spam"),
        type=TaskType.OTHER,
        notes="One third of the messages are unwanted.",
        **_SINGLE,
    ),
]
