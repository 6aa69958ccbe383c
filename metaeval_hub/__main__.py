"""Run the `metaeval` command as ``python -m metaeval_hub``."""

import sys

from metaeval_hub.cli import main

if __name__ == "__main__":
    sys.exit(main())
