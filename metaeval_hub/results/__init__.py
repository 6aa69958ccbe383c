"""Read results of runs, compare them, and show them as tables."""
