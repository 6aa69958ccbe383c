"""Conditional adapters as an extension of the `adapters` library."""
