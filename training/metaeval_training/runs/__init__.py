"""Manage run folders: open, create, resume, lock, report, push."""
