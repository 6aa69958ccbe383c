"""Encoders of width 16 of every supported type, with random weights."""

import torch
from transformers import AutoConfig, AutoModel

SMALL = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
CONFIGS = {
    "bert": SMALL,
    "roberta": {**SMALL, "max_position_embeddings": 40, "type_vocab_size": 1, "pad_token_id": 1},
    "xlm-roberta": {**SMALL, "max_position_embeddings": 40, "type_vocab_size": 1, "pad_token_id": 1},
    "distilbert": {"vocab_size": 30, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24},
    "electra": {**SMALL, "embedding_size": 16},
    "deberta-v2": {**SMALL, "type_vocab_size": 0},
    "modernbert": {**SMALL, **{f"{role}_token_id": i for i, role in enumerate(("pad", "bos", "eos", "cls", "sep"))}},
}
IDS = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]])
TASKS = torch.tensor([0, 1, 1])


def encoder_of(model_type: str = "bert", kind: type = AutoModel) -> torch.nn.Module:
    """Build an encoder; the same type gives the same weights."""
    torch.manual_seed(0)
    options = {"reference_compile": False} if model_type == "modernbert" else {}
    return kind.from_config(AutoConfig.for_model(model_type, **CONFIGS[model_type], **options)).eval()


def perturb(model: torch.nn.Module) -> None:
    """Change the trained tensors from their starting values, so that a lost tensor shows."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.3 * torch.randn_like(parameter)
