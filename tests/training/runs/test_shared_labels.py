"""Classes with the same canonical name share a label vector, however their tasks spell it."""

from types import SimpleNamespace

import pytest
from metaeval_training.runs.shared_labels import canonical_labels


@pytest.mark.parametrize(
    ("name", "edition", "expected"),
    [
        ("glue/mrpc", "careful", ("not_paraphrase", "paraphrase")),  # declared as not_equivalent, equivalent
        ("glue/qqp", "careful", ("not_paraphrase", "paraphrase")),  # declared as not_duplicate, duplicate
        ("demo/photo_nli", "careful", ("entailment", "nli_neutral", "contradiction")),  # not the neutral of sentiment
        ("ethics/justice", "careful", ("morally_acceptable", "morally_unacceptable")),
        ("ethics/justice", "paper", ("acceptable", "unacceptable")),
    ],
)
def test_names_are_those_of_the_edition_of_the_rows(name, edition, expected):
    assert canonical_labels(SimpleNamespace(catalogue_name=name, edition=edition)) == expected
