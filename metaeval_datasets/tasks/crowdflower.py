"""CrowdFlower's Data for Everyone: crowd annotations of tweets, news and messages of politicians.

Formerly metaeval/crowdflower. One file of rows each, split here. The three political-media sets share their texts.
"""

from typing import Any

from metaeval_datasets.spec import PaperEdition, Replace, Source, TaskSpec, TaskType
from metaeval_datasets.vocabulary import renamed

_TRAIN_ONLY: dict[str, Any] = {"splits": ("train",), "license": "unknown", "citation": "vanpelt2012crowdflower"}
_MESSAGES = (
    "information", "support", "policy", "constituency", "personal", "other", "media", "mobilization", "attack",
)  # fmt: skip
_EMOTIONS = (
    "sadness", "empty", "relief", "hate", "worry", "enthusiasm", "neutral", "surprise", "love", "fun", "happiness",
    "boredom", "anger",
)  # fmt: skip


def _sources(config: str) -> tuple[Source, ...]:
    return (
        Source("tasksource/crowdflower", config=config),
        Source("tasksource/crowdflower", config=config, revision="refs/convert/parquet"),
    )


TASKS = [
    TaskSpec(
        name="crowdflower/sentiment_nuclear_power",
        sources=_sources("sentiment_nuclear_power"),
        sentence="text",
        names=(
            "Neutral / author is just sharing information",
            "Negative",
            "Tweet NOT related to nuclear energy",
            "Positive",
        ),
        canonical=("neutral", "negative", "off_topic", "positive"),
        type=TaskType.EMOTION,
        rows={"train": 190},
        notes="The task has 190 tweets. Its maintainer no longer lists it, unlike the other sets of the repository.",
        **_TRAIN_ONLY,
    ),
    TaskSpec(
        name="crowdflower/tweet_global_warming",
        sources=_sources("tweet_global_warming"),
        sentence="text",
        names=("Yes", "No"),
        canonical=("believes_warming", "denies_warming"),
        type=TaskType.OTHER,
        rows={"train": None},
        notes=(
            "Does the author believe that global warming is happening? Many tweets occur several times, some with "
            "both labels."
        ),
        **_TRAIN_ONLY,
    ),
    TaskSpec(
        name="crowdflower/airline-sentiment",
        sources=_sources("airline-sentiment"),
        sentence="text",
        names=("neutral", "positive", "negative"),
        type=TaskType.EMOTION,
        rows={"train": 14640},
        **_TRAIN_ONLY,
    ),
    TaskSpec(
        name="crowdflower/corporate-messaging",
        sources=_sources("corporate-messaging"),
        sentence="text",
        names=("Information", "Action", "Dialogue"),
        canonical=("information_message", "action_message", "dialogue_message"),
        label_values={"Exclude": None},
        type=TaskType.OTHER,
        rows={"train": 3118},
        paper=PaperEdition(
            why="The paper keeps Exclude, an annotation state, as a class.",
            names=("Information", "Action", "Exclude", "Dialogue"),
            canonical=("information_message", "action_message", "excluded_message", "dialogue_message"),
            label_values={},
        ),
        notes="The classes are purposes of a company's message. Rows that the annotators marked Exclude are dropped.",
        **_TRAIN_ONLY,
    ),
    TaskSpec(
        name="crowdflower/economic-news",
        sources=_sources("economic-news"),
        sentence=Replace("text", "</br>", " "),
        names=("yes", "no"),
        canonical=("relevant_news", "irrelevant_news"),
        label_values={"not sure": None},
        type=TaskType.OTHER,
        rows={"train": 8000},
        paper=PaperEdition(
            why="The paper keeps 'not sure', an annotation state, as a class, and does not remove HTML line breaks.",
            sentence="text",
            names=("not sure", "yes", "no"),
            canonical=("unsure_news", "relevant_news", "irrelevant_news"),
            label_values={},
        ),
        notes=(
            "Is a news article relevant to the economy of the United States? Rows marked 'not sure' are dropped, and "
            "HTML line breaks are replaced by spaces."
        ),
        **_TRAIN_ONLY,
    ),
    TaskSpec(
        name="crowdflower/political-media-audience",
        sources=_sources("political-media-audience"),
        sentence="text",
        names=("constituency", "national"),
        canonical=("constituency_audience", "national_audience"),
        type=TaskType.OTHER,
        rows={"train": 5000},
        **_TRAIN_ONLY,
    ),
    TaskSpec(
        name="crowdflower/political-media-bias",
        sources=_sources("political-media-bias"),
        sentence="text",
        names=("partisan", "neutral"),
        canonical=("partisan", "not_partisan"),
        type=TaskType.OTHER,
        rows={"train": 5000},
        notes="A quarter of the texts contain wrongly decoded characters.",
        **_TRAIN_ONLY,
    ),
    TaskSpec(
        name="crowdflower/political-media-message",
        sources=_sources("political-media-message"),
        sentence="text",
        names=_MESSAGES,
        canonical=tuple(f"{name}_message" for name in _MESSAGES),
        type=TaskType.OTHER,
        rows={"train": 5000},
        **_TRAIN_ONLY,
    ),
    TaskSpec(
        name="crowdflower/text_emotion",
        sources=_sources("text_emotion"),
        sentence="text",
        names=_EMOTIONS,
        canonical=renamed(_EMOTIONS, {"hate": "hatred", "happiness": "joy", "neutral": "no_emotion"}),
        type=TaskType.EMOTION,
        rows={"train": 40000},
        notes=(
            "The labels are noisy. The order of the last seven classes in the source is unknown; they are read by name."
        ),
        **_TRAIN_ONLY,
    ),
]
