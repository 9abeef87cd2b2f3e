"""The admin of Databases, backups, restores, verifications and destinations."""

from backups.admin import approvals, backups, databases, destinations, drills, runs

__all__ = ["approvals", "backups", "databases", "destinations", "drills", "runs"]
