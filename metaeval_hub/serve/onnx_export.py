"""Export a whole model to ONNX: one graph that answers all tasks, and the files to use it without torch.

Axes: B texts, T tokens, H hidden units, V label vectors, C classes of the task with the most classes.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from metaeval_datasets.extras import missing
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.label_heads import NO_VECTOR
from metaeval_hub.model.tensors import check_finite
from metaeval_hub.safe_files.replace_folder import replacing, target_folder
from metaeval_hub.serve.onnx_files import (
    CONFIG_FILE,
    MODEL_FILE,
    OWN_FILES,
    README_FILE,
    TOKENIZER_FILE,
    OnnxRecord,
)

OPSET = 20
_README = """# Exported model

{count} tasks in one ONNX graph ({weights}), exported by metaeval {version} from a model with the encoder {base}.

```python
from metaeval_hub import OnnxModel

OnnxModel(".").predict({task!r}, [{example}])
```

The inputs of `model.onnx` are `input_ids`, `attention_mask`{segments} (batch, tokens) and `task_ids` (batch), int64. A
task's id is its place in the list `tasks` of `config.json`. The output `logits` (batch, {columns}) is float32; classes
that a task does not have get -inf, so that a softmax over all columns gives them probability 0.
"""


class OnnxGraph(nn.Module):
    """The computation that is exported.

    All label vectors are applied to the text, and each text keeps the results of its task: the rows of the table of
    label vectors. This needs one small matrix product, and no weights per text.

    Args:
        model: the model, in float32 and evaluation mode.
        has_segments: whether ``token_type_ids`` is an input.
    """

    table: Tensor
    frozen: Tensor
    layered: Tensor
    readout: Tensor

    def __init__(self, model: ModelCore, has_segments: bool) -> None:
        super().__init__()
        self.model, self.has_segments = model, has_segments
        self.register_buffer("table", model.heads.table.clone(), persistent=False)
        frozen = torch.tensor([task in model.frozen_tasks for task in model.labels])
        self.register_buffer("frozen", frozen.to(model.device), persistent=False)
        self.ways = sorted({task in model.frozen_tasks for task in model.labels})
        self.layered_ways = {task in model.frozen_tasks for task in model.layered_tasks}
        layered = torch.tensor([task in model.layered_tasks for task in model.labels])
        self.register_buffer("layered", layered.to(model.device), persistent=False)
        self.register_buffer("readout", model.readouts.places(model.labels).to(model.device), persistent=False)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return logits, (B, C), with -inf for classes that a text's task does not have.

        Args:
            inputs: ``input_ids`` and ``attention_mask`` (B, T), ``token_type_ids`` (B, T) if there are segments, and
                ``task_ids`` (B,).
        """
        *tokens, task_ids = inputs
        names = ("input_ids", "attention_mask", "token_type_ids")[: len(tokens)]
        pooled = self._encode(dict(zip(names, tokens, strict=True)), task_ids)
        vectors = self.table[task_ids]  # (B, C)
        logits = F.linear(pooled, self.model.heads.weight, self.model.heads.bias)  # (B, V)
        return logits.gather(1, vectors.clamp(min=0)).masked_fill(vectors == NO_VECTOR, -torch.inf)

    def _encode(self, batch: dict[str, Tensor], task_ids: Tensor) -> Tensor:
        """Return the pooled texts, (B, H).

        The rows of a graph all run the same operations: if some tasks read the encoder without adapters, each text
        runs through the encoder twice.
        """
        found = [self._encode_way(batch, task_ids, frozen) for frozen in self.ways]
        return found[0] if len(found) == 1 else torch.where(self.frozen[task_ids].unsqueeze(1), found[1], found[0])

    def _encode_way(self, batch: dict[str, Tensor], task_ids: Tensor, frozen: bool) -> Tensor:
        """Return the pooled texts, (B, H), as if all their tasks were frozen, or as if all were adapted."""
        model, embeddings = self.model, self.model.embed_tasks(task_ids)
        private = None if frozen else model.private_parts(task_ids)
        if frozen not in self.layered_ways:
            return model.encode_frozen(batch) if frozen else model.encode(batch, embeddings, private=private)
        last, means = model.encode_layers(batch, embeddings, private=private, frozen=frozen)
        scores = model.readouts(means, self.readout[task_ids])
        return torch.where(self.layered[task_ids].unsqueeze(1), scores, last)


