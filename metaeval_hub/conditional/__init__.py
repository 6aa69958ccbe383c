"""Conditional adapters: layers whose function depends on a task embedding, and two ways to attach them."""
