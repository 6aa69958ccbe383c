"""TrainConfig: defaults <- preset YAML <- command line.

The dataclass is the one list of settings: the flags, the keys a preset may hold and the help text are read from it,
so that a setting cannot exist in one place only.
"""

# ruff: noqa: RUF009 - setting() only builds a dataclass field
from __future__ import annotations

import argparse
import dataclasses
import difflib
import math
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from metaeval_training.atomic_files import DamagedFileError, expand, read_object

# In a clone the presets are in training/configs; the installed package holds them in a subfolder of its own.
_IN_CLONE = Path(__file__).parents[1] / "configs"
CONFIGS = _IN_CLONE if _IN_CLONE.is_dir() else Path(__file__).parent / "configs"

Tracker = Literal["none", "tensorboard", "wandb"]
Step = Literal["one-task", "mixed"]
Sampling = Literal["sqrt", "proportional", "uniform", "temperature"]
Schedule = Literal["linear", "constant"]
Precision = Literal["no", "bf16", "fp16"]
MatmulPrecision = Literal["highest", "high", "medium"]
Pooling = Literal["cls", "mean"]
Edition = Literal["careful", "paper"]
Decontaminate = Literal["no", "whole", "sentences"]
Conditioning = Literal["pilault", "layernorm", "mahabadi", "adapter", "full"]


class ConfigError(ValueError):
    """A setting is unknown, or has a value it may not have; the message says which, and what is allowed."""


def _is_full_id(name: str) -> bool:
    """Tell whether a name is the Hub id of a repository, with its owner."""
    from metaeval_hub.hub.client import looks_like_repo_id  # imports libraries that --help does without

    return name.count("/") == 1 and looks_like_repo_id(name)


def setting(default: Any, group: str, text: str, metavar: str | None = None) -> Any:
    """A field of TrainConfig with what its flag needs: the group it is listed under and one line of help."""
    return field(default=default, metadata={"group": group, "text": text, "metavar": metavar})


