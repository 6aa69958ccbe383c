"""Answer requests over HTTP with all tasks of a trained model.

  metaeval serve runs/multitask-1/model
  curl --json '{"task": "demo/spam", "texts": ["Win a free holiday now!"]}' localhost:8000/predict

Requests of different tasks share passes of the model. GET /tasks lists the tasks, /docs describes all requests, and
/metrics has counts for Prometheus. Without --host, only programs on this machine can reach the server; any other host
needs a token, in the file of --token-file or in the variable METAEVAL_TOKEN. Ctrl-C answers all waiting requests and
stops.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from dataclasses import fields
from typing import TYPE_CHECKING

from metaeval_hub.results.terminal import path_of
from metaeval_hub.utils.products import matmul_precision

if TYPE_CHECKING:
    from metaeval_hub.serve.rows import Engine


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from metaeval_hub.cli.predict import add_precision
    from metaeval_hub.serve.limits import OPTIONS, Limits

    usual = Limits()
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "model", help="folder or Hub id of a trained model, or the folder of a run or of an export to ONNX"
    )
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")
    parser.add_argument("--host", default="127.0.0.1", help="address to answer on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port; 0 chooses a free one (default: 8000)")
    parser.add_argument("--token-file", type=path_of, metavar="FILE", help="file with the token that clients must send")
    parser.add_argument("--threads", type=int, metavar="N", help="threads that compute (default: one per core)")
    add_precision(parser)
    for name, text in (
        ("batch", "texts per pass of the model"),
        ("wait_ms", "milliseconds that a text waits for others to share its pass"),
        ("characters", "characters per text, or per pair of texts"),
        ("texts", "texts per request"),
        ("body", "bytes per request"),
        ("queue", "texts that wait at the same time; further requests get status 503"),
    ):
        value = getattr(usual, name)
        shown = f"{value:g}" if isinstance(value, float) else f"{value:,}"
        parser.add_argument(
            OPTIONS[name], dest=name, type=type(value), default=value, metavar="N", help=f"{text} (default: {shown})"
        )


def run(options: argparse.Namespace) -> None:
    """Load the model and serve it until a signal stops the server.

    Raises:
        ValueError: an option is invalid, the host needs a token, or the model cannot be loaded.
        OSError: the address cannot be used, or the token cannot be read.
    """
    from metaeval_hub.serve.app import build_app
    from metaeval_hub.serve.limits import Limits
    from metaeval_hub.serve.server import Server, check_host, open_socket, read_token

    given = {field.name: getattr(options, field.name) for field in fields(Limits) if field.name in options}
    limits, token = Limits(**given), read_token(options.token_file)
    check_host(options.host, token)
    with open_socket(options.host, options.port) as socket:
        engine = _engine(options)
        host, port = socket.getsockname()[:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"

        def started() -> None:
            asks = ", with a token" if token else ""
            plural = "" if len(engine.labels) == 1 else "s"
            print(
                f"serving {len(engine.labels):,} task{plural} on {address}{asks}; Ctrl-C stops",
                file=sys.stderr,
                flush=True,
            )

        usual = options.matmul_precision == "highest"  # a model in ONNX is served without torch
        with nullcontext() if usual else matmul_precision(options.matmul_precision):
            Server(build_app(engine, limits, token), started).run(sockets=[socket])
    print("stopped; all accepted requests were answered", file=sys.stderr)


def _engine(options: argparse.Namespace) -> Engine:
    """Load a model, or one that was exported to ONNX, which needs no torch."""
    from metaeval_hub.hub.names import local_folder
    from metaeval_hub.serve.onnx_files import is_onnx_folder

    if options.threads is not None and options.threads < 1:
        raise ValueError(f"--threads is {options.threads}; expected at least 1")
    if (folder := local_folder(options.model)) is not None and is_onnx_folder(folder):
        from metaeval_hub.serve.onnx_model import OnnxModel

        if options.matmul_precision != "highest":
            raise ValueError(
                f"--matmul-precision {options.matmul_precision} has no effect on a model in ONNX; leave it out, or "
                "export the model with --int8 for speed"
            )
        return OnnxModel(folder, threads=options.threads)
    import torch

    from metaeval_hub.cli.predict import load
    from metaeval_hub.serve.torch_engine import TorchEngine

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    return TorchEngine(load(options.model, options.revision))
