"""Describe tasks by numbers: task embeddings, features, domains, origins."""
