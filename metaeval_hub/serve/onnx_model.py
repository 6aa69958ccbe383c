"""Predict with a model that was exported to ONNX. Neither this module nor what it imports needs torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaeval_datasets.catalog import unknown_task
from metaeval_datasets.extras import missing
from metaeval_hub.encoders.texts import Text, as_texts
from metaeval_hub.model.predicted_classes import Prediction
from metaeval_hub.safe_files.encoder_files import MAX_TOKENIZER_BYTES
from metaeval_hub.safe_files.names import check_count
from metaeval_hub.safe_files.printable import shown
from metaeval_hub.safe_files.repository import UnsafeRepositoryError, parse_json, read_bytes
from metaeval_hub.safe_files.tokenizer_files import check_tokenizer_json
from metaeval_hub.serve.onnx_files import MODEL_FILE, TOKENIZER_FILE, OnnxRecord, read_onnx_record
from metaeval_hub.serve.rows import Row, padded, passes, to_rows

_SINGLE, _PAIR = 1, 2


class OnnxModel:
    """A model that ``metaeval export-onnx`` wrote, for ``predict`` and for ``metaeval serve``.

    Several threads may predict with one model at the same time. Only load folders that you or people you trust
    exported: the checksums detect damaged files, and onnxruntime, not this package, reads the graph.

    Args:
        folder: the folder of the export.
        threads: threads that compute; None uses one per core.

    Raises:
        UnsafeRepositoryError: a file is missing, was changed, or is not one of an export.
        ImportError: onnxruntime is not installed.
    """

    def __init__(self, folder: Path | str, *, threads: int | None = None) -> None:
        place = Path(folder).expanduser()
        self.record: OnnxRecord = read_onnx_record(place)
        self._ids = {task: i for i, task in enumerate(self.labels)}
        self._tokenizer = _load_tokenizer(place / TOKENIZER_FILE, self.record)
        self._session = _start_session(place / MODEL_FILE, threads)
        expected = {"input_ids", "attention_mask", "task_ids"}
        expected |= {"token_type_ids"} if self.record.has_segments else set()
        if (found := {each.name for each in self._session.get_inputs()}) != expected:
            raise UnsafeRepositoryError(f"{MODEL_FILE} has the inputs {sorted(found)}; expected {sorted(expected)}")

    def __repr__(self) -> str:
        """Show the number of tasks and the encoder."""
        plural = "" if len(self.labels) == 1 else "s"
        return f"OnnxModel({len(self.labels)} task{plural}; encoder: {self.record.base}, {self.record.weights})"

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """Task name -> class names."""
        return self.record.labels

    @property
    def fields(self) -> Mapping[str, int]:
        """Task name -> 1 for a task over texts, 2 for a task over pairs; tasks that accept both are missing."""
        return self.record.forms

    def predict(self, name: str, texts: Iterable[Text], *, batch_size: int = 32) -> Prediction:
        """Classify texts with one task.

        Args:
            name: a task of the model.
            texts: N strings, or N pairs for a task over pairs.
            batch_size: largest number of texts per pass; texts of similar length share a pass.

        Raises:
            KeyError: the model has no such task.
            TypeError: ``texts`` is not a list of texts, or its texts have a form that the task does not take.
            ValueError: a text cannot be tokenized.
        """
        check_count("batch_size", batch_size)
        given = as_texts(texts)
        if name not in self.labels:
            raise unknown_task(name, self.labels, "of this model")
        names = self.labels[name]
        form = _SINGLE if given and isinstance(given[0], str) else _PAIR
        if given and form != self.fields.get(name, form):
            over, other = ("texts", "a pair") if form == _PAIR else ("pairs of texts", "one text")
            raise TypeError(f"{name} is a task over {over}, but texts[0] is {other}: {shown(given[0])}")
        rows = self.rows([name] * len(given), given)
        found = np.zeros((len(given), len(names)), np.float32)
        for places in passes(rows, batch_size):
            found[places] = self.probabilities([rows[place] for place in places])
        return Prediction([names[i] for i in found.argmax(axis=1)], found, names)

    def rows(self, tasks: Sequence[str], texts: Sequence[Text]) -> list[Row]:
        """Tokenize texts, each for its task.

        Raises:
            ValueError: the tokenizer fails on a text; the message has its number.
        """
        encoded = []
        for i, text in enumerate(texts):
            try:
                encoded.append(self._tokenizer.encode(*([text] if isinstance(text, str) else text)))
            except Exception as error:
                raise ValueError(
                    f"texts[{i}] is {shown(text)}, on which the tokenizer fails ({error}); leave this text out"
                ) from error
        tokens = {"input_ids": [each.ids for each in encoded]}
        if self.record.has_segments:
            tokens["token_type_ids"] = [each.type_ids for each in encoded]
        return to_rows(tasks, tokens)

    def probabilities(self, rows: Sequence[Row]) -> list[NDArray[np.float32]]:
        """Return the class probabilities of each row, (C,), from one pass.

        Raises:
            FloatingPointError: the model computed a value that is not finite.
        """
        batch = padded(rows, self.record.pad_id)
        batch["task_ids"] = np.array([self._ids[row.task] for row in rows], np.int64)
        (logits,) = self._session.run(["logits"], batch)
        found = []
        for line, row in zip(logits, rows, strict=True):
            own = line[: len(self.labels[row.task])]  # the classes beyond those of the task are -inf
            if not np.isfinite(own).all():
                raise FloatingPointError("the model computed logits that are not finite; its weights are unusable")
            shares = np.exp(own - own.max())
            found.append(shares / shares.sum())
        return found


def _load_tokenizer(path: Path, record: OnnxRecord) -> Any:
    from tokenizers import Tokenizer

    content = read_bytes(path, MAX_TOKENIZER_BYTES)
    check_tokenizer_json(parse_json(content, TOKENIZER_FILE))
    try:
        tokenizer = Tokenizer.from_str(content.decode("utf-8"))
    except Exception as error:
        raise UnsafeRepositoryError(f"no usable tokenizer in {TOKENIZER_FILE}: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(record.max_length, strategy="longest_first", direction=record.truncation_side)
    return tokenizer


def _start_session(path: Path, threads: int | None) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ImportError(missing(error, "onnx") or str(error)) from error
    options = onnxruntime.SessionOptions()
    if threads is not None:
        check_count("threads", threads)
        options.intra_op_num_threads = int(threads)
    # Idle threads that spin would take the cores from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common class of its errors
        raise UnsafeRepositoryError(f"onnxruntime cannot load {MODEL_FILE}: {error}") from error
