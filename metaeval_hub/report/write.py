"""Put a report together and write it: Markdown, HTML, and a CSV, JSON, PNG and SVG for all that is shown."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from metaeval_hub.analysis.distance_from_start import StillAtStartError
from metaeval_hub.analysis.embedded_runs import EmbeddedRun
from metaeval_hub.analysis.geometry import geometry, silent
from metaeval_hub.analysis.plot_tables import draw_geometry
from metaeval_hub.report import few_shot, files
from metaeval_hub.report import paper_tables as sections
from metaeval_hub.report.claims import claims
from metaeval_hub.report.document import Missing, Picture, Section, Shown, to_html, to_markdown
from metaeval_hub.report.inputs import Inputs, read_inputs
from metaeval_hub.report.overview import overview
from metaeval_hub.report.per_task import by_task
from metaeval_hub.report.zero_shot import beyond, table_5
from metaeval_hub.results.tables import Table
from metaeval_hub.safe_files.printable import one_line, without_control

TITLE = "Task embeddings: our figures beside the paper's"
FILES = ("report.md", "report.html")


@dataclass(frozen=True)
class Job:
    """How a report is made.

    Args:
        folder: to write to; made if it does not exist.
        made: what made it, as ``metaeval_hub.results.tables.made_by`` says it.
        permutations: of each test of a probe.
        seed: of UMAP and permutations.
        least_rows: tasks with fewer training rows are left out.
        force: whether runs whose z has not moved are analysed.
        step: called with a few words before each part.
    """

    folder: Path
    made: Mapping[str, Any]
    permutations: int = 200
    seed: int = 0
    least_rows: int = 0
    force: bool = False
    step: Callable[[str], None] = silent


def write_report(places: Sequence[str], job: Job) -> list[Path]:
    """Write the report of runs, given by their folders; returns its two files.

    It is made aside and then moved into the folder, so that a report that fails leaves an older one whole. Files of an
    older report that the new one does not have are removed, as far as nobody has changed them; nothing else is.

    Raises:
        ResultsError: a folder holds no run, or its results are of another form.
        UnsafeRepositoryError: its files are not of the expected form.
    """
    job.step("reading")
    inputs, told = usable(read_inputs(places, job.least_rows), job.force)
    told += inputs.repeated
    job.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".report-", dir=job.folder) as aside:
        _write_parts(inputs, told, places, replace(job, folder=Path(aside)))
        files.replace_files(Path(aside), job.folder)
    return [job.folder / name for name in FILES]


def _write_parts(inputs: Inputs, told: Sequence[str], places: Sequence[str], job: Job) -> None:
    parts = make_sections(inputs, places, job)
    if told:
        lines = "\n".join(f"- {one_line(text)}" for text in told)
        parts.insert(1, Section("Runs that are not analysed, or with care", (lines,)))
    for block in (block for part in parts for block in part.blocks):
        if isinstance(block, Shown):
            block.table.save(job.folder, block.stem, job.made)
    command = one_line(str(job.made["command"]))
    for name, text in zip(
        FILES, (to_markdown(TITLE, parts, command), to_html(TITLE, parts, command, job.folder)), strict=True
    ):
        (job.folder / name).write_text(without_control(text), encoding="utf-8", errors="backslashreplace")


def usable(inputs: Inputs, force: bool) -> tuple[Inputs, list[str]]:
    """The inputs without runs whose z is its random start, and what is to be said of runs."""
    kept, told = [], []
    for run in inputs.embedded:
        try:
            warning = run.check(force=force)
        except StillAtStartError as error:
            told.append(str(error))
            continue
        kept.append(run)
        told += [warning] if warning else []
    return replace(inputs, embedded=kept), told


def make_sections(inputs: Inputs, places: Sequence[str], job: Job) -> list[Section]:
    """All sections in the order of the paper; claims come second, because they are what most readers want."""
    job.step("tables 1 to 3")
    groups = [(group, sections.compare_methods(group)) for group in inputs.groups]
    compared = groups[0][1]
    parts = [
        *(sections.table_1(group, found, number) for number, (group, found) in enumerate(groups)),
        *figures(inputs, job),
        _part("Table 2: stability within a run", sections.table_2, inputs),
        _part("Table 3: stability across runs", sections.table_3, inputs),
        _part(
            "Table 4: aspects read from task embeddings",
            partial(sections.table_4, permutations=job.permutations, seed=job.seed, step=job.step),
            inputs,
        ),
        _part("Table 5: zero-shot accuracy on GLUE", table_5, inputs),
        _part("Beyond the paper: zero-shot accuracy on every group left out", beyond, inputs),
        few_shot.section(inputs.few_shot, job.folder, job.made, job.step),
        *filter(None, (by_task(group, found, number) for number, (group, found) in enumerate(groups))),
    ]
    tables: dict[str, Table] = {
        block.stem: block.table for part in parts for block in part.blocks if isinstance(block, Shown)
    }
    return [overview(inputs, places), claims(inputs, compared, tables), *parts]


def _part(title: str, make: Callable[[Inputs], Section], inputs: Inputs) -> Section:
    """A section; where runs do not go together, why it was not made, so that the others are."""
    try:
        return make(inputs)
    except ValueError as error:
        return Section(title, (f"Not made: {error}.",))


def figures(inputs: Inputs, job: Job) -> list[Section]:
    """Figures 3 and 5 of the first run with one embedding a task, figure 4 of the first with several."""
    one = next(iter(inputs.single or inputs.several), None)
    many = next(iter(inputs.several), None)
    return [
        _figure("Figure 3: UMAP of z", "figure3", one, "umap", job),
        _figure("Figure 4: UMAP of several embeddings a task", "figure4", many, "umap", job),
        _figure("Figure 5: PCA of z", "figure5", one, "pca", job),
    ]


def _figure(title: str, stem: str, run: EmbeddedRun | None, method: Literal["pca", "umap"], job: Job) -> Section:
    if run is None:
        command = sections.COMMANDS["pilault"]
        if stem == "figure4":
            return Section(
                title, (Missing("a run with three embeddings a task", f"{command} --embeddings-per-task 3"),)
            )
        return Section(title, (Missing("a run with task embeddings that have moved", command),))
    job.step(title)
    try:
        table = geometry(run, method, job.seed)
    except (ValueError, ImportError) as error:  # too few tasks, or no umap-learn
        return Section(title, (f"Not drawn: {error}.",))
    table.save(job.folder, stem, job.made)
    draw_geometry(table, job.folder, stem)
    ends = [str(row["task"]) for row in table.records]
    text = f"Farthest from the centre: {', '.join(ends[:5])}; nearest to it: {', '.join(reversed(ends[-5:]))}."
    command = shlex.join(["metaeval", "analyze", "geometry", run.place, "--method", method, "--seed", str(job.seed)])
    return Section(title, (Picture(stem, f"{table.title}. {table.notes[0]}"), text), f"{command} --out DIR")