@dataclass(frozen=True)
class TrainConfig:
    """All settings of a run; the defaults are the preset ``demo``. Checked on creation, stored as config.json.

    Raises:
        ConfigError: a value is outside what its field allows.
    """

    preset: str = setting("demo", "run", "settings to start from: a name in training/configs or a YAML file", "NAME")
    name: str = setting("multitask", "run", "name of the run; its folder is <output-dir>/<name>-<number>")
    output_dir: str = setting("runs", "run", "folder that holds the run folders", "DIR")
    seed: int = setting(0, "run", "seed of the start, of the tasks drawn and of the shuffles")
    threads: int = setting(
        0, "run", "CPU threads per process; 0: OMP_NUM_THREADS, or the cores divided by the processes", "N"
    )
    matmul_precision: MatmulPrecision = setting(
        "highest", "run", "how exactly float32 matrices are multiplied: torch.set_float32_matmul_precision"
    )
    tracker: Tracker = setting("none", "run", "where curves go, beside metrics.jsonl")
    push_to_hub: str = setting("", "run", "after training, push the model to this Hub repository", "ORG/NAME")
    push_every_checkpoint: bool = setting(
        False, "run", "push the model of every checkpoint too, while training goes on"
    )
    private: bool = setting(False, "run", "make the pushed repository private")

    tasks: tuple[str, ...] = setting(("demo",), "data", "task names, groups, or all: pragmeval glue/cola", "TASK")
    held_out: tuple[str, ...] = setting(
        (), "data", "tasks and groups left out of --tasks; training rows that their evaluation splits hold are left "
        "out, too, as --decontaminate says", "TASK",
    )  # fmt: skip
    edition: Edition = setting("careful", "data", "rows as corrected, or as the paper used them where that differs")
    skip_unavailable: bool = setting(False, "data", "leave out tasks whose data fail to load, instead of stopping")
    max_train_rows: int = setting(30_000, "data", "training rows kept of a task, drawn with the seed; 0: all", "ROWS")
    max_eval_rows: int = setting(0, "data", "rows of validation and of test kept of a task; 0: all", "ROWS")
    rows_seed: int = setting(0, "data", "seed of the rows kept: runs with other seeds have the same rows", "SEED")
    decontaminate: Decontaminate = setting(
        "whole", "data", "leave out training rows whose text is in an evaluation split of any task of the run: whole "
        "texts and pairs, or single sentences of pairs too",
    )  # fmt: skip
    cache_dir: str = setting("", "data", "folder of tokens kept for other runs; default: metaeval in HF_HOME", "DIR")
    max_length: int = setting(64, "data", "tokens kept of an example, special tokens included", "TOKENS")
    step: Step = setting(
        "one-task", "data", "a step holds examples of one task, or each example is of a task drawn anew"
    )
    sampling: Sampling = setting("sqrt", "data", "tasks are drawn with probability by their training rows")
    temperature: float = setting(
        2.0, "data", "T of --sampling temperature: in proportion to rows^(1/T); 1: proportional, 2: sqrt", "T"
    )
    bucket_batches: int = setting(16, "data", "batches shuffled together before a cut by length; 1: no buckets", "N")

    encoder: str = setting("tiny", "model", 'Hub id or folder of the frozen encoder, "minilm" or "tiny"')
    encoder_revision: str = setting("", "model", "commit, tag or branch of the encoder on the Hub", "REV")
    conditioning: Conditioning = setting(
        "pilault", "model", "how z enters an adapter; the last two are baselines without z"
    )
    adapter_size: int = setting(64, "model", "hidden units of an adapter (a in the paper)", "UNITS")
    dim_z: int = setting(32, "model", "numbers in a task embedding (dim z in the paper)", "Z")
    embeddings_per_task: int = setting(
        1, "model", "embeddings K of a task; a step uses one of them, drawn at random (stability runs)", "K"
    )
    conditioning_vectors: str = setting(
        "",
        "model",
        "folder of fixed vectors of the tasks, such as TextEmb or Fisher, that replace the learned z",
        "DIR",
    )
    task_features: str = setting(
        "", "model", '"aspects", or a folder of vectors of the tasks: what z is made of beside what is learned', "DIR"
    )
    share_labels: bool = setting(False, "model", "classes of the same canonical name share a row of the heads")
    text_emb: bool = setting(
        False, "model", "store TextEmb of the tasks, for zero-shot use: a pass over 1,000 rows each"
    )
    pooling: Pooling = setting("cls", "model", "what a head sees of the tokens")
    encoder_dropout: bool = setting(False, "model", "keep the dropout of the frozen encoder while training")

    epochs: float = setting(1.0, "optimisation", "passes over the training rows of all tasks, if steps is 0", "PASSES")
    steps: int = setting(
        4000, "optimisation", "optimiser steps; 0: as many as the epochs need; setting the epochs sets it to 0"
    )
    batch_size: int = setting(16, "optimisation", "examples a step, over all processes together", "EXAMPLES")
    adapter_lr: float = setting(1e-3, "optimisation", "learning rate of the adapters (full: of the encoder)", "RATE")
    map_lr: float = setting(0.0, "optimisation", "learning rate of the maps of z; 0: that of the adapters", "RATE")
    projection_lr: float = setting(
        0.0, "optimisation", "learning rate of the layer from a task's features to z; 0: that of the adapters", "RATE"
    )
    head_lr: float = setting(1e-2, "optimisation", "learning rate of the heads", "RATE")
    z_lr: float = setting(1e-1, "optimisation", "learning rate of the task embeddings", "RATE")
    schedule: Schedule = setting("linear", "optimisation", "rates after the warm-up: fall to 0, or stay")
    warmup: float = setting(0.06, "optimisation", "share of the steps in which the rates rise from 0", "SHARE")
    weight_decay: float = setting(
        0.0, "optimisation", "decay of adapters and maps (AdamW); z and heads have none", "RATE"
    )
    clip_norm: float = setting(
        1.0, "optimisation", "a gradient with a larger norm is scaled down to it; 0: off", "NORM"
    )
    loss_cap: float = setting(1.0, "optimisation", "a loss above is scaled down to this, gradient kept; 0: off", "NATS")
    mixed_precision: Precision = setting("no", "optimisation", "number format of the encoder's arithmetic")

    evaluate_every: int = setting(0, "evaluation", "steps between scores on validation; 0: only at the end", "STEPS")
    eval_batch_size: int = setting(64, "evaluation", "examples of an evaluation batch", "EXAMPLES")
    checkpoint_every: int = setting(200, "evaluation", "steps between checkpoints; 0: only at the end", "STEPS")
    keep_checkpoints: int = setting(2, "evaluation", "newest checkpoints kept", "N")

    def __post_init__(self) -> None:
        for name in PATHS:
            object.__setattr__(self, name, expand(getattr(self, name)))
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not value >= least or math.isinf(value):
                raise ConfigError(f"{flag(name)} must be at least {least}, got {value}")
        for name in ("epochs", "adapter_lr", "head_lr", "z_lr", "temperature"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ConfigError(f"{flag(name)} must be above 0, got {value}")
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"--warmup is a share of the steps, 0 up to (not including) 1, got {self.warmup}")
        if self.sampling != "temperature" and self.temperature != TrainConfig.temperature:
            raise ConfigError(f"--temperature {self.temperature} needs --sampling temperature, not {self.sampling}")
        self._check_z()
        if not self.tasks:
            raise ConfigError("--tasks is empty; name at least one task or group, such as: demo")
        if not self.name or Path(self.name).name != self.name or self.name.startswith("."):
            raise ConfigError(f"--name becomes the name of a folder: no slash, no dot in front, got {self.name!r}")
        for name in ("name", *PATHS):
            if any(unicodedata.category(letter) in UNWRITABLE for letter in getattr(self, name)):
                raise ConfigError(
                    f"{flag(name)} {getattr(self, name)!r} contains a line break, another control character, or bytes "
                    "that are not UTF-8; choose a name without them"
                )
        if self.push_to_hub and not _is_full_id(self.push_to_hub):
            raise ConfigError(f"--push-to-hub takes ORG/NAME, got {self.push_to_hub!r}")
        if self.push_every_checkpoint and not self.push_to_hub:
            raise ConfigError("--push-every-checkpoint needs --push-to-hub ORG/NAME")
        for name, kind in HINTS.items():
            if get_origin(kind) is Literal and getattr(self, name) not in get_args(kind):
                raise ConfigError(f"{flag(name)} is one of {', '.join(get_args(kind))}; got {getattr(self, name)!r}")

    def _check_z(self) -> None:
        given = [flag(name) for name in ("conditioning_vectors", "task_features") if getattr(self, name)]
        if self.embeddings_per_task > 1:
            given.append(flag("embeddings_per_task"))
        if given and self.conditioning in ("adapter", "full"):
            raise ConfigError(f"--conditioning {self.conditioning} has no task embeddings: leave out {given[0]}")
        if self.conditioning_vectors and len(given) > 1:
            raise ConfigError(f"{given[0]} replaces the learned embeddings that {given[1]} is about; leave one out")

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return {**dataclasses.asdict(self), "tasks": list(self.tasks), "held_out": list(self.held_out)}

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "config") -> TrainConfig:
        """Settings from JSON or YAML values; what is missing has its default.

        Args:
            values: setting name -> value.
            where: what the values came from, for the messages.

        Raises:
            ConfigError: a name is unknown, or a value has the wrong type or is out of range.
        """
        return cls(**check_values(values, where))


