"""Analyse task embeddings: geometry, stability, probing, transfer, plots."""
