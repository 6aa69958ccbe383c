"""Compare the two attachments of adapters: our own hooks, and those of the `adapters` library.

    python benchmarks/attachments.py time                     # step time and memory, one process, in random order
    python benchmarks/attachments.py write FOLDER             # models of all encoder types and their logits
    python benchmarks/attachments.py compare FOLDER           # the same with other versions of transformers

``write`` needs the `adapters` library (transformers 4.57) and compares both attachments there; ``compare`` runs in any
environment that metaeval supports, loads the models that ``write`` stored, and prints the largest difference of logits.

A timed step consists of forward pass, backward pass and optimizer, on random tokens and an encoder of MiniLM's shape
without dropout; both attachments compute every token of every layer. Times are CPU seconds of one thread. The ratio is
taken per round. Memory is what the forward pass keeps for the backward pass.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from transformers import AutoConfig, AutoModel

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_hub.conditional.attachment import AttachedAdapter
from metaeval_hub.encoders.base import BaseEncoder, LoadedEncoder
from metaeval_hub.encoders.tiny import word_tokenizer
from metaeval_hub.encoders.weights import build_module, building, quiet, weights_digest

METHODS = ("pilault", "layernorm", "mahabadi", "adapter")
MINILM = {"model_type": "bert", "vocab_size": 30522, "hidden_size": 384, "num_hidden_layers": 6,
          "num_attention_heads": 12, "intermediate_size": 1536, "max_position_embeddings": 512}  # fmt: skip
TASKS = ("x/two", "x/three")
LABELS = {"x/two": ("no", "yes"), "x/three": ("p", "q", "r")}
SHAPE = {"vocab_size": 40, "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 96}
ENCODERS = {
    "bert": SHAPE,
    "roberta": {**SHAPE, "max_position_embeddings": 140, "type_vocab_size": 1, "pad_token_id": 1},
    "xlm-roberta": {**SHAPE, "max_position_embeddings": 140, "type_vocab_size": 1, "pad_token_id": 1},
    "electra": {**SHAPE, "embedding_size": 64},
    "deberta-v2": {**SHAPE, "type_vocab_size": 0},
    "distilbert": {"vocab_size": 40, "dim": 64, "n_layers": 4, "n_heads": 4, "hidden_dim": 96},
    "modernbert": {**SHAPE, **{f"{role}_token_id": i for i, role in enumerate(("pad", "bos", "eos", "cls", "sep"))}},
}

# --- step time and memory ---


def own_pass(config: ConditionalConfig) -> tuple[nn.Module, Callable[[Tensor, Tensor], Tensor]]:
    """Return an encoder with our own attachment, and its forward pass."""
    module = AutoModel.from_config(AutoConfig.for_model(**MINILM), add_pooling_layer=False)
    adapter = AttachedAdapter(module, config, n_tasks=101)

    def forward(tokens: Tensor, task_ids: Tensor) -> Tensor:
        z = None if adapter.conditioning is None else adapter.conditioning(task_ids)
        with adapter.active(module, z):
            return module(tokens).last_hidden_state

    return nn.ModuleList([module, adapter]), forward


def library_pass(config: ConditionalConfig) -> tuple[nn.Module, Callable[[Tensor, Tensor], Tensor]]:
    """Return an encoder with the attachment of `adapters`, and its forward pass."""
    import adapters

    from metaeval_hub.conditional.adapters_library import library_config

    module = AutoModel.from_config(AutoConfig.for_model(**MINILM), add_pooling_layer=False)
    with quiet("adapters.model_mixin"):
        adapters.init(module)
        module.add_adapter("a", config=library_config(config, [f"t/{i}" for i in range(101)], 384))
        module.train_adapter("a")
    named = {"task_ids": True} if config.has_task_embeddings else {}

    def forward(tokens: Tensor, task_ids: Tensor) -> Tensor:
        return module(tokens, **dict.fromkeys(named, task_ids)).last_hidden_state

    return module, forward


def step_of(
    make: Callable[[ConditionalConfig], tuple[nn.Module, Callable[[Tensor, Tensor], Tensor]]], config: ConditionalConfig
) -> tuple[Callable[[], None], float]:
    """Return a training step on 32 x 64 tokens of one task, and the MiB that its forward pass keeps."""
    torch.manual_seed(0)
    module, forward = make(config)
    head = nn.Linear(384, 4)
    trained = [parameter for parameter in (*module.parameters(), *head.parameters()) if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    module.eval()
    tokens, labels, task_ids = torch.randint(5, 30000, (32, 64)), torch.randint(4, (32,)), torch.tensor([3])
    known = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        alive = forward(tokens, task_ids)
    del alive

    def step() -> None:
        loss = F.cross_entropy(head(forward(tokens, task_ids)[:, 0]), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, sum(kept.values()) / 2**20


def time_steps(rounds: int) -> None:
    """Print a table of step times and memory for each method."""
    import adapters

    print(f"torch {torch.__version__}, transformers {transformers.__version__}, adapters {adapters.__version__}\n")
    print("| method | own, CPU ms | adapters, CPU ms | own / adapters (quartiles) | own, MiB | adapters, MiB |")
    print("|---|---:|---:|---:|---:|---:|")
    for method in METHODS:
        config = ConditionalConfig(method, adapter_size=32 if method == "mahabadi" else 128)
        steps = {"own": step_of(own_pass, config), "library": step_of(library_pass, config)}
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for number in range(rounds + 1):
            for name in random.sample(sorted(steps), k=2):
                started = time.process_time()
                steps[name][0]()
                if number:
                    seconds[name].append(time.process_time() - started)
        ratios = [own / other for own, other in zip(seconds["own"], seconds["library"], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        own, library = (1000 * statistics.median(seconds[name]) for name in ("own", "library"))
        print(
            f"| {method} | {own:.0f} | {library:.0f} | {middle:.3f} ({low:.3f} to {high:.3f}) | "
            f"{steps['own'][1]:.0f} | {steps['library'][1]:.0f} |",
            flush=True,
        )


# --- agreement ---


def random_model(kind: str, method: str) -> ConditionalAdapterModel:
    """Return a model with random weights, also where training would start from zero."""
    config = {"model_type": kind, **ENCODERS[kind]}
    with building(0):
        module = build_module(config, "cpu").eval()
    tokenizer = word_tokenizer(["a b c d e f g h i j k l m n o p q r s t u v w x y z"])
    if getattr(module.config, "type_vocab_size", 0) < 2:
        tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
    stored = {**config, **{k: v for k, v in module.config.to_diff_dict().items() if not k.startswith("_attn")}}
    base = BaseEncoder("local", kind, None, weights_digest(module.state_dict()))
    with building(1):
        model = ConditionalAdapterModel(
            LoadedEncoder(module, tokenizer, stored, base), LABELS, ConditionalConfig(method, adapter_size=16, dim_z=8)
        )
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def logits_of(model: ConditionalAdapterModel) -> Tensor:
    """Return the logits of a padded batch of mixed tasks."""
    batch = model.tokenizer(["a b c", "d e f g h i j", "z", "q r s t u v w x"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model(**batch, task_ids=torch.tensor([0, 1, 1, 0])).logits[:, :2].clone()


def library_logits(model: ConditionalAdapterModel) -> Tensor:
    """Return the same logits with the model's weights attached by `adapters`."""
    import adapters

    from metaeval_hub.conditional.adapters_library import library_config

    module = build_module(model.encoder_config, "cpu").eval()
    own = model.encoder.state_dict()
    module.load_state_dict(own)
    with quiet("adapters.model_mixin"):
        adapters.init(module)
        module.add_adapter("a", config=library_config(model.config, TASKS, model.encoder.config.hidden_size))
        module.set_active_adapters("a")
    if model.encoder.config.model_type == "modernbert":  # the library gives its attention random biases
        for layer in module.layers:
            layer.attn.Wqkv.bias.data.zero_()
    places = [each for each in module.modules() if isinstance(each, adapters.methods.bottleneck.BottleneckLayer)]
    places.sort(key=lambda place: place.location_key != "mh_adapter")  # stable: all attention places, then the others
    pairs = list(model.adapter.layers)
    for place, layer in zip(places, [p["attention"] for p in pairs] + [p["output"] for p in pairs], strict=True):
        place.adapters["a"].load_state_dict(layer.state_dict())
    if model.adapter.conditioning is not None:
        module.shared_parameters["a"].load_state_dict(model.adapter.conditioning.state_dict())
    model.encoder, kept = module, model.encoder
    task_ids = torch.tensor([0, 1, 1, 0])
    batch = model.tokenizer(["a b c", "d e f g h i j", "z", "q r s t u v w x"], padding=True, return_tensors="pt")
    named = {"task_ids": task_ids} if model.config.has_task_embeddings else {}
    with torch.inference_mode():
        pooled = module(**batch, **named).last_hidden_state[:, 0]
        found = model.heads(pooled, task_ids)[:, :2].clone()
    model.encoder = kept
    return found


