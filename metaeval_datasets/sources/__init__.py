"""Find, fetch and read the files of source repositories."""
