"""Declarations of tasks, one module for each group: data a reviewer can check, no I/O."""
