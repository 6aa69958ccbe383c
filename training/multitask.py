#!/usr/bin/env python
"""Train conditional adapters on many tasks at once, with one embedding z and one classifier head per task.

    python training/multitask.py                              # demo tasks, small encoder: about 100 s on two cores
    python training/multitask.py --tasks pragmeval glue/cola --encoder minilm --max-train-rows 600 --epochs 2
    accelerate launch training/multitask.py --preset paper --push-to-hub ORG/NAME
    python training/multitask.py --resume runs/multitask-1

``--help`` lists every option.
"""

import sys

from metaeval_training.runs.process import start_script

if __name__ == "__main__":
    start_script()
    from metaeval_training.commands.multitask import main

    sys.exit(main())