HINTS: dict[str, Any] = get_type_hints(TrainConfig)
_LEAST: dict[str, float] = {
    "seed": 0, "rows_seed": 0, "threads": 0, "max_train_rows": 0, "max_eval_rows": 0, "max_length": 4,
    "bucket_batches": 1, "adapter_size": 1, "dim_z": 1, "embeddings_per_task": 1, "steps": 0, "batch_size": 1,
    "map_lr": 0, "projection_lr": 0, "weight_decay": 0, "clip_norm": 0, "loss_cap": 0, "evaluate_every": 0,
    "eval_batch_size": 1, "checkpoint_every": 0, "keep_checkpoints": 1,
}  # fmt: skip


# What may be another when a run is resumed.
FREE = ("push_to_hub", "push_every_checkpoint", "private", "tracker", "cache_dir")
UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories that no name has: they break lines of logs and JSON files
# What may be a path: ~ at its start is the home directory.
PATHS = ("output_dir", "cache_dir", "encoder", "conditioning_vectors", "task_features")


def flag(name: str) -> str:
    """The command-line flag of a setting: ``max_length`` -> ``--max-length``."""
    return "--" + name.replace("_", "-")


def check_values(values: Any, where: str) -> dict[str, Any]:
    """Check the names and types of settings read from a file.

    Raises:
        ConfigError: not a mapping, an unknown name, or a value of the wrong type.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected settings as `name: value`, got {type(values).__name__}")
    for name in values:
        if name not in HINTS:
            near = ", ".join(difflib.get_close_matches(str(name), HINTS, n=3)) or "none"
            raise ConfigError(f"{where}: there is no setting {name!r}; closest: {near}")
    return {name: _convert(name, value, where) for name, value in values.items()}


def _convert(name: str, value: Any, where: str) -> Any:
    kind = HINTS[name]
    if kind is float and isinstance(value, str):  # YAML 1.1 reads 1e-3 (no dot) as text
        try:
            value = float(value)
        except ValueError:
            raise ConfigError(f"{where}: {name} is a number, got {value!r}") from None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if get_origin(kind) is tuple:
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ConfigError(f"{where}: {name} is a list of texts, got {value!r}")
    wanted = str if get_origin(kind) is Literal else kind
    if type(value) is not wanted:
        raise ConfigError(
            f"{where}: {name} is a {wanted.__name__}, got {value!r} ({type(value).__name__}); "
            "YAML reads bare no, yes, on and off as true or false: quote them where a text is meant"
        )
    return value


def read_preset(name: str) -> dict[str, Any]:
    """The settings a preset holds.

    Args:
        name: a file of training/configs without its ending, or the path of a YAML file.

    Raises:
        ConfigError: no such preset, or a setting in it is unknown or has the wrong type.
    """
    path = Path(expand(name)) if name.endswith((".yaml", ".yml")) else CONFIGS / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in CONFIGS.glob("*.yaml")))
        raise ConfigError(f"no preset {name!r}; there are {known}, or give the path of a .yaml file")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    return check_values(values, str(path))


def resolve(flags: Mapping[str, Any], own: Mapping[str, Any] = MappingProxyType({})) -> TrainConfig:
    """Defaults <- preset <- what a script sets for itself (``own``) <- flags.

    A layer that sets the epochs and not the steps undoes the steps below it.
    """
    values: dict[str, Any] = {}
    for layer in (read_preset(flags.get("preset", "demo")), own, flags):
        if "epochs" in layer and "steps" not in layer:
            values["steps"] = 0
        values.update(layer)
    return TrainConfig(**values)


@dataclass(frozen=True)
class CommandLine:
    """What a command line asks for.

    Attributes:
        config: the resolved settings; those of the stored run when ``resume`` is set are read by the caller.
        flags: only the settings given on the command line.
        resume: None: a new run; "": the newest unfinished run of this name; else the folder of the run to go on with.
    """

    config: TrainConfig
    flags: dict[str, Any]
    resume: str | None


def parse(argv: list[str] | None = None, description: str | None = None) -> CommandLine:
    """Read the command line. Wrong usage ends the program with code 2 and a message, as argparse does."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add_flags(parser, HINTS)
    given = vars(parser.parse_args(argv))
    resume = given.pop("resume")
    resume = None if resume is None else expand(resume)
    if "tasks" in given:
        given["tasks"] = tuple(given["tasks"])
    if "held_out" in given:
        given["held_out"] = tuple(given["held_out"])
    try:
        return CommandLine(resolve(given), given, resume)
    except ConfigError as error:
        parser.error(str(error))


