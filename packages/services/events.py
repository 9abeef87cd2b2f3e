"""Events of packages, written into the outbox in the transaction of the outcome."""

from jobs.management.command import figure
from jobs.models import Status
from notifications.models import Severity
from notifications.services.record import record_event
from packages.models import Package


def record_package_event(package: Package) -> None:
    """Says nothing of an attempt that will be tried again."""
    missing = package.members.exclude(missing="").count()
    if package.status == Status.COMPLETED and missing:
        message = f"{package.pk} was made: {figure(package.size or 0)} stored, {missing} left out."
        severity = Severity.WARNING
    elif package.status == Status.COMPLETED:
        message, severity = f"{package.pk} was made: {figure(package.size or 0)} stored.", Severity.INFO
    elif package.status == Status.FAILED:
        message, severity = f"{package.pk} failed: {package.error_message}", Severity.ERROR
    elif package.status == Status.CANCELLED:
        message, severity = f"{package.pk} was cancelled.", Severity.WARNING
    else:
        return
    record_event(
        kind=f"package.{package.status}",
        severity=severity,
        subject_id=package.pk,
        database_id="",
        message=message,
        hint=package.error_hint,
    )
