"""Find, check and load the frozen encoder and its tokenizer."""
