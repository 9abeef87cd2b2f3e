"""The plug board: it wires the rooms together and decides nothing itself."""

# Without this import a process that only calls `django.setup()` would publish to Celery's default broker.
from backupsite.celery import app as celery_app

__all__ = ["celery_app"]
