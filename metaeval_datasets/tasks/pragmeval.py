"""PragmEval: discourse and pragmatics, twenty sets in one format (Sileo et al. 2019).

All are of type DISCOURSE, as the paper's counts suggest, although some are about emotion or fact. A few evaluation
texts also occur in train; the notes say where.
"""

from typing import Any

from metaeval_datasets.spec import Source, TaskSpec, TaskType
from metaeval_datasets.vocabulary import rating, renamed

_DISCOURSE: dict[str, Any] = {"type": TaskType.DISCOURSE, "license": "unknown"}
_SINGLE: dict[str, Any] = {**_DISCOURSE, "sentence": "sentence"}
_PAIR: dict[str, Any] = {**_DISCOURSE, "sentence1": "sentence1", "sentence2": "sentence2"}


def _sources(config: str) -> tuple[Source, ...]:
    return (
        Source("sileod/pragmeval", config=config),
        Source("sileod/pragmeval", config=config, revision="refs/convert/parquet"),
    )


_SWITCHBOARD = (
    "Response Acknowledgement", "Uninterpretable", "Or-Clause", "Reject", "Statement-non-opinion", "3rd-party-talk",
    "Repeat-phrase", "Hold Before Answer/Agreement", "Signal-non-understanding", "Offers, Options Commits",
    "Agree/Accept", "Dispreferred Answers", "Hedge", "Action-directive", "Tag-Question", "Self-talk",
    "Yes-No-Question", "Rhetorical-Question", "No Answers", "Open-Question", "Conventional-closing", "Other Answers",
    "Acknowledge (Backchannel)", "Wh-Question", "Declarative Wh-Question", "Thanking", "Yes Answers",
    "Affirmative Non-yes Answers", "Declarative Yes-No-Question", "Backchannel in Question Form", "Apology",
    "Downplayer", "Conventional-opening", "Collaborative Completion", "Summarize/Reformulate",
    "Negative Non-no Answers", "Statement-opinion", "Appreciation", "Other", "Quotation", "Maybe/Accept-part",
)  # fmt: skip
_MRDA = (
    "Declarative-Question", "Statement", "Reject", "Or-Clause", "3rd-party-talk", "Continuer",
    "Hold Before Answer/Agreement", "Assessment/Appreciation", "Signal-non-understanding", "Floor Holder", "Sympathy",
    "Dispreferred Answers", "Reformulate/Summarize", "Exclamation", "Interrupted/Abandoned/Uninterpretable",
    "Expansions of y/n Answers", "Action-directive", "Tag-Question", "Accept", "Rhetorical-question Continue",
    "Self-talk", "Rhetorical-Question", "Yes-No-question", "Open-Question", "Rising Tone", "Other Answers", "Commit",
    "Wh-Question", "Repeat", "Follow Me", "Thanking", "Offer", "About-task", "Reject-part",
    "Affirmative Non-yes Answers", "Apology", "Downplayer", "Humorous Material", "Accept-part",
    "Collaborative Completion", "Mimic Other", "Understanding Check", "Misspeak Self-Correction", "Or-Question",
    "Topic Change", "Negative Non-no Answers", "Floor Grabber", "Correct-misspeaking", "Maybe", "Acknowledge-answer",
    "Defending/Explanation",
)  # fmt: skip
_GUM = (
    "preparation", "evaluation", "circumstance", "solutionhood", "justify", "result", "evidence", "purpose",
    "concession", "elaboration", "background", "condition", "cause", "restatement", "motivation", "antithesis",
    "no_relation",
)  # fmt: skip
_STAC = (
    "Comment", "Contrast", "Q_Elab", "Parallel", "Explanation", "Narration", "Continuation", "Result",
    "Acknowledgement", "Alternation", "Question_answer_pair", "Correction", "Clarification_question", "Conditional",
    "Sequence", "Elaboration", "Background", "no_relation",
)  # fmt: skip
_PDTB = (
    "Synchrony", "Contrast", "Asynchronous", "Conjunction", "List", "Condition", "Pragmatic concession",
    "Restatement", "Pragmatic cause", "Alternative", "Pragmatic condition", "Pragmatic contrast", "Instantiation",
    "Exception", "Cause", "Concession",
)  # fmt: skip
_PREMISETYPE = (
    "testimony", "warrant", "invented_instance", "common_knowledge", "statistics", "analogy", "definition",
    "real_example",
)  # fmt: skip

