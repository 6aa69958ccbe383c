"""Define canonical class names: one name for classes with the same meaning in several tasks.

Tasks spell their classes as their sources do (``not-entailed``, ``non-entailment``, ``NEG``, ``1``). Classifiers and
label vectors that tasks share use canonical names instead, which follow two rules:

- Different spellings of the same class get one name: ``entailment`` and ``not_entailment``; ``paraphrase`` for a
  duplicate question and an equivalent sentence; ``negative``, ``neutral`` and ``positive`` for opinions; ``joy`` for
  happiness.
- Different classes with the same spelling get different names: ``neutral`` in inference is ``nli_neutral``, ``low`` in
  a rating includes what is rated, a true answer is not a true claim, and a morally acceptable act is not an acceptable
  sentence.

The paper shares labels by their printed names. The ``paper`` edition of a task follows it where the printed name
describes the class, such as ``acceptable`` in ETHICS. Printed numbers (``0`` and ``1`` in PAWS, ``1`` and ``2`` in
yelp_polarity) and the misprinted classes of tweet_eval/stance describe nothing: by their names, paraphrases would share
a label vector with bad reviews, and mrpc and qqp would share none. These tasks keep the careful canonical names.
"""

from __future__ import annotations

from collections.abc import Sequence

from metaeval_datasets.spec import normal_name

ENTAILMENT = ("entailment", "not_entailment")
NLI_NEUTRAL = "nli_neutral"
THREE_WAY_NLI = ("entailment", NLI_NEUTRAL, "contradiction")


def renamed(names: Sequence[str], changes: dict[str, str]) -> tuple[str, ...]:
    """Return canonical names of a task's classes: those in ``changes``, and the normal form of the others.

    Raises:
        ValueError: ``changes`` names a class that the task does not have.
    """
    if extra := set(changes) - set(names):
        raise ValueError(f"cannot rename the classes {sorted(extra)}; expected some of {list(names)}")
    return tuple(changes.get(name) or normal_name(name) for name in names)


def rating(what: str) -> tuple[str, str]:
    """Return canonical names of the classes ``low`` and ``high`` of a rating."""
    return (f"low_{what}", f"high_{what}")
