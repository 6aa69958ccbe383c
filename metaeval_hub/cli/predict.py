"""Classify texts with one task of a trained model.

Each text is an argument, or a line of standard input; the two texts of a pair are separated by a tab.
"""

from __future__ import annotations

import argparse
import json
import sys

TAB_HINT = (
    "The two texts of a pair have a tab in between, which bash and zsh write as $'first\\tsecond'; a backslash and a t "
    "in other quotes are no tab"
)


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", help="folder or Hub id of a trained model")
    parser.add_argument("task", help="a task of the model, such as glue/cola")
    parser.add_argument("text", nargs="*", help="a text, or a pair with a tab in between; standard input if none")
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")
    parser.add_argument("--batch-size", type=int, default=32, help="texts at once (default 32)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a text, with all probabilities")


def run(options: argparse.Namespace) -> None:
    """Print a line a text: class, probability, text."""
    from metaeval_hub.model import ConditionalAdapterModel, Text

    lines = options.text or [line.rstrip("\n") for line in sys.stdin]
    texts: list[Text] = [(first, second) if tab else first for first, tab, second in (x.partition("\t") for x in lines)]
    model = ConditionalAdapterModel.from_pretrained(options.model, revision=options.revision)
    try:
        found = model.predict(options.task, texts, batch_size=options.batch_size)
    except TypeError as error:
        if all("\t" in line for line in lines):
            raise
        raise TypeError(f"{error}. {TAB_HINT}") from error
    for line, label, probabilities in zip(lines, found.labels, found.probabilities.tolist(), strict=True):
        if options.json:
            shares = dict(zip(found.names, probabilities, strict=True))
            print(json.dumps({"text": line, "label": label, "probabilities": shares}, ensure_ascii=False))
        else:
            print(f"{label}\t{max(probabilities):.3f}\t{line}")
