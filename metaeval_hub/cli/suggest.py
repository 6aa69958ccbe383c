"""Suggest which rows of a file to label next.

    metaeval suggest MODEL acme/tickets --task-file tasks.yaml --unlabelled new.csv -n 20 --out next.csv
    metaeval suggest MODEL labelled.csv --unlabelled new.csv
    metaeval suggest MODEL --unlabelled new.csv

With labelled rows, the suggestions are texts whose class is uncertain and that differ from each other. The classifier
is that of the task, if the model has it; otherwise it is fitted to the labelled rows, and the model does not change.
Without labelled rows, the suggestions are typical texts. Repeated texts and labelled texts are never suggested.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
from typing import TYPE_CHECKING, Any

from metaeval_hub.cli.places import add_csv, add_pins, add_seed, add_task_file, check_model, check_new_file, csv_given
from metaeval_hub.results.terminal import path_of, quiet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metaeval_datasets import TaskSpec
    from metaeval_hub.encoders.tokens import Text
    from metaeval_hub.model.labelled_rows import LabelledRows
    from metaeval_hub.model.model import ConditionalAdapterModel
    from metaeval_hub.model.suggestion import Suggestion

MOST_ROWS = 10_000
CLASSES = 2  # most probable classes in the table
FILE_TASK = "labelled/rows"  # name of the task that a file of labelled rows declares


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", help="folder or Hub id of a trained model, or the folder of the run that trained it")
    parser.add_argument(
        "task", nargs="?", metavar="TASK_OR_FILE",
        help="task of the model, task with labelled rows, or file of labelled rows (default: nothing is labelled yet)",
    )  # fmt: skip
    parser.add_argument(
        "--unlabelled", required=True, metavar="FILE", help="CSV, TSV, JSON-lines or Parquet file with the texts"
    )
    parser.add_argument("-n", "--number", type=int, default=20, metavar="N", help="rows to suggest (default: 20)")
    parser.add_argument("--text", metavar="COLUMN", help="column of the text (default: as in the task, or found)")
    parser.add_argument("--second-text", metavar="COLUMN", help="column of the second text, for a task over pairs")
    parser.add_argument(
        "--label", default="label", metavar="COLUMN", help="column of the label in TASK_OR_FILE (default: label)"
    )
    parser.add_argument("--out", type=path_of, metavar="FILE.csv", help="new file to write (default: standard output)")
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")
    parser.add_argument(
        "--max-rows", type=int, default=MOST_ROWS, metavar="N",
        help=f"most unlabelled rows to look at, drawn at random; 0: all (default: {MOST_ROWS:,})",
    )  # fmt: skip
    add_csv(parser)
    add_seed(parser, "the clusters and drawn rows")
    add_task_file(parser)
    add_pins(parser)


def run(options: argparse.Namespace) -> None:
    """Print or write the suggested rows as CSV.

    Raises:
        ValueError: the task is unknown, a column is missing, there are too few texts, or an option is invalid.
        OSError: the texts or the model cannot be read, or the file cannot be written.
    """
    check_model(options.model)
    from metaeval_datasets.catalog import registered
    from metaeval_datasets.unlabelled import read_unlabelled
    from metaeval_hub.cli.predict import load
    from metaeval_hub.model.suggestion import suggest

    if options.number < 1 or options.max_rows < 0:
        raise ValueError(f"-n is {options.number} and --max-rows {options.max_rows}; expected 1 or more, and 0 or more")
    if 0 < options.max_rows < options.number:
        raise ValueError(
            f"-n {options.number} asks for more rows than --max-rows {options.max_rows} looks at; raise --max-rows, or "
            "pass 0 to look at all rows"
        )
    if options.second_text and not options.text:
        raise ValueError(f"--second-text {options.second_text} needs --text, the column of the first text")
    if options.out:
        check_new_file(options.out, "--out")
    csv = csv_given(options, options.unlabelled, options.task or "")
    spec = _declared(options, csv)
    texts, rows = read_unlabelled(options.unlabelled, _columns(options, spec), csv)
    texts, rows, drawn = _draw(texts, rows, options)
    model = load(options.model, options.revision)
    with registered([spec] if spec is not None and spec.name == FILE_TASK else []):
        labelled, others = _labelled(options, spec)
    known = options.task is not None and options.task in model.task_names
    if options.task is not None and spec is None and not known:
        model.task_id(options.task)  # raises an error that suggests the nearest name
    _check_form(options, model, texts, labelled)
    given = None if known or labelled is None else [*zip(labelled.texts, labelled.classes.tolist(), strict=True)]
    others += labelled.texts if known and labelled is not None else []
    found = suggest(
        model, texts, options.number, task=options.task if known else None, labelled=given,
        labels=None if given is None or labelled is None else labelled.names, without=others, seed=options.seed,
        progress=sys.stderr.isatty(),
    )  # fmt: skip
    table = _table(options, spec, found, rows)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(table, encoding="utf-8", newline="")
        print(f"wrote {options.out} with {len(found):,} of {len(texts):,} texts{drawn}: {_reason(known, labelled)}")
    else:
        sys.stdout.write(table)
        print(f"{len(found):,} of {len(texts):,} texts{drawn}: {_reason(known, labelled)}", file=sys.stderr)
    if known and labelled is None:
        print(
            f"the texts that {options.task} was fitted to are unknown, so some may be suggested; pass its --task-file",
            file=sys.stderr,
        )


def _reason(known: bool, labelled: LabelledRows | None) -> str:
    if known:
        return "uncertain for the classifier of the model, and different from each other"
    if labelled is not None:
        return f"uncertain after {len(labelled.texts):,} labelled rows, and different from each other"
    return "typical texts, because nothing is labelled yet"


# --- Rows -----------------------------------------------------------------------------------------------------------


def _declared(options: argparse.Namespace, given: Mapping[str, Any]) -> TaskSpec | None:
    """Return the declaration of the task, or one of the file of labelled rows; None if there is none."""
    from metaeval_datasets import get_task, task_from
    from metaeval_datasets.catalog import LeftOutTaskError, UnknownTaskError
    from metaeval_datasets.sources.layout import KINDS
    from metaeval_datasets.unlabelled import csv_options, find_texts

    if options.task is None:
        return None
    if options.task.lower().endswith(tuple(KINDS)):
        path = os.path.abspath(os.path.expanduser(options.task))
        columns = _columns(options, None) or (find_texts(path, given) if os.path.isfile(path) else ("text",))
        second = columns[1] if len(columns) > 1 else None
        csv = csv_options(path, given) if os.path.isfile(path) else {}
        return task_from(path, name=FILE_TASK, text=columns[0], second_text=second, label=options.label, **csv)
    try:
        return get_task(options.task)
    except LeftOutTaskError:
        raise
    except UnknownTaskError:
        return None


def _columns(options: argparse.Namespace, spec: TaskSpec | None) -> Sequence[Any] | None:
    """Return the texts to read: those of the options, or those that the task declares."""
    if options.text:
        return [options.text, options.second_text] if options.second_text else [options.text]
    return None if spec is None else list(spec.texts.values())


def _draw(texts: list[Text], rows: list[int], options: argparse.Namespace) -> tuple[list[Text], list[int], str]:
    """Return at most --max-rows texts with the numbers of their rows, and a note for the output."""
    import numpy as np

    if not 0 < options.max_rows < len(texts):
        return texts, rows, ""
    chosen = np.sort(np.random.default_rng(options.seed).permutation(len(texts))[: options.max_rows])
    return [texts[i] for i in chosen], [rows[i] for i in chosen], f", drawn from {len(texts):,}"


def _labelled(options: argparse.Namespace, spec: TaskSpec | None) -> tuple[LabelledRows | None, list[Text]]:
    """Return the labelled training and validation rows of a task (None without any), and the texts of its test rows."""
    from datasets import concatenate_datasets

    from metaeval_datasets import load_dataset
    from metaeval_hub.model.labelled_rows import read_rows

    if spec is None:
        return None, []
    with quiet(options.verbose):
        splits = load_dataset("metaeval", spec.name)
    splits = {name: rows for name, rows in splits.items() if min(rows["label"][:], default=-1) >= 0}
    fitted = [rows for name, rows in splits.items() if name != "test" or spec.name == FILE_TASK]
    test = [] if "test" not in splits else read_rows(spec.name, splits["test"], spec.names).texts
    if not fitted:
        return None, test
    return read_rows(spec.name, concatenate_datasets(fitted), spec.names), test


def _check_form(
    options: argparse.Namespace, model: ConditionalAdapterModel, texts: Sequence[Text], labelled: LabelledRows | None
) -> None:
    """Check that texts and task are both over single texts, or both over pairs."""
    wanted = model.fields.get(options.task) if labelled is None else labelled.fields
    given = 1 if isinstance(texts[0], str) else 2
    if wanted is not None and wanted != given:
        forms = {1: "single texts", 2: "pairs of texts"}
        raise ValueError(
            f"{options.task} is over {forms[wanted]}, and {options.unlabelled} was read as {forms[given]}; name the "
            f"columns with --text{' and --second-text' if wanted == 2 else ''}"
        )


# --- The table ------------------------------------------------------------------------------------------------------


def _table(options: argparse.Namespace, spec: TaskSpec | None, found: Sequence[Suggestion], rows: Sequence[int]) -> str:
    """Return the suggestions as CSV, with an empty column for the labels."""
    pairs = not isinstance(found[0].text, str)
    shown = min(CLASSES, len(found[0].classes))
    rest = ["score", *(name for i in range(1, shown + 1) for name in (f"class_{i}", f"probability_{i}"))]
    named = ["text", *(["second_text"] if pairs else []), "label"]
    own = _own_columns(spec)
    if len(own) == len(named) and len({*own, "file", "row", *rest}) == len(own) + 2 + len(rest):
        named = own
    head = ["file", "row", *named, *rest]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    name = os.path.basename(options.unlabelled)
    for each in found:
        texts = each.text if pairs else [each.text]
        probable = [value for label, share in each.classes[:shown] for value in (label, f"{share:.3f}")]
        writer.writerow([name, rows[each.place], *texts, "", f"{each.score:.3f}", *probable])
    return text.getvalue()


def _own_columns(spec: TaskSpec | None) -> list[str]:
    """Return the columns of the texts and the label of a task over files, so that its files can be extended.

    Returns:
        Nothing if the task is not over files, or if a text consists of several columns.
    """
    from metaeval_datasets.spec import Files

    if spec is None or not isinstance(spec.sources[0], Files):
        return []
    texts = [text for text in spec.texts.values() if isinstance(text, str)]
    return [*texts, spec.label] if len(texts) == spec.num_text_fields else []
