"""The folder of a finished run on demo tasks, written as training leaves it, and the data of a page."""

import json

import numpy as np

from metaeval_hub.task_data.task_embeddings import TaskEmbeddings

DEMO = ("demo/film_reviews", "demo/picnic_nli", "demo/topics", "demo/spam")


def make_run(folder, tasks=DEMO, seed=0, cosine=0.1, **change):
    """Write the folder of a finished run."""
    values = np.random.default_rng(seed).normal(size=(len(tasks), 4)).astype(np.float32)
    TaskEmbeddings(tuple(tasks), values).save(folder / "task_embeddings")
    rows = {
        task: {
            "rows": {
                "train": {"kept": 40, "available": 400 + number, "labels": "0"},
                "test": {"kept": 20, "available": 200, "labels": "0"},
            },
            "origin": {"source": "metaeval_datasets.demo", "commit": None, "edition": "careful"},
            "classes": 2,
            "majority": 0.5,
            "validation": None,
            "test": {"accuracy": 0.5 + number / 10} if number else None,
            "cos_z_z0": cosine,
        }
        for number, task in enumerate(tasks)
    }
    facts = {"tasks": rows, "encoder": {"id": "tiny"}, "seed": seed, "steps": 4000, "versions": {"metaeval": "0.1.0"}}
    (folder / "results.json").write_text(json.dumps({**facts, **change}), encoding="utf-8")
    return folder


def data_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(text.split('<script id="data" type="application/json">')[1].split("</script>")[0])
