"""What people load: conditional adapters, task embeddings, access to the Hub."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metaeval_hub.conditional.adapters_library import ConditionalBnConfig as ConditionalBnConfig
    from metaeval_hub.conditional.config import ConditionalConfig
    from metaeval_hub.model.evaluator import evaluation_suite, evaluator
    from metaeval_hub.model.model import ConditionalAdapterModel, Prediction
    from metaeval_hub.model.task_collator import TaskCollator
    from metaeval_hub.model.zero_shot import Description
    from metaeval_hub.safe_files.repository import UnsafeRepositoryError
    from metaeval_hub.serve.onnx_model import OnnxModel
    from metaeval_hub.task_data.task_embeddings import TaskEmbeddings
    from metaeval_hub.utils.products import matmul_precision

# Imported when first asked for: a table of task embeddings is read without waiting for torch and transformers.
_PLACES = {
    "ConditionalAdapterModel": "metaeval_hub.model.model",
    "ConditionalBnConfig": "metaeval_hub.conditional.adapters_library",
    "ConditionalConfig": "metaeval_hub.conditional.config",
    "Description": "metaeval_hub.model.zero_shot",
    "OnnxModel": "metaeval_hub.serve.onnx_model",
    "Prediction": "metaeval_hub.model.model",
    "TaskCollator": "metaeval_hub.model.task_collator",
    "TaskEmbeddings": "metaeval_hub.task_data.task_embeddings",
    "UnsafeRepositoryError": "metaeval_hub.safe_files.repository",
    "evaluation_suite": "metaeval_hub.model.evaluator",
    "evaluator": "metaeval_hub.model.evaluator",
    "matmul_precision": "metaeval_hub.utils.products",
}

# What `import *` imports. ConditionalBnConfig is public too, but needs `adapters`, which not everyone has installed.
__all__ = [
    "ConditionalAdapterModel",
    "ConditionalConfig",
    "Description",
    "OnnxModel",
    "Prediction",
    "TaskCollator",
    "TaskEmbeddings",
    "UnsafeRepositoryError",
    "evaluation_suite",
    "evaluator",
    "matmul_precision",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        try:
            return getattr(import_module(_PLACES[name]), name)
        except ModuleNotFoundError as error:
            from metaeval_datasets.extras import missing

            message = missing(error, "analysis" if name == "TaskEmbeddings" else "models")
            raise ImportError(f"metaeval_hub.{name}: {message}" if message else str(error)) from error
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
