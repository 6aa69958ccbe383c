"""What a task is, as data: where its rows are, which columns play which part, what its classes are called.

A declaration is built from the classes of this file and checks itself when it is built, so that a mistake in
``tasks/<group>.py`` is an error that names the task and the field, not a column of wrong rows.

How a row is made from a declaration (``cast.py`` does it, a batch at a time):

1. the source's own columns are read from its files;
2. ``Source.steps`` turn rows into rows (``Stack``, ``Orient``, ``Keep``);
3. ``Source.columns`` gives them the column names that the task uses, where the source has others;
4. the task's ``sentence`` (or ``sentence1`` and ``sentence2``) and ``label`` are read from those columns.

So a fallback source with other column names needs one line, and an edition only says what differs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, TypeAlias

SPLITS = ("train", "validation", "test")
EDITIONS = ("careful", "paper")
EditionName = Literal["careful", "paper"]

# A group has no dash, so names stay apart when the slash becomes one.
_NAME = re.compile(r"[a-z0-9_]+/[A-Za-z0-9_+.\-]+")
_REPO = re.compile(r"[A-Za-z0-9_.\-]+/[A-Za-z0-9_.\-]+")
_CITATION = re.compile(r"[a-z]+[0-9]{4}[a-z0-9]*")


class SpecError(ValueError):
    """A declaration that cannot be right; names the task (or source) and the field."""


class TaskType(str, Enum):
    """The eight types of the paper (section 5.5); which task has which is inferred, see the catalogue's notes."""

    ACCEPTABILITY = "acceptability"
    DISCOURSE = "discourse"
    EMOTION = "emotion"
    FACTICITY = "facticity"
    GRAMMAR = "grammar"
    NLI = "nli"
    PARAPHRASE_DETECTION = "paraphrase_detection"
    OTHER = "other"


# --- Text: what a field is read from. A plain string is a column. ------------------------------------------------


@dataclass(frozen=True)
class Join:
    """Several parts as one text, with ``separator`` between them; null where any part is null."""

    parts: tuple[Text, ...]
    separator: str = " "

    def __init__(self, *parts: Text, separator: str = " ") -> None:
        object.__setattr__(self, "parts", tuple(parts))
        object.__setattr__(self, "separator", separator)
        if len(self.parts) < 2:
            raise SpecError(f"Join needs at least two parts, got {self.parts!r}")
        for part in self.parts:
            _check_text("Join", "parts", part)


@dataclass(frozen=True)
class Before:
    """What stands before the last ``separator`` in a text (all of it where the separator is absent)."""

    text: Text
    separator: str


@dataclass(frozen=True)
class After:
    """What stands after the last ``separator`` in a text (null where the separator is absent)."""

    text: Text
    separator: str


@dataclass(frozen=True)
class Replace:
    """A text with every ``old`` replaced by ``new``, literally; for remnants such as an escaped line break."""

    text: Text
    old: str
    new: str


@dataclass(frozen=True)
class Items:
    """The items of a column that holds a list of strings, joined by ``separator``."""

    column: str
    separator: str = " "


@dataclass(frozen=True)
class ConfigText:
    """A text that depends on the config of the source a row comes from (TweetEval's stance: the target)."""

    texts: Mapping[str, str]


Text: TypeAlias = str | Join | Before | After | Replace | Items | ConfigText
_TEXTS = (str, Join, Before, After, Replace, Items, ConfigText)


def text_columns(text: Text) -> tuple[str, ...]:
    """Columns a text is read from, in order, each once."""
    if isinstance(text, str):
        return (text,)
    if isinstance(text, Items):
        return (text.column,)
    if isinstance(text, ConfigText):
        return ()
    if isinstance(text, Join):
        return tuple(dict.fromkeys(column for part in text.parts for column in text_columns(part)))
    return text_columns(text.text)


# --- Steps: rows to rows, on the source's own columns --------------------------------------------------------------


@dataclass(frozen=True)
class Stack:
    """One row for each of several columns, each with a label of its own (BLiMP: a pair gives two rows).

    The new rows have a column ``into`` with the text and a column ``label`` with the label's name; the rows that
    come from one source row share its number, so ``groups=SameRow()`` keeps them on one side of a split.
    """

    labels: Mapping[str, str]  # source column -> name of the class of its texts
    into: str = "sentence"
    label: str = "label"


