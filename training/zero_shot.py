#!/usr/bin/env python
"""Classify tasks that no model was trained on (Sileo & Moens 2022, section 5.6, table 5).

    python training/zero_shot.py --held-out demo/office_nli demo/shop_reviews     # demo tasks: about ten minutes
    python training/zero_shot.py --preset small --tasks all --held-out glue       # table 5
    python training/zero_shot.py --preset small --tasks all --held-out groups --folds 5 --methods mean ridge_aspects
    python training/zero_shot.py --resume runs/zero_shot-1

``--help`` lists every option.
"""

import sys

from metaeval_training.runs.process import start_script

if __name__ == "__main__":
    start_script()
    from metaeval_training.commands.zero_shot import main

    sys.exit(main())
