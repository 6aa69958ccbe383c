#!/usr/bin/env python
"""Compute task vectors that are not learned: TextEmb and Fisher (Sileo & Moens 2022, section 3).

    python training/task_vectors.py textemb --preset small --tasks all
    python training/task_vectors.py fisher --preset small --tasks all --rates 5e-5
    python training/task_vectors.py textemb --resume runs/textemb-1

``--help`` lists every option.
"""

import sys

from metaeval_training.runs.process import start_script

if __name__ == "__main__":
    start_script()
    from metaeval_training.commands.task_vectors import main

    sys.exit(main())
