"""Find the files of each split of a repository by its card or by common layouts. This module does no I/O.

Cards and file names are written by strangers. A card that is too large, nested too deep or not of the expected form is
treated as if it were not there, and neither patterns nor file names can make a search slow.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from metaeval_datasets.safe_yaml import load_yaml
from metaeval_datasets.sources.patterns import Pattern

KINDS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json"}
ALIASES = {"validation": ("dev", "val", "valid")}

MAX_CARD_BYTES = 2 << 20  # bytes read of a README; the largest known front matters have a few hundred kB
MAX_STEPS = 50_000_000  # patterns with wildcards times characters of paths; some 20 s at worst

_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_SHARD = re.compile(r"-[0-9]+-of-([0-9]{1,9})(?=\.)")
_SPLIT_FILE = re.compile(r"(?P<split>\w+?)(?:-[0-9]+-of-[0-9]+)?\.\w+")
_SPLIT_FOLDER = re.compile(r"(?P<split>\w+)/[^/]+\.\w+")


@dataclass(frozen=True)
class Card:
    """Contain what a repository's README states about its data.

    Args:
        configs: the entries under ``configs``, unchanged.
        label_names: (config, column) -> class names in index order; some cards have them although the files do not.
        licenses: licences of the repository, in lower case.
        rows: (config, split of the source) -> number of rows.
    """

    configs: tuple[Mapping[str, Any], ...] = ()
    label_names: Mapping[tuple[str | None, str], tuple[str, ...]] = field(default_factory=dict)
    licenses: tuple[str, ...] = ()
    rows: Mapping[tuple[str | None, str], int] = field(default_factory=dict)


def read_card(text: str) -> Card:
    """Parse the front matter of a README; a card that cannot be parsed is treated as missing."""
    try:
        return _card(_front_matter(text))
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError):
        return Card()


def _front_matter(text: str) -> Any:
    """Return the parsed YAML between the first two lines of ``---``; None if there is none.

    Raises:
        ValueError: it has too many nodes or levels, or it has aliases, which let a few lines expand to billions.
    """
    match = _FRONT_MATTER.match(text[:MAX_CARD_BYTES])
    return None if match is None else load_yaml(match.group(1))


def _card(facts: Any) -> Card:
    if not isinstance(facts, dict):
        return Card()
    configs = tuple(entry for entry in _listed(facts.get("configs")) if _has_name(entry))
    infos = [entry for entry in _listed(facts.get("dataset_info")) if _has_name(entry)]
    names = {
        (info.get("config_name"), str(feature.get("name"))): found
        for info in infos
        for feature in _listed(info.get("features"))
        if isinstance(feature, dict) and (found := _class_names(feature))
    }
    rows = {
        (info.get("config_name"), str(split.get("name"))): split["num_examples"]
        for info in infos
        for split in _listed(info.get("splits"))
        if isinstance(split, dict) and isinstance(split.get("num_examples"), int)
    }
    licenses = tuple(item.lower() for item in _listed(facts.get("license")) if isinstance(item, str))
    return Card(configs, names, licenses, rows)


def _has_name(entry: Any) -> bool:
    """Return whether an entry is a mapping whose config name, if present, is a string."""
    return isinstance(entry, dict) and isinstance(entry.get("config_name"), (str, type(None)))


def find_splits(files: Sequence[str], card: Card, config: str | None) -> dict[str, tuple[str, ...]]:
    """Return split of the source -> its files in order, for one config of a repository.

    Args:
        files: all paths in the repository.
        card: card of the repository.
        config: name of the config; None for a repository with only one.
    """
    entry = _card_entry(card, config)
    if entry is not None and entry.get("data_files") is not None:
        patterns = _card_patterns(entry["data_files"])
        base = str(entry.get("data_dir") or "").strip("/")
        prefix = f"{base}/" if base else ""
        return {split: matching(files, [prefix + path for path in paths]) for split, paths in patterns.items()}
    if entry is not None and entry.get("data_dir"):
        return _by_layout(files, str(entry["data_dir"]).strip("/") + "/")
    # A named config must be found by its name: files elsewhere belong to other configs.
    folders = [f"{config}/"] if config else []
    folders += ["data/", ""] if config in (None, "default") else []
    for folder in folders:
        if splits := _by_layout(files, folder):
            return splits
    return {}


def lookup(splits: Mapping[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    """Return the files of a split by its name or a common other name (validation: dev, val)."""
    for candidate in (name, *ALIASES.get(name, ())):
        if splits.get(candidate):
            return splits[candidate]
    return ()


def matching(files: Iterable[str], patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the sorted files that match any pattern (``*`` within a folder, ``**`` across, ``?``, ``[...]``)."""
    compiled = {Pattern(pattern) for pattern in patterns}
    known = [path for path in files if kind_of(path)]
    exact = {rule.literal for rule in compiled}
    rules = [rule for rule in compiled if rule.literal is None]
    if len(rules) * sum(map(len, known)) > MAX_STEPS:
        return ()
    return tuple(sorted(path for path in known if path in exact or any(rule.matches(path) for rule in rules)))


