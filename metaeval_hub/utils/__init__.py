"""Control what library calls log and whether they show progress bars."""
