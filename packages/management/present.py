"""Packages as commands show them."""

from typing import Any

from backups.management.present import document
from packages.models import Package


def package_document(package: Package) -> dict[str, Any]:
    """For scripts."""
    rows = list(package.members.all())
    return document(
        package,
        databases=package.databases,
        compression=package.compression,
        on_missing=package.on_missing,
        size=package.size,
        sha256=package.sha256,
        members=[{"database_id": row.database_id, "name": row.name} for row in rows if not row.missing],
        missing=[{"database_id": row.database_id, "reason": row.missing} for row in rows if row.missing],
    )
