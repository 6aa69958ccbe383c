"""Define the settings of a run, and read them from presets and the command line: flags over preset over defaults.

The dataclass ``TrainConfig`` is the only list of settings. Flags, preset keys and help texts are read from it.
"""

# ruff: noqa: RUF009 - setting() only builds a dataclass field
from __future__ import annotations

import dataclasses
import difflib
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_origin, get_type_hints

import yaml

from metaeval_hub.conditional.config import Conditioning, Pooling
from metaeval_hub.utils.products import MatmulPrecision
from metaeval_training.atomic_files import DamagedFileError, expand, read_object
from metaeval_training.setting_rules import ConfigError as ConfigError
from metaeval_training.setting_rules import check_from, check_types, check_z
from metaeval_training.setting_rules import flag as flag

# In a clone the presets are in training/configs; in the installed package they are in a subfolder.
_IN_CLONE = Path(__file__).parents[1] / "configs"
CONFIGS = _IN_CLONE if _IN_CLONE.is_dir() else Path(__file__).parent / "configs"

Tracker = Literal["none", "tensorboard", "wandb"]
BatchComposition = Literal["one-task", "mixed"]
Sampling = Literal["sqrt", "proportional", "uniform", "temperature"]
Schedule = Literal["linear", "constant"]
Precision = Literal["no", "bf16", "fp16"]
EditionName = Literal["careful", "paper"]
CapBy = Literal["step", "running", "classes"]
OldTasks = Literal["rehearse", "keep"]
Decontaminate = Literal["no", "whole", "sentences"]


def _is_full_id(name: str) -> bool:
    """Return whether a name is the Hub id of a repository, with its owner."""
    from metaeval_hub.hub.names import looks_like_repo_id  # imported here because --help does not need its libraries

    return name.count("/") == 1 and looks_like_repo_id(name)


def setting(default: Any, group: str, text: str, metavar: str | None = None) -> Any:
    """Define a field of TrainConfig with the group, the help line and the metavar of its flag."""
    return field(default=default, metadata={"group": group, "text": text, "metavar": metavar})


