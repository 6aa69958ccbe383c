"""Time a training step of each conditional adapter against a stock bottleneck adapter of the same size.

    python benchmarks/model_step.py                      # an encoder of MiniLM's shape
    python benchmarks/model_step.py --encoder roberta --batch 8 --rounds 12 --matmul-precision medium

A step consists of forward pass, backward pass and optimizer. All variants use the same random tokens and the same
encoder, which has random weights and no dropout. They take turns in one process, in random order, and each time is
divided by that of the stock adapter in the same round. Times are CPU seconds of one thread, so that waiting for other
processes does not count. The table shows medians over rounds, and quartiles of the ratio.

"One task" has one task per batch; "mixed" has a different task in every row. The floor is the cost that no adapter can
avoid: the forward pass of the frozen encoder, and the backward pass through activations to the position of the first
adapter, without gradients of weights.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import transformers
from metaeval_training.engine.optimizer import RowLazyAdamW
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from transformers import AutoConfig, AutoModel

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.conditional.config import DEFAULT_ADAPTER_SIZE
from metaeval_hub.encoders.base import BaseEncoder, LoadedEncoder
from metaeval_hub.encoders.tiny import word_tokenizer
from metaeval_hub.encoders.weights import quiet
from metaeval_hub.utils.products import MatmulPrecision, matmul_precision

METHODS = ("pilault", "layernorm", "mahabadi")
SHAPES = {
    "minilm": {"model_type": "bert", "vocab_size": 30522, "hidden_size": 384, "num_hidden_layers": 6,
               "num_attention_heads": 12, "intermediate_size": 1536, "max_position_embeddings": 512},
    "roberta": {"model_type": "roberta", "vocab_size": 50265, "hidden_size": 768, "num_hidden_layers": 12,
                "num_attention_heads": 12, "intermediate_size": 3072, "max_position_embeddings": 514,
                "pad_token_id": 1},
}  # fmt: skip
N_TASKS, N_CLASSES = 101, 4


@dataclass
class Variant:
    """A variant to time.

    Attributes:
        name: name in the table.
        against: name of the variant that it is compared with.
        step: function that does one step.
    """

    name: str
    against: str
    step: Callable[[], None]
    trained: int


def encoder(shape: str) -> nn.Module:
    """Return an encoder with fixed random weights, since speed does not depend on the weights."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(**SHAPES[shape], attn_implementation="sdpa")
    return AutoModel.from_config(config, add_pooling_layer=False)