def write(folder: Path) -> None:
    """Store models and logits of all encoder types, and print how far both attachments differ."""
    print(f"both attachments, transformers {transformers.__version__}, torch {torch.__version__}\n")
    print("| encoder | own against adapters, largest difference of logits |\n|---|---:|")
    for kind in ENCODERS:
        largest = 0.0
        for method in METHODS:
            model = random_model(kind, method)
            own = logits_of(model)
            largest = max(largest, float((own - library_logits(model)).abs().max()))
            place = model.save_pretrained(folder / f"{kind}-{method}")
            save_file({"logits": own}, folder / f"{place.name}.safetensors")
        print(f"| {kind} | {largest:.2g} |", flush=True)


def compare(folder: Path) -> None:
    """Load the models that ``write`` stored and print how far their logits differ here."""
    print(f"own attachment, transformers {transformers.__version__}, torch {torch.__version__}, against those stored\n")
    print("| encoder | largest difference of logits |\n|---|---:|")
    for kind in ENCODERS:
        differences = []
        for method in METHODS:
            model = ConditionalAdapterModel.from_pretrained(folder / f"{kind}-{method}")
            stored = load_file(folder / f"{kind}-{method}.safetensors")["logits"]
            differences.append(float((logits_of(model) - stored).abs().max()))
        print(f"| {kind} | {max(differences):.2g} |", flush=True)


def main() -> None:
    """Run one of the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("time", "write", "compare"), help="what to compare")
    parser.add_argument("folder", nargs="?", type=Path, help="folder of the stored models, for write and compare")
    parser.add_argument("--rounds", type=int, default=15, help="timed steps of each attachment (default 15)")
    options = parser.parse_args()
    if options.what != "time" and options.folder is None:
        parser.error(f"{options.what} needs a folder")
    torch.set_num_threads(1)
    random.seed(0)
    if options.what == "time":
        time_steps(options.rounds)
    else:
        {"write": write, "compare": compare}[options.what](options.folder)


if __name__ == "__main__":
    main()
