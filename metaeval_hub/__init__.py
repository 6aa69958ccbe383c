"""What people load: conditional adapters, task embeddings, access to the Hub."""
