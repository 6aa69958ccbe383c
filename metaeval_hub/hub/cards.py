"""Cards: a template of model_cards/ filled with facts. Pure but for reading the template."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import yaml
from huggingface_hub import EvalResult, ModelCardData

from metaeval_datasets.citations import REFERENCES, bibtex
from metaeval_datasets.record import RECORDS_FILE, TaskRecord

if TYPE_CHECKING:  # it imports torch
    from metaeval_hub.conditional.config import ConditionalConfig
    from metaeval_hub.model.storage import ModelRecord
    from metaeval_hub.task_data.task_embeddings import TaskEmbeddings

# Beside the package in a clone, inside it where it was installed.
# Beside the packages in a clone, inside one of them where they are installed.
_FOLDERS = (Path(__file__).parents[2] / "model_cards", Path(__file__).parents[1] / "model_cards")
_REPO = re.compile(r"[\w.-]+/[\w.-]+")
_METHODS = {
    "pilault": "modulated input (eq. 2; Pilault et al. 2021)",
    "layernorm": "LayerNorm weights from the task embedding (eq. 1)",
    "mahabadi": "adapter weights generated from the task embedding (Mahabadi et al. 2021)",
    "adapter": "none: a stock bottleneck adapter (Houlsby et al. 2019)",
    "full": "none: full fine-tuning (Devlin et al. 2019)",
}
_TITLES = {
    "conditional": "Conditional adapters", "adapter": "A shared adapter", "full": "A fully fine-tuned encoder",
}  # fmt: skip
_TAGS = {"conditional": ["adapters", "conditional-adapters", "task-embeddings"], "adapter": ["adapters"], "full": []}
_SUMMARIES = {
    "conditional": "One frozen encoder, {base}, with one adapter common to all tasks and an embedding of "
    "{dim_z} numbers a\ntask that conditions it",
    "adapter": "One frozen encoder, {base}, with one adapter common to all tasks, a baseline without task embeddings",
    "full": "One encoder, {base}, all of whose weights were trained, a baseline without task embeddings",
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


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[str] = ()) -> str:
    """Return a Markdown table, columns of ``numbers`` to the right; bars and line breaks in cells are escaped."""
    lines = [list(header), ["---:" if name in numbers else "---" for name in header], *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def python_string(text: str) -> str:
    """Return a string as Python code, so that nothing in it can end it; JSON's form is Python's too."""
    return json.dumps(text, ensure_ascii=False)


def code_span(text: str) -> str:
    """Return a text as code in Markdown, so that no mark in it means anything."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, room = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{room}{text}{room}{fence}"


def percent(value: float | None) -> str:
    """Return a share as a percentage with one decimal, "-" for None."""
    return "-" if value is None else f"{100 * value:.1f}"


# --- models ---

SPLITS = ("validation", "test")
_SHOWN_TASKS = 8
_SHOWN_NEAR, _LISTED_TASKS = 3, 1000


