"""Export one task as a stock adapter, which the `adapters` library loads without this package.

For a fixed z, the conditional layers are stock layers. Eq. 1 is a bottleneck followed by a LayerNorm, and generated
weights are plain weights; both give the same bits. A learned LayerNorm is that of a stock adapter. Eq. 2 also modulates
the residual, which no single stock bottleneck does. It becomes a stack of two, the first of which computes
h + g * h + b up to rounding, as U relu(D h) + b + h with D = [I; -I] and U = [diag g, -diag g].
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from metaeval_hub.conditional.adapters_library import (
    SUPPORTED,
    AutoAdapterModel,
    BnConfig,
    BottleneckLayer,
    DoubleSeqBnConfig,
    Stack,
    reduction_factor,
)
from metaeval_hub.conditional.bottleneck import Bottleneck
from metaeval_hub.conditional.layers import ConditionalNormAdapter, GeneratedAdapter, ModulatedInputAdapter
from metaeval_hub.encoders.weights import quiet, save_encoder
from metaeval_hub.hub.card_templates import code_span, python_string
from metaeval_hub.model.core import ModelCore
from metaeval_hub.model.storage import ENCODER_FOLDER, TOKENIZER_FOLDER, encoder_weights
from metaeval_hub.model.tensors import check_finite
from metaeval_hub.safe_files.replace_folder import replacing, target_folder

# The `adapters` library reads the files written here, so it determines their names.
_README = """# {title}

A stock bottleneck adapter{stack} for {base}, exported from a model of conditional adapters for the one task {title}.
Its classes are {labels}.

Run in this folder:

