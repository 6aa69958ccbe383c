"""Data-parallel training in two processes agrees with one process, also if tasks are missing from a batch."""

import json

CODE = """
import json, os, sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from metaeval_hub import ConditionalAdapterModel, ConditionalConfig
from metaeval_training.engine.optimizer import RowLazyAdamW

LABELS = {"a/two": ("no", "yes"), "a/three": ("p", "q", "r"), "a/four": tuple("wxyz"), "a/absent": ("no", "yes")}
TEXTS = ["the cat sat", "a dog ran on the mat", "the mat", "a cat"] * 2
# tasks of the 8 rows of each step; the first half is of the first process, the other of the second
SCHEDULES = {
    "one task": [[0] * 8, [1] * 8, [2] * 8],
    "a task each": [[0] * 4 + [1] * 4, [1] * 4 + [2] * 4, [1] * 8],
    "mixed": [[0, 1, 2, 0, 1, 1, 2, 0], [2, 2, 1, 0, 0, 0, 0, 0], [0] * 8],
}


def make(method):
    config = ConditionalConfig(conditioning=method, adapter_size=4, dim_z=5, max_length=16)
    return ConditionalAdapterModel.create("tiny", LABELS, config, vocabulary=TEXTS).double().train()


def train(method, schedule, rank=None):
    model = make(method)
    wrapped = model if rank is None else DistributedDataParallel(model)  # DDP runs without find_unused_parameters
    optimizer = RowLazyAdamW([
        {"params": parameters, "lr": 1e-2, "weight_decay": 0.0, "by_row": role in ("task_embedding", "head")}
        for role, parameters in model.trainable_groups().items() if parameters
    ])
    batch = model.tokenizer(TEXTS, padding=True, return_tensors="pt")
    rows = slice(None) if rank is None else slice(4 * rank, 4 * rank + 4)
    for tasks in SCHEDULES[schedule]:
        ids = torch.tensor(tasks)[rows]
        ids = ids[:1] if len(ids.unique()) == 1 else ids  # the form of z for a batch of one task
        labels = torch.arange(8)[rows] % 2
        found = wrapped(**{name: values[rows] for name, values in batch.items()}, task_ids=ids, labels=labels)
        optimizer.zero_grad()
        found.loss.backward()
        optimizer.step()
    return model


def flat(model):
    return torch.cat([p.detach().flatten() for p in model.parameters() if p.requires_grad])


def work(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    for method in ("pilault", "layernorm", "mahabadi"):
        start = make(method)
        for schedule in SCHEDULES:
            model = train(method, schedule, rank)
            both = [torch.empty_like(flat(model)) for _ in range(2)]
            dist.all_gather(both, flat(model))
            rows = model.heads.table[3, :2]  # z of the task that is in no step
            if rank == 0:
                print(json.dumps({
                    "case": f"{method}, {schedule}",
                    "processes agree": torch.equal(*both),
                    "moved": (flat(model) - flat(start)).abs().max().item(),
                    "off one process": (flat(model) - flat(train(method, schedule))).abs().max().item(),
                    "absent head stays": torch.equal(model.heads.weight[rows], start.heads.weight[rows]),
                    "absent z stays": torch.equal(
                        model.conditioning.task_embedding[3], start.conditioning.task_embedding[3]
                    ),
                }), flush=True)
    dist.destroy_process_group()


torch.set_num_threads(1)
child = os.fork()  # the libraries are imported once for both
try:
    work(1 if child == 0 else 0, sys.argv[1])
finally:
    if child == 0:
        os._exit(1 if sys.exc_info()[0] else 0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_two_processes_train_as_one_and_stay_bit_identical(run_python, tmp_path):
    """Gradients are averaged over processes, so two halves of a batch must give the result of the whole batch."""
    printed = run_python(CODE, str(tmp_path), env={"GLOO_SOCKET_IFNAME": "lo"}).stdout
    found = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert len(found) == 9
    for case in found:
        assert case["processes agree"], case
        assert case["moved"] > 0.01, case
        assert case["off one process"] < 1e-6, case
        assert case["absent head stays"], case
        assert case["absent z stays"], case
