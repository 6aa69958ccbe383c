"""Write an interactive map of the tasks of one or more runs as a single HTML file.

The file opens in any browser, without a server or network access. Readers can zoom, search, colour tasks by any aspect,
click a task to see its nearest tasks and facts, and view two runs side by side. A RUN is the folder of a run, a folder
of task embeddings, the folder or Hub id of a model, or the Hub id of a dataset of task embeddings. LABEL=RUN sets the
name of the run on the page. --push publishes the page as a static Space on the Hub.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from metaeval_hub.cli.places import add_pins, add_task_file, check_file
from metaeval_hub.results.terminal import labelled, make_console, make_folder, path_of, progress, quiet

if TYPE_CHECKING:
    from datasets import DatasetDict

    from metaeval_datasets import TaskSpec
    from metaeval_hub.analysis.embedded_runs import EmbeddedRun
    from metaeval_hub.analysis.projection import ProjectionMethod
    from metaeval_hub.page.content import TaskFacts


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("runs", nargs="+", metavar="[LABEL=]RUN", help="run to show; the page opens with the first one")
    parser.add_argument(
        "--out", type=path_of, default=Path("map.html"), metavar="FILE", help="file to write (default: map.html)"
    )
    parser.add_argument("--title", default="", help="title of the page (default: Map of N tasks)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of UMAP (default: 0)")
    parser.add_argument(
        "--median-words", action="store_true",
        help="load every task and add its median number of words; downloads tasks that are not in the cache",
    )  # fmt: skip
    parser.add_argument(
        "--examples", choices=("none", "demo", "open", "all"), default="demo",
        help="tasks to show a few short training texts of: none, the demo tasks (default), also tasks under an open "
        "licence, or all (such a page must not be shared, so not with --push); loads the tasks",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="also show runs whose z is close to its random start")
    parser.add_argument("--push", metavar="ORG/NAME", help="publish the page on the Hub as this static Space")
    parser.add_argument("--push-to-model", metavar="ORG/NAME", help="upload the page to the repository of this model")
    parser.add_argument("--private", action="store_true", help="make a new Space private")
    add_pins(parser)
    add_task_file(parser)


def run(options: argparse.Namespace) -> None:
    """Read the runs, draw the maps, write the page, and push it if asked."""
    if options.examples == "all" and (options.push or options.push_to_model):
        raise ValueError(
            "--examples all shows texts whose licence may forbid sharing; push with --examples open, demo or none"
        )
    from metaeval_hub.analysis.projection import umap_missing
    from metaeval_hub.hub.login import push_target
    from metaeval_hub.page.runs import space_of
    from metaeval_hub.page.write import write_page

    if options.push:
        options.push = push_target(options.push)
    if options.push_to_model:
        options.push_to_model = push_target(options.push_to_model)
    check_file(options.out, "--out")

    make_folder(options.out.parent)
    runs = _read(options.runs)
    facts, failed = _facts(runs, options)
    missing = umap_missing()
    methods: list[ProjectionMethod] = ["pca"] if missing else ["umap", "pca"]
    spaces = []
    with progress(len(runs), "drawing") as step:
        for data in runs:
            spaces.append(space_of(data, methods=methods, seed=options.seed, force=options.force))
            step(data.name)
    page = write_page(options.out, spaces, facts, title=options.title)
    title = options.title or f"Map of {len(facts):,} tasks"
    lines = [f"not read: {task}: {reason}" for task, reason in failed.items()]
    lines += [f"note: {space.warning}" for space in spaces if space.warning]
    lines += [f"note: the page shows only PCA, not UMAP: {missing}"] if missing else []
    lines.append(f"{page}: {len(facts):,} tasks, {page.stat().st_size / 1000:,.0f} kB; open it in a browser")
    console = make_console()
    for line in lines:
        console.print(line, soft_wrap=True)
    for line in _push(page, title, options):
        console.print(line, soft_wrap=True)


def _read(arguments: list[str]) -> list[EmbeddedRun]:
    """Read the runs; runs with the same name are labelled with their paths."""
    from metaeval_hub.analysis.embedded_runs import read_embedded
    from metaeval_hub.results.run_results import at_home

    named = [labelled(argument) for argument in arguments]
    twice = Counter(at_home(place).resolve().name for label, place in named if label is None)
    names = [label or (place if twice[at_home(place).resolve().name] > 1 else None) for label, place in named]
    return [read_embedded(place, name) for name, (_, place) in zip(names, named, strict=True)]


def _facts(runs: list[EmbeddedRun], options: argparse.Namespace) -> tuple[dict[str, TaskFacts], dict[str, str]]:
    """Return facts about the tasks, and the tasks that could not be read with the reason.

    Demo tasks are always read, because they need no network.
    """
    from metaeval_datasets import get_task, load_dataset
    from metaeval_datasets.catalog import DEMO_GROUP
    from metaeval_hub.page.runs import editions_of, facts_of, may_show, read_data

    def load(task: str, edition: str) -> DatasetDict:
        return load_dataset("metaeval", task, edition=edition)

    def wanted(spec: TaskSpec) -> bool:
        return options.median_words or spec.group == DEMO_GROUP or may_show(spec, options.examples)

    editions = {task: edition for task, edition in editions_of(runs).items() if wanted(get_task(task))}
    with quiet(options.verbose, bars=False), progress(len(editions), "reading tasks") as step:
        return read_data(facts_of(runs), load, editions, options.examples, step)


def _push(page: Path, title: str, options: argparse.Namespace) -> Iterator[str]:
    from metaeval_hub.page.push import push_space, push_to_model

    if options.push:
        yield f"pushed: {push_space(page, options.push, title=title, private=options.private or None)}"
    if options.push_to_model:
        yield f"pushed: {push_to_model(page, options.push_to_model)}"
