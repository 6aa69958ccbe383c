"""Classification tasks cast to one schema."""