TASKS = [
    TaskSpec(
        name="pragmeval/verifiability",
        sources=_sources("verifiability"),
        names=("experiential", "unverifiable", "non-experiential"),
        rows={"train": 5712, "validation": 634, "test": 2424},
        citation="park2014verifiability",
        notes=(
            "Can a claim be verified, by experience or otherwise? 70 % of the test rows are unverifiable; 2 "
            "validation and 12 test texts also occur in train."
        ),
        **_SINGLE,
    ),
    TaskSpec(
        name="pragmeval/emobank-arousal",
        sources=_sources("emobank-arousal"),
        names=("low", "high"),
        canonical=rating("arousal"),
        rows={"train": 5470, "validation": 684, "test": 683},
        citation="buechel2017emobank",
        notes=(
            "The classes split a rating at its median, so rows near the median are close to random. 11 validation "
            "and 11 test sentences also occur in train, and 9 training sentences have both labels."
        ),
        **_SINGLE,
    ),
    TaskSpec(
        name="pragmeval/switchboard",
        sources=_sources("switchboard"),
        names=_SWITCHBOARD,
        canonical=renamed(_SWITCHBOARD, {"Other": "other_act", "Quotation": "quotation_act"}),
        rows={"train": 18930, "validation": 2113, "test": 649},
        citation="godfrey1992switchboard",
        notes="The classes are 41 dialogue acts of single utterances without context.",
        **_SINGLE,
    ),
    TaskSpec(
        name="pragmeval/persuasiveness-eloquence",
        sources=_sources("persuasiveness-eloquence"),
        names=("low", "high"),
        canonical=rating("eloquence"),
        rows={"train": 725, "validation": 91, "test": 90},
        citation="carlile2018persuasiveness",
        notes="The five persuasiveness tasks share their pairs: test pairs of one task are training pairs of another.",
        **_PAIR,
    ),
    TaskSpec(
        name="pragmeval/mrda",
        sources=_sources("mrda"),
        names=_MRDA,
        rows={"train": 14484, "validation": 1630, "test": 6459},
        citation="shriberg2004mrda",
        notes="Of the 51 dialogue acts, one has no training row and two have fewer than ten.",
        **_SINGLE,
    ),
    TaskSpec(
        name="pragmeval/gum",
        sources=_sources("gum"),
        names=_GUM,
        rows={"train": 1700, "validation": 259, "test": 248},
        citation="zeldes2017gum",
        notes="The classes are 17 relations of rhetorical structure, including no_relation.",
        **_PAIR,
    ),
    TaskSpec(
        name="pragmeval/emergent",
        sources=_sources("emergent"),
        names=("observing", "for", "against"),
        canonical=("observing", "favor", "against"),
        rows={"train": 2076, "validation": 259, "test": 259},
        citation="ferreira2016emergent",
        notes=(
            "The class is the stance of a headline (second text) towards a claim (first text). 10 validation and 8 "
            "test pairs also occur in train."
        ),
        **_PAIR,
    ),
    TaskSpec(
        name="pragmeval/persuasiveness-relevance",
        sources=_sources("persuasiveness-relevance"),
        names=("low", "high"),
        canonical=rating("relevance"),
        rows={"train": 725, "validation": 91, "test": 90},
        citation="carlile2018persuasiveness",
        notes="The task shares its pairs with the other persuasiveness tasks.",
        **_PAIR,
    ),
    TaskSpec(
        name="pragmeval/persuasiveness-specificity",
        sources=_sources("persuasiveness-specificity"),
        names=("low", "high"),
        canonical=rating("specificity"),
        rows={"train": 504, "validation": 62, "test": 62},
        citation="carlile2018persuasiveness",
        notes="The task shares its pairs with the other persuasiveness tasks.",
        **_PAIR,
    ),
    TaskSpec(
        name="pragmeval/persuasiveness-strength",
        sources=_sources("persuasiveness-strength"),
        names=("low", "high"),
        canonical=rating("strength"),
        rows={"train": 371, "validation": 46, "test": 46},
        citation="carlile2018persuasiveness",
        notes="The task shares its pairs with the other persuasiveness tasks.",
        **_PAIR,
    ),
    TaskSpec(
        name="pragmeval/emobank-dominance",
        sources=_sources("emobank-dominance"),
        names=("low", "high"),
        canonical=rating("dominance"),
        rows={"train": 6392, "validation": 798, "test": 798},
        citation="buechel2017emobank",
        notes="The classes split a rating at its median. 19 validation and 16 test sentences also occur in train.",
        **_SINGLE,
    ),
    TaskSpec(
        name="pragmeval/squinky-implicature",
        sources=_sources("squinky-implicature"),
        names=("low", "high"),
        canonical=rating("implicature"),
        rows={"train": 3724, "validation": 465, "test": 465},
        citation="lahiri2015squinky",
        notes="The classes split a rating at its median; the three squinky tasks share their sentences.",
        **_SINGLE,
    ),
    TaskSpec(
        name="pragmeval/sarcasm",
        sources=_sources("sarcasm"),
        names=("notsarc", "sarc"),
        canonical=("not_sarcasm", "sarcasm"),
        rows={"train": 3754, "validation": 469, "test": 469},
        citation="oraby2016sarcasm",
        notes="The texts are a post and a reply to it. 4 validation and 4 test pairs also occur in train.",
        **_PAIR,
    ),
    TaskSpec(
        name="pragmeval/squinky-formality",
        sources=_sources("squinky-formality"),
        names=("low", "high"),
        canonical=rating("formality"),
        rows={"train": 3622, "validation": 453, "test": 452},
        citation="lahiri2015squinky",
        notes="The classes split a rating at its median; the three squinky tasks share their sentences.",
        **_SINGLE,
    ),
    TaskSpec(
        name="pragmeval/stac",
        sources=_sources("stac"),
        names=_STAC,
        rows={"train": 11230, "validation": 1247, "test": 1304},
        citation="asher2016stac",
        notes=(
            "The classes are 18 discourse relations in chats, including no_relation. 7 test pairs also occur in train."
        ),
        **_PAIR,
    ),
    TaskSpec(
        name="pragmeval/pdtb",
        sources=_sources("pdtb"),
        names=_PDTB,
        rows={"train": 12907, "validation": 1204, "test": 1085},
        citation="prasad2008pdtb",
        notes=(
            "The classes are 16 senses of implicit relations; two have one row each. The LDC licence applies to the "
            "texts."
        ),
        **_PAIR,
    ),
    TaskSpec(
        name="pragmeval/persuasiveness-premisetype",
        sources=_sources("persuasiveness-premisetype"),
        names=_PREMISETYPE,
        canonical=renamed(_PREMISETYPE, {"definition": "definition_premise"}),
        rows={"train": 566, "validation": 71, "test": 70},
        citation="carlile2018persuasiveness",
        notes="The task has eight classes and 566 training rows; two classes have two or three rows.",
        **_PAIR,
    ),
    TaskSpec(
        name="pragmeval/squinky-informativeness",
        sources=_sources("squinky-informativeness"),
        names=("low", "high"),
        canonical=rating("informativeness"),
        rows={"train": 3719, "validation": 465, "test": 464},
        citation="lahiri2015squinky",
        notes="The classes split a rating at its median; the three squinky tasks share their sentences.",
        **_SINGLE,
    ),
    TaskSpec(
        name="pragmeval/persuasiveness-claimtype",
        sources=_sources("persuasiveness-claimtype"),
        names=("Value", "Fact", "Policy"),
        canonical=("value_claim", "fact_claim", "policy_claim"),
        rows={"train": 160, "validation": 20, "test": 19},
        citation="carlile2018persuasiveness",
        notes="The task has 160 training rows.",
        **_PAIR,
    ),
    TaskSpec(
        name="pragmeval/emobank-valence",
        sources=_sources("emobank-valence"),
        names=("low", "high"),
        canonical=rating("valence"),
        rows={"train": 5150, "validation": 644, "test": 643},
        citation="buechel2017emobank",
        notes="The classes split a rating at its median. 11 validation and 6 test sentences also occur in train.",
        **_SINGLE,
    ),
]