def kind_of(path: str) -> str | None:
    """Return ``parquet``, ``csv`` or ``json`` by the file extension; None for other files."""
    return KINDS.get("." + path.rsplit(".", 1)[-1].lower())


def missing_shards(files: Sequence[str]) -> str | None:
    """Return which files are missing if files are numbered ``-00000-of-00003`` and some numbers do not occur."""
    numbered = [(path[: match.start()], int(match.group(1))) for path in files if (match := _SHARD.search(path))]
    for (stem, total), held in sorted(Counter(numbered).items()):
        if held < total:
            return f"{held} of {total} files {stem}-*"
    return None


def _by_layout(files: Sequence[str], folder: str) -> dict[str, tuple[str, ...]]:
    """Find ``<folder>train-00000-of-00001.parquet``, ``<folder>train.csv`` or ``<folder>train/0000.parquet``."""
    found: dict[str, dict[str, list[str]]] = {}
    for path in sorted(files):
        rest = path[len(folder) :]
        match = _SPLIT_FILE.fullmatch(rest) or _SPLIT_FOLDER.fullmatch(rest)
        kind = kind_of(path)
        if path.startswith(folder) and match and kind:
            found.setdefault(match["split"], {}).setdefault(kind, []).append(path)
    # If a split is stored twice, read it from the format that keeps types.
    return {split: tuple(kinds.get("parquet") or kinds.get("json") or kinds["csv"]) for split, kinds in found.items()}


def _card_entry(card: Card, config: str | None) -> Mapping[str, Any] | None:
    named = {entry.get("config_name"): entry for entry in card.configs}
    if config is not None:
        return named.get(config)
    if len(card.configs) == 1:
        return card.configs[0]
    defaults = [entry for entry in card.configs if entry.get("default") or entry.get("config_name") == "default"]
    return defaults[0] if defaults else None


def _card_patterns(data_files: Any) -> dict[str, list[str]]:
    """Return split -> patterns, from any of the forms that a card can use."""
    patterns: dict[str, list[str]] = {}
    if isinstance(data_files, dict):
        data_files = [{"split": split, "path": path} for split, path in data_files.items()]
    for item in _listed(data_files):
        if isinstance(item, dict):
            patterns.setdefault(str(item.get("split", "train")), []).extend(map(str, _listed(item.get("path"))))
        else:
            patterns.setdefault("train", []).append(str(item))
    return patterns


def _class_names(feature: Mapping[str, Any]) -> tuple[str, ...] | None:
    dtype = feature.get("dtype")
    label = dtype.get("class_label") if isinstance(dtype, dict) else None
    names = label.get("names") if isinstance(label, dict) else None
    if isinstance(names, dict):
        try:
            return tuple(str(names[key]) for key in sorted(names, key=int))
        except (ValueError, TypeError):
            return None
    return tuple(map(str, names)) if isinstance(names, list) else None


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
