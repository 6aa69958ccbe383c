"""TweetEval: tweets. Its emotion task is not in the collection because another task had that name."""

from metaeval_datasets.spec import ConfigText, PaperEdition, Source, TaskSpec, TaskType

TWEET_EVAL = "cardiffnlp/tweet_eval"

# The source names a class by its emoji; the canonical names are the authors' own, which the paper prints.
_EMOJI = {
    "❤": "red_heart",
    "😍": "smiling_face_with_hearteyes",
    "😂": "face_with_tears_of_joy",
    "💕": "two_hearts",
    "🔥": "fire",
    "😊": "smiling_face_with_smiling_eyes",
    "😎": "smiling_face_with_sunglasses",
    "✨": "sparkles",
    "💙": "blue_heart",
    "😘": "face_blowing_a_kiss",
    "📷": "camera",
    "🇺🇸": "united_states",
    "☀": "sun",
    "💜": "purple_heart",
    "😉": "winking_face",
    "💯": "hundred_points",
    "😁": "beaming_face_with_smiling_eyes",
    "🎄": "christmas_tree",
    "📸": "camera_with_flash",
    "😜": "winking_face_with_tongue",
}
_TARGETS = {
    "stance_abortion": "legalization of abortion",
    "stance_atheism": "atheism",
    "stance_climate": "climate change is a real concern",
    "stance_feminist": "feminist movement",
    "stance_hillary": "Hillary Clinton",
}

TASKS = [
    TaskSpec(
        name="tweet_eval/emoji",
        sources=(Source(TWEET_EVAL, config="emoji"),),
        sentence="text",
        names=tuple(_EMOJI),
        canonical=tuple(_EMOJI.values()),
        type=TaskType.EMOTION,
        rows={"train": 45000, "validation": 5000, "test": 50000},
        license="unknown",
        citation="barbieri2018emoji",
        notes="The class is the emoji that was removed from the tweet.",
    ),
    TaskSpec(
        name="tweet_eval/hate",
        sources=(Source(TWEET_EVAL, config="hate"),),
        sentence="text",
        names=("non-hate", "hate"),
        canonical=("not_hate", "hate"),
        type=TaskType.OTHER,
        rows={"train": 9000, "validation": 1000, "test": 2970},
        license="unknown",
        citation="basile2019hate",
        notes=(
            "The paper spells one class not-hate. Some test texts are also in train; a few texts are empty and dropped."
        ),
    ),
    TaskSpec(
        name="tweet_eval/irony",
        sources=(Source(TWEET_EVAL, config="irony"),),
        sentence="text",
        names=("non_irony", "irony"),
        canonical=("not_irony", "irony"),
        type=TaskType.OTHER,
        rows={"train": 2862, "validation": 955, "test": 784},
        license="unknown",
        citation="vanhee2018irony",
    ),
    TaskSpec(
        name="tweet_eval/offensive",
        sources=(Source(TWEET_EVAL, config="offensive"),),
        sentence="text",
        names=("non-offensive", "offensive"),
        canonical=("not_offensive", "offensive"),
        type=TaskType.OTHER,
        rows={"train": 11916, "validation": 1324, "test": 860},
        license="unknown",
        citation="zampieri2019offenseval",
        notes="The paper prints not-offensive.",
    ),
    TaskSpec(
        name="tweet_eval/sentiment",
        sources=(Source(TWEET_EVAL, config="sentiment"),),
        sentence="text",
        names=("negative", "neutral", "positive"),
        type=TaskType.EMOTION,
        rows={"train": 45615, "validation": 2000, "test": 12284},
        license="unknown",
        citation="rosenthal2017semeval",
    ),
    TaskSpec(
        name="tweet_eval/stance",
        sources=(Source(TWEET_EVAL, config=tuple(_TARGETS)),),
        sentence1="text",
        sentence2=ConfigText(_TARGETS),
        names=("none", "against", "favor"),
        canonical=("no_stance", "against", "favor"),
        type=TaskType.OTHER,
        rows={"train": 2620, "validation": 294, "test": 1249},
        license="unknown",
        citation="mohammad2016stance",
        paper=PaperEdition(
            why=(
                "The paper reads the text alone, from which the target of the stance is often not clear, and prints "
                "the classes of sentiment (negative, neutral, positive) in the place of none, against and favor."
            ),
            sentence="text",
            names=("negative", "neutral", "positive"),
            canonical=("no_stance", "against", "favor"),
            label_values={"none": "negative", "against": "neutral", "favor": "positive"},
        ),
        notes="Five targets, each a config of the source, put together split by split; the target is the second text.",
    ),
]
