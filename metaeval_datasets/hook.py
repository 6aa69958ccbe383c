"""The one hook into ``datasets``: the name "metaeval" leads to our builder.

``datasets`` 4 and later refuses loading scripts and knows no other way to add a builder. Every way to a builder goes
through ``dataset_module_factory``, which ``datasets.load`` and ``datasets.inspect`` hold by that name; it is wrapped
in both, so functions imported from ``datasets`` before this package see it too.
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
    """Make ``load_dataset("metaeval", ...)`` and its relatives known to ``datasets``; once is enough."""
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
    """What ``datasets`` needs to build a task; ``revision`` reaches the config, which it would not by itself."""
    passed = {name: arguments[name] for name in ("revision",) if arguments.get(name) is not None}
    return datasets.load.DatasetModule(
        module_path="metaeval_datasets.metaeval",
        hash=rows_version(),
        builder_kwargs={"dataset_name": NAME, **passed},
    )
