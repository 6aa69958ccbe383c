"""Set how much the packages of metaeval log, with the functions that transformers has for itself.

>>> from metaeval_hub.utils import logging
>>> logging.set_verbosity_error()

All modules log through Python's ``logging``, below the loggers "metaeval_hub" and "metaeval_datasets". Warnings and
errors are shown by default. If the application has configured ``logging``, its handlers show the messages; otherwise
they are written to standard error.
"""

from __future__ import annotations

import logging
import sys
from logging import CRITICAL, DEBUG, ERROR, INFO, WARNING

__all__ = [
    "CRITICAL", "DEBUG", "ERROR", "INFO", "WARNING", "get_logger", "get_verbosity", "set_verbosity",
    "set_verbosity_debug", "set_verbosity_error", "set_verbosity_info", "set_verbosity_warning",
]  # fmt: skip

_LOGGERS = ("metaeval_hub", "metaeval_datasets")


class _StderrHandler(logging.Handler):
    """Write messages to standard error as long as the application has configured no handlers."""

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            try:
                sys.stderr.write(f"{self.format(record)}\n")
            except Exception:  # as all handlers do: a message that cannot be written does not stop the program
                self.handleError(record)


_HANDLER = _StderrHandler()


def get_logger(name: str = "metaeval_hub") -> logging.Logger:
    """Return a logger; ``set_verbosity`` applies to those whose names start with the name of a package."""
    return logging.getLogger(name)


def get_verbosity() -> int:
    """Return the lowest level of messages that are logged, such as ``logging.WARNING``."""
    return get_logger().getEffectiveLevel()


def set_verbosity(level: int) -> None:
    """Log messages of a level and of those above it.

    Args:
        level: DEBUG (10), INFO (20), WARNING (30, the default), ERROR (40) or CRITICAL (50).
    """
    for name in _LOGGERS:
        logger = get_logger(name)
        logger.setLevel(level)
        logger.addHandler(_HANDLER)  # Python's own last resort shows no messages below WARNING


def set_verbosity_error() -> None:
    """Log errors only."""
    set_verbosity(ERROR)


def set_verbosity_warning() -> None:
    """Log errors and warnings, as by default."""
    set_verbosity(WARNING)


def set_verbosity_info() -> None:
    """Log errors, warnings and information, such as repeated requests to the Hub."""
    set_verbosity(INFO)


def set_verbosity_debug() -> None:
    """Log all messages."""
    set_verbosity(DEBUG)
