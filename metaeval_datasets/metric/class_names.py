"""The class names of the tasks, for the metric module in this folder. A published module has a copy as plain data."""

from metaeval_datasets.catalog import all_tasks

CLASS_NAMES = {name: spec.names for name, spec in all_tasks().items()}