@dataclass(frozen=True)
class TrainConfig:
    """All settings of a run; the defaults are those of the preset ``demo``. Stored as config.json.

    Raises:
        ConfigError: a value is not allowed; checked on creation.
    """

    preset: str = setting("demo", "run", "preset to start from: a name in training/configs or a YAML file", "NAME")
    name: str = setting("multitask", "run", "name of the run; its folder is <output-dir>/<name>-<number>")
    output_dir: str = setting("runs", "run", "folder that contains the run folders", "DIR")
    seed: int = setting(0, "run", "seed of the initial weights, of task sampling and of shuffling")
    threads: int = setting(
        0,
        "run",
        "CPU threads per process; 0: OMP_NUM_THREADS, or the number of cores divided by the number of processes",
        "N",
    )
    matmul_precision: MatmulPrecision = setting(
        "highest", "run", "precision of float32 matrix products, as in torch.set_float32_matmul_precision"
    )
    compile: bool = setting(
        False, "run", "compile the encoder for training with torch.compile: faster steps after one to three minutes"
    )
    tracker: Tracker = setting("none", "run", "where to write curves in addition to metrics.jsonl")
    push_to_hub: str = setting("", "run", "after training, push the model to this Hub repository", "ORG/NAME")
    push_every_checkpoint: bool = setting(False, "run", "also push the model of each checkpoint, during training")
    private: bool = setting(False, "run", "make the pushed repository private")

    tasks: tuple[str, ...] = setting(("demo",), "data", "task names, groups, or all: pragmeval glue/cola", "TASK")
    held_out: tuple[str, ...] = setting(
        (), "data", "tasks and groups to exclude from --tasks, together with training rows whose text is "
        "in their evaluation splits (see --decontaminate)", "TASK",
    )  # fmt: skip
    edition: EditionName = setting("careful", "data", "version of the rows: corrected (careful), or as in the paper")
    pins: str = setting(
        "", "data", "read sources at the commits in this file, which `metaeval check-sources --pin FILE` writes; "
        "default: the file that METAEVAL_PINS names, or else the current commits", "FILE",
    )  # fmt: skip
    task_file: str = setting(
        "", "data", "also use the tasks that this YAML file declares, which `metaeval new-task` writes", "FILE"
    )
    skip_unavailable: bool = setting(False, "data", "skip tasks whose data cannot be loaded, instead of stopping")
    max_train_rows: int = setting(
        30_000, "data", "maximum number of training rows per task, drawn with --rows-seed; 0: all", "ROWS"
    )
    max_eval_rows: int = setting(
        0, "data", "maximum number of validation rows and of test rows per task; 0: all", "ROWS"
    )
    rows_seed: int = setting(
        0,
        "data",
        "seed that selects rows; separate from --seed, so that runs with other seeds use the same rows",
        "SEED",
    )
    decontaminate: Decontaminate = setting(
        "whole", "data", "remove training rows whose text is in an evaluation split of any task of the run: "
        "compare whole texts and pairs, or also single sentences of pairs",
    )  # fmt: skip
    twins: bool = setting(
        False,
        "data",
        "train each task as two, on disjoint halves of its training rows; metaeval analyze controls then measures "
        "whether z describes tasks",
    )
    permuted_tasks: int = setting(
        0,
        "data",
        "number of tasks to train a second time with their labels in random order, to see where z of tasks without "
        "information ends",
        "TASKS",
    )
    cache_dir: str = setting("", "data", "folder for prepared data shared by runs; default: metaeval in HF_HOME", "DIR")
    max_length: int = setting(64, "data", "maximum number of tokens per example, with special tokens", "TOKENS")
    step: BatchComposition = setting(
        "one-task", "data", "whether the examples of a step come from one task, or each from a randomly drawn task"
    )
    sampling: Sampling = setting(
        "sqrt", "data", "how the probability of drawing a task depends on its number of training rows"
    )
    temperature: float = setting(
        2.0,
        "data",
        "T of --sampling temperature: probability proportional to rows^(1/T); 1: proportional, 2: sqrt",
        "T",
    )
    bucket_batches: int = setting(16, "data", "batches per bucket, whose rows are sorted by length; 1: no sorting", "N")

    from_model: str = setting(
        "", "model", "continue from this trained model (a folder, the folder of a run, or a Hub id): add tasks that it "
        "lacks, and use its encoder and sizes", "MODEL",
    )  # fmt: skip
    old_tasks: OldTasks = setting(
        "rehearse", "model", "with --from: train the tasks of the model too, which --tasks must name (rehearse), or "
        "leave them bit-identical and train only z, classifiers and private parts of new tasks (keep)",
    )  # fmt: skip
    from_sha256: str = setting(
        "", "model", "SHA-256 that the model of --from must have; a run stores that of the model it starts from", "HEX"
    )
    encoder: str = setting("tiny", "model", 'frozen encoder: a Hub id, a folder, "minilm" or "tiny"')
    encoder_revision: str = setting("", "model", "commit, tag or branch of the encoder on the Hub", "REV")
    conditioning: Conditioning = setting(
        "pilault", "model", "how z conditions the adapters; adapter and full are baselines without z"
    )
    adapter_size: int = setting(64, "model", "hidden units per adapter (a in the paper)", "UNITS")
    dim_z: int = setting(32, "model", "dimension of a task embedding (dim z in the paper)", "Z")
    dim_table: int = setting(
        0, "model", "numbers that each task learns, which one linear layer projects to z, at least dim z; 0: z itself",
        "D",
    )  # fmt: skip
    private_rank: int = setting(
        0,
        "model",
        "rank of a low-rank update of the states that each task trains for itself after the shared training; 0: none",
        "RANK",
    )
    layer_norm: bool = setting(
        False, "model", "end each adapter in a LayerNorm with learned gamma and beta, as in section 3.1 of the paper"
    )
    embeddings_per_task: int = setting(
        1, "model", "number K of embeddings per task; each step uses one, drawn at random (to measure stability)", "K"
    )
    conditioning_vectors: str = setting(
        "",
        "model",
        "folder with fixed task vectors, such as TextEmb or Fisher, that replace the learned z",
        "DIR",
    )
    task_features: str = setting(
        "", "model", 'task features that a linear map adds to the learned z: "aspects", or a folder of vectors', "DIR"
    )
    share_labels: bool = setting(False, "model", "share one label vector between classes with the same canonical name")
    text_emb: bool = setting(
        False, "model", "store TextEmb of the tasks for zero-shot use; encodes up to 1,000 training rows per task"
    )
    pooling: Pooling = setting("cls", "model", "what the classifier reads: the [CLS] token, or the mean over tokens")
    encoder_dropout: bool = setting(False, "model", "use the dropout of the frozen encoder during training")

    epochs: float = setting(
        1.0, "optimisation", "passes over the training rows of all tasks; used if --steps is 0", "PASSES"
    )
    steps: int = setting(
        4000, "optimisation", "optimizer steps; 0: as many as --epochs needs; setting --epochs sets it to 0"
    )
    batch_size: int = setting(16, "optimisation", "examples per step, over all processes together", "EXAMPLES")
    adapter_lr: float = setting(
        1e-3, "optimisation", "learning rate of the adapters (of the encoder for --conditioning full)", "RATE"
    )
    map_lr: float = setting(0.0, "optimisation", "learning rate of the maps of z; 0: that of the adapters", "RATE")
    projection_lr: float = setting(
        0.0, "optimisation", "learning rate of the layer that maps task features to z; 0: that of the adapters", "RATE"
    )
    head_lr: float = setting(1e-2, "optimisation", "learning rate of the classifier heads", "RATE")
    z_lr: float = setting(1e-1, "optimisation", "learning rate of the task embeddings", "RATE")
    schedule: Schedule = setting(
        "linear", "optimisation", "learning rates after the warm-up: decrease linearly to 0, or stay constant"
    )
    warmup: float = setting(
        0.06, "optimisation", "share of the steps in which the learning rates increase from 0", "SHARE"
    )
    weight_decay: float = setting(
        0.0, "optimisation", "weight decay of adapters and maps (AdamW); z and heads have none", "RATE"
    )
    clip_norm: float = setting(1.0, "optimisation", "scale gradients down to at most this norm; 0: off", "NORM")
    loss_cap: float = setting(
        1.0, "optimisation", "scale a task's losses down if they exceed this value (see --cap-by); 0: off", "NATS"
    )
    cap_by: CapBy = setting(
        "step",
        "optimisation",
        "what is compared with --loss-cap: the mean loss of the task's examples in the step; a running mean of the "
        "task; or the mean in the step, with the cap counted in multiples of ln(classes)",
    )
    accumulate: int = setting(
        1,
        "optimisation",
        "process the rows of a step in this many parts: the same step with less memory, and one more forward pass",
        "PARTS",
    )
    mixed_precision: Precision = setting("no", "optimisation", "number format of the encoder's computations")
    private_epochs: int = setting(
        3, "optimisation", "passes over the rows of each task to train its private part (see --private-rank)", "PASSES"
    )
    private_lr: float = setting(
        3e-3, "optimisation", "learning rate of the private part of a task and of its classifier during that", "RATE"
    )
    refit: bool = setting(
        False,
        "optimisation",
        "after training, replace each classifier by a logistic regression on the trained features if that is better on "
        "validation, which also chooses its regularization",
    )

    evaluate_every: int = setting(
        0, "evaluation", "steps between evaluations on validation; 0: only at the end", "STEPS"
    )
    eval_batch_size: int = setting(64, "evaluation", "examples per evaluation batch", "EXAMPLES")
    checkpoint_every: int = setting(200, "evaluation", "steps between checkpoints; 0: only at the end", "STEPS")
    keep_checkpoints: int = setting(2, "evaluation", "number of newest checkpoints to keep", "N")

    def __post_init__(self) -> None:
        check_types(vars(self), HINTS)
        for name in PATHS:
            object.__setattr__(self, name, expand(getattr(self, name)))
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not value >= least or math.isinf(value):
                raise ConfigError(f"{flag(name)} must be at least {least}, got {value}")
        for name in ("epochs", "adapter_lr", "head_lr", "z_lr", "private_lr", "temperature"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ConfigError(f"{flag(name)} must be above 0, got {value}")
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"--warmup is a share of the steps: expected 0 <= warmup < 1, got {self.warmup}")
        if self.sampling != "temperature" and self.temperature != TrainConfig.temperature:
            raise ConfigError(
                f"--temperature {self.temperature} needs --sampling temperature, got --sampling {self.sampling}"
            )
        check_z(vars(self))
        check_from(vars(self))
        if not self.tasks:
            raise ConfigError("--tasks is empty; name at least one task or group, such as demo")
        if not self.name or Path(self.name).name != self.name or self.name.startswith("."):
            raise ConfigError(f"--name becomes a folder name: expected no slash and no dot in front, got {self.name!r}")
        for name in ("name", *PATHS):
            if any(unicodedata.category(letter) in UNWRITABLE for letter in getattr(self, name)):
                raise ConfigError(
                    f"{flag(name)} {getattr(self, name)!r} contains a line break, another control character, or bytes "
                    "that are not UTF-8; choose a name without them"
                )
        if self.push_to_hub and not _is_full_id(self.push_to_hub):
            raise ConfigError(f"--push-to-hub expects ORG/NAME, got {self.push_to_hub!r}")
        if self.push_every_checkpoint and not self.push_to_hub:
            raise ConfigError("--push-every-checkpoint needs --push-to-hub ORG/NAME")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {**dataclasses.asdict(self), "tasks": list(self.tasks), "held_out": list(self.held_out)}

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str = "config") -> TrainConfig:
        """Create settings from JSON or YAML values; missing settings get their defaults.

        Args:
            values: setting name -> value.
            where: the origin of the values, for messages.

        Raises:
            ConfigError: a name is unknown, or a value has the wrong type or is out of range.
        """
        return cls(**check_values(values, where))


