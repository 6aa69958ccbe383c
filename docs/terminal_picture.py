"""Draw the output of a command in a terminal as an SVG picture.

    python docs/terminal_picture.py 100 docs/show.svg metaeval show demo/claims

runs the command in a terminal of 100 columns. Put --lines N before the width to draw only the first N lines.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text


def run(command: list[str], columns: int) -> str:
    """Return the output of a command for a terminal of this width, with standard output and error combined."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment):  # noqa: S603
        os.close(theirs)
        written = b""
        try:
            while block := os.read(ours, 1 << 16):
                written += block
        except OSError:  # Linux raises this when the other end is closed
            pass
    os.close(ours)
    return written.decode("utf-8", errors="replace")


def visible(written: str) -> list[str]:
    """Return the lines that stay visible on a terminal, without overwritten ones such as progress bars."""
    lines = [""]
    for part in re.split(r"(\r\n|\n|\r|\x1b\[\d*A|\x1b\[\d*K|\x1b\[\?\d+[hl])", written):
        if part in ("\r\n", "\n"):
            lines.append("")
        elif part == "\r" or part.endswith("K"):
            lines[-1] = ""
        elif re.fullmatch(r"\x1b\[\d*A", part):
            del lines[len(lines) - int(part[2:-1] or 1) :]
        elif not part.startswith("\x1b[?"):
            lines[-1] += part
    return lines


def main() -> None:
    """Run the command and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("columns", type=int, help="width of the terminal")
    parser.add_argument("picture", type=Path, help="SVG file to write")
    parser.add_argument("--lines", type=int, help="draw only the first N lines")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run")
    options = parser.parse_args()
    lines = visible(run(options.command, options.columns))
    while lines and not lines[-1].strip():
        lines.pop()
    console = Console(record=True, width=options.columns, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi("\n".join(lines[: options.lines])), no_wrap=True, crop=True)
    # Use the fonts of the reader: those of rich are loaded from a server.
    form = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    console.save_svg(str(options.picture), title=" ".join(options.command), code_format=form)


if __name__ == "__main__":
    main()
