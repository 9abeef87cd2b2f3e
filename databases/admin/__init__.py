"""The Database's form and page, as far as this room knows them; `backups.admin` adds destinations and backups."""

from databases.admin import policy

__all__ = ["policy"]
