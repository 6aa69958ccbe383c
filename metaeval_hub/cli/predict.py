"""Classify texts with one task of a trained model.

Each text is an argument, or a line of standard input; the two texts of a pair are separated by a tab.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

MODEL, WEIGHTS_FILE = "model", "model.safetensors"  # in the folder of a run; of a model
TAB_HINT = (
    "The two texts of a pair have a tab in between, which bash and zsh write as $'first\\tsecond'; a backslash and a t "
    "in other quotes are no tab"
)


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", help="folder of a trained model or of its run, or Hub id")
    parser.add_argument("task", help="a task of the model, such as glue/cola")
    parser.add_argument("text", nargs="*", help="a text, or a pair with a tab in between; standard input if none")
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")
    parser.add_argument("--batch-size", type=int, default=32, help="texts at once (default 32)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a text, with all probabilities")


def run(options: argparse.Namespace) -> None:
    """Print a line a text: class, probability, text."""
    from metaeval_hub.model import ConditionalAdapterModel, Text

    lines = options.text or read_lines(sys.stdin.buffer.read())
    texts: list[Text] = [(first, second) if tab else first for first, tab, second in (x.partition("\t") for x in lines)]
    model = ConditionalAdapterModel.from_pretrained(find_model(options.model), revision=options.revision)
    try:
        found = model.predict(options.task, texts, batch_size=options.batch_size)
    except TypeError as error:  # single texts for a task over pairs, or the other way round
        hint = "" if all("\t" in line for line in lines) else f". {TAB_HINT}"
        raise ValueError(f"{error}{hint}") from error
    for line, label, probabilities in zip(lines, found.labels, found.probabilities.tolist(), strict=True):
        if options.json:
            shares = dict(zip(found.names, probabilities, strict=True))
            print(json.dumps({"text": line, "label": label, "probabilities": shares}, ensure_ascii=False))
        else:
            print(f"{label}\t{max(probabilities):.3f}\t{line}")


def read_lines(content: bytes) -> list[str]:
    """Return the texts of standard input, one a line, however its lines end and whether or not it begins with a mark.

    Raises:
        ValueError: a line is not UTF-8.
    """
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    texts = []
    for number, line in enumerate(lines, 1):
        try:
            texts.append(line.removesuffix(b"\r").decode("utf-8"))
        except UnicodeDecodeError as error:
            raise ValueError(
                f"line {number} of standard input is not UTF-8: byte {error.object[error.start]:#04x} at place "
                f"{error.start + 1}; convert the input, for example with iconv -f latin1 -t utf-8"
            ) from None
    return texts


def find_model(place: str) -> str:
    """Return the folder of a model: the one given, or the model in the folder of a run; a Hub id stays as it is."""
    folder = Path(place).expanduser()
    inner = folder / MODEL
    return str(inner) if not (folder / WEIGHTS_FILE).is_file() and (inner / WEIGHTS_FILE).is_file() else place
