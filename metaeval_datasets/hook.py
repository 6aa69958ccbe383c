"""Register the name "metaeval" with ``datasets``, so that it leads to our builder.

``datasets`` 4 and later refuses loading scripts and offers no other way to add a builder. Every builder is found by
``dataset_module_factory``, which ``datasets.load`` and ``datasets.inspect`` look up in their own module. It is wrapped
in both, so that functions imported from ``datasets`` before this package also find the builder.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

import datasets.inspect
import datasets.load

from metaeval_datasets.fingerprint import rows_version

NAME = "metaeval"
_MARK = "_knows_metaeval"


def register() -> None:
    """Make ``load_dataset("metaeval", ...)`` and related functions work; later calls have no effect."""
    original = datasets.load.dataset_module_factory
    if getattr(original, _MARK, False):
        return
    signature = inspect.signature(original)

    @functools.wraps(original)
    def dataset_module_factory(path: str, *args: Any, **kwargs: Any) -> Any:
        if path != NAME:
            return original(path, *args, **kwargs)
        return _module(signature.bind(path, *args, **kwargs).arguments)

    setattr(dataset_module_factory, _MARK, True)
    for module in (datasets.load, datasets.inspect):
        module.dataset_module_factory = dataset_module_factory


def _module(arguments: dict[str, Any]) -> datasets.load.DatasetModule:
    """Return the data that ``datasets`` needs to build a task, including ``revision``, which it would not pass on."""
    passed = {name: arguments[name] for name in ("revision",) if arguments.get(name) is not None}
    return datasets.load.DatasetModule(
        module_path="metaeval_datasets.metaeval",
        hash=rows_version(),
        builder_kwargs={"dataset_name": NAME, **passed},
    )
