"""Conditional adapters as an extension of the `adapters` library; importing the package installs it."""

from metaeval_hub.conditional import attachment

__all__ = ["attachment"]
