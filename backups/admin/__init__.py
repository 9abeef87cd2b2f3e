"""The admin of Databases, backups, copies, restores, verifications and destinations."""

from backups.admin import approvals, backups, copies, databases, destinations, drills, runs

__all__ = ["approvals", "backups", "copies", "databases", "destinations", "drills", "runs"]
