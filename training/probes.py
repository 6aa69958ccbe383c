#!/usr/bin/env python
"""Score baselines that need no training of the encoder, to compare trained models with.

    python training/probes.py                                  # demo tasks, small encoder: a minute
    python training/probes.py --preset small --tasks all       # 600 rows per task, frozen MiniLM
    python training/probes.py --preset small --tasks pragmeval glue/cola --methods majority tfidf
    python training/probes.py --resume runs/probes-1

``--help`` lists every option.
"""

import sys

from metaeval_training.runs.process import start_script

if __name__ == "__main__":
    start_script()
    from metaeval_training.commands.probes import main

    sys.exit(main())
