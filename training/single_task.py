#!/usr/bin/env python
"""Fine-tune one model per task: the paper's single-task baselines.

    python training/single_task.py                                         # demo tasks, small encoder: minutes
    python training/single_task.py --preset small --tasks pragmeval glue/cola --methods full adapter
    python training/single_task.py --preset small --methods full --rates 2e-5 5e-5 1e-4      # best on validation
    python training/single_task.py --preset small --rates full=5e-5 adapter=5e-4,1e-3        # rates for each method
    python training/single_task.py --preset small --methods full --fisher                    # Fisher vectors as well
    python training/single_task.py --resume runs/single_task-1

``--help`` lists every option.
"""

import sys

from metaeval_training.runs.process import start_script

if __name__ == "__main__":
    start_script()
    from metaeval_training.commands.single_task import main

    sys.exit(main())
