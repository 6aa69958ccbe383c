"""Declare the tasks, one module per group: data that a reviewer can check, without I/O."""
