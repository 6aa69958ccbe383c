"""Write the card of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from huggingface_hub import EvalResult, ModelCardData

if TYPE_CHECKING:  # these import torch
    from metaeval_hub.conditional.config import ConditionalConfig
    from metaeval_hub.model.record import ModelRecord


from metaeval_hub.hub.card_templates import (
    class_list,
    code_span,
    count,
    markdown_table,
    percent,
    python_string,
    source_link,
    source_repo,
    template,
)

_METHODS = {
    "pilault": "modulated input (eq. 2; Pilault et al. 2021)",
    "layernorm": "LayerNorm weights from the task embedding (eq. 1)",
    "mahabadi": "adapter weights generated from the task embedding (Mahabadi et al. 2021)",
    "adapter": "none: a stock bottleneck adapter (Houlsby et al. 2019)",
    "full": "none: full fine-tuning (Devlin et al. 2019)",
}
_NORM = "with a learned LayerNorm at the end of the bottleneck"
_TITLES = {
    "conditional": "Conditional adapters", "adapter": "A shared adapter", "full": "A fully fine-tuned encoder",
}  # fmt: skip
_TAGS = {"conditional": ["adapters", "conditional-adapters", "task-embeddings"], "adapter": ["adapters"], "full": []}
_SUMMARIES = {
    "conditional": "One frozen encoder, {base}, with one adapter for all tasks, which depends on a "
    "{dim_z}-dimensional\nembedding of the task",
    "adapter": "One frozen encoder, {base}, with one adapter for all tasks: a baseline without task embeddings",
    "full": "One encoder, {base}, whose weights were all trained: a baseline without task embeddings",
}
SPLITS = ("validation", "test")
_SHOWN_TASKS = 8


def model_card(
    record: ModelRecord, results: Mapping[str, Mapping[str, float | None]] | None = None, name: str | None = None
) -> str:
    """Return the card of a model.

    Args:
        record: content of the model's config.json.
        results: task name -> its accuracies in 0..1, under "majority", "validation" and "test"; any may be missing.
        name: Hub id of the model.
    """
    base, config = record.base, record.conditional
    example = next(iter(record.labels))
    pair, kind = record.fields.get(example) == 2, _kind(record)
    shown_base = code_span(base.id) + (f" at {code_span(base.revision)}" if base.revision else "")
    return template("checkpoint.md").substitute(
        metadata=_model_metadata(record, results or {}, name),
        title=_TITLES[kind],
        n_tasks=count(len(record.labels), "classification task"),
        summary=_SUMMARIES[kind].format(base=shown_base, dim_z=config.dim_z),
        name=python_string(name or "path or Hub id of this model"),
        more_code=f"\nmodel.task_embeddings.nearest({python_string(example)}, k=5)" if kind == "conditional" else "",
        example_task=python_string(example),
        example_input='[("a text", "another text")]' if pair else '["a text", "another text"]',
        conditioning=_METHODS[config.conditioning] + (f", {_NORM}" if config.layer_norm else ""),
        task_embeddings=_made_of(config) if kind == "conditional" else "none",
        adapter_size=config.adapter_size or "-",
        pooling=config.pooling,
        max_length=config.max_length,
        dtype=record.dtype,
        sha256=base.sha256,
        included=_included(record),
        version=record.metaeval_version,
        tasks=_trained_tasks(record, results or {}),
        licenses=_trained_licenses(record),
    )


def _kind(record: ModelRecord) -> str:
    return "conditional" if record.conditional.has_task_embeddings else record.conditional.conditioning


def _made_of(config: ConditionalConfig) -> str:
    learned = f"{config.dim_z} learned numbers"
    if config.dim_table:
        learned = f"{config.dim_table} learned numbers, projected to {config.dim_z} by one linear layer"
    if config.embeddings_per_task > 1:
        learned = f"{config.embeddings_per_task} vectors per task (predictions use the first), each of {learned}"
    projected = f"{config.dim_features} fixed features per task, through one linear layer"
    return {"table": learned, "features": projected, "both": f"{learned}, plus {projected}"}[config.z_from]


def _included(record: ModelRecord) -> str:
    if record.conditional.conditioning == "full":
        return " before training"
    return ", stored in `encoder/`" if record.base.kind == "local" else ""


def _model_metadata(record: ModelRecord, results: Mapping[str, Mapping[str, float | None]], name: str | None) -> str:
    """Return the metadata that the Hub reads, as YAML, with the base model and the results (as a model-index)."""
    on_hub = record.base.kind == "hub"
    relation = "finetune" if record.conditional.conditioning == "full" else "adapter"
    scores = [_result(record, task, split, score) for task in record.labels for split in SPLITS
              if (score := results.get(task, {}).get(split)) is not None]  # fmt: skip
    repos = {repo for origin in record.origins.values() if (repo := source_repo(origin.source or ""))}
    data = ModelCardData(
        base_model=record.base.id if on_hub else None,
        base_model_relation=relation if on_hub else None,
        datasets=sorted(repos) or None,
        language="en",
        library_name="metaeval",
        metrics=["accuracy"] if scores else None,
        model_name=(name or "metaeval").rsplit("/", 1)[-1],
        pipeline_tag="text-classification",
        tags=["metaeval", *_TAGS[_kind(record)]],
        eval_results=scores or None,
    )
    return f"{data.to_yaml()}\n"


def _result(record: ModelRecord, task: str, split: str, score: float) -> EvalResult:
    """Return one score for the model-index.

    The dataset is "metaeval" and not its source, because the score is for metaeval's splits.
    """
    origin = record.origins.get(task)
    return EvalResult(
        task_type="text-classification",
        task_name="Text classification",
        dataset_type="metaeval",
        dataset_name=task,
        dataset_config=task,
        dataset_split=split,
        dataset_args={key: value for key, value in origin.to_dict().items() if key != "license"} if origin else None,
        metric_type="accuracy",
        metric_name="Accuracy",
        metric_value=round(score, 4),
    )


def _trained_tasks(record: ModelRecord, results: Mapping[str, Mapping[str, float | None]]) -> str:
    columns = ("majority", *SPLITS)
    scored = [key for key in columns if any(results.get(task, {}).get(key) is not None for task in record.labels)]
    header = ["task", "texts", "classes", *(f"{key} %" for key in scored)]
    lines = [
        [
            code_span(task),
            str(record.fields.get(task, "-")),
            class_list(labels),
            *_scores(results.get(task, {}), scored),
        ]
        for task, labels in record.labels.items()
    ]
    if scored and len(lines) > 1:
        means = {key: _mean([results.get(task, {}).get(key) for task in record.labels]) for key in scored}
        lines.append(["mean of the tasks with a score", "", "", *_scores(means, scored)])
    text = "Accuracies are for `metaeval`'s splits.\n\n" if scored else ""
    return text + markdown_table(header, lines, ("texts", *header[3:]))


def _scores(values: Mapping[str, float | None], keys: Sequence[str]) -> list[str]:
    return [percent(values.get(key)) for key in keys]


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def _trained_licenses(record: ModelRecord) -> str:
    """Return the licence and the source of the rows of each task, as Markdown."""
    if not record.origins:
        return "The sources of the rows are not recorded; ask the authors of the model."
    origins = [
        [
            code_span(task),
            origin.license or "not known",
            source_link(origin.source, origin.commit) if origin.source else "not known",
            origin.edition or "-",
            origin.catalogue or "-",
        ]
        for task, origin in record.origins.items()
    ]
    lines = [
        "Each task has the licence that its source states (`unknown` if it states none). Check whether these licences "
        "allow your use of a model that was trained on the rows.",
        markdown_table(["task", "licence", "rows from", "edition", "catalogue"], origins),
    ]
    if missing := [code_span(task) for task in record.labels if task not in record.origins]:
        more = f" and {len(missing) - _SHOWN_TASKS} more" if len(missing) > _SHOWN_TASKS else ""
        lines.append(f"The sources of the rows are not recorded for {', '.join(missing[:_SHOWN_TASKS])}{more}.")
    return "\n\n".join(lines)
