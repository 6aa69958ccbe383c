"""Cards: a template of model_cards/ filled with facts. Pure but for reading the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from metaeval_hub.conditional.store import ModelRecord

# Beside the package in a clone, inside it where it was installed.
_FOLDERS = (Path(__file__).parents[1] / "model_cards", Path(__file__).parent / "model_cards")
_METHODS = {
    "pilault": "modulated input (eq. 2; Pilault et al. 2021)",
    "layernorm": "LayerNorm weights from the task embedding (eq. 1)",
    "mahabadi": "adapter weights generated from the task embedding (Mahabadi et al. 2021)",
}


def template(name: str) -> Template:
    """Return the template ``name`` of model_cards/.

    Raises:
        FileNotFoundError: there is none of that name.
    """
    for folder in _FOLDERS:
        if (folder / name).is_file():
            return Template((folder / name).read_text(encoding="utf-8"))
    raise FileNotFoundError(f"no card template {name} in {' or '.join(map(str, _FOLDERS))}")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; bars and line breaks in cells are escaped."""
    lines = [list(header), ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def percent(value: float | None) -> str:
    """Return a share as a percentage with one decimal, "-" for None."""
    return "-" if value is None else f"{100 * value:.1f}"


def model_card(record: ModelRecord, results: Mapping[str, Mapping[str, float | None]] | None = None) -> str:
    """Return the card of a model.

    Args:
        record: what the model's config.json holds.
        results: task name -> "majority", "validation", "test" accuracy in [0, 1]; tasks may be missing.
    """
    base = record.base
    header = ["task", "classes"]
    if results:
        header += ["majority %", "validation %", "test %"]
    rows = []
    for task, labels in record.labels.items():
        shown = ", ".join(labels[:6]) + (f", ... ({len(labels)})" if len(labels) > 6 else "")
        scores = (results or {}).get(task, {})
        rows.append(
            [f"`{task}`", shown, *(percent(scores.get(key)) for key in ("majority", "validation", "test") if results)]
        )
    example = next(iter(record.labels))
    return template("checkpoint.md").substitute(
        n_tasks=len(record.labels),
        base_model=f"base_model: {base.id}\n" if base.kind == "hub" else "",
        base=f"`{base.id}`" + (f" at `{base.revision}`" if base.revision else ""),
        dim_z=record.conditional.dim_z,
        example_task=example,
        example_input='["a text", "another text"]',
        conditioning=_METHODS[record.conditional.conditioning],
        adapter_size=record.conditional.adapter_size,
        pooling=record.conditional.pooling,
        max_length=record.conditional.max_length,
        sha256=base.sha256,
        included=", stored in `encoder/`" if base.kind == "local" else "",
        version=record.metaeval_version,
        tasks=markdown_table(header, rows),
    )
