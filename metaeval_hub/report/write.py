"""Compute and write a report: Markdown, HTML, tables (CSV, JSON) and figures (PNG, SVG)."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from metaeval_hub.analysis.controls import NoInformationError
from metaeval_hub.analysis.embedded_runs import EmbeddedRun
from metaeval_hub.analysis.geometry import geometry
from metaeval_hub.analysis.plot_tables import draw_geometry
from metaeval_hub.analysis.projection import ProjectionMethod
from metaeval_hub.report import few_shot, files, training_rows
from metaeval_hub.report import paper_tables as sections
from metaeval_hub.report.claims import claims
from metaeval_hub.report.document import Missing, Picture, Section, Shown, to_html, to_markdown
from metaeval_hub.report.inputs import Inputs, read_inputs
from metaeval_hub.report.overview import overview
from metaeval_hub.report.per_task import by_task
from metaeval_hub.report.zero_shot import beyond, table_5
from metaeval_hub.results.tables import Table
from metaeval_hub.results.terminal import ShowStep, show_nothing
from metaeval_hub.safe_files.printable import one_line, without_control

TITLE = "Task embeddings: our results compared with the paper's"
FILES = ("report.md", "report.html")
PERMUTATIONS = 500  # the smallest p, 1 / 501, is small enough for the 22 claims of a complete report (Holm)


@dataclass(frozen=True)
class ReportJob:
    """Settings of a report.

    Args:
        folder: folder to write to; created if it does not exist.
        made: command and version that made the report, see ``metaeval_hub.results.tables.made_by``.
        permutations: permutations of each probe's significance test.
        seed: random seed of UMAP and permutations.
        least_rows: tasks with fewer training rows are left out.
        force: whether to analyse runs whose z is close to its random start.
        step: called with a short description before each part.
    """

    folder: Path
    made: Mapping[str, Any]
    permutations: int = PERMUTATIONS
    seed: int = 0
    least_rows: int = 0
    force: bool = False
    step: ShowStep = show_nothing


def write_report(places: Sequence[str], job: ReportJob) -> list[Path]:
    """Write the report of runs, given by their folders; return its two files.

    The report is written to a temporary folder first and then moved, so a failing report leaves an older one intact.
    Unchanged files of the older report that the new one lacks are removed; no other file is.

    Raises:
        ResultsError: a folder is not a run, or its results do not have the expected form.
        UnsafeRepositoryError: its files do not have the expected form.
    """
    job.step("reading the runs")
    inputs, remarks = usable(read_inputs(places, job.least_rows), job.force)
    remarks += inputs.repeated
    job.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".report-", dir=job.folder) as aside:
        _write_parts(inputs, remarks, places, replace(job, folder=Path(aside)))
        files.replace_files(Path(aside), job.folder)
    return [job.folder / name for name in FILES]


def _write_parts(inputs: Inputs, remarks: Sequence[str], places: Sequence[str], job: ReportJob) -> None:
    parts = make_sections(inputs, places, job)
    if remarks:
        lines = "\n".join(f"- {one_line(text)}" for text in remarks)
        parts.insert(1, Section("Runs that are left out or need care", (lines,)))
    for block in (block for part in parts for block in part.blocks):
        if isinstance(block, Shown):
            block.table.save(job.folder, block.stem, job.made)
    command = one_line(str(job.made["command"]))
    for name, text in zip(
        FILES, (to_markdown(TITLE, parts, command), to_html(TITLE, parts, command, job.folder)), strict=True
    ):
        (job.folder / name).write_text(without_control(text), encoding="utf-8", errors="backslashreplace")


def usable(inputs: Inputs, force: bool) -> tuple[Inputs, list[str]]:
    """Return the inputs without runs whose z is noise, and warnings about runs."""
    kept: list[EmbeddedRun] = []
    warnings: list[str] = []
    for run in inputs.embedded:
        try:
            warnings += filter(None, run.check(force=force))
        except NoInformationError as error:
            warnings.append(str(error))
            continue
        kept.append(run)
    return replace(inputs, embedded=kept), warnings


def make_sections(inputs: Inputs, places: Sequence[str], job: ReportJob) -> list[Section]:
    """Return all sections.

    What most readers want comes first: the claims, the accuracies, and how they depend on the number of rows. The other
    sections follow in the order of the paper.
    """
    job.step("tables 1 to 3")
    groups = [(group, sections.compare_methods(group)) for group in inputs.groups]
    compared = groups[0][1]
    parts = [
        *(sections.table_1(group, found, number) for number, (group, found) in enumerate(groups)),
        *training_rows.section(inputs.by_rows, job.folder, job.made, job.step),
        few_shot.section(inputs.few_shot, job.folder, job.made, job.step),
        *figure_sections(inputs, job),
        _part("Table 2: stability within a run", sections.table_2, inputs),
        _part("Table 3: stability across runs", sections.table_3, inputs),
        _part(
            "Table 4: aspects predicted from task embeddings",
            partial(sections.table_4, permutations=job.permutations, seed=job.seed, step=job.step),
            inputs,
        ),
        _part("Table 5: zero-shot accuracy on GLUE", table_5, inputs),
        _part("Beyond the paper: zero-shot accuracy on every left-out group", beyond, inputs),
        *filter(None, (by_task(group, found, number) for number, (group, found) in enumerate(groups))),
    ]
    tables: dict[str, Table] = {
        block.stem: block.table for part in parts for block in part.blocks if isinstance(block, Shown)
    }
    return [overview(inputs, places), claims(inputs, compared, tables), *parts]


def _part(title: str, make: Callable[[Inputs], Section], inputs: Inputs) -> Section:
    """Return a section, or one with the reason if its runs do not fit together, so that a report is still written."""
    try:
        return make(inputs)
    except ValueError as error:
        return Section(title, (f"This section is not shown: {error}.",))


def figure_sections(inputs: Inputs, job: ReportJob) -> list[Section]:
    """Return figures 3 and 5 of the first run with one embedding per task, and figure 4 of the first with several."""
    one = next(iter(inputs.single or inputs.several), None)
    many = next(iter(inputs.several), None)
    return [
        _figure("Figure 3: UMAP of z", "figure3", one, "umap", job),
        _figure("Figure 4: UMAP of several embeddings per task", "figure4", many, "umap", job),
        _figure("Figure 5: PCA of z", "figure5", one, "pca", job),
    ]


def _figure(title: str, stem: str, run: EmbeddedRun | None, method: ProjectionMethod, job: ReportJob) -> Section:
    if run is None:
        command = sections.COMMANDS["pilault"]
        if stem == "figure4":
            return Section(
                title, (Missing("a run with three embeddings per task", f"{command} --embeddings-per-task 3"),)
            )
        return Section(title, (Missing("a run whose task embeddings have left their random start", command),))
    job.step(title)
    try:
        table = geometry(run, method, job.seed)
    except (ValueError, ImportError) as error:  # too few tasks, or umap-learn is not installed
        return Section(title, (f"This figure is not shown: {error}.",))
    table.save(job.folder, stem, job.made)
    draw_geometry(table, job.folder, stem)
    ends = [str(record["task"]) for record in table.records]
    text = f"Farthest from the centre: {', '.join(ends[:5])}; nearest to it: {', '.join(reversed(ends[-5:]))}."
    command = shlex.join(["metaeval", "analyze", "geometry", run.place, "--method", method, "--seed", str(job.seed)])
    return Section(title, (Picture(stem, f"{table.title}. {table.notes[0]}"), text), f"{command} --out DIR")
