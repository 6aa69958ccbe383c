"""Train conditional adapters, one embedding z and one head a task, on many tasks at once.

    python training/multitask.py                              # demo tasks, small encoder: about 100 s on two cores
    python training/multitask.py --tasks pragmeval glue/cola --encoder minilm --max-train-rows 600 --epochs 2
    accelerate launch training/multitask.py --preset paper --push-to-hub ORG/NAME
    python training/multitask.py --resume runs/multitask-1

Every run gets a folder of its own, <output-dir>/<name>-<number>, with config.json, metrics.jsonl, results.json,
checkpoints/, model/, task_embeddings/ and task_map.png. Settings: defaults, then the preset, then flags.

One process needs no launcher, and without one Ctrl-C ends the run with the script's own message alone: a launcher adds
a traceback of its own.

Several processes and machines (README): torchrun --standalone --nproc_per_node 2 training/multitask.py ...

Exit codes: 0 done; 1 an error, told in one line; 2 wrong usage; 3 trained, but the push to the Hub failed;
130 interrupted, 143 terminated or its launcher has ended, 129 its terminal was closed, all with a checkpoint to resume
from. Launchers make 1 of all but 0.
"""

from __future__ import annotations

from metaeval_training.config import parse


def main(argv: list[str] | None = None) -> int:
    """Parse, train, report; returns the exit code."""
    command = parse(argv, description=__doc__)
    # Imported after parsing, so that --help and a mistyped flag do not wait for torch.
    from metaeval_training.commands.multitask_run import run_multitask

    return run_multitask(command)
