"""Write the trained model of a run with its card, its task embeddings and a map of them."""

from __future__ import annotations

from collections.abc import Mapping

from metaeval_datasets import get_task
from metaeval_datasets.catalog import UnknownTaskError
from metaeval_datasets.spec import TaskType
from metaeval_hub import ConditionalAdapterModel
from metaeval_hub.analysis.controls import base_name
from metaeval_hub.analysis.map_plots import draw_map
from metaeval_hub.analysis.projection import project
from metaeval_hub.results.schema import TaskResult
from metaeval_hub.task_data.task_features import TaskFeatures
from metaeval_training.atomic_files import sync_tree
from metaeval_training.runs.folder import RunFolder
from metaeval_training.runs.results import card_results


def write_model(
    model: ConditionalAdapterModel,
    run: RunFolder,
    tasks: Mapping[str, TaskResult],
    features: TaskFeatures | None,
    seed: int,
) -> None:
    """Write the model, and if it has task embeddings, these and their map.

    Args:
        model: the trained model.
        run: the folder.
        tasks: results for the card.
        features: features of the tasks, which are stored with the model; None for a single task.
        seed: seed of the run, for the title of the map.
    """
    if features is not None:  # set on the model, so that they are pushed with it
        model.features = features
    model.save_pretrained(run.model, results=card_results(tasks))
    if model.config.has_task_embeddings:
        model.task_embeddings.save(run.task_embeddings)
        draw_task_map(model, run, seed)
    sync_tree(run.model)


def draw_task_map(model: ConditionalAdapterModel, run: RunFolder, seed: int) -> None:
    """Draw a map of the task embeddings if there are at least three tasks and two dimensions."""
    embeddings = model.task_embeddings
    if len(embeddings) < 3 or embeddings.values.shape[1] < 2:
        return
    draw_map(
        project(embeddings, "pca", seed),
        embeddings.names,
        {name: _type_of(base_name(name)) for name in embeddings.names},
        run.task_map,
        title=f"Map of {len(embeddings)} tasks by their embeddings z (PCA, seed {seed})",
    )


def _type_of(name: str) -> str:
    """Return the task type; "other" for an old task of a continued model that is not declared here."""
    try:
        return get_task(name).type.value
    except UnknownTaskError:
        return TaskType.OTHER.value
