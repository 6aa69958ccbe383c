"""Classify texts with one task of a trained model.

    metaeval predict MODEL acme/tickets "The courier lost my box"
    metaeval predict MODEL acme/tickets --file new.csv --text message --out predicted.csv

Give texts as arguments, or one per line on standard input (UTF-8). Separate the two texts of a pair with a tab. With
--file, the output is a CSV file: the columns of the file, the predicted class, and the probability of each class.
"""

from __future__ import annotations

import argparse
import codecs
import json
import sys
from typing import TYPE_CHECKING, get_args

from metaeval_hub.cli.file_predictions import check_options, predict_file
from metaeval_hub.cli.places import add_csv
from metaeval_hub.results.terminal import path_of
from metaeval_hub.safe_files.printable import without_control
from metaeval_hub.utils.products import MatmulPrecision, matmul_precision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metaeval_hub.encoders.tokens import Text
    from metaeval_hub.model.model import ConditionalAdapterModel

TAB_HINT = (
    "Separate the two texts of a pair with a tab, which bash and zsh write as $'first\\tsecond'; in other quotes, \\t "
    "is not a tab"
)


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", help="folder or Hub id of a trained model, or the folder of the run that trained it")
    parser.add_argument("task", help="task of the model, such as glue/cola")
    parser.add_argument(
        "text", nargs="*", help="text, or pair of texts separated by a tab (default: read standard input)"
    )
    parser.add_argument(
        "--file", metavar="FILE", help="classify the rows of this CSV, TSV, JSON-lines or Parquet file, and write CSV"
    )
    parser.add_argument(
        "--text", nargs="+", dest="text_columns", metavar="COLUMN",
        help="column of the text in --file; several are joined by a space (default: found)",
    )  # fmt: skip
    parser.add_argument("--second-text", metavar="COLUMN", help="column of the second text, for a task over pairs")
    parser.add_argument(
        "--out", type=path_of, metavar="FILE.csv", help="new file to write with --file (default: standard output)"
    )
    add_csv(parser)
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")
    parser.add_argument("--batch-size", type=int, default=32, help="texts per batch (default: 32)")
    add_precision(parser)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object per text, with the probabilities of all classes"
    )


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Declare the flag of the precision of matrix products."""
    parser.add_argument(
        "--matmul-precision", choices=get_args(MatmulPrecision), default="highest",
        help="precision of float32 matrix products; medium is faster on a CPU (default: highest)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> None:
    """Print one line per text: class, probability, text; or write the rows of a file with their predictions.

    Raises:
        ValueError: the model or the task is unknown, a text does not fit the task, or an option is invalid.
        OSError: the model or the file cannot be read, or the output cannot be written.
    """
    check_options(options)
    if options.file is not None:
        predict_file(options, lambda: load(options.model, options.revision))
        return
    lines = _arguments(options.text) if options.text else read_lines()
    model = load(options.model, options.revision)
    model.task_id(options.task)  # raises an error that suggests the nearest name
    with matmul_precision(options.matmul_precision):
        found = model.predict(options.task, _texts(model, options.task, lines), batch_size=options.batch_size)
    for line, label, probabilities in zip(lines, found.labels, found.probabilities.tolist(), strict=True):
        if options.json:
            shares = dict(zip(found.names, probabilities, strict=True))
            print(json.dumps({"text": line, "label": label, "probabilities": shares}, ensure_ascii=False))
        else:
            print(f"{without_control(label)}\t{max(probabilities):.3f}\t{without_control(line)}")


def load(place: str, revision: str | None = None) -> ConditionalAdapterModel:
    """Load a model from its folder, from the folder of the run that trained it, or from the Hub.

    Raises:
        ValueError: the folder does not exist or contains no model, or the run is not finished.
        OSError: the model cannot be downloaded.
    """
    from metaeval_hub.hub.names import local_folder

    folder = local_folder(place)  # first: a mistyped path is reported before slow libraries are imported
    from metaeval_hub.analysis.embedded_runs import MODEL
    from metaeval_hub.model.model import ConditionalAdapterModel
    from metaeval_hub.results.run_results import CONFIG, is_run, without_results

    if folder is None:
        return ConditionalAdapterModel.from_pretrained(place, revision=revision)
    if is_run(folder) or not (folder / CONFIG).exists():
        if (folder / MODEL / CONFIG).is_file():
            return ConditionalAdapterModel.from_pretrained(folder / MODEL)
        if is_run(folder):
            raise ValueError(f"{folder} contains no {MODEL}/: {without_results(folder)}")
        raise ValueError(
            f"{folder} is not a model or run folder: {CONFIG} is missing; expected for instance runs/NAME/{MODEL}"
        )
    return ConditionalAdapterModel.from_pretrained(folder)


# --- Texts ---


def read_lines() -> list[str]:
    """Read the lines of standard input as UTF-8, with any line endings and whatever the locale.

    Raises:
        ValueError: a line is not UTF-8, or there is no standard input.
    """
    stream = getattr(sys.stdin, "buffer", None)
    if sys.stdin is None:
        raise ValueError("standard input is closed; give the texts as arguments, or send them to standard input")
    if stream is None:  # a text stream replaces standard input
        return [line.rstrip("\n") for line in sys.stdin]
    lines = stream.read().removeprefix(codecs.BOM_UTF8).split(b"\n")
    if not lines[-1]:  # the text after the last line break is empty
        lines.pop()
    return [_decode(line.removesuffix(b"\r"), number) for number, line in enumerate(lines, 1)]


def _decode(line: bytes, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(
            f"line {number} of standard input is not UTF-8 (byte 0x{byte:02x} at place {error.start + 1}); convert it, "
            "for example with iconv -f latin1 -t utf-8"
        ) from None


def _arguments(texts: Sequence[str]) -> list[str]:
    """Check the texts of the command line: Python represents undecodable bytes as halves of surrogate pairs."""
    for number, text in enumerate(texts, 1):
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError(f"text {number} is not UTF-8; convert it, or set the encoding of the terminal") from None
    return list(texts)


def _texts(model: ConditionalAdapterModel, task: str, lines: Sequence[str]) -> list[Text]:
    """Split lines into texts or pairs, and check that all have the form that the task expects.

    Raises:
        ValueError: a text has another form.
    """
    texts: list[Text] = [(first, second) if tab else first for first, tab, second in (x.partition("\t") for x in lines)]
    pairs = [isinstance(text, tuple) for text in texts]
    wanted = model.fields.get(task, 1 + pairs[0] if pairs else 1)
    for number, is_pair in enumerate(pairs, 1):
        if is_pair != (wanted == 2):
            over, given = ("pairs of texts", "one text") if wanted == 2 else ("single texts", "a pair")
            known = f"{task} classifies {over}" if task in model.fields else f"expected {over} like the first text"
            hint = "" if is_pair else f". {TAB_HINT}"
            raise ValueError(
                f"{known}, and text {number} is {given}: {without_control(lines[number - 1])[:80]!r}{hint}"
            )
    return texts