```python
from adapters import AutoAdapterModel
from transformers import AutoTokenizer

model = AutoAdapterModel.from_pretrained({place})
model.{call}(".", set_active=True, use_safetensors=True)
model.eval()
tokenizer = AutoTokenizer.from_pretrained("tokenizer")
inputs = tokenizer({example}, truncation=True, max_length={max_length}, return_tensors="pt")
logits = model(**inputs).logits
print(model.get_labels()[logits.argmax()])
```
"""


def export_adapter(model: ModelCore, task: str, folder: Path | str) -> Path:
    """Write one task as a stock adapter with a classifier that gives the model's predictions, in float32.

    The tokenizer is written too, and so is the encoder unless it is on the Hub. README.md shows how to load them. This
    function needs ``pip install 'metaeval[adapters]'``.

    Args:
        model: the whole model.
        task: one of its tasks.
        folder: created if it does not exist; must be empty.

    Returns:
        The folder. Load it with ``load_adapter`` of `adapters`; with eq. 2 use ``load_adapter_setup``, because the task
        is a stack of two adapters.

    Raises:
        KeyError: the model has no such task.
        ValueError: the model has no adapter, the task reads the encoder without adapters or all layers, or has a
            private part, the model pools by the mean, which no stock classifier does, or a weight is not finite.
        FileExistsError: the folder is not empty.
    """
    task_id = model.task_id(task)
    if model.config.conditioning == "full":
        raise ValueError(
            "a model of full fine-tuning ('full') has no adapter to export; save_pretrained writes its encoder"
        )
    if task in model.frozen_tasks:
        raise ValueError(
            f"{task} reads the encoder without adapters, so it has no adapter to export; use model.for_task"
        )
    if task in model.layered_tasks:
        raise ValueError(
            f"{task} reads all layers of the encoder, for which `adapters` has no head; use model.for_task"
        )
    if task in model.private_tasks:
        raise ValueError(
            f"{task} has a private part, for which `adapters` has no layer; use model.for_task or save_pretrained, or "
            "train with private_rank 0"
        )
    if model.encoder.config.model_type == "modernbert":
        raise ValueError(
            f"{task} cannot be exported: `adapters` {SUPPORTED} gives the attention of ModernBERT random biases, so "
            "its answers would differ from the model's; use model.for_task or save_pretrained"
        )
    if model.config.pooling != "cls":
        raise ValueError(
            f"{task} cannot be exported: the model's classifiers read the mean over the tokens, those of `adapters` "
            "the first token, so that none would give its answers; use model.for_task or save_pretrained, or train "
            "with pooling 'cls'"
        )
    check_finite(model.state_dict())
    folder = target_folder(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; export to a new folder")
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", task)
    with torch.no_grad():
        z = model.embed_tasks(torch.tensor([task_id], device=model.device))
        parts = [_stock_weights(layer, z) for layer in _layers(model)]
    names = [name] if len(parts[0]) == 1 else [f"{name}-modulation", name]
    stock = _stock_model(model, names, parts)
    _add_head(stock, model, task, name)
    with replacing(folder, (), last="README.md") as new:
        if len(names) == 1:
            stock.save_adapter(str(new), name, with_head=True, use_safetensors=True)
        else:
            stock.save_adapter_setup(str(new), Stack(*names), head_setup=name, use_safetensors=True)
        model.tokenizer.save_pretrained(new / TOKENIZER_FOLDER)
        if model.base.kind != "hub":
            weights = {name: weight.float() for name, weight in encoder_weights(model).items()}
            save_encoder(new / ENCODER_FOLDER, model.encoder_config, weights)
        (new / "README.md").write_text(_readme(model, task, stacked=len(names) > 1), encoding="utf-8")
    return folder


def _readme(model: ModelCore, task: str, stacked: bool) -> str:
    place = python_string(ENCODER_FOLDER)
    if model.base.kind == "hub":
        place = f"{python_string(model.base.id)}, revision={python_string(str(model.base.revision))}"
    return _README.format(
        title=code_span(task),
        base=code_span(model.base.id),
        stack=" (a stack of two)" if stacked else "",
        labels=", ".join(map(code_span, model.labels[task])),
        place=place,
        call="load_adapter_setup" if stacked else "load_adapter",
        example='"a text", "another text"' if model.fields.get(task) == 2 else '"a text"',
        max_length=model.config.max_length,
    )


# One stock bottleneck: its weights under the names that `adapters` gives them.
Part = dict[str, Tensor]


def _layers(model: ModelCore) -> list[nn.Module]:
    """Return the adapter layers in the order of a pass, which is that of the places in the stock model too."""
    pairs: Any = model.adapter.layers  # type: ignore[union-attr]
    return [layer for pair in pairs for layer in pair.values()]


def _stock_weights(layer: nn.Module, z: Tensor | None) -> list[Part]:
    """Return the stock bottlenecks that replace one layer at z (1, Z), in the order in which they are applied."""
    if type(layer) is Bottleneck:
        return [layer.state_dict()]
    if isinstance(layer, GeneratedAdapter):
        size, hidden = layer.size, layer.hidden_size
        norm = {key: value for key, value in layer.state_dict().items() if not key.startswith("z_")}
        return [
            {
                **norm,
                "adapter_down.0.weight": layer.z_down(z).view(size, hidden),
                "adapter_down.0.bias": layer.z_down_bias(z)[0],
                "adapter_up.weight": layer.z_up(z).view(hidden, size),
                "adapter_up.bias": layer.z_up_bias(z)[0],
            }
        ]
    own = {key: value for key, value in layer.state_dict().items() if not key.startswith("z_")}
    if isinstance(layer, ConditionalNormAdapter):
        norm = {"adapter_norm_after.weight": layer.z_gamma(z)[0], "adapter_norm_after.bias": layer.z_beta(z)[0]}
        return [{**own, **norm}]
    if isinstance(layer, ModulatedInputAdapter):
        gain, shift = layer.z_scale(z)[0], layer.z_shift(z)[0]
        one, diagonal = torch.eye(gain.shape[0], device=gain.device), torch.diag(gain)
        modulation = {
            "adapter_down.0.weight": torch.cat([one, -one]),
            "adapter_down.0.bias": torch.zeros(2 * gain.shape[0], device=gain.device),
            "adapter_up.weight": torch.cat([diagonal, -diagonal], dim=1),
            "adapter_up.bias": shift,
        }
        return [modulation, own]
    raise TypeError(f"no stock form is known for {type(layer).__name__}")


def _stock_model(model: ModelCore, names: list[str], parts: list[list[Part]]) -> Any:
    """Return a stock model whose adapters ``names`` have the weights; its encoder is on the meta device."""
    with torch.device("meta"), quiet("adapters.model_mixin"):
        stock = AutoAdapterModel.from_config(model.encoder.config)
        for i, name in enumerate(names):
            stock.add_adapter(name, config=_stock_config(parts[0][i], model, modulation=i + 1 < len(names)))
    places = [module for module in stock.modules() if isinstance(module, BottleneckLayer)]
    for place, layer_parts in zip(places, parts, strict=True):
        for name, part in zip(names, layer_parts, strict=True):
            place.adapters[name].load_state_dict({k: v.detach().float().cpu() for k, v in part.items()}, assign=True)
    return stock


def _stock_config(part: Part, model: ModelCore, modulation: bool) -> BnConfig:
    size, hidden = part["adapter_down.0.weight"].shape
    return DoubleSeqBnConfig(
        reduction_factor=reduction_factor(hidden, size),
        non_linearity="relu" if modulation else "gelu",
        ln_after="adapter_norm_after.weight" in part,
    )


def _add_head(stock: Any, model: ModelCore, task: str, name: str) -> None:
    labels = model.labels[task]
    with torch.device("meta"):
        stock.add_classification_head(
            name, num_labels=len(labels), layers=1, activation_function=None, id2label=dict(enumerate(labels)),
            use_pooler=False,
        )  # fmt: skip
    rows = model.heads.table[model.task_id(task), : len(labels)]
    linear = next(module for module in stock.heads[name].modules() if isinstance(module, nn.Linear))
    linear.weight = nn.Parameter(model.heads.weight[rows].detach().float().cpu())
    linear.bias = nn.Parameter(model.heads.bias[rows].detach().float().cpu())