def add_flags(
    parser: argparse.ArgumentParser, names: Collection[str], own: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Add the flags of settings to a parser, and --resume.

    A flag that is not given is absent from what the parser returns.

    Args:
        parser: of a script.
        names: the settings that the script takes.
        own: settings whose default the script changes; see ``resolve``.
    """
    groups: dict[str, Any] = {}
    for item in dataclasses.fields(TrainConfig):
        if item.name in names:
            group = groups.setdefault(item.metadata["group"], parser.add_argument_group(item.metadata["group"]))
            group.add_argument(flag(item.name), **_argument(item, own.get(item.name, item.default)))
    groups["run"].add_argument(
        "--resume", nargs="?", const="", metavar="RUN_DIR",
        help="resume a run that was stopped; without a folder: the newest unfinished one of this --name",
    )  # fmt: skip


def _argument(item: dataclasses.Field[Any], default: Any) -> dict[str, Any]:
    kind = HINTS[item.name]
    text = item.metadata["text"].replace("%", "%%")
    if default not in ("", ()) and kind is not bool:
        text += f" (default: {' '.join(default) if isinstance(default, tuple) else default})"
    options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text, "dest": item.name}
    if kind is bool:
        return {**options, "action": argparse.BooleanOptionalAction}
    if item.metadata["metavar"]:
        options["metavar"] = item.metadata["metavar"]
    if get_origin(kind) is tuple:
        return {**options, "nargs": "+"}
    if get_origin(kind) is Literal:
        return {**options, "choices": get_args(kind)}
    return {**options, "type": kind}


def read_config(path: Path) -> TrainConfig:
    """The settings a run was started with.

    Raises:
        ConfigError: the file is missing, is not JSON, or holds settings this version does not know.
    """
    try:
        values = read_object(path)
    except (OSError, DamagedFileError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); is {path.parent} the folder of a run?") from None
    return TrainConfig.from_dict(values, str(path))


def changed_settings(then: Mapping[str, Any], now: TrainConfig) -> list[str]:
    """Compare the settings of a checkpoint with those of its run: "steps was 160 and is 141"."""
    values = now.to_dict()
    return [
        f"{name} was {then[name]} and is {values[name]}"
        for name in values
        if name in then and name not in FREE and then[name] != values[name]
    ]


def check_resume(stored: TrainConfig, flags: dict[str, Any]) -> TrainConfig:
    """The settings to go on with: the stored ones, and of those that change no bit (``FREE``) what is given now.

    Raises:
        ConfigError: a flag asks for something else than the run was started with.
    """
    flags = {name: expand(value) if name in PATHS else value for name, value in flags.items()}
    now = {name: value for name, value in flags.items() if name in FREE}
    other = {
        name: value
        for name, value in flags.items()
        if name not in now and name not in ("output_dir", "name", "preset") and getattr(stored, name) != value
    }
    if other:
        told = "; ".join(f"{flag(k)} {v} (the run has {getattr(stored, k)})" for k, v in other.items())
        raise ConfigError(f"a resumed run keeps its settings: {told}. Leave these flags out, or start a new run")
    return dataclasses.replace(stored, **now)
