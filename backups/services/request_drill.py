"""Request a drill: of a named backup, or of one that is picked among those a Database keeps."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from backups.models import Backup, Copy, Destination, Drill, DrillPlan, Pick
from backups.selectors import drill_identities_for, stored_copy
from backups.services.assertions import require_assertions
from backups.services.chain import chain_of
from backups.services.restore import readable
from databases.engines import registry
from databases.models import Database
from jobs.errors import BackupError
from jobs.models import Status
from jobs.services.ring import ring

KEY_HINT = (
    "Give the age secret key with the request (identity), or configure one for drills (BACKUPSITE_DRILL_IDENTITY)."
)


def request_drill(
    *,
    database: Database | None = None,
    backup: Backup | None = None,
    pick: str | None = None,
    destination: Destination | None = None,
    server: Database | None = None,
    assertions: Sequence[Mapping[str, Any]] | None = None,
    identity: str = "",
    trigger: str = Drill.Trigger.MANUAL,
    user: Any = None,
) -> Drill:
    """Of `backup`, else of one of `database`'s. What is not given is as the Database's plan says.

    Raises BackupError: unsupported, engine_mismatch, invalid_assertion, no_backup, wrong_state, vanished, missing_key.
    """
    database_id = backup.database_id if backup else database.pk if database else None
    plan = plan_of(database_id)
    engine = backup.engine if backup else database.engine if database else ""
    server = server or plan.server
    assertions = plan.assertions if assertions is None else assertions
    require_drillable(engine=engine, server=server)
    require_assertions(assertions, engine=engine)
    with transaction.atomic():
        # A plan's destination may lack a backup that is named: then the nearest good copy is read.
        place = destination or (plan.destination if backup is None else None)
        chosen = backup or picked(database_id, pick or plan.pick, place)
        chosen = Backup.objects.select_for_update().get(pk=chosen.pk)
        require_readable(chosen, place, identity)
        drill = create_drill(
            backup=chosen,
            destination=place,
            server=server,
            assertions=assertions,
            trigger=trigger,
            identity=identity or None,
            requested_by=user,
            queue=queue_of(chosen, place, server),
        )
        ring(drill)
    return drill


def create_drill(*, backup: Backup, assertions: Sequence[Mapping[str, Any]], **values: Any) -> Drill:
    """The row of a drill of `backup`; `values` are further columns of it."""
    return Drill.objects.create(
        database_id=backup.database_id,
        database_name=backup.database_name,
        backup=backup,
        backup_label=backup.pk,
        assertions=list(assertions),
        max_attempts=settings.BACKUPSITE_MAX_ATTEMPTS,
        **values,
    )


def plan_of(database_id: str | None) -> DrillPlan:
    """As it would be made where nobody has saved one yet."""
    return DrillPlan.objects.select_related("destination", "server").filter(pk=database_id).first() or DrillPlan()


def queue_of(backup: Backup, destination: Destination | None, server: Database | None) -> str:
    """Of the host that reaches the server, else of the one that has the copy."""
    return (server.queue if server else "") or stored_copy(backup, destination=destination).destination.queue


def require_drillable(*, engine: str, server: Database | None) -> None:
    """Raises BackupError: unsupported, engine_mismatch."""
    found = registry.engine_class(engine)
    if "drill" not in found.supports:
        raise BackupError(f"{found.label} backups cannot be drilled.", code="unsupported", permanent=True)
    if server is not None and server.engine != engine:
        raise BackupError(
            f"The drill server {server.pk} is a {server.engine} Database: {engine} backups cannot be restored there.",
            code="engine_mismatch",
            permanent=True,
        )


def kept_backups(*, database_id: str | None, destination: Destination | None) -> QuerySet[Backup]:
    """What a drill may pick from. A selective backup proves a part only, so it is drilled when it is named."""
    copies = Copy.objects.filter(backup=OuterRef("pk"), state=Copy.State.STORED)
    copies = copies.filter(destination=destination) if destination else copies
    good = Backup.objects.filter(Exists(copies), database=database_id, status=Status.COMPLETED)
    return good.exclude(type=Backup.Type.SELECTIVE)


def picked(database_id: str | None, pick: str, destination: Destination | None) -> Backup:
    """Raises BackupError(code="no_backup")."""
    kept = kept_backups(database_id=database_id, destination=destination)
    if pick == Pick.NEWEST:
        found = kept.order_by("-created_at", "-pk").first()
    else:
        ids = list(kept.values_list("pk", flat=True))
        found = Backup.objects.get(pk=random.choice(ids)) if ids else None  # noqa: S311 - no secret
    if found is None:
        where = f" at {destination.pk}" if destination else ""
        raise BackupError(
            f"There is no backup of {database_id}{where} to drill.",
            code="no_backup",
            permanent=True,
            hint="A drill needs a completed backup that is kept.",
        )
    return found


def require_readable(backup: Backup, destination: Destination | None, identity: str) -> None:
    """Raises BackupError: wrong_state, vanished, missing_key."""
    readable(backup=backup, identities=drill_identities_for(identity), hint=KEY_HINT)
    if destination is not None:
        for part in chain_of(backup):
            stored_copy(part, destination=destination)
