"""Register the name "metaeval" with ``datasets``, so that it leads to our builder.

``datasets`` 4 and later refuses loading scripts and offers no other way to add a builder. Every builder is found by
``dataset_module_factory``, which ``datasets.load`` and ``datasets.inspect`` look up in their own module. It is wrapped
in both, so that functions imported from ``datasets`` before this package also find the builder.

If ``datasets`` is not imported yet, the function is wrapped when it is. Importing ``datasets`` takes most of a second,
which people who only look at the declarations of tasks do not need to wait for.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from metaeval_datasets.fingerprint import rows_version

NAME = "metaeval"
_LOAD, _INSPECT = "datasets.load", "datasets.inspect"
_MARK = "_knows_metaeval"


def register() -> None:
    """Make ``load_dataset("metaeval", ...)`` and related functions work; later calls have no effect."""
    if _LOAD not in sys.modules:
        if not any(isinstance(finder, _WrapOnImport) for finder in sys.meta_path):
            sys.meta_path.insert(0, _WrapOnImport())
        return
    for name in (_LOAD, _INSPECT):
        if name in sys.modules:
            _wrap(sys.modules[name])


class _WrapOnImport(MetaPathFinder):
    """Wrap the function as soon as ``datasets.load`` is imported; ``datasets.inspect`` imports it from there."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != _LOAD:
            return None
        others = [finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
        spec = next((found for each in others if (found := each.find_spec(name, path, target)) is not None), None)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _wrap(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _wrap(module: Any) -> None:
    original = getattr(module, "dataset_module_factory", None)
    if original is None or getattr(original, _MARK, False):
        return
    signature = inspect.signature(original)

    @functools.wraps(original)
    def dataset_module_factory(path: str, *args: Any, **kwargs: Any) -> Any:
        if path != NAME:
            return original(path, *args, **kwargs)
        return _module(signature.bind(path, *args, **kwargs).arguments)

    setattr(dataset_module_factory, _MARK, True)
    module.dataset_module_factory = dataset_module_factory


def _module(arguments: dict[str, Any]) -> Any:
    """Return the data that ``datasets`` needs to build a task, with the arguments that it would not pass on."""
    from datasets.load import DatasetModule

    passed = {name: arguments[name] for name in ("revision",) if arguments.get(name) is not None}
    if getattr(arguments.get("download_config"), "local_files_only", False):
        passed["local_files_only"] = True
    return DatasetModule(
        module_path="metaeval_datasets.metaeval",
        hash=rows_version(),
        builder_kwargs={"dataset_name": NAME, **passed},
    )
