"""Task embeddings: one table of vectors, and what is read from it."""
