"""SentEval's probing tasks: the grammatical properties that a sentence embedding encodes.

Formerly metaeval/linguisticprobing. The copy on the Hub lost 13 to 30 % of the rows of seven of the nine sets (the
printed sizes say so): probably a quotation mark swallowed the lines that follow it, so that a few rows may hold
several sentences. The authors' own files (SentEval on GitHub) are whole, but not on the Hub.
"""

from typing import Any

from metaeval_datasets.spec import Source, TaskSpec, TaskType
from metaeval_datasets.vocabulary import renamed

_PROBING: dict[str, Any] = {
    "sentence": "sentence",
    "type": TaskType.GRAMMAR,
    "license": "unknown",
    "citation": "conneau2018probing",
}
_WHOLE = {"train": 100000, "validation": 10000, "test": 10000}
_LOSSY = {"train": None, "validation": None, "test": None}
_LOST = "The source lacks 13 to 30 % of SentEval's rows, and a few rows may contain several sentences."

_CONSTITUENTS = (
    "ADVP_NP_VP_.", "CC_ADVP_NP_VP_.", "CC_NP_VP_.", "IN_NP_VP_.", "NP_ADVP_VP_.", "NP_NP_VP_.", "NP_PP_.", "NP_VP_.",
    "OTHER", "PP_NP_VP_.", "RB_NP_VP_.", "SBAR_NP_VP_.", "SBAR_VP_.", "S_CC_S_.", "S_NP_VP_.", "S_VP_.",
    "VBD_NP_VP_.", "VP_.", "WHADVP_SQ_.", "WHNP_SQ_.",
)  # fmt: skip


def _sources(config: str) -> tuple[Source, ...]:
    return (
        Source("tasksource/linguisticprobing", config=config),
        Source("tasksource/linguisticprobing", config=config, revision="refs/convert/parquet"),
    )


TASKS = [
    TaskSpec(
        name="linguisticprobing/subj_number",
        sources=_sources("subj_number"),
        names=("NN", "NNS"),
        canonical=("singular_subject", "plural_subject"),
        rows=_LOSSY,
        notes=f"The class is the number of the subject of the main clause. {_LOST}",
        **_PROBING,
    ),
    TaskSpec(
        name="linguisticprobing/obj_number",
        sources=_sources("obj_number"),
        names=("NN", "NNS"),
        canonical=("singular_object", "plural_object"),
        rows=_LOSSY,
        notes=f"The class is the number of the direct object of the main clause. {_LOST}",
        **_PROBING,
    ),
    TaskSpec(
        name="linguisticprobing/past_present",
        sources=_sources("past_present"),
        names=("PAST", "PRES"),
        canonical=("past", "present"),
        rows=_LOSSY,
        notes=f"The class is the tense of the main verb. {_LOST}",
        **_PROBING,
    ),
    TaskSpec(
        name="linguisticprobing/sentence_length",
        sources=_sources("sentence_length"),
        names=("0", "1", "2", "3", "4", "5"),
        canonical=("words_5_8", "words_9_12", "words_13_16", "words_17_20", "words_21_25", "words_26_28"),
        rows=_LOSSY,
        notes=f"The class is the number of words, in six bins. {_LOST}",
        **_PROBING,
    ),
    TaskSpec(
        name="linguisticprobing/top_constituents",
        sources=_sources("top_constituents"),
        names=_CONSTITUENTS,
        canonical=renamed(tuple(name.removesuffix("_.") for name in _CONSTITUENTS), {"OTHER": "other_constituents"}),
        rows=_LOSSY,
        notes=f"Constituents below the root of the tree; the order of class names on the Hub is not verified. {_LOST}",
        **_PROBING,
    ),
    TaskSpec(
        name="linguisticprobing/tree_depth",
        sources=_sources("tree_depth"),
        names=("depth_5", "depth_6", "depth_7", "depth_8", "depth_9", "depth_10", "depth_11"),
        rows=_LOSSY,
        notes=f"Depth of the constituency tree; the order of class names on the Hub is not verified. {_LOST}",
        **_PROBING,
    ),
    TaskSpec(
        name="linguisticprobing/coordination_inversion",
        sources=_sources("coordination_inversion"),
        names=("I", "O"),
        canonical=("inverted_clauses", "original_sentence"),
        rows=_WHOLE,
        notes="Were two coordinated clauses swapped? I: inverted, O: original.",
        **_PROBING,
    ),
    TaskSpec(
        name="linguisticprobing/odd_man_out",
        sources=_sources("odd_man_out"),
        names=("C", "O"),
        canonical=("replaced_word", "original_sentence"),
        rows=_LOSSY,
        notes=f"Was a noun or verb replaced by another? C: changed, O: original. {_LOST}",
        **_PROBING,
    ),
    TaskSpec(
        name="linguisticprobing/bigram_shift",
        sources=_sources("bigram_shift"),
        names=("I", "O"),
        canonical=("swapped_words", "original_sentence"),
        rows=_WHOLE,
        notes="Were two neighbouring words swapped? I: inverted, O: original.",
        **_PROBING,
    ),
]
