"""Folders of runs with planted embeddings, as training writes them."""

import json
from pathlib import Path

import numpy as np

from metaeval_datasets import get_task, list_tasks
from metaeval_datasets.aspects import Aspects
from metaeval_hub import TaskEmbeddings
from metaeval_hub.analysis.embedded_runs import EmbeddedRun
from metaeval_hub.task_data.task_features import TaskFeatures, compute_task_features

TASKS = tuple(list_tasks())[:48]
KINDS = tuple(get_task(name).type.value for name in TASKS)


def planted_values(seed=0, copies=1, noise=0.3, tasks=TASKS, dim=16):
    """Return embeddings (n, K, Z) around one centre per task type; seeds only rotate the space and change the noise."""
    rng = np.random.default_rng(100)
    centres = {kind: rng.normal(size=dim) for kind in sorted(set(KINDS))}
    own = {name: rng.normal(size=dim) for name in TASKS}
    values = np.stack([centres[get_task(name).type.value] + 0.5 * own[name] for name in tasks])
    rng = np.random.default_rng(seed)
    turned = values @ np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    return (turned[:, None] + noise * rng.normal(size=(len(tasks), copies, dim))).astype(np.float32)


def planted_features(tasks=TASKS, moved=None, seed=5) -> TaskFeatures:
    """Return features with the catalogue's types and random sizes; TextEmb depends only on the domain."""
    rng = np.random.default_rng(seed)
    domains = rng.normal(size=(8, 12))
    chosen = rng.integers(0, 8, len(tasks))
    words = domains[chosen] + 0.05 * rng.normal(size=(len(tasks), 12))
    aspects = [
        Aspects(
            name,
            int(rng.integers(1, 10**6)),
            get_task(name).num_text_fields,
            float(rng.integers(3, 90)),
            get_task(name).type,
        )
        for name in tasks
    ]
    found = compute_task_features(aspects, words, words + 0.01 * rng.normal(size=words.shape))
    return TaskFeatures(found.aspects, found.words, found.domains, found.texts, moved)


def task_rows(tasks, accuracies, cosine=None) -> dict:
    """Return task results as in results.json, with the given accuracies."""
    return {
        name: {
            "rows": {"train": {"kept": 10, "available": 20 + 1000 * (i > 0)}}, "classes": 2, "majority": 0.5,
            "validation": None, "origin": {"source": "s", "commit": None, "edition": "careful"},
            "test": {"accuracy": float(accuracies[i]), "macro_f1": 0.5, "matthews": 0.1}, "cos_z_z0": cosine,
        }
        for i, name in enumerate(tasks)
    }  # fmt: skip


def write_results(folder: Path, tasks, accuracies, **facts) -> Path:
    """Write the results of a method without task embeddings."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"encoder": {"id": "tiny"}, "seed": 0, "config": {"max_length": 64}, **facts}
    (folder / "results.json").write_text(json.dumps({"tasks": task_rows(tasks, accuracies), **facts}))
    return folder


def write_run(
    folder: Path, *, seed=0, copies=1, cosine=0.2, features=True, tasks=TASKS, values=None, accuracy=0.6, **facts
) -> Path:
    """Write the folder of a finished run, without the weights of its model."""
    found = planted_values(seed, copies, tasks=tasks) if values is None else values
    TaskEmbeddings(tasks, found[:, 0], found if copies > 1 else None).save(folder / "task_embeddings")
    if features:
        planted_features(tasks).save(folder / "model")
    rows = task_rows(tasks, np.full(len(tasks), accuracy), cosine)
    config = {"seed": seed, "conditioning": "pilault", "embeddings_per_task": copies}
    facts = {"seed": seed, "config": config, "encoder": {"id": "tiny"}, **facts}
    (folder / "results.json").write_text(json.dumps({"tasks": rows, "mean": {"test": accuracy}, **facts}))
    return folder


def make_run(name="run", **options):
    values = planted_values(**options)
    return EmbeddedRun(name, name, TaskEmbeddings(TASKS, values[:, 0], values if values.shape[1] > 1 else None))


def noise_run(seed, copies=1):
    values = np.random.default_rng(seed).normal(size=(len(TASKS), copies, 16))
    return EmbeddedRun(f"noise{seed}", "noise", TaskEmbeddings(TASKS, values[:, 0], values if copies > 1 else None))
