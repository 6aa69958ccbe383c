"""Fit a new task to its labelled rows, report how well that works, and write the model with the task.

    metaeval fit runs/multitask-1/model acme/tickets --task-file tasks.yaml --out tickets-model

Only a classifier is fitted, so this takes seconds, and the other tasks of the model stay bit-identical. The report
compares the accuracy with simple models on the same folds, and lists the rows that are most confidently predicted as
another class than the given one: many of them are errors of the labels. fit_report.json in the new folder has all of
it. The task is fitted to its training and validation rows; test rows are only scored.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaeval_hub.cli.places import add_pins, add_seed, add_task_file, check_folder, check_model
from metaeval_hub.results.terminal import make_console, path_of, print_columns, quiet
from metaeval_hub.safe_files.printable import one_line

if TYPE_CHECKING:
    from datasets import Dataset
    from rich.console import Console

REPORT = "fit_report.json"
MOST_ROWS = 5_000
MATRIX = 8  # classes up to which the whole confusion matrix is shown
CONFUSIONS = 10  # shown pairs of classes of a task with more classes
WIDTH = 70  # characters of a shown text


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", help="folder or Hub id of a trained model, or the folder of the run that trained it")
    parser.add_argument("task", help="task to add, such as acme/tickets")
    parser.add_argument("--out", type=path_of, required=True, metavar="FOLDER", help="new folder for the model")
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")
    parser.add_argument(
        "--start", metavar="TASK", help="task of the model with the same classes, whose classifier the fit starts from"
    )
    parser.add_argument(
        "--all-rows", action="store_true", help="also fit to the test rows; only cross-validation then shows accuracy"
    )
    parser.add_argument(
        "--max-rows", type=int, default=MOST_ROWS, metavar="N",
        help=f"most rows to fit to, drawn at random; 0: all (default: {MOST_ROWS:,})",
    )  # fmt: skip
    add_seed(parser, "the folds and of the drawn rows")
    parser.add_argument(
        "--wrong", type=int, default=10, metavar="N", help="confidently wrong rows to list (default: 10)"
    )
    add_task_file(parser)
    add_pins(parser)


def run(options: argparse.Namespace) -> None:
    """Fit the task, print the report, and write the model.

    Raises:
        ValueError: the task has no labelled rows or is already a task of the model, or an option is invalid.
        OSError: the rows or the model cannot be read, or the folder cannot be written.
    """
    check_model(options.model)
    import numpy as np

    from metaeval_datasets import get_task
    from metaeval_datasets.row_sources import find_groups, name_of_rows
    from metaeval_hub.cli.predict import load
    from metaeval_hub.model.feature_choice import encode_candidates
    from metaeval_hub.model.few_shot import add_fitted, prepare_fit
    from metaeval_hub.model.fit_comparison import compare_fit
    from metaeval_hub.model.fit_facts import describe_cut, describe_fit, nearest_tasks
    from metaeval_hub.model.labelled_rows import read_rows
    from metaeval_hub.model.storage import check_place

    for name in ("max_rows", "wrong"):
        if getattr(options, name) < 0:
            raise ValueError(f"--{name.replace('_', '-')} must not be negative, got {getattr(options, name)}")
    check_folder(options.out, "--out")
    check_place(options.out)
    _check_no_other_model(options)
    names, shows = get_task(options.task).names, sys.stderr.isatty()
    labelled, official, test, counts = _rows(options)
    model = load(options.model, options.revision)
    if options.task in model.task_names:
        raise ValueError(
            f"{options.model} has a task {options.task!r} already; give the model that it was added to, or another "
            "name for the task"
        )
    groups = find_groups(options.task, official, np.array(labelled["idx"][:]))
    prepared = prepare_fit(model, options.task, labelled, names, start=options.start, groups=groups)
    features = encode_candidates(model, options.task, prepared.candidates, prepared.rows, progress=shows)
    report = add_fitted(model, prepared, features, seed=options.seed)
    held_out = None if test is None else read_rows(options.task, test, names)
    comparison = compare_fit(model, prepared, features, report, test=held_out, seed=options.seed, progress=shows)
    facts = describe_fit(options.task, prepared.rows, report, comparison, wrong=options.wrong)
    for each in facts["confidently_wrong"]:
        place = each.pop("place")
        each |= {"row": labelled[place]["idx"], "source": name_of_rows(options.task, official[place])}
    near = nearest_tasks(model, prepared.rows.texts, options.task)
    facts |= {"splits": counts, "nearest_tasks": near, "model": options.model, "seed": options.seed}
    facts["cut_texts"] = describe_cut(model, prepared.rows.texts)
    _show(make_console(), facts)
    folder = model.save_pretrained(options.out, results={options.task: _results(facts)})
    (folder / REPORT).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\nwrote {folder} with {len(model.labels):,} tasks, and {folder / REPORT}. Next:")
    print(f'  metaeval predict {folder} {options.task} "a text"')
    print(f"  metaeval serve {folder}")


def _check_no_other_model(options: argparse.Namespace) -> None:
    """Check that the folder contains neither the model itself nor one that another command wrote."""
    from metaeval_hub.model.storage import CONFIG_FILE

    out, model = options.out, Path(options.model).expanduser()
    same = [place for place in (model, model / "model") if out.is_dir() and place.is_dir() and out.samefile(place)]
    if same or ((out / CONFIG_FILE).is_file() and not (out / REPORT).is_file()):
        found = "the model itself" if same else "a model that `metaeval fit` did not write"
        raise FileExistsError(f"--out {out} contains {found}, which would be replaced; give a new folder")


def _rows(options: argparse.Namespace) -> tuple[Dataset, list[str], Dataset | None, dict[str, int]]:
    """Return the rows to fit to, their official splits, the test rows (or None), and the number of rows per split."""
    import numpy as np
    from datasets import concatenate_datasets

    from metaeval_datasets import load_dataset, read_report

    with quiet(options.verbose):
        splits = load_dataset("metaeval", options.task)
    splits = {name: rows for name, rows in splits.items() if min(rows["label"][:], default=-1) >= 0}
    fitted = [name for name in splits if name != "test" or options.all_rows]
    if not fitted:
        raise ValueError(f"{options.task} has no labelled training or validation rows; pass --all-rows to use others")
    rows = concatenate_datasets([splits[name] for name in fitted])
    counts = {name: len(splits[name]) for name in fitted}
    report = read_report(splits[fitted[0]].info)
    official = [report.splits[name].official for name in fitted for _ in range(counts[name])]
    if 0 < options.max_rows < len(rows):
        chosen = np.random.default_rng(options.seed).permutation(len(rows))[: options.max_rows]
        rows, official = rows.select(np.sort(chosen)), [official[place] for place in np.sort(chosen)]
        counts["drawn"] = len(rows)
    test = None if options.all_rows else splits.get("test")
    if test is not None:
        counts["test"] = len(test)
    return rows, official, test, counts


def _results(facts: dict[str, Any]) -> dict[str, float | None]:
    """Return the scores for the card of the model: on test rows, if there are any."""
    methods = facts["methods"]
    on_test = {name: each["test"]["accuracy"] for name, each in methods.items() if "test" in each}
    return {"majority": on_test.get("majority"), "validation": None, "test": on_test.get("fit")}


# --- What is printed ------------------------------------------------------------------------------------------------


def _show(console: Console, facts: dict[str, Any]) -> None:
    from metaeval_hub.model.fit_facts import TITLES

    counts, folds = facts["splits"], facts["cross_validation"]["folds"]
    drawn = f", of which {counts['drawn']:,} were drawn" if "drawn" in counts else ""
    fitted = " + ".join(f"{count:,} {name}" for name, count in counts.items() if name not in ("test", "drawn"))
    test = f"; test rows scored only: {counts['test']:,}" if "test" in counts else ""
    _line(console, facts["task"], bold=True)
    _line(console, f"fitted to {fitted} rows{drawn}, {len(facts['classes'])} classes{test}")
    _line(console, f"features: {facts['features']}")
    if facts["cut_texts"]["rows"]:
        _line(console, _cut(facts))
    _line(console, "")
    if facts["methods"]:
        has_test = any("test" in each for each in facts["methods"].values())
        titles = ["accuracy in %", "95 % interval", "this fit is better by", *(["on test"] if has_test else [])]
        lines = [[TITLES[name], *_cells(each, has_test)] for name, each in facts["methods"].items()]
        print_columns(console, [f"{folds}-fold cross-validation", *titles], lines, numbers=[1])
        _show_errors(console, facts)
    if facts["nearest_tasks"]:
        near = ", ".join(f"{name} ({cosine:.2f})" for name, cosine in facts["nearest_tasks"]["tasks"])
        _line(console, f"tasks of the model with the most similar {facts['nearest_tasks']['by']}: {near}\n")
    for sentence in facts["conclusions"]:
        _line(console, sentence)


def _cut(facts: dict[str, Any]) -> str:
    """Return the line about texts that are longer than the model reads."""
    cut = facts["cut_texts"]
    part = "first" if cut["side"] == "right" else "last"
    return (
        f"long texts: {cut['rows']:,} of {facts['rows']:,} rows have more than {cut['max_length']} tokens; the encoder "
        f"reads only the {part} {cut['max_length']}, TF-IDF reads all"
    )


def _line(console: Console, text: str, bold: bool = False) -> None:
    console.print(text, style="bold" if bold else "", markup=False, highlight=False, soft_wrap=True)


def _cells(method: dict[str, Any], has_test: bool) -> list[str]:
    """Return the cells of a method: accuracy, interval, difference, and accuracy on test rows."""
    low, high = method["interval"]
    cells = [f"{method['accuracy'] * 100:.1f}", f"{low * 100:.1f} to {high * 100:.1f}", ""]
    if "difference" in method:
        low, high = method["difference"]["interval"]
        cells[2] = f"{method['difference']['value'] * 100:+.1f} ({low * 100:+.1f} to {high * 100:+.1f})"
    if has_test:
        low, high = method["test"]["interval"]
        cells.append(f"{method['test']['accuracy'] * 100:.1f} ({low * 100:.1f} to {high * 100:.1f})")
    return cells


def _show_errors(console: Console, facts: dict[str, Any]) -> None:
    """Print the confusions, and the rows that are most confidently predicted as another class."""
    names, counts = [_short(name) for name in facts["classes"]], facts["confusion"]
    console.print()
    if len(names) <= MATRIX:
        lines = [[name, *(f"{each:,}" for each in line)] for name, line in zip(names, counts, strict=True)]
        print_columns(console, ["given \\ predicted", *names], lines, numbers=range(1, len(names) + 1))
    else:
        pairs = [(n, i, j) for i, line in enumerate(counts) for j, n in enumerate(line) if i != j and n]
        lines = [[names[i], names[j], f"{n:,}"] for n, i, j in sorted(pairs, key=lambda each: -each[0])[:CONFUSIONS]]
        print_columns(console, ["given", "predicted most often instead", "rows"], lines, numbers=[2])
    console.print()
    if facts["confidently_wrong"]:
        _line(console, "most confidently wrong; check these labels (row: number in the source, from 0)", bold=True)
        lines = [
            [f"{each['probability']:.2f}", each["given"], each["predicted"], _short(each["source"]), str(each["row"]),
             _text(each["text"])]
            for each in facts["confidently_wrong"]
        ]  # fmt: skip
        print_columns(console, ["prob.", "given", "predicted", "source", "row", "text"], lines, numbers=[0, 4])
        console.print()


def _text(text: Any) -> str:
    return _short(text if isinstance(text, str) else " | ".join(text))


def _short(text: str) -> str:
    text = one_line(" ".join(text.split()))
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