def model_card(
    record: ModelRecord, results: Mapping[str, Mapping[str, float | None]] | None = None, name: str | None = None
) -> str:
    """Return the card of a model.

    Args:
        record: what the model's config.json holds.
        results: task name -> "majority", "validation", "test" accuracy in [0, 1]; tasks may be missing.
        name: Hub id of the model.
    """
    base, config = record.base, record.conditional
    example = next(iter(record.labels))
    pair, kind = record.fields.get(example) == 2, _kind(record)
    shown_base = code_span(base.id) + (f" at {code_span(base.revision)}" if base.revision else "")
    return template("checkpoint.md").substitute(
        metadata=_model_metadata(record, results or {}, name),
        title=_TITLES[kind],
        n_tasks=_count(len(record.labels), "classification task"),
        summary=_SUMMARIES[kind].format(base=shown_base, dim_z=config.dim_z),
        name=python_string(name or "path or Hub id of this model"),
        more_code=f"\nmodel.task_embeddings.nearest({python_string(example)}, k=5)" if kind == "conditional" else "",
        example_task=python_string(example),
        example_input='[("a text", "another text")]' if pair else '["a text", "another text"]',
        conditioning=_METHODS[config.conditioning],
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
    if config.embeddings_per_task > 1:
        learned = f"{config.embeddings_per_task} of {config.dim_z} learned numbers a task, the first of which answers"
    projected = f"{config.dim_features} fixed features of a task through one linear layer"
    return {"table": learned, "features": projected, "both": f"{learned}, plus {projected}"}[config.z_from]


def _included(record: ModelRecord) -> str:
    if record.conditional.conditioning == "full":
        return " before training"
    return ", stored in `encoder/`" if record.base.kind == "local" else ""


def _model_metadata(record: ModelRecord, results: Mapping[str, Mapping[str, float | None]], name: str | None) -> str:
    """Return the YAML that the Hub reads: what the model stands on, and its results in the form of model-index."""
    on_hub = record.base.kind == "hub"
    relation = "finetune" if record.conditional.conditioning == "full" else "adapter"
    scores = [_result(record, task, split, score) for task in record.labels for split in SPLITS
              if (score := results.get(task, {}).get(split)) is not None]  # fmt: skip
    repos = {repo for origin in record.origins.values() if (repo := _source_repo(origin.source or ""))}
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
    """Return one score; the rows are those of our splits, so that the dataset is ours, and its source an argument."""
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
    rows = [
        [code_span(task), str(record.fields.get(task, "-")), _classes(labels), *_scores(results.get(task, {}), scored)]
        for task, labels in record.labels.items()
    ]
    if scored and len(rows) > 1:
        means = {key: _mean([results.get(task, {}).get(key) for task in record.labels]) for key in scored}
        rows.append(["mean of those that have the figure", "", "", *_scores(means, scored)])
    text = "Accuracies are of the splits that `metaeval` makes.\n\n" if scored else ""
    return text + markdown_table(header, rows, ("texts", *header[3:]))


def _scores(values: Mapping[str, float | None], keys: Sequence[str]) -> list[str]:
    return [percent(values.get(key)) for key in keys]


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def _trained_licenses(record: ModelRecord) -> str:
    """Say under which licence the rows of each task are, and where they came from."""
    if not record.origins:
        return "Where the rows came from is not recorded; ask whoever trained the model."
    rows = [
        [
            code_span(task),
            origin.license or "not known",
            _source(origin.source, origin.commit) if origin.source else "not known",
            origin.edition or "-",
            origin.catalogue or "-",
        ]
        for task, origin in record.origins.items()
    ]
    lines = [
        "Each task has the licence of its source, as its source gives it (`unknown` where it gives none). What they "
        "allow to be done with a model that was trained on them is for its users to judge.",
        markdown_table(["task", "licence", "rows from", "edition", "catalogue"], rows),
    ]
    if missing := [code_span(task) for task in record.labels if task not in record.origins]:
        more = f" and {len(missing) - _SHOWN_TASKS} more" if len(missing) > _SHOWN_TASKS else ""
        lines.append(f"Where the rows came from is not recorded for {', '.join(missing[:_SHOWN_TASKS])}{more}.")
    return "\n\n".join(lines)


# --- task embeddings ---


def embeddings_card(
    embeddings: TaskEmbeddings, repo_id: str, parquet: str, files: tuple[str, str], model: str | None
) -> str:
    """Return the card of a published table of task embeddings.

    Args:
        embeddings: the table.
        repo_id: where it is published.
        parquet: name of the file that ``datasets`` reads.
        files: names of the safetensors file and of the one with the names.
        model: Hub id of the model that learned them.
    """
    n, dim_z = embeddings.values.shape
    data = {
        "pretty_name": "Task embeddings",
        "language": ["en"],
        "size_categories": [next(size for limit, size in _SIZES if n < limit)],
        "tags": ["metaeval", "task-embeddings"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": parquet}]}],
    }
    several = "" if embeddings.copies is None else ", `copies` (all that were learned of it)"
    rows = [
        [
            code_span(name),
            *(f"{code_span(other)} {cosine:.2f}" for other, cosine in embeddings.nearest(name, _SHOWN_NEAR)),
        ]
        for name in embeddings.names[:_LISTED_TASKS]
    ]
    near = min(_SHOWN_NEAR, n - 1)
    table = markdown_table(["task", *("nearest by cosine", *[""] * _SHOWN_NEAR)[:near]], rows)
    more = f"\n\nAnd {_count(n - _LISTED_TASKS, 'task')} more." if n > _LISTED_TASKS else ""
    return template("embeddings.md").substitute(
        metadata=_yaml(data),
        n_tasks=_count(n, "task"),
        dim_z=dim_z,
        model=f"[{model}](/{model})" if model else "a model of conditional adapters",
        repo_id=python_string(repo_id),
        example=python_string(embeddings.names[0]),
        parquet=parquet,
        columns=f"`task` (its name), `embedding` ({dim_z} numbers){several}",
        tensors=files[0],
        names=files[1],
        tasks=table + more,
    )


# --- sources of rows ---


def _source_repo(source: str) -> str | None:
    """The repository on the Hub that rows come from, of "org/name (config) at revision"; None for rows made here."""
    name = source.split(" ", 1)[0]
    return name if _REPO.fullmatch(name) else None


def _source(source: str, commit: str | None) -> str:
    """Say where rows come from, with a link to the commit where they are on the Hub."""
    repo = _source_repo(source)
    if repo is None:
        return f"made by {code_span(source)}"
    place = f"/datasets/{repo}/tree/{commit}" if commit else f"/datasets/{repo}"
    configs = source.removeprefix(repo).split(" at ")[0].removesuffix(" (default)")
    return f"[{repo}]({place}){configs}" + (f" @ {commit[:7]}" if commit else "")


# --- Spaces ---

SPACE_TAG = "metaeval-task-map"  # in the card of every Space that holds a map of tasks


def space_card(title: str) -> str:
    """Return the card of a static Space that holds a map of tasks.

    Args:
        title: of the Space.
    """
    metadata = {
        "title": title,
        "emoji": "🗺️",
        "colorFrom": "blue",
        "colorTo": "yellow",
        "sdk": "static",
        "app_file": "index.html",
        "pinned": False,
        "tags": ["metaeval", SPACE_TAG],
    }
    return template("space.md").substitute(metadata=_yaml(metadata), title=" ".join(title.split()))


# --- datasets ---

PAPER = "sileo2022analysis"
_SHOWN_CLASSES = 4
_SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))
# Licences that the Hub knows, of those that sources have; it refuses a card with another word.
_LICENSES = """
afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0
cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0
cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-3.0 mit mpl-2.0
odbl odc-by openrail pddl unknown unlicense wtfpl
"""
_TASK_IDS = {
    "acceptability": "acceptability-classification",
    "facticity": "fact-checking",
    "nli": "natural-language-inference",
    "paraphrase_detection": "semantic-similarity-classification",
}
_EDITIONS = {
    "careful": "This is the careful edition: it differs where the paper used a task in a way that does not hold; the "
    "notes say how.",
    "paper": "This is the paper's edition: what the paper used, also where a careful choice would differ; the notes "
    "say how.",
}


