"""Keeps the history in few, large files: compacts quiet hours, cleans the log, and deletes files that nobody reads."""
