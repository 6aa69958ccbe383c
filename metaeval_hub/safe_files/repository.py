"""Read only JSON of a known form and safetensors from a repository, never anything that can execute.

Every file is checked here before another library reads its content. The reason: the releases of transformers that
`adapters` allows obey keys of a configuration file that name code on the Hub, regardless of ``trust_remote_code``.
Other libraries receive checked values, or copies of checked files in another folder, and never the folder itself.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors import SafetensorError, safe_open

from metaeval_hub.safe_files.allowed_values import ATTENTION_KEYS, DANGEROUS_KEYS, SAFE_ATTENTION, Rule
from metaeval_hub.safe_files.printable import CONTROL, printable, shown

MAX_JSON_BYTES = 16 * 2**20
MAX_HEADER_BYTES = 8 * 2**20  # header of a safetensors file; 1,000 tensors take about 0.1 MB
MAX_DEPTH = 32
# Maximum number of objects, lists and values in one file: each takes at least 60 bytes of memory, but only 2 on disk.
MAX_CONTAINERS = 4_000_000
MAX_SHARDS = 128
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
# Suffixes of files that contain code, or that are read by unpickling.
CODE_ENDINGS = frozenset({
    ".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".sh", ".exe", ".whl", ".egg",
    ".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".h5", ".keras", ".msgpack",
})  # fmt: skip
# Files that make a library load another repository: transformers loads the base model that adapter_config.json names.
REFUSED_FILES = frozenset({"adapter_config.json"})

_SHARD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.safetensors")
_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})


class UnsafeRepositoryError(ValueError):
    """Raised if a folder or repository contains something that this package refuses to load.

    The message is one printable line of limited length, whatever it quotes.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Prefix refusals in the block with the name of what is being read."""
    try:
        yield
    except UnsafeRepositoryError as error:
        raise UnsafeRepositoryError(f"{what}: {error}") from error


# --- names ---


def check_name(name: object, place: str) -> str:
    """Check that the name of a task is printable, and is not a path that leaves the folder it is joined to.

    Args:
        name: the name.
        place: where the name is, for the error message.

    Raises:
        UnsafeRepositoryError: the name is refused; the message says why.
    """
    if not isinstance(name, str) or not 0 < len(name) <= 256:
        raise UnsafeRepositoryError(f"{place} is {shown(name)}; expected a string of 1 to 256 characters")
    if CONTROL.search(name):
        raise UnsafeRepositoryError(f"{place} is {shown(name)}, which contains a control character")
    parts = name.split("/")
    if any(part.strip() in ("", ".", "..") for part in parts) or name[0] == "~":
        raise UnsafeRepositoryError(f"{place} is {shown(name)}, a path; expected a name such as 'glue/cola'")
    return name


def check_label(label: object, place: str) -> str:
    """Check the name of a class.

    Args:
        label: the name.
        place: where the name is, for the error message.

    Raises:
        UnsafeRepositoryError: it is not a string of at most 1,000 characters, or contains a control character.
    """
    if not isinstance(label, str) or len(label) > 1000 or CONTROL.search(label):
        raise UnsafeRepositoryError(
            f"{place} is {shown(label)}; expected a string of at most 1000 characters, none of them a control character"
        )
    return label


def check_file_names(names: Iterable[str], *, code: bool = True) -> None:
    """Check which files a folder or repository contains, by name alone.

    Args:
        names: paths inside it, with "/".
        code: whether to refuse files that contain code or pickles. A model of this package needs none. Other people's
            encoders often contain some, which are neither downloaded nor opened.

    Raises:
        UnsafeRepositoryError: a file is refused; the message names it.
    """
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or CONTROL.search(name):
            raise UnsafeRepositoryError(f"{shown(name)} is not the name of a file inside the repository")
        if path.name.lower() in REFUSED_FILES:
            raise UnsafeRepositoryError(f"{name} makes other libraries load another repository; expected no such file")
        if code and path.suffix.lower() in CODE_ENDINGS:
            raise UnsafeRepositoryError(
                f"{name} contains code, or a pickle, which can contain some; a model of this package has neither"
            )


def check_inside(folder: Path) -> None:
    """Check that no link leaves the folder, except that links of a Hub cache lead to the blobs of the same repository.

    Raises:
        UnsafeRepositoryError: a link leaves the folder; the message names it.
    """
    if not folder.is_dir():
        raise UnsafeRepositoryError(f"{folder} is not a folder")
    roots = [folder.resolve()]
    # The files in <cache>/models--org--name/snapshots/<commit>[/subfolder] are links to models--org--name/blobs.
    for parent in list(folder.absolute().parents)[:2]:
        if parent.name == "snapshots" and parent.parent.name.startswith(("models--", "datasets--")):
            roots.append((parent.parent / "blobs").resolve())
    for path in folder.rglob("*"):
        if path.is_symlink():
            try:
                target = path.resolve()
            except (OSError, RuntimeError) as error:  # before Python 3.13, links in a circle raise RuntimeError
                raise UnsafeRepositoryError(f"{path.relative_to(folder)} is a link in a circle; remove it") from error
            if not any(target.is_relative_to(root) for root in roots):
                raise UnsafeRepositoryError(f"{path.relative_to(folder)} is a link out of the folder")


# --- JSON ---


def check_plain(path: Path) -> None:
    """Check that a path is a regular file, or a link to one. Opening a pipe would wait for its writer forever.

    Raises:
        UnsafeRepositoryError: the path does not exist, or is something else.
    """
    if not path.is_file():
        fault = "is not a regular file" if path.exists() else "is missing"
        raise UnsafeRepositoryError(f"{path.name} {fault} in {path.parent}")


def read_bytes(path: Path, limit: int = MAX_JSON_BYTES) -> bytes:
    """Return the content of a small file.

    Args:
        path: the file.
        limit: maximum size in bytes.

    Raises:
        UnsafeRepositoryError: the file is missing, not a regular file, or larger than the limit.
    """
    check_plain(path)
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise UnsafeRepositoryError(f"{path.name} has {path.stat().st_size:,} bytes; at most {limit:,} are read")
    return content


def parse_json(content: bytes, file: str) -> dict[str, Any]:
    """Parse a JSON object, more strictly than most parsers, so that two parsers cannot disagree about its meaning.

    Args:
        content: content of the file.
        file: its name, for error messages.

    Raises:
        UnsafeRepositoryError: the content is not UTF-8, not JSON or not an object; an object repeats a key; a number is
            NaN or infinite; or it has more levels, objects or lists than any real file.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise UnsafeRepositoryError(f"{file}: the key {shown(twice)} comes twice in one object")
        return found

    def finite(written: str) -> float:
        value = float(written)
        if not math.isfinite(value):
            raise UnsafeRepositoryError(f"{file}: {shown(written)} is not a finite number")
        return value

    if sum(map(content.count, (b"{", b"[", b","))) > MAX_CONTAINERS:
        raise UnsafeRepositoryError(f"{file} contains more than {MAX_CONTAINERS:,} objects, lists and values")
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=unique, parse_float=finite, parse_constant=finite)
    except UnsafeRepositoryError:
        raise
    except RecursionError as error:
        raise UnsafeRepositoryError(f"{file} is nested too deep") from error
    except ValueError as error:  # not UTF-8, not JSON, or a number of thousands of digits
        raise UnsafeRepositoryError(f"{file} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise UnsafeRepositoryError(f"{file} contains a {type(value).__name__}; expected an object")
    return value


def read_json(path: Path, limit: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: the file.
        limit: maximum size in bytes.

    Raises:
        UnsafeRepositoryError: the file is missing or too large, or ``parse_json`` refuses its content.
    """
    return parse_json(read_bytes(path, limit), path.name)


def walk(value: Any, trail: str = "", depth: int = 0) -> Iterator[tuple[str, str, Any]]:
    """Yield (place, key, value) for every key at any depth.

    Args:
        value: a JSON value.
        trail: its place in the file.
        depth: its depth.

    Raises:
        UnsafeRepositoryError: the value is nested more deeply than any real configuration.
    """
    if depth > MAX_DEPTH:
        raise UnsafeRepositoryError(f"nested deeper than {MAX_DEPTH} levels at {shown(trail)}")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            place = f"{trail}.{key}" if trail else str(key)
            yield place, str(key), inner
            yield from walk(inner, place, depth + 1)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from walk(inner, f"{trail}[{i}]", depth + 1)


def check_keys(config: Mapping[str, Any], file: str) -> None:
    """Check that no key, at any depth, makes a library download or execute code.

    Args:
        config: the JSON object.
        file: its file, for error messages.

    Raises:
        UnsafeRepositoryError: a key is refused; the message names the file, the key and its value.
    """
    for place, key, value in walk(config):
        refused = key in DANGEROUS_KEYS and value is not None and value is not False
        refused |= key in ATTENTION_KEYS and value not in SAFE_ATTENTION
        if refused:
            raise UnsafeRepositoryError(
                f"{file}: {place[-200:]} = {shown(value)} could make a library run code, or read files, from "
                "elsewhere; remove the key to load this"
            )


def apply_rule(rule: Rule, value: Any, place: str) -> Any:
    """Return a value if it obeys a rule.

    Args:
        rule: the rule.
        value: the value.
        place: where the value is, for the error message.

    Raises:
        UnsafeRepositoryError: it does not; the message names the place and the expected form.
    """
    if not rule.holds(value):
        raise UnsafeRepositoryError(f"{place} is {shown(value)}; expected {rule.expected}")
    return value


def unknown_key(file: str, key: str) -> UnsafeRepositoryError:
    """Return the error about a key that has no rule."""
    return UnsafeRepositoryError(f"{file}: unknown key {shown(key)}; remove it if the file's other keys say all")


# --- weights ---


def read_header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the tensors that the header of a safetensors file lists: name -> (type, shape). No tensor is read.

    The safetensors library checks that the tensors fill the file without gaps or overlaps. The file is therefore as
    large as the tensors in memory.

    Raises:
        UnsafeRepositoryError: the file is missing, truncated, or not a safetensors file.
    """
    check_plain(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > min(MAX_HEADER_BYTES, path.stat().st_size):
        raise UnsafeRepositoryError(
            f"{path.name} is not a whole safetensors file: it announces a header of {length:,} bytes"
        )
    try:
        with safe_open(path, framework="numpy") as tensors:
            slices = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118 - it cannot be iterated otherwise
            return {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    except SafetensorError as error:
        raise UnsafeRepositoryError(f"{path.name} is not a whole safetensors file: {error}") from error


def find_weights(folder: Path) -> dict[str, Path]:
    """Return tensor name -> file of an encoder's folder, from its weights file or from the index of several files.

    Raises:
        UnsafeRepositoryError: the folder has no safetensors files, or a file of the index is missing or outside it.
    """
    index = folder / WEIGHTS_INDEX
    table: dict[str, Path] = {}
    if index.exists():
        shards = read_json(index).get("weight_map")
        if not isinstance(shards, dict) or not all(isinstance(shard, str) for shard in shards.values()):
            raise UnsafeRepositoryError(f"{index.name}: weight_map is not a table of file names")
        for shard in sorted(set(shards.values())):
            if not _SHARD_NAME.fullmatch(shard):
                raise UnsafeRepositoryError(
                    f"{index.name}: weight_map has {shown(shard)}; expected the name of a safetensors file next to it"
                )
        if len(set(shards.values())) > MAX_SHARDS:
            raise UnsafeRepositoryError(f"{index.name}: weight_map names more than {MAX_SHARDS} files")
        table = {name: folder / shard for name, shard in shards.items()}
    if (folder / WEIGHTS).is_file():  # transformers also prefers it to the index
        return dict.fromkeys(read_header(folder / WEIGHTS), folder / WEIGHTS)
    if not table:
        found = sorted(path.name for path in folder.iterdir() if path.suffix in CODE_ENDINGS)
        raise UnsafeRepositoryError(
            f"no {WEIGHTS} in {folder}"
            + (f" (found {', '.join(found)}, which can contain code)" if found else "")
            + "; convert the weights with save_pretrained(..., safe_serialization=True)"
        )
    for shard_path in sorted(set(table.values())):
        absent = sorted({name for name, path in table.items() if path == shard_path} - set(read_header(shard_path)))
        if absent:
            raise UnsafeRepositoryError(f"{index.name} places {shown(absent[0])} in {shard_path.name}, which lacks it")
    return table


def check_tensor(file: str, name: str, found: tuple[str, tuple[int, ...]], shape: tuple[int, ...]) -> None:
    """Check the type and shape of an encoder's tensor, as its header states them.

    Args:
        file: name of the file, for the error message.
        name: name of the tensor.
        found: type and shape in the header.
        shape: shape that the configuration requires.

    Raises:
        UnsafeRepositoryError: they do not fit; the message names the tensor.
    """
    dtype, actual = found
    if actual != shape or dtype not in _FLOATS:
        raise UnsafeRepositoryError(
            f"{file}: {name} is {dtype}{list(actual)}; its configuration calls for {list(shape)}, floating point"
        )