def dataset_card(repo_id: str, records: Sequence[TaskRecord]) -> str:
    """Return the card of a published collection, with all that the Hub and ``datasets`` read from it.

    Args:
        repo_id: where it is published.
        records: of all tasks in the repository, of one edition, in the order of the card; at least one.
    """
    edition = records[0].edition
    example = min(records, key=lambda entry: (not entry.in_101, len(entry.config)))
    notes = {entry.config: text for entry in records if (text := " ".join(_notes(entry)))}
    keys = [PAPER, *sorted({entry.citation for entry in records} & REFERENCES.keys() - {PAPER})]
    return template("dataset.md").substitute(
        metadata=_yaml(_metadata(records)),
        title="MetaEval" if edition == "careful" else "MetaEval, the paper's edition",
        n_tasks=_count(len(records), "task"),
        rows=_count(sum(entry.rows for entry in records), "row"),
        repo_id=repo_id,
        example_config=example.config,
        example_task=example.task,
        records=RECORDS_FILE,
        tasks=_task_table(records),
        edition=_EDITIONS[edition],
        dropped=_dropped_table(records),
        notes="\n".join(f"- `{name}`: {text}" for name, text in notes.items()) or "None.",
        citations="\n\n".join(map(bibtex, keys)),
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _metadata(records: Sequence[TaskRecord]) -> dict[str, Any]:
    rows = sum(entry.rows for entry in records)
    licenses = {entry.license if entry.license in _LICENSES.split() else "other" for entry in records}
    types = sorted({entry.type for entry in records})
    repos = {repo for entry in records if (repo := _source_repo(entry.report.source))}
    return {
        "pretty_name": "MetaEval",
        "language": ["en"],
        "license": sorted(licenses),
        "multilinguality": ["monolingual"],
        "size_categories": [next((name for limit, name in _SIZES if rows < limit), "10M<n<100M")],
        "source_datasets": sorted(repos) or ["original"],
        "task_categories": ["text-classification"],
        "task_ids": [*(_TASK_IDS[kind] for kind in types if kind in _TASK_IDS), "multi-class-classification"],
        "tags": ["metaeval", "multi-task-learning", "task-embeddings", *(kind.replace("_", "-") for kind in types)],
        "configs": [
            {
                "config_name": entry.config,
                "data_files": [{"split": split, "path": f"{entry.config}/{split}-*"} for split in entry.splits],
            }
            for entry in records
        ],
        "dataset_info": [_dataset_info(entry) for entry in records],
    }


def _dataset_info(entry: TaskRecord) -> dict[str, Any]:
    label = {"class_label": {"names": {str(index): name for index, name in enumerate(entry.names)}}}
    return {
        "config_name": entry.config,
        "license": entry.license,
        "features": [
            *({"name": name, "dtype": "string"} for name in entry.fields),
            {"name": "label", "dtype": label},
            {"name": "idx", "dtype": "int64"},
        ],
        "splits": [
            {"name": name, "num_bytes": split.num_bytes, "num_examples": split.rows}
            for name, split in entry.splits.items()
        ],
        "download_size": sum(entry.paths.values()),
        "dataset_size": sum(split.num_bytes for split in entry.splits.values()),
    }


def _yaml(data: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=1000)
    return text


def _task_table(records: Sequence[TaskRecord]) -> str:
    numbers = ["texts", "train", "validation", "test", "left out"]
    header = ["config", "type", "texts", "classes", *numbers[1:], "licence", "source", "cite"]
    rows = []
    for entry in records:
        counts = [_split_rows(entry, split) for split in ("train", "validation", "test")]
        dropped = sum(sum(official.dropped.values()) for official in entry.report.official.values())
        left_out = f"{dropped:,}" if dropped else "-"
        kind = entry.type.replace("_", " ")
        facts = [f"`{entry.config}`", kind, str(len(entry.fields)), _classes(entry.names)]
        rows.append(
            [
                *facts,
                *counts,
                left_out,
                entry.license,
                _source(entry.report.source, entry.report.commit),
                f"`{entry.citation}`",
            ]
        )
    return markdown_table(header, rows, numbers)


def _classes(names: Sequence[str]) -> str:
    shown = ", ".join(code_span(name) for name in names[:_SHOWN_CLASSES])
    return shown + (f" and {len(names) - _SHOWN_CLASSES} more" if len(names) > _SHOWN_CLASSES else "")


def _split_rows(entry: TaskRecord, name: str) -> str:
    if name not in entry.splits:
        return "-"
    derived = name in entry.report.splits and entry.report.splits[name].derived
    return f"{entry.splits[name].rows:,}" + (" †" if derived else "")


def _dropped_table(records: Sequence[TaskRecord]) -> str:
    rows = [
        [f"`{entry.config}`", name, f"{official.read:,}", f"{count:,}", reason]
        for entry in records
        for name, official in entry.report.official.items()
        for reason, count in official.dropped.items()
    ]
    if not rows:
        return "None: every labelled row of the sources is in one of the splits."
    text = "Rows that cannot be used, by the first reason that holds; every other labelled row is in a split."
    header = ["config", "official split", "rows", "left out", "because"]
    return text + "\n\n" + markdown_table(header, rows, ("rows", "left out"))


def _notes(entry: TaskRecord) -> Iterator[str]:
    """What a user of a task should know, as sentences."""
    if entry.notes:
        yield entry.notes
    if entry.paper:
        yield f"The paper's edition differs: {entry.paper}"
    if entry.report.missing:
        yield f"**The source lacked {', '.join(entry.report.missing)}: the splits are not those of the whole task.**"
    passed = dict.fromkeys(each["source"].split(" ", 1)[0] for each in entry.report.passed_over)
    passed.pop(_source_repo(entry.report.source) or "", None)  # of the repository that served, another revision
    if passed:
        yield f"{', '.join(passed)} could not serve when this was built."
    for name, hidden in entry.report.unlabelled.items():
        yield f"The official {name} split has no public labels" + (f" ({hidden:,} rows)." if hidden else ".")