def export_onnx(model: ModelCore, folder: Path | str, *, int8: bool = False) -> Path:
    """Write a model as one ONNX graph with its tokenizer and its tasks.

    Args:
        model: the model; it stays as it is.
        folder: created if it does not exist. The files of an earlier export in it are replaced.
        int8: whether to store the word embeddings and the matrices of the encoder and the adapters as 8-bit integers.
            The file is smaller and usually faster on CPUs, and its answers differ slightly.

    Returns:
        The folder; load it with ``metaeval_hub.OnnxModel``.

    Raises:
        ImportError: onnx, onnxruntime or onnxscript is not installed.
        ValueError: a weight is not finite, or the encoder cannot be exported.
        FileExistsError: the folder contains other files.
        OSError: the files cannot be written.
    """
    _import_libraries()
    folder = target_folder(folder)
    _check_place(folder)
    check_finite(model.state_dict())
    has_segments = "token_type_ids" in model.tokenizer.model_input_names
    record = OnnxRecord(
        metaeval_version=version("metaeval"),
        base=model.base.id,
        weights="int8" if int8 else "float32",
        max_length=model.config.max_length,
        truncation_side=model.tokenizer.truncation_side,
        pad_id=int(model.tokenizer.pad_token_id),
        has_segments=has_segments,
        labels=model.labels,
        forms=model.fields,
    )
    with replacing(folder, OWN_FILES, last=CONFIG_FILE) as new:
        _write_graph(model, has_segments, new / MODEL_FILE)
        if int8:
            _quantize(new / MODEL_FILE)
        backend = model.tokenizer.backend_tokenizer
        backend.save(str(new / TOKENIZER_FILE))
        (new / README_FILE).write_text(_readme(record), encoding="utf-8")
        record.write(new)
    return folder


def _import_libraries() -> None:
    """Fail before anything is computed if a library is missing."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise ImportError(missing(error, "onnx") or str(error)) from error


def _check_place(folder: Path) -> None:
    if folder.is_dir() and (other := sorted({path.name for path in folder.iterdir()} - set(OWN_FILES))):
        raise FileExistsError(f"{folder} contains {other[0]!r}, which is not part of an export; choose a new folder")
    if (folder / CONFIG_FILE).exists() and not (folder / MODEL_FILE).exists():
        raise FileExistsError(f"{folder} contains another model; choose a new folder")


def _write_graph(model: ModelCore, has_segments: bool, path: Path) -> None:
    # The copy is on the CPU and in float32; hooks and thread-local state are the same.
    graph = OnnxGraph(copy.deepcopy(model).cpu().float().eval(), has_segments).eval()
    tokens = [torch.zeros(3, 8, dtype=torch.long), torch.ones(3, 8, dtype=torch.long)]
    tokens[1][1, 4:] = 0
    if has_segments:
        tokens.append(torch.zeros(3, 8, dtype=torch.long))
    task_ids = torch.arange(3) % len(model.labels)
    rows, length = torch.export.Dim("batch"), torch.export.Dim("tokens", min=2, max=model.config.max_length)
    shapes: list[dict[int, Any]] = [*({0: rows, 1: length} for _ in tokens), {0: rows}]
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if has_segments else []), "task_ids"]
    with _quietly(), torch.no_grad():
        try:
            program = torch.onnx.export(
                graph,
                (*tokens, task_ids),
                dynamo=True,
                input_names=names,
                output_names=["logits"],
                dynamic_shapes=(tuple(shapes),),
                opset_version=OPSET,
                verbose=False,
            )
        except Exception as error:
            kind = model.encoder.config.model_type
            raise ValueError(
                f"the encoder {model.base.id} (of type {kind}) cannot be exported to ONNX: torch failed with "
                f"{type(error).__name__}; serve the model itself instead"
            ) from error
        assert program is not None  # noqa: S101 - dynamo returns it
        program.save(path, include_initializers=True)


def _quantize(path: Path) -> None:
    """Replace the matrices and the word embeddings of a graph by 8-bit integers."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(path)
    # The task embeddings, positions and segments stay as they are: they are small, and each counts for a whole text.
    kept = [node.name for node in model.graph.node if node.op_type == "Gather" and "input_ids" not in node.input]
    # onnxruntime transposes some matrices, after which onnx before 1.23 refuses the shapes that were stored for them.
    del model.graph.value_info[:]
    whole = path.with_suffix(".float32")
    onnx.save(model, whole)
    with _quietly():
        quantize_dynamic(
            whole,
            path,
            weight_type=QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul", "Gemm", "Gather"],
            nodes_to_exclude=kept,
        )
    whole.unlink()


@contextmanager
def _quietly() -> Iterator[None]:
    """Hide the progress and the warnings of the exporter, which are about its own code."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _readme(record: OnnxRecord) -> str:
    task = next(iter(record.labels))
    return _README.format(
        count=len(record.labels),
        weights=record.weights,
        version=record.metaeval_version,
        base=record.base,
        task=task,
        example='("a text", "another text")' if record.forms.get(task) == 2 else '"a text"',
        segments=", `token_type_ids`" if record.has_segments else "",
        columns=max(map(len, record.labels.values())),
    )