@dataclass(frozen=True)
class Orient:
    """Swaps two columns in about half of the rows, chosen by a hash of their content, and makes the label.

    For sources whose first column is always the better one (ethics/utilitarianism). ``labels`` names the class of
    the rows left as they are, then that of the rows swapped.
    """

    first: str
    second: str
    labels: tuple[str, str]
    label: str = "label"


@dataclass(frozen=True)
class Keep:
    """Only the rows whose ``column`` holds one of ``values``; the others are counted as filtered, not as dropped."""

    column: str
    values: tuple[str | int | bool, ...]


Step: TypeAlias = Stack | Orient | Keep
_STEPS = (Stack, Orient, Keep)


# --- Groups: which rows must stay on one side of a derived split ----------------------------------------------------


@dataclass(frozen=True)
class SameRow:
    """Rows made from one source row (by ``Stack``) stay together."""


@dataclass(frozen=True)
class SameText:
    """Rows for which all these texts are equal stay together (a column that names an article, a pair, a set)."""

    texts: tuple[Text, ...]

    def __init__(self, *texts: Text) -> None:
        object.__setattr__(self, "texts", tuple(texts))
        if not self.texts:
            raise SpecError("SameText needs at least one text")
        for text in self.texts:
            _check_text("SameText", "texts", text)


@dataclass(frozen=True)
class RowModulus:
    """Rows whose numbers have the same remainder stay together (OneStopEnglish: i, i + 189, i + 378)."""

    modulus: int


@dataclass(frozen=True)
class Alone:
    """No groups: for a source that lacks what the task's own rule needs. Exact duplicates still stay together."""


Groups: TypeAlias = SameRow | SameText | RowModulus | Alone
_GROUPS = (SameRow, SameText, RowModulus, Alone)


