"""Backups, their runs, and where they are, over HTTP."""
