"""Train conditional adapters on many tasks at once, with one embedding z and one classifier head per task.

    python training/multitask.py                              # demo tasks, small encoder: about 100 s on two cores
    python training/multitask.py --tasks pragmeval glue/cola --encoder minilm --max-train-rows 600 --epochs 2
    accelerate launch training/multitask.py --preset paper --push-to-hub ORG/NAME
    python training/multitask.py --resume runs/multitask-1

Each run writes to its own folder, <output-dir>/<name>-<number>: config.json, metrics.jsonl, results.json, checkpoints/,
model/, task_embeddings/ and task_map.png. Flags override the preset, and the preset overrides the defaults.

A single process needs no launcher. Without one, Ctrl-C prints only this script's message; a launcher adds a traceback.
Several processes: torchrun --standalone --nproc_per_node 2 training/multitask.py ...

Exit codes: 0 done; 1 an error, reported in one line; 2 wrong usage; 3 trained, but the push to the Hub failed;
130 interrupted; 143 terminated, or the launcher has ended; 129 the terminal was closed. The last three leave a
checkpoint to resume from. Launchers turn every code except 0 into 1.
"""

from __future__ import annotations

from metaeval_training.flags import parse


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, train and report; return the exit code."""
    command = parse(argv, description=__doc__)
    # Imported after parsing, so that --help and a mistyped flag do not wait for torch.
    from metaeval_training.commands.multitask_run import run_multitask

    return run_multitask(command)
