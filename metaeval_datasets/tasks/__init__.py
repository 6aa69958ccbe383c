"""Declare the tasks, one module per group: data that a reviewer can check, without I/O.

To add a dataset, append a ``TaskSpec`` to the list ``TASKS`` of its group's module, or create a module with such a
list; docs/own-task.md shows the steps.
"""
