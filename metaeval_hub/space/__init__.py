"""A Gradio Space for a model: its files, and the program that runs there."""
