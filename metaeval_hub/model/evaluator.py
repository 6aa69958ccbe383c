"""Evaluators of the library `evaluate` that know a task: its classes, its columns and its metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from datasets import Dataset, DatasetDict, load_dataset
from evaluate import EvaluationSuite
from evaluate.evaluation_suite import SubTask
from evaluate.evaluator.text_classification import TextClassificationEvaluator
from transformers import Pipeline, PreTrainedModel, pipeline

from metaeval_datasets import get_task
from metaeval_datasets.metric import load_metric
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.sequence_classifier import TaskClassifier
from metaeval_hub.safe_files.names import first_names

TASK_TYPE: Final = "text-classification"


class TaskEvaluator(TextClassificationEvaluator):
    """The evaluator "text-classification" of `evaluate`, with the arguments of one task filled in.

    Args:
        task: name of a task of metaeval.

    Raises:
        UnknownTaskError: there is no such task.
    """

    def __init__(self, task: str) -> None:
        spec = get_task(task)
        super().__init__(TASK_TYPE)
        self.task_name = task
        self.label_mapping = {name: number for number, name in enumerate(spec.names)}
        self.input_column, self.second_input_column = (*spec.texts, None)[:2]

    def compute(self, model_or_pipeline: Any = None, data: Any = None, **options: Any) -> dict[str, Any]:
        """Score a model on a split of the task.

        Args:
            model_or_pipeline: classifier of ``for_task``, whole ``ConditionalAdapterModel`` with the task, pipeline,
                or any other classifier that `evaluate` accepts and whose classes have the names of the task.
            data: rows of the task; or a ``DatasetDict``, or None for the task as ``load_dataset`` returns it. The last
                two are read at ``split``.
            options: further arguments of the evaluator of `evaluate`, such as ``split`` (default "test") or
                ``strategy="bootstrap"``.

        Returns:
            "accuracy", "macro_f1" and "matthews", and the time as `evaluate` reports it.

        Raises:
            ValueError: the model has other classes than the task.
        """
        filled = {
            "metric": options.pop("metric", None) or load_metric(self.task_name),
            "input_column": self.input_column,
            "second_input_column": self.second_input_column,
            "label_mapping": self.label_mapping,
        }
        classifier = self._classifier(model_or_pipeline)
        return dict(super().compute(classifier, data, **{**filled, **options}))

    def load_data(self, data: Any, subset: str | None = None, split: str | None = None) -> Dataset:
        """Return the rows of a split."""
        if data is None:
            return load_dataset("metaeval", self.task_name, split=split or "test")
        if isinstance(data, DatasetDict):
            return data[split or "test"]
        return super().load_data(data, subset, split)

    def prepare_pipeline(
        self,
        model_or_pipeline: Any,
        tokenizer: Any = None,
        feature_extractor: Any = None,
        device: int | None = None,
    ) -> Any:
        """Return a pipeline. The method of `evaluate` needs TensorFlow classes that transformers 5 does not have."""
        if isinstance(model_or_pipeline, (str, PreTrainedModel)):
            where = getattr(model_or_pipeline, "device", None) if device is None else device
            tokenizer = tokenizer or getattr(model_or_pipeline, "tokenizer", None)
            options: dict[str, Any] = {"model": model_or_pipeline, "tokenizer": tokenizer, "device": where}
            model_or_pipeline = pipeline(TASK_TYPE, **options)
        if getattr(model_or_pipeline, "task", TASK_TYPE) != TASK_TYPE:
            raise ValueError(f"the pipeline is for {model_or_pipeline.task!r}; expected {TASK_TYPE!r}")
        return model_or_pipeline

    def _classifier(self, model: Any) -> Any:
        """Return the classifier of a whole model, after a check that a model has the classes of the task."""
        if model is None:
            raise ValueError(f"{self.task_name}: no model is given; give model.for_task({self.task_name!r})")
        if isinstance(model, ModelCore):
            model = TaskClassifier(model, self.task_name)
        config = getattr(model.model if isinstance(model, Pipeline) else model, "config", None)
        names = getattr(config, "label2id", None)
        if names is not None and not set(names) <= set(self.label_mapping):
            raise ValueError(
                f"{self.task_name}: the model has the classes {first_names(names)}, and the task has "
                f"{first_names(self.label_mapping)}; give the model of this task, or its label_mapping"
            )
        return model


class TaskSuite(EvaluationSuite):
    """An `EvaluationSuite` of tasks of metaeval.

    Args:
        tasks: names of the tasks.
        split: split to score.
    """

    def __init__(self, tasks: Sequence[str], split: str = "test") -> None:
        super().__init__("metaeval")
        self.suite = [
            SubTask(TASK_TYPE, data="metaeval", subset=get_task(task).name, split=split, args_for_task={})
            for task in tasks
        ]

    def run(self, model_or_pipeline: Any) -> list[dict[str, Any]]:
        """Score a model on all tasks.

        Args:
            model_or_pipeline: ``ConditionalAdapterModel`` with these tasks; or a function or mapping from the name of
                a task to its classifier; or a classifier for all of them.

        Returns:
            For each task, the result of ``TaskEvaluator.compute`` and its "task_name".
        """
        self.assert_suite_nonempty()
        results = []
        for each in self.suite:
            classifier = _classifier_of(model_or_pipeline, each.subset)
            data = load_dataset(each.data, each.subset, split=each.split)
            found = TaskEvaluator(each.subset).compute(classifier, data, **each.args_for_task)
            results.append({**found, "task_name": each.subset, "data_preprocessor": None})
        return results


def _classifier_of(model: Any, task: str) -> Any:
    if isinstance(model, Mapping):
        return model[task]
    if isinstance(model, (str, Pipeline, PreTrainedModel, ModelCore)) or not callable(model):
        return model
    return model(task)


def evaluator(task: str) -> TaskEvaluator:
    """Return the evaluator of a task.

    ``evaluator("glue/cola").compute(model.for_task("glue/cola"), data=load_dataset("metaeval", "glue/cola"))`` scores a
    model on the test split of a task over texts or pairs.

    Args:
        task: name of a task of metaeval.

    Returns:
        The evaluator "text-classification" of `evaluate`, with the metric, the classes and the columns of the task.
    """
    return TaskEvaluator(task)


def evaluation_suite(tasks: Sequence[str], split: str = "test") -> TaskSuite:
    """Return an `EvaluationSuite` of several tasks, whose ``run`` accepts a ``ConditionalAdapterModel``.

    Args:
        tasks: names of tasks of metaeval.
        split: split to score.
    """
    return TaskSuite(tasks, split)
