"""Build, use, save and load the model of many tasks."""
