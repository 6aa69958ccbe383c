"""Implement the training scripts, one module per script."""
