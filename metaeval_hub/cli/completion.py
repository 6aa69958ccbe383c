"""Print a script that lets a shell complete the commands and options of metaeval.

    metaeval completion bash > ~/.local/share/bash-completion/completions/metaeval
    metaeval completion zsh > "${fpath[1]}/_metaeval"

The script is static, so that pressing Tab does not start Python. Print it again after an upgrade. It needs the package
shtab: pip install 'metaeval[completion]'.
"""

from __future__ import annotations

import argparse
import sys


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="shell that reads the script")


def run(options: argparse.Namespace) -> None:
    """Print the script.

    Raises:
        ImportError: shtab is not installed.
    """
    try:
        import shtab
    except ImportError:
        raise ImportError("shtab is not installed; install it with: pip install 'metaeval[completion]'") from None
    sys.stdout.write(shtab.complete(options.parser, options.shell) + "\n")
