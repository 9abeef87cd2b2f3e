"""A Source row -> what reads it, with its secrets opened."""

from django.conf import settings

from databases.engines.base import CheckReport, Connection
from exports.models import Source
from exports.sources import registry
from exports.sources.base import UserSource
from jobs.errors import BackupError
from jobs.fields import unseal


def build_source(*, source: Source) -> UserSource:
    """Raises BackupError: missing_key, unknown_source, invalid_options."""
    secrets = unseal(source.secrets)
    connection = Connection(username=source.username, password=secrets.get("password", ""))
    options = {**source.options, **secrets.get("options", {})}
    return registry.build(source.kind, connection, options, settings.BACKUPSITE_ENGINE_SETTINGS)


def check_source(*, source: Source) -> CheckReport:
    """Whether it answers. What cannot even be built is a report too."""
    try:
        return build_source(source=source).check()
    except BackupError as error:
        return CheckReport(ok=False, error=error.message, code=error.code, hint=error.hint)
