"""Compute vectors of tasks and texts with a frozen encoder."""