# --- Sources ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """One place on the Hub that holds a task's rows as Parquet, CSV or JSON lines.

    Args:
        repo: dataset repository, ``owner/name``.
        config: config within the repository; several are concatenated in this order, split by split.
        revision: full commit id, tag or branch (``refs/convert/parquet``); None is the main branch.
        files: split of the source -> paths or patterns inside the repository, for where neither the repository's
            card nor the usual layout says it. ``{config}`` stands for each config in turn.
        splits: split of ours -> split of the source, several concatenated in order (ANLI's rounds); where a split
            of the task is not mentioned, the source's split has the same name.
        columns: column the task uses -> where it is in this source (a column or a text made of columns).
        steps: rows to rows, before ``columns``.
        label_names: class names in the order of this source's integers, where they are plain integers in an
            order that is not the task's ``names``. Files that carry their names are read by name anyway.
        label_values: label as this source writes it -> class name, None for labels to leave out; overrides the
            task's ``label_values`` as a whole.
        groups: overrides the task's ``groups`` for this source.
        delimiter, quote, header: of CSV and TSV files: the separator (default: by extension); the character around
            fields that hold a separator or a line break, None where quotes are part of the texts; and the column names
            where the files have no header line.
        note: what is different here (row counts, spelling); shown when this source serves.
    """

    repo: str
    config: str | tuple[str, ...] | None = None
    revision: str | None = None
    files: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    splits: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[str, Text] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    label_names: tuple[str, ...] | None = None
    label_values: Mapping[str | int, str | None] | None = None
    groups: Groups | None = None
    delimiter: str | None = None
    header: tuple[str, ...] | None = None
    note: str = ""
    quote: str | None = '"'

    def __post_init__(self) -> None:
        where = f"source {self.repo!r}"
        if not isinstance(self.repo, str) or not _REPO.fullmatch(self.repo):
            raise SpecError(f"{where}: `repo` must be an 'owner/name' of the Hub")
        if isinstance(self.config, list):
            object.__setattr__(self, "config", tuple(self.config))
        for config in self.configs:
            if self.config is not None and (not isinstance(config, str) or not config):
                raise SpecError(f"{where}: `config` holds {config!r}; expected names")
        if len(set(self.configs)) < len(self.configs):
            raise SpecError(f"{where}: `config` names a config twice: {self.config!r}")
        object.__setattr__(self, "files", _string_tuples(where, "files", self.files))
        object.__setattr__(self, "splits", _string_tuples(where, "splits", self.splits))
        if unknown := set(self.splits) - set(SPLITS):
            raise SpecError(f"{where}: `splits` maps {sorted(unknown)}; expected keys among {SPLITS}")
        used = [name for names in self.splits.values() for name in names]
        if len(set(used)) < len(used):
            raise SpecError(f"{where}: `splits` uses a source split twice: {dict(self.splits)}")
        object.__setattr__(self, "columns", dict(self.columns))
        for column, text in self.columns.items():
            _check_text(where, f"columns[{column!r}]", text)
        object.__setattr__(self, "steps", tuple(self.steps))
        for step in self.steps:
            _check_step(where, step)
        if self.label_names is not None:
            object.__setattr__(self, "label_names", _unique(where, "label_names", self.label_names))
        if self.label_values is not None:
            object.__setattr__(self, "label_values", dict(self.label_values))
        if self.groups is not None and not isinstance(self.groups, _GROUPS):
            raise SpecError(f"{where}: `groups` is {self.groups!r}; expected one of {_class_names(_GROUPS)}")
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise SpecError(f"{where}: `delimiter` must be one character, got {self.delimiter!r}")
        if self.quote is not None and (len(self.quote) != 1 or self.quote == self.delimiter):
            raise SpecError(
                f"{where}: `quote` must be one character other than `delimiter`, or None, got {self.quote!r}"
            )
        if self.header is not None:
            object.__setattr__(self, "header", _unique(where, "header", self.header))

    @property
    def configs(self) -> tuple[str | None, ...]:
        """The configs to read, in order; ``(None,)`` where the repository has only one."""
        return self.config if isinstance(self.config, tuple) else (self.config,)

    def source_splits(self, split: str) -> tuple[str, ...]:
        """Splits of the source that make up a split of the task, in order."""
        return tuple(self.splits.get(split, (split,)))


@dataclass(frozen=True)
class Embedded:
    """Rows that a module of this package makes itself: ``generate(task_name) -> {split: pyarrow.Table}``.

    Args:
        module: of metaeval_datasets.
        version: raise it when the module makes other rows; prepared ones are then made again.
    """

    module: str = "demo"
    version: int = 1

    def __post_init__(self) -> None:
        if not self.module.isidentifier():
            raise SpecError(f"embedded source: `module` must be a module of metaeval_datasets, got {self.module!r}")


AnySource: TypeAlias = Source | Embedded


# --- Tasks --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Edition:
    """What the paper used where the careful choice differs: the fields given here replace those of the task.

    Args:
        why: one or two sentences for the card: what differs, and why the careful edition does otherwise.
        others: as in ``TaskSpec``; None leaves the task's own. Giving ``sentence`` takes ``sentence1`` and
            ``sentence2`` away, and the other way round.
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
    """One task, in the words of the paper's Appendix B.

    Args:
        name: ``group/task`` as a user passes it.
        sources: where its rows are, in order of preference.
        sentence: text of a task with one field; or ``sentence1`` and ``sentence2`` of a task with two.
        label: column of the label.
        names: class names in index order, as the task's source spells them (or as we name them where the source
            has only numbers).
        canonical: names shared by tasks that mean the same class (``entailment``, ``not_entailment``), one for
            each of ``names``; default: ``names`` in lower case, with ``_`` for blanks and hyphens.
        label_values: label as the source writes it -> class name, where they differ (``{"0": "not_paraphrase"}``),
            or None for labels that are no class (an annotation state): their rows are dropped and counted.
        type: one of the eight task types.
        splits: official splits (ours, after ``Source.splits``) that the first source has.
        unlabelled: those of ``splits`` whose labels are hidden; they are counted, not read. A task that has
            nothing else keeps them, labelled -1.
        groups: which rows must stay on one side where a split has to be derived.
        distinct: keep one of the rows that have the same texts and label in one split.
        may_be_empty: text fields (``"sentence2"``) that may be null or empty without losing the row.
        rows: rows of the official splits (ours) as the first source has them, None where only roughly known;
            ``check-sources`` compares them.
        in_101: one of the 101 tasks of the paper.
        license, citation: as the source gives it (``"unknown"`` where it does not); key of the reference to cite.
        paper: what the paper used, where it differs.
        notes: what a user should know: defects, doubts, decisions. Sentences.
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
    paper: Edition | None = None
    notes: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise SpecError(f"task {self.name!r}: `name` must be 'group/task'")
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
        if not isinstance(self.citation, str) or not _CITATION.fullmatch(self.citation):
            raise self._error("citation", f"must be a key such as 'wang2019glue', got {self.citation!r}")
        if self.groups is not None and not isinstance(self.groups, _GROUPS):
            raise self._error("groups", f"is {self.groups!r}; expected one of {_class_names(_GROUPS)}")
        if isinstance(self.groups, RowModulus) and self.groups.modulus < 2:
            raise self._error("groups", f"modulus must be at least 2, got {self.groups.modulus}")
        if self.paper is not None:
            if not isinstance(self.paper, Edition) or not self.paper.why:
                raise self._error("paper", "must be an Edition that says why it differs")
            self.edition("paper")  # raises where the edition would not hold as a task of its own

    # Properties a reader of the catalogue asks for

    @property
    def group(self) -> str:
        """First part of the name."""
        return self.name.split("/", 1)[0]

    @property
    def config_name(self) -> str:
        """The name without a slash, for the configs of a published copy and for paths."""
        return self.name.replace("/", "-")

    @property
    def texts(self) -> dict[str, Text]:
        """Output column -> the text it is made of: ``sentence``, or ``sentence1`` and ``sentence2``."""
        fields = {"sentence": self.sentence, "sentence1": self.sentence1, "sentence2": self.sentence2}
        return {name: text for name, text in fields.items() if text is not None}

    @property
    def num_text_fields(self) -> int:
        """1 or 2."""
        return len(self.texts)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns (in the task's own names) that texts and label are read from, in order, each once."""
        read = [column for text in self.texts.values() for column in text_columns(text)]
        return tuple(dict.fromkeys([*read, self.label]))

    @property
    def has_labels(self) -> bool:
        """Whether any official split has labels; a task without is there to be predicted (glue/ax)."""
        return len(self.unlabelled) < len(self.splits)

    def edition(self, edition: EditionName) -> TaskSpec:
        """The task as the named edition has it, itself a whole declaration without further editions.

        Raises:
            SpecError: no such edition.
        """
        if edition not in EDITIONS:
            raise SpecError(f"task {self.name}: no edition {edition!r}; expected one of {EDITIONS}")
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
        """The declaration as JSON-able data; operations carry their class name under ``op``."""
        plain: dict[str, Any] = _plain(self)
        return plain

    def digest(self) -> str:
        """16 hexadecimal digits that change whenever anything in the declaration does."""
        text = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    # Checks

    def _error(self, name: str, problem: str) -> SpecError:
        return SpecError(f"task {self.name}: `{name}` {problem} (tasks/{self.group}.py)")

    def _check_sources(self) -> None:
        if not self.sources:
            raise self._error("sources", "is empty; name at least one place that holds the rows")
        for source in self.sources:
            if not isinstance(source, (Source, Embedded)):
                raise self._error("sources", f"holds {source!r}; expected Source or Embedded")
            if isinstance(source, Source) and (extra := set(source.splits) - set(self.splits)):
                raise self._error("sources", f"({source.repo}) maps splits {sorted(extra)} that `splits` lacks")

    def _check_texts(self) -> None:
        given = set(self.texts)
        if given not in ({"sentence"}, {"sentence1", "sentence2"}):
            raise self._error("sentence", f"or both `sentence1` and `sentence2` must be given, got {sorted(given)}")
        for name, text in self.texts.items():
            _check_text(f"task {self.name}", name, text)
        if not isinstance(self.label, str) or not self.label:
            raise self._error("label", f"must be a column name, got {self.label!r}")
        if extra := set(self.may_be_empty) - given:
            raise self._error("may_be_empty", f"names {sorted(extra)}; the text fields are {sorted(given)}")

    def _check_labels(self) -> None:
        where = f"task {self.name}"
        object.__setattr__(self, "names", _unique(where, "names", self.names))
        if len(self.names) < 2:
            raise self._error("names", f"needs at least two classes, got {self.names!r}")
        canonical = tuple(self.canonical) or tuple(normal_name(name) for name in self.names)
        object.__setattr__(self, "canonical", _unique(where, "canonical", canonical))
        if len(self.canonical) != len(self.names):
            raise self._error("canonical", f"has {len(self.canonical)} names for {len(self.names)} classes")
        if odd := [name for name in self.canonical if name != normal_name(name)]:
            raise self._error("canonical", f"holds {odd}; expected lower case without blanks and hyphens")
        object.__setattr__(self, "label_values", dict(self.label_values))
        for values in (self.label_values, *(s.label_values for s in self.sources if isinstance(s, Source))):
            for raw, name in (values or {}).items():
                if name is not None and name not in self.names:
                    raise self._error("label_values", f"maps {raw!r} to {name!r}, which `names` lacks")
        for source in self.sources:
            for step in getattr(source, "steps", ()):
                made = step.labels.values() if isinstance(step, Stack) else getattr(step, "labels", ())
                if extra := set(made) - set(self.names) - set(self.label_values):
                    raise self._error("sources", f"make labels {sorted(extra)} that `names` lacks")

    def _check_splits(self) -> None:
        if not self.splits or set(self.splits) - set(SPLITS) or len(set(self.splits)) < len(self.splits):
            raise self._error("splits", f"must hold some of {SPLITS}, each once, got {self.splits!r}")
        object.__setattr__(self, "splits", tuple(name for name in SPLITS if name in self.splits))
        if extra := set(self.unlabelled) - set(self.splits):
            raise self._error("unlabelled", f"names {sorted(extra)}; `splits` is {self.splits}")
        object.__setattr__(self, "rows", dict(self.rows))
        for split, count in self.rows.items():
            if split not in self.splits:
                raise self._error("rows", f"counts {split!r}; `splits` is {self.splits}")
            if count is not None and (not isinstance(count, int) or count < 1):
                raise self._error("rows", f"of {split!r} must be a positive number or None, got {count!r}")


def normal_name(name: str) -> str:
    """A class name in lower case with one ``_`` for every run of blanks, hyphens and underscores."""
    return re.sub(r"[\s\-_]+", "_", name.strip().lower())


def _check_text(where: str, name: str, text: object) -> None:
    if not isinstance(text, _TEXTS):
        raise SpecError(f"{where}: `{name}` is {text!r}; expected a column name or one of {_class_names(_TEXTS[1:])}")
    if text == "":
        raise SpecError(f"{where}: `{name}` is an empty column name")
    if isinstance(text, (Before, After)) and not text.separator:
        raise SpecError(f"{where}: `{name}` splits at an empty separator")
    if isinstance(text, Replace) and not text.old:
        raise SpecError(f"{where}: `{name}` replaces an empty text")
    if isinstance(text, (Before, After, Replace)):
        _check_text(where, name, text.text)


def _check_step(where: str, step: object) -> None:
    if not isinstance(step, _STEPS):
        raise SpecError(f"{where}: `steps` holds {step!r}; expected one of {_class_names(_STEPS)}")
    if isinstance(step, Stack) and len(step.labels) < 2:
        raise SpecError(f"{where}: `steps`: Stack needs at least two columns, got {dict(step.labels)}")
    if isinstance(step, Orient) and (step.first == step.second or len(set(step.labels)) != 2):
        raise SpecError(f"{where}: `steps`: Orient needs two columns and two labels, got {step!r}")
    if isinstance(step, Keep) and (isinstance(step.values, str) or not step.values):
        raise SpecError(f"{where}: `steps`: Keep needs a tuple of values, got {step.values!r}")


def _string_tuples(where: str, name: str, mapping: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    result = {}
    for key, value in mapping.items():
        values = (value,) if isinstance(value, str) else tuple(value)
        if not values or not all(isinstance(item, str) and item for item in values):
            raise SpecError(f"{where}: `{name}` of {key!r} must be names, got {value!r}")
        result[key] = values
    return result


def _unique(where: str, name: str, values: object) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise SpecError(f"{where}: `{name}` must be a tuple of names, got {values!r}")
    items = tuple(values)
    if bad := [item for item in items if not isinstance(item, str) or not item]:
        raise SpecError(f"{where}: `{name}` holds {bad[0]!r}; expected non-empty strings")
    if twice := sorted({item for item in items if items.count(item) > 1}):
        raise SpecError(f"{where}: `{name}` holds {twice} twice")
    return items


def _class_names(classes: Iterable[type]) -> str:
    return ", ".join(item.__name__ for item in classes)


def _plain(value: Any) -> Any:
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
