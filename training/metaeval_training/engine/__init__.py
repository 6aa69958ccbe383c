"""Train and evaluate: the loop, the optimizer, checkpoints."""