HINTS: dict[str, Any] = get_type_hints(TrainConfig)
_LEAST: dict[str, float] = {
    "seed": 0, "rows_seed": 0, "threads": 0, "max_train_rows": 0, "max_eval_rows": 0, "max_length": 4,
    "bucket_batches": 1, "adapter_size": 1, "dim_z": 1, "dim_table": 0, "private_rank": 0, "private_epochs": 1,
    "embeddings_per_task": 1, "steps": 0,
    "batch_size": 1, "accumulate": 1,
    "map_lr": 0, "projection_lr": 0, "weight_decay": 0, "clip_norm": 0, "loss_cap": 0, "evaluate_every": 0,
    "permuted_tasks": 0,
    "eval_batch_size": 1, "checkpoint_every": 0, "keep_checkpoints": 1,
}  # fmt: skip


# Settings that may change when a run is resumed.
FREE = ("push_to_hub", "push_every_checkpoint", "private", "tracker", "cache_dir")
UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories that break lines of logs and JSON files
# Settings that may be paths: ~ at the start is replaced by the home directory.
PATHS = (
    *("output_dir", "cache_dir", "pins", "task_file", "encoder", "conditioning_vectors", "task_features"),
    "from_model",
)


def check_values(values: Any, where: str) -> dict[str, Any]:
    """Check the names and types of settings read from a file.

    Raises:
        ConfigError: the values are not a mapping, a name is unknown, or a value has the wrong type.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected settings as `name: value`, got {type(values).__name__}")
    for name in values:
        if name not in HINTS:
            near = ", ".join(difflib.get_close_matches(str(name), HINTS, n=3)) or "none"
            raise ConfigError(f"{where}: unknown setting {name!r}; closest: {near}")
    return {name: _convert(name, value, where) for name, value in values.items()}


def _convert(name: str, value: Any, where: str) -> Any:
    kind = HINTS[name]
    if kind is float and isinstance(value, str):  # YAML 1.1 reads 1e-3 (no dot) as text
        try:
            value = float(value)
        except ValueError:
            raise ConfigError(f"{where}: {name} must be a number, got {value!r}") from None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if get_origin(kind) is tuple:
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise ConfigError(f"{where}: {name} must be a list of strings, got {value!r}")
    wanted = str if get_origin(kind) is Literal else kind
    if type(value) is not wanted:
        raise ConfigError(
            f"{where}: {name} must be of type {wanted.__name__}, got {value!r} ({type(value).__name__}). YAML reads "
            "no, yes, on and off as booleans; quote them to get strings"
        )
    return value


def read_preset(name: str) -> dict[str, Any]:
    """Read the settings of a preset.

    Args:
        name: of a file in training/configs without its extension, or the path of a YAML file.

    Raises:
        ConfigError: the preset does not exist, or one of its settings is unknown or has the wrong type.
    """
    path = Path(expand(name)) if name.endswith((".yaml", ".yml")) else CONFIGS / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in CONFIGS.glob("*.yaml")))
        raise ConfigError(f"no preset {name!r}; expected one of {known}, or the path of a .yaml file")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    return check_values(values, str(path))


def resolve(flags: Mapping[str, Any], own: Mapping[str, Any] = MappingProxyType({})) -> TrainConfig:
    """Merge settings: defaults, then the preset, then the script's own defaults (``own``), then flags.

    A layer that sets the epochs but not the steps sets the steps to 0.
    """
    values: dict[str, Any] = {}
    for layer in (read_preset(flags.get("preset", "demo")), own, flags):
        if "epochs" in layer and "steps" not in layer:
            values["steps"] = 0
        values.update(layer)
    return TrainConfig(**values)


def read_config(path: Path) -> TrainConfig:
    """Read the settings that a run was started with.

    Raises:
        ConfigError: the file is missing or not JSON, or contains settings that this version does not know.
    """
    try:
        values = read_object(path)
    except (OSError, DamagedFileError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); check that {path.parent} is the folder of a run") from None
    return TrainConfig.from_dict(values, str(path))


def changed_settings(then: Mapping[str, Any], now: TrainConfig) -> list[str]:
    """Describe how the settings of a run differ from those of its checkpoint: "steps was 160 and is 141"."""
    values = now.to_dict()
    return [
        f"{name} was {then[name]} and is {values[name]}"
        for name in values
        if name in then and name not in FREE and then[name] != values[name]
    ]


def check_resume(stored: TrainConfig, flags: dict[str, Any]) -> TrainConfig:
    """Return the settings of a resumed run: the stored ones, with new values for settings in ``FREE``.

    Raises:
        ConfigError: another flag differs from the stored settings.
    """
    flags = {name: expand(value) if name in PATHS else value for name, value in flags.items()}
    now = {name: value for name, value in flags.items() if name in FREE}
    other = {
        name: value
        for name, value in flags.items()
        if name not in now and name not in ("output_dir", "name", "preset") and getattr(stored, name) != value
    }
    if other:
        listed = "; ".join(f"{flag(k)} {v} (the run has {getattr(stored, k)})" for k, v in other.items())
        raise ConfigError(f"a resumed run keeps its settings: {listed}. Leave these flags out, or start a new run")
    return dataclasses.replace(stored, **now)
