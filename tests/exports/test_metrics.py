"""What Prometheus is told of exports: how many, how they ended, what they take; never whose they are."""

from typing import Any

import pytest
from django.test import Client

from exports.models import Export
from jobs.models import Status

pytestmark = pytest.mark.django_db
PUBKEY = "ab" * 32


def test_exports_are_counted_and_nobody_is_named(settings: Any) -> None:
    settings.BACKUPSITE_METRICS_OPEN = True
    for status, size in ((Status.COMPLETED, 40), (Status.COMPLETED, 2), (Status.EXPIRED, 1000), (Status.PENDING, None)):
        Export.objects.create(pubkey=PUBKEY, status=status, size=size)
    text = Client().get("/metrics").content.decode()
    assert 'backupsite_exports{status="completed",type="full"} 2.0' in text
    assert 'backupsite_exports{status="expired",type="full"} 1.0' in text
    assert "backupsite_exports_bytes 42.0" in text  # what expired takes no room
    assert 'backupsite_jobs{kind="export",status="pending"} 1.0' in text
    assert PUBKEY not in text
