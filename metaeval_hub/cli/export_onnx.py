"""Export a trained model to ONNX: all tasks in one graph, for CPUs and without torch.

  metaeval export-onnx runs/multitask-1/model --out onnx
  metaeval serve onnx

The folder contains the graph, the tokenizer, and the tasks with their classes. metaeval_hub.OnnxModel loads it. --int8
stores the weights of the matrices as 8-bit integers: compare its answers with those of the model before you use it.
"""

from __future__ import annotations

import argparse

from metaeval_hub.results.terminal import path_of


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", help="folder or Hub id of a trained model, or the folder of the run that trained it")
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")
    parser.add_argument("--out", type=path_of, required=True, metavar="FOLDER", help="folder to write to")
    parser.add_argument(
        "--int8", action="store_true", help="store matrices as 8-bit integers, which changes the answers slightly"
    )


def run(options: argparse.Namespace) -> None:
    """Export the model.

    Raises:
        ImportError: onnx, onnxruntime or onnxscript is not installed.
        ValueError: the model cannot be loaded or exported.
        OSError: the folder cannot be written, or contains other files.
    """
    from metaeval_hub.cli.predict import load
    from metaeval_hub.serve.onnx_export import export_onnx
    from metaeval_hub.serve.onnx_files import MODEL_FILE

    model = load(options.model, options.revision)
    folder = export_onnx(model, options.out, int8=options.int8)
    size = (folder / MODEL_FILE).stat().st_size / 1e6
    kind = "int8" if options.int8 else "float32"
    plural = "" if len(model.labels) == 1 else "s"
    print(f"{folder}: {len(model.labels):,} task{plural}, {size:,.1f} MB ({kind})")
