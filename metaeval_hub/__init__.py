"""What people load: conditional adapters, task embeddings, access to the Hub."""

from metaeval_hub.conditional.config import ConditionalBnConfig, ConditionalConfig
from metaeval_hub.embeddings.table import TaskEmbeddings
from metaeval_hub.gate import UnsafeRepositoryError
from metaeval_hub.model import ConditionalAdapterModel, Prediction

__all__ = [
    "ConditionalAdapterModel",
    "ConditionalBnConfig",
    "ConditionalConfig",
    "Prediction",
    "TaskEmbeddings",
    "UnsafeRepositoryError",
]
