"""BLiMP as classification: the good and the bad sentence of each minimal pair, by the field of the phenomenon.

Rebuilt from the pairs: the paper's casting is a script. The two sentences of a pair stay on one side of a split.
"""

from metaeval_datasets.spec import Alone, PaperEdition, SameRow, Source, Stack, TaskSpec, TaskType

_SETS = {
    "syntax_semantics": (
        "existential_there_object_raising", "existential_there_subject_raising", "expletive_it_object_raising",
        "only_npi_scope", "principle_A_c_command", "principle_A_case_1", "principle_A_domain_1", "principle_A_domain_2",
        "principle_A_domain_3", "principle_A_reconstruction", "sentential_negation_npi_scope", "tough_vs_raising_1",
        "tough_vs_raising_2",
    ),
    "syntax+semantics": ("principle_A_case_2",),
    "morphology": (
        "anaphor_gender_agreement", "anaphor_number_agreement", "determiner_noun_agreement_1",
        "determiner_noun_agreement_2", "determiner_noun_agreement_irregular_1", "determiner_noun_agreement_irregular_2",
        "determiner_noun_agreement_with_adj_2", "determiner_noun_agreement_with_adj_irregular_1",
        "determiner_noun_agreement_with_adj_irregular_2", "determiner_noun_agreement_with_adjective_1",
        "distractor_agreement_relational_noun", "distractor_agreement_relative_clause",
        "irregular_past_participle_adjectives", "irregular_past_participle_verbs",
        "irregular_plural_subject_verb_agreement_1", "irregular_plural_subject_verb_agreement_2",
        "regular_plural_subject_verb_agreement_1", "regular_plural_subject_verb_agreement_2",
    ),
    "syntax": (
        "adjunct_island", "animate_subject_passive", "animate_subject_trans", "causative", "complex_NP_island",
        "coordinate_structure_constraint_complex_left_branch", "coordinate_structure_constraint_object_extraction",
        "drop_argument", "ellipsis_n_bar_1", "ellipsis_n_bar_2", "inchoative", "intransitive",
        "left_branch_island_echo_question", "left_branch_island_simple_question", "passive_1", "passive_2",
        "sentential_subject_island", "transitive", "wh_island", "wh_questions_object_gap", "wh_questions_subject_gap",
        "wh_questions_subject_gap_long_distance", "wh_vs_that_no_gap", "wh_vs_that_no_gap_long_distance",
        "wh_vs_that_with_gap", "wh_vs_that_with_gap_long_distance",
    ),
    "semantics": (
        "existential_there_quantifiers_1", "existential_there_quantifiers_2", "matrix_question_npi_licensor_present",
        "npi_present_1", "npi_present_2", "only_npi_licensor_present", "sentential_negation_npi_licensor_present",
        "superlative_quantifiers_1", "superlative_quantifiers_2",
    ),
}  # fmt: skip


def _task(field: str, notes: str) -> TaskSpec:
    """Declare the task of one field; the five tasks differ only in the field."""
    return TaskSpec(
        name=f"blimp_classification/{field}",
        sources=(
            Source(
                "nyu-mll/blimp",
                config=_SETS[field],
                steps=(Stack({"sentence_good": "acceptable", "sentence_bad": "unacceptable"}),),
            ),
            Source(
                "tasksource/blimp_classification",
                config=field,
                revision="refs/convert/parquet",
                columns={"sentence": "text"},
                groups=Alone(),
                note="The paper's own version without pair numbers: the partner of a test sentence may be in train.",
            ),
        ),
        sentence="sentence",
        names=("acceptable", "unacceptable"),
        splits=("train",),
        groups=SameRow(),
        type=TaskType.ACCEPTABILITY,
        rows={"train": 1000 * len(_SETS[field])},
        license="cc-by-4.0",
        citation="warstadt2020blimp",
        paper=PaperEdition(why="The paper splits sentences at random and ignores pairs.", groups=Alone()),
        notes=notes,
    )


TASKS = [
    _task("syntax_semantics", "13 sets of 1,000 pairs."),
    _task(
        "syntax+semantics", "One set of 1,000 pairs (principle_A_case_2); five sentences occur as both good and bad."
    ),
    _task("morphology", "18 sets of 1,000 pairs."),
    _task("syntax", "26 sets of 1,000 pairs; two sentences occur as both good and bad."),
    _task("semantics", "Nine sets of 1,000 pairs."),
]
