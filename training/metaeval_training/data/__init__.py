"""Load, choose, tokenize and sample the rows to train on."""
