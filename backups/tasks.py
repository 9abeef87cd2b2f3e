"""What beat rings at a due time."""

from celery import shared_task
from django.utils import timezone

from backups.services.schedule import ensure_slot


@shared_task(name="backups.ring_schedule", ignore_result=True, acks_late=False)
def ring_schedule(database_id: str) -> None:
    ensure_slot(database_id=database_id, now=timezone.now())
