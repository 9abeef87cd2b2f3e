"""Request a package: validate, write the row, ring a worker."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from backups.models import Backup, Copy, Destination
from databases.models import Database
from jobs.errors import BackupError
from jobs.models import Status
from jobs.services.ring import ring
from packages.models import Package
from packages.selectors import databases_to_package, package_destination, package_policy


def request_package(
    *,
    databases: Sequence[str] = (),
    compression: str = "",
    on_missing: str = "",
    trigger: str = Package.Trigger.MANUAL,
    scheduled_at: datetime | None = None,
    user: Any = None,
) -> Package:
    """`databases` are ids; none asks for every Database with `package` on. What is left out, the policy says.

    Raises ValidationError for an id that does not exist; BackupError: nothing_to_package, no_destination,
    several_hosts.
    """
    asked = list(dict.fromkeys(databases))
    known = set(Database.objects.filter(pk__in=asked).values_list("pk", flat=True))
    if unknown := [pk for pk in asked if pk not in known]:
        raise ValidationError({"databases": [f"No Database has the id {pk!r}." for pk in unknown[:20]]})
    policy = package_policy()
    destination = package_destination(policy)
    _require_something(asked)
    queue = _queue(destination, asked)
    with transaction.atomic():
        package = Package.objects.create(
            databases=asked,
            compression=compression or policy.compression,
            on_missing=on_missing or policy.on_missing,
            trigger=trigger,
            status=Status.SCHEDULED if scheduled_at else Status.PENDING,
            scheduled_at=scheduled_at,
            requested_by=user,
            max_attempts=settings.BACKUPSITE_MAX_ATTEMPTS,
            queue=queue,
        )
        if package.status == Status.PENDING:
            ring(package)
    return package


def _require_something(asked: Sequence[str]) -> None:
    databases = databases_to_package(asked)
    if not databases.exists():
        raise BackupError(
            "No Database is to be packaged.",
            code="nothing_to_package",
            permanent=True,
            hint="Switch `package` on in the Databases that belong into packages, or name some in the request.",
        )
    if not Backup.objects.filter(database__in=databases.order_by(), status=Status.COMPLETED).exists():
        raise BackupError(
            "None of these Databases has a completed backup.",
            code="nothing_to_package",
            permanent=True,
            hint="Back one of them up first.",
        )


def _queue(destination: Destination, asked: Sequence[str]) -> str:
    """The queue of the one host that has every folder a package needs; empty when every host has them all."""
    stored = Copy.objects.filter(backup__database__in=databases_to_package(asked).order_by(), state=Copy.State.STORED)
    queues = {destination.queue, *stored.values_list("destination__queue", flat=True).distinct()} - {""}
    if len(queues) > 1:
        raise BackupError(
            f"These backups lie in folders of {len(queues)} hosts: no worker can read them all.",
            code="several_hosts",
            permanent=True,
            hint="Package the Databases of one host at a time, or use destinations that every host reaches.",
        )
    return next(iter(queues), "")
