"""Describe how rows are transformed before their columns are read; steps use the source's own column names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from metaeval_datasets.spec.checks import SpecError, class_names


@dataclass(frozen=True)
class Stack:
    """Make one row per listed column, each with its own label (BLiMP: a pair of sentences gives two rows).

    The new rows have a column ``into`` with the text and a column ``label`` with the class name. All rows made from
    one source row carry its number, so ``groups=SameRow()`` keeps them in the same split.
    """

    labels: Mapping[str, str]  # source column -> class name of its texts
    into: str = "sentence"
    label: str = "label"


@dataclass(frozen=True)
class Orient:
    """Swap two columns in about half of the rows, chosen by a hash of their content, and create the label.

    For sources whose first column is always the better one (ethics/utilitarianism). ``labels`` gives the class name
    of unchanged rows, then that of swapped rows.
    """

    first: str
    second: str
    labels: tuple[str, str]
    label: str = "label"


@dataclass(frozen=True)
class Keep:
    """Keep the rows whose ``column`` has one of ``values``. Other rows are counted as filtered, not as dropped."""

    column: str
    values: tuple[str | int | bool, ...]


Step: TypeAlias = Stack | Orient | Keep
_STEPS = (Stack, Orient, Keep)


def check_step(where: str, step: object) -> None:
    """Check the declaration of a step.

    Raises:
        SpecError: it is not one of the classes of this module, or its fields do not fit together.
    """
    if not isinstance(step, _STEPS):
        raise SpecError(f"{where}: `steps` contains {step!r}; expected one of {class_names(_STEPS)}")
    if isinstance(step, Stack) and len(step.labels) < 2:
        raise SpecError(f"{where}: `steps`: Stack needs at least two columns, got {dict(step.labels)}")
    if isinstance(step, Orient) and (step.first == step.second or len(set(step.labels)) != 2):
        raise SpecError(f"{where}: `steps`: Orient needs two different columns and two different labels, got {step!r}")
    if isinstance(step, Keep) and (isinstance(step.values, str) or not step.values):
        raise SpecError(f"{where}: `steps`: Keep needs a non-empty tuple of values, got {step.values!r}")