def stock_step(shape: str, size: int, tokens: Tensor, labels: Tensor, dropout: bool) -> tuple[Callable[[], None], int]:
    """Return a step of a stock bottleneck adapter with a linear classifier on the first token."""
    import adapters  # here, because other benchmarks import this file and do not need the library
    from adapters import DoubleSeqBnConfig

    from metaeval_hub.conditional.adapters_library import reduction_factor

    module = encoder(shape)
    hidden = module.config.hidden_size
    with quiet("adapters.model_mixin"):
        adapters.init(module)
        module.add_adapter(
            "a", DoubleSeqBnConfig(reduction_factor=reduction_factor(hidden, size), non_linearity="gelu")
        )
        module.train_adapter("a")
    head = nn.Linear(hidden, N_CLASSES)
    trained = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW([*trained, *head.parameters()], lr=1e-4, weight_decay=0.0, fused=True)
    module.train(dropout)

    def step() -> None:
        loss = F.cross_entropy(head(module(tokens).last_hidden_state[:, 0]), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, sum(p.numel() for p in trained)


def our_steps(shape: str, method: str, size: int, tokens: Tensor, labels: Tensor) -> dict[str, Callable[[], None]]:
    """Return two steps of one of our models: on a batch of one task, and on a batch of mixed tasks."""
    module = encoder(shape)
    loaded = LoadedEncoder(module, word_tokenizer(["a"]), SHAPES[shape], BaseEncoder("local", "random", None, "0" * 64))
    names = {f"task/{i}": [str(c) for c in range(N_CLASSES)] for i in range(N_TASKS)}
    model = ConditionalAdapterModel(loaded, names, ConditionalConfig(conditioning=method, adapter_size=size))
    model.train()
    groups = model.trainable_groups()
    optimizer = RowLazyAdamW(
        [{"params": groups[role], "lr": 1e-4, "weight_decay": 0.0} for role in ("adapter", "map")]
        + [{"params": groups[role], "lr": 1e-3, "weight_decay": 0.0, "by_row": True}
           for role in ("task_embedding", "head")]
    )  # fmt: skip

    def step(task_ids: Tensor) -> None:
        loss = F.cross_entropy(model(tokens, task_ids=task_ids).logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    mixed = torch.randperm(N_TASKS)[: len(tokens)]
    return {"one task": lambda: step(torch.tensor([3])), "mixed": lambda: step(mixed)}, sum(
        p.numel() for role in ("adapter", "map", "task_embedding") for p in groups[role]
    )


def floor_step(shape: str, tokens: Tensor) -> Callable[[], None]:
    """Return a step that trains only a vector at the position of the first adapter, the minimum cost of an adapter."""
    module = encoder(shape).requires_grad_(False).eval()
    vector = nn.Parameter(torch.zeros(module.config.hidden_size))
    module.encoder.layer[0].attention.output.dense.register_forward_hook(lambda *parts: parts[-1] + vector)

    def step() -> None:
        vector.grad = None
        module(tokens).last_hidden_state[:, 0].sum().backward()

    return step


def make(options: argparse.Namespace) -> list[Variant]:
    """Return all variants."""
    torch.manual_seed(1)
    tokens = torch.randint(5, 30000, (options.batch, options.length))
    labels = torch.randint(N_CLASSES, (options.batch,))
    hidden = SHAPES[options.encoder]["hidden_size"]
    sizes = {method: min(DEFAULT_ADAPTER_SIZE[method], hidden // 3) for method in options.methods}
    variants = []
    for size in sorted(set(sizes.values()), reverse=True):
        step, trained = stock_step(options.encoder, size, tokens, labels, dropout=False)
        variants.append(Variant(f"stock adapter, {size} units", f"stock adapter, {size} units", step, trained))
    largest = f"stock adapter, {max(sizes.values())} units"
    for method, size in sizes.items():
        steps, trained = our_steps(options.encoder, method, size, tokens, labels)
        for kind, step in steps.items():
            variants.append(Variant(f"{method}, {size} units, {kind}", f"stock adapter, {size} units", step, trained))
    variants.append(Variant("floor", largest, floor_step(options.encoder, tokens), hidden))
    if options.dropout:
        step, trained = stock_step(options.encoder, max(sizes.values()), tokens, labels, dropout=True)
        variants.append(Variant(f"{largest}, encoder dropout on", largest, step, trained))
    return variants


def time_steps(variants: list[Variant], rounds: int) -> dict[str, list[float]]:
    """Time every variant once per round, in random order; the first two rounds are a warm-up and are not counted."""
    seconds: dict[str, list[float]] = {variant.name: [] for variant in variants}
    order = list(variants)
    for number in range(rounds + 2):
        random.shuffle(order)
        for variant in order:
            started = time.process_time()
            variant.step()
            if number >= 2:
                seconds[variant.name].append(time.process_time() - started)
    return seconds


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", choices=SHAPES, default="minilm", help="shape of the encoder (default: minilm)")
    parser.add_argument("--batch", type=int, default=32, help="texts per batch (default: 32)")
    parser.add_argument("--length", type=int, default=64, help="tokens per text (default: 64)")
    parser.add_argument("--rounds", type=int, default=25, help="timed steps of each variant (default: 25)")
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=METHODS, help="conditional adapters to time (default: all)"
    )
    parser.add_argument(
        "--dropout", action="store_true", help="also time the stock adapter with the dropout of the encoder on"
    )
    parser.add_argument(
        "--matmul-precision", choices=get_args(MatmulPrecision), default="highest",
        help='precision of float32 products; "medium" uses oneDNN (default: highest)',
    )  # fmt: skip
    parser.add_argument("--bfloat16", action="store_true", help="multiply in bfloat16, by autocast")
    options = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    variants = make(options)
    with matmul_precision(options.matmul_precision), torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16):
        seconds = time_steps(variants, options.rounds)
    print(
        f"{options.encoder}, {options.batch} x {options.length} tokens, {options.rounds} rounds; products: "
        f"{'bfloat16' if options.bfloat16 else options.matmul_precision}; "
        f"torch {torch.__version__}, transformers {transformers.__version__}, "
        f"adapters {version('adapters')}\n"
    )
    print("| step | trained | CPU ms | examples/s | relative to stock (quartiles) | floor / step |")
    print("|---|---:|---:|---:|---:|---:|")
    for variant in variants:
        own, stock, floor = (seconds[name] for name in (variant.name, variant.against, "floor"))
        low, middle, high = statistics.quantiles([b / a for a, b in zip(own, stock, strict=True)], n=4)
        share = statistics.median(b / a for a, b in zip(own, floor, strict=True))
        median = statistics.median(own)
        print(
            f"| {variant.name} | {variant.trained:,} | {1000 * median:.0f} | {options.batch / median:.1f} | "
            f"{middle:.3f} ({low:.3f} to {high:.3f}) | {share:.2f} |"
        )


if __name__ == "__main__":
    main()
