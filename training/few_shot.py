#!/usr/bin/env python
"""Measure accuracy against the number of labelled examples, on tasks that a model was not trained on.

    python training/few_shot.py --model runs/zero_shot-1                      # all tasks that the run held out
    python training/few_shot.py --model runs/zero_shot-1 --preset small --tasks glue/sst2 glue/rte --shots 0 8 32 128
    python training/few_shot.py --model runs/multitask-1/model --tasks demo/office_nli --draws 2 --full-steps 30
    python training/few_shot.py --model runs/fold-1 runs/fold-2 --methods fit probe tfidf majority
    python training/few_shot.py --resume runs/few_shot-1

``--help`` lists every option.
"""

import sys

from metaeval_training.runs.process import start_script

if __name__ == "__main__":
    start_script()
    from metaeval_training.commands.few_shot import main

    sys.exit(main())
