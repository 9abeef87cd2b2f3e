"""The admin of Databases, backups, restores, verifications and destinations."""

from backups.admin import backups, databases, destinations, runs

__all__ = ["backups", "databases", "destinations", "runs"]
