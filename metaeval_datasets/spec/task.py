"""Describe a task: its name, sources, text fields, classes, splits, licence and citation, and the paper's edition."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from metaeval_datasets.spec.checks import SPLITS, SpecError, unique_names
from metaeval_datasets.spec.files import Files
from metaeval_datasets.spec.groups import Groups, RowModulus, check_groups
from metaeval_datasets.spec.source import AnySource, Embedded, Source
from metaeval_datasets.spec.steps import Stack
from metaeval_datasets.spec.texts import Text, check_text, text_columns

EDITIONS = ("careful", "paper")
EditionName = Literal["careful", "paper"]

# A group name has no dash, so that names stay unique when the slash is replaced by a dash.
_NAME = re.compile(r"[a-z0-9_]+/[A-Za-z0-9_+.\-]+")
_LONGEST_NAME = 120
_CITATION = re.compile(r"[a-z]+[0-9]{4}[a-z0-9]*")


class TaskType(str, Enum):
    """List the eight task types of the paper (section 5.5). The type of each task is inferred; see docs/report."""

    ACCEPTABILITY = "acceptability"
    DISCOURSE = "discourse"
    EMOTION = "emotion"
    FACTICITY = "facticity"
    GRAMMAR = "grammar"
    NLI = "nli"
    PARAPHRASE_DETECTION = "paraphrase_detection"
    OTHER = "other"


@dataclass(frozen=True)
class PaperEdition:
    """Describe how the paper used a task where the careful edition differs; these fields replace those of the task.

    Args:
        why: one or two sentences for the card: what differs, and why the careful edition does it another way.
        others: as in ``TaskSpec``; None keeps the task's own value. Giving ``sentence`` removes ``sentence1`` and
            ``sentence2``, and vice versa.
    """

    why: str
    sentence: Text | None = None
    sentence1: Text | None = None
    sentence2: Text | None = None
    label: str | None = None
    names: tuple[str, ...] | None = None
    canonical: tuple[str, ...] | None = None
    label_values: Mapping[str | int, str | None] | None = None
    sources: Sequence[AnySource] | None = None
    splits: tuple[str, ...] | None = None
    groups: Groups | None = None
    distinct: bool | None = None
    may_be_empty: tuple[str, ...] | None = None
    rows: Mapping[str, int | None] | None = None


@dataclass(frozen=True)
class TaskSpec:
    """Describe one task, with the terms of the paper's Appendix B.

    Args:
        name: ``group/task``, as passed to ``load_dataset``.
        sources: where its rows are, in order of preference.
        names: class names in index order, spelled as in the source; chosen here if the source has only numbers.
        type: one of the eight task types.
        license: licence as the source states it; ``"unknown"`` if it states none.
        citation: key of the reference to cite, such as ``wang2019glue``; empty if there is nothing to cite.
        sentence: text of a task with one text field.
        sentence1: first text of a task with two text fields.
        sentence2: second text of a task with two text fields.
        label: column of the label.
        canonical: one name per class, equal for classes that mean the same in several tasks (``entailment``,
            ``not_entailment``); default: ``names`` in lower case with ``_`` for spaces and hyphens.
        label_values: label as the source writes it -> class name, where they differ (``{"0": "not_paraphrase"}``);
            None for labels that are not a class (an annotation state): their rows are dropped and counted.
        splits: official splits, named as in MetaEval, of the first source (after ``Source.splits``).
        unlabelled: those of ``splits`` whose labels are hidden; their rows are counted, not read. A task without any
            labelled split keeps its rows, with label -1.
        groups: which rows must stay in the same split when a split is derived.
        distinct: keep only one of the rows with equal texts and label within a split.
        may_be_empty: text fields (``"sentence2"``) that may be null or empty; other rows without text are dropped.
        rows: official split -> number of rows in the first source; None if it is only known approximately.
            ``metaeval check-sources`` compares it with the Hub.
        in_101: whether the task is one of the 101 tasks of the paper.
        paper: how the paper used the task, if that differs.
        notes: what users should know, in sentences: defects, doubts, decisions.

    Raises:
        SpecError: a field has a value that cannot be right, or fields contradict each other.
    """

    name: str
    sources: Sequence[AnySource]
    names: tuple[str, ...]
    type: TaskType
    license: str
    citation: str
    sentence: Text | None = None
    sentence1: Text | None = None
    sentence2: Text | None = None
    label: str = "label"
    canonical: tuple[str, ...] = ()
    label_values: Mapping[str | int, str | None] = field(default_factory=dict)
    splits: tuple[str, ...] = SPLITS
    unlabelled: tuple[str, ...] = ()
    groups: Groups | None = None
    distinct: bool = False
    may_be_empty: tuple[str, ...] = ()
    rows: Mapping[str, int | None] = field(default_factory=dict)
    in_101: bool = True
    paper: PaperEdition | None = None
    notes: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise SpecError(
                f"task {self.name!r}: `name` must be 'group/task'; the group has lower-case letters, digits and _, and "
                "the task may also have upper-case letters, +, . and -"
            )
        if len(self.name) > _LONGEST_NAME:
            raise SpecError(
                f"task {self.name[:40]}...: `name` has {len(self.name)} characters; expected at most {_LONGEST_NAME}, "
                "because folders of the cache are named by it"
            )
        for name in ("sources", "splits", "unlabelled", "may_be_empty"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, Iterable):
                raise self._error(name, f"must be a tuple, got {value!r}")
            object.__setattr__(self, name, tuple(value))
        self._check_sources()
        self._check_texts()
        self._check_labels()
        self._check_splits()
        if not isinstance(self.type, TaskType):
            raise self._error("type", f"must be a TaskType, got {self.type!r}")
        if not isinstance(self.license, str) or not self.license:
            raise self._error("license", "is empty; write 'unknown' where the source gives none")
        if not isinstance(self.citation, str) or (self.citation and not _CITATION.fullmatch(self.citation)):
            raise self._error("citation", f"must be a key such as 'wang2019glue', or empty, got {self.citation!r}")
        check_groups(f"task {self.name}", self.groups)
        if isinstance(self.groups, RowModulus) and self.groups.modulus < 2:
            raise self._error("groups", f"modulus must be at least 2, got {self.groups.modulus}")
        if self.paper is not None:
            if not isinstance(self.paper, PaperEdition) or not self.paper.why:
                raise self._error("paper", "must be a PaperEdition whose `why` is not empty")
            self.edition("paper")  # checks the edition as a declaration of its own

    @property
    def group(self) -> str:
        """Return the first part of the name."""
        return self.name.split("/", 1)[0]

    @property
    def config_name(self) -> str:
        """Return the name with a dash for the slash, as used for configs of published copies and in paths."""
        return self.name.replace("/", "-")

    @property
    def texts(self) -> dict[str, Text]:
        """Return output column -> text: ``sentence``, or ``sentence1`` and ``sentence2``."""
        fields = {"sentence": self.sentence, "sentence1": self.sentence1, "sentence2": self.sentence2}
        return {name: text for name, text in fields.items() if text is not None}

    @property
    def num_text_fields(self) -> int:
        """Return the number of text fields, 1 or 2."""
        return len(self.texts)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns (named as in the task) that texts and label are read from, in order, each once."""
        read = [column for text in self.texts.values() for column in text_columns(text)]
        return tuple(dict.fromkeys([*read, self.label]))

    @property
    def has_labels(self) -> bool:
        """Return whether any official split has labels. Tasks without labels are for prediction only (glue/ax)."""
        return len(self.unlabelled) < len(self.splits)

    def edition(self, edition: EditionName) -> TaskSpec:
        """Return the task in one edition, as a complete declaration without further editions.

        Raises:
            SpecError: the edition is unknown.
        """
        if edition not in EDITIONS:
            raise SpecError(f"task {self.name}: unknown edition {edition!r}; expected one of {EDITIONS}")
        if edition == "careful" or self.paper is None:
            return dataclasses.replace(self, paper=None)
        changes = {
            entry.name: value
            for entry in dataclasses.fields(self.paper)
            if entry.name != "why" and (value := getattr(self.paper, entry.name)) is not None
        }
        if "sentence" in changes:
            changes.update(sentence1=None, sentence2=None)
        elif "sentence1" in changes or "sentence2" in changes:
            changes.update(sentence=None)
        if "names" in changes and "canonical" not in changes:
            changes.update(canonical=())
        notes = " ".join(part for part in (self.notes, self.paper.why) if part)
        return dataclasses.replace(self, **changes, notes=notes, paper=None)

    def to_dict(self) -> dict[str, Any]:
        """Return the declaration as data for JSON; ``op`` has the class name of texts, steps and others."""
        plain: dict[str, Any] = _plain(self)
        return plain

    def digest(self) -> str:
        """Return 16 hexadecimal digits that change whenever any field of the declaration changes."""
        text = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _error(self, name: str, problem: str) -> SpecError:
        return SpecError(f"task {self.name}: `{name}` {problem}")

    def _check_sources(self) -> None:
        if not self.sources:
            raise self._error("sources", "is empty; expected at least one Source, Files or Embedded")
        for source in self.sources:
            if not isinstance(source, (Source, Embedded, Files)):
                raise self._error("sources", f"contains {source!r}; expected Source, Files or Embedded")
            if isinstance(source, Source) and (extra := set(source.splits) - set(self.splits)):
                raise self._error("sources", f"({source.repo}) maps splits {sorted(extra)}, which are not in `splits`")
            if isinstance(source, Files) and (extra := set(source.paths) ^ set(self.splits)):
                raise self._error("splits", f"is {self.splits}, and the files are for {sorted(source.paths)}")

    def _check_texts(self) -> None:
        given = set(self.texts)
        if given not in ({"sentence"}, {"sentence1", "sentence2"}):
            raise self._error("sentence", f"or both `sentence1` and `sentence2` must be given, got {sorted(given)}")
        for name, text in self.texts.items():
            check_text(f"task {self.name}", name, text)
        if not isinstance(self.label, str) or not self.label:
            raise self._error("label", f"must be a column name, got {self.label!r}")
        if extra := set(self.may_be_empty) - given:
            raise self._error("may_be_empty", f"names {sorted(extra)}; the text fields are {sorted(given)}")

    def _check_labels(self) -> None:
        where = f"task {self.name}"
        object.__setattr__(self, "names", unique_names(where, "names", self.names))
        if len(self.names) < 2:
            raise self._error("names", f"needs at least two classes, got {self.names!r}")
        canonical = tuple(self.canonical) or tuple(normal_name(name) for name in self.names)
        object.__setattr__(self, "canonical", unique_names(where, "canonical", canonical))
        if len(self.canonical) != len(self.names):
            raise self._error("canonical", f"has {len(self.canonical)} names for {len(self.names)} classes")
        if unusual := [name for name in self.canonical if name != normal_name(name)]:
            raise self._error("canonical", f"contains {unusual}; expected lower case without spaces and hyphens")
        object.__setattr__(self, "label_values", dict(self.label_values))
        for values in (self.label_values, *(s.label_values for s in self.sources if isinstance(s, Source))):
            for raw, name in (values or {}).items():
                if name is not None and name not in self.names:
                    raise self._error("label_values", f"maps {raw!r} to {name!r}, which is not in `names`")
        for source in self.sources:
            for step in getattr(source, "steps", ()):
                made = step.labels.values() if isinstance(step, Stack) else getattr(step, "labels", ())
                if extra := set(made) - set(self.names) - set(self.label_values):
                    raise self._error("sources", f"make labels {sorted(extra)}, which are not in `names`")

    def _check_splits(self) -> None:
        if not self.splits or set(self.splits) - set(SPLITS) or len(set(self.splits)) < len(self.splits):
            raise self._error("splits", f"must contain some of {SPLITS}, each once, got {self.splits!r}")
        object.__setattr__(self, "splits", tuple(name for name in SPLITS if name in self.splits))
        if extra := set(self.unlabelled) - set(self.splits):
            raise self._error("unlabelled", f"names {sorted(extra)}; `splits` is {self.splits}")
        object.__setattr__(self, "rows", dict(self.rows))
        for split, count in self.rows.items():
            if split not in self.splits:
                raise self._error("rows", f"counts {split!r}; `splits` is {self.splits}")
            if count is not None and (not isinstance(count, int) or count < 1):
                raise self._error("rows", f"of {split!r} must be a positive integer or None, got {count!r}")


def normal_name(name: str) -> str:
    """Return a class name in lower case with one ``_`` for every run of spaces, hyphens and underscores."""
    return re.sub(r"[\s\-_]+", "_", name.strip().lower())


def _plain(value: Any) -> Any:
    if isinstance(value, Files):
        return value.to_plain()
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        entries = {entry.name: _plain(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
        return {"op": type(value).__name__, **entries}
    if isinstance(value, Mapping):
        # Keys keep their type apart ("0" and 0 are different labels), and their order, which can matter.
        return [[_plain(key), _plain(item)] for key, item in value.items()]
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
