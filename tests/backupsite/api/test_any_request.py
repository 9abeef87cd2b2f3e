"""Requests made up from the schema, good and bad: no 500, and no answer that the schema does not describe."""

import hashlib
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from backups.destinations import open_storage
from backups.models import Backup, Destination, Restore, Verification
from backups.storage.readers import BytesReader
from backupsite.api.models import ApiKey
from backupsite.api.services.api_keys import create_api_key
from backupsite.wsgi import application
from databases.models import Database
from tests.api import make_backup, make_database, make_destination

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.timeout(900)]
EXAMPLES = 6
CONTENT = b"artefact"


def no_defect(context: Any, response: Any, case: Any) -> None:
    """503 is a fair answer where another server is asked; 500 never is."""
    assert response.status_code != 500, response.text


CHECKS = [
    no_defect,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def put_rows(folder: Path) -> dict[str, dict[str, str]]:
    """The rows that requests are about, as new; requests never reach another server or folder than these."""
    for model in (Restore, Verification, Backup, Database, Destination):
        if model is Backup:
            for backup in Backup.objects.all():
                backup.copies.all().delete()
        model._default_manager.all().delete()
    database = make_database("shop", host="127.0.0.1", port=1, schedule="30 3 * * *")
    destination = make_destination(folder)
    digest = hashlib.sha256(CONTENT).hexdigest()
    backup = make_backup(database, destination=destination, size=len(CONTENT), sha256=digest)
    storage = open_storage(destination)
    storage.prepare()
    storage.write(backup.copies.get().key, BytesReader(CONTENT))
    restore = Restore.objects.create(backup=backup, backup_label=backup.pk, target=database, target_name="Shop")
    run = Verification.objects.create(backup=backup, backup_label=backup.pk, status="completed")
    ids = {"backups": backup.pk, "databases": "shop", "destinations": "local"}
    ids |= {"restores": restore.pk, "verifications": run.pk, "keys": ApiKey.objects.latest("created_at").pk}
    return {room: {"id": pk} for room, pk in ids.items()}


def strategy_for(operation: Any, ids: dict[str, str] | None) -> Any:
    """Requests as they should be and as they should not; half of them about a row that is there."""
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    made = [operation.as_strategy(generation_mode=mode) for mode in modes]
    if ids and "{id}" in operation.path:
        made += [operation.as_strategy(generation_mode=mode, path_parameters=ids) for mode in modes]
    return st.one_of(*made)


class Rows:
    """As new for each request that may find them changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ids = put_rows(folder)
        self._are_new = True

    def ids_for(self, operation: Any) -> dict[str, str] | None:
        if not self._are_new:
            self._ids = put_rows(self._folder)
        self._are_new = operation.method.upper() == "GET"
        return self._ids.get(operation.path.split("/")[2])


def ask_many(operation: Any, rows: Rows, headers: dict[str, str]) -> None:

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def ask(data: Any) -> None:
        case = data.draw(strategy_for(operation, rows.ids_for(operation)))
        case.call_and_validate(headers=headers, checks=CHECKS)

    ask()


def test_no_request_finds_a_defect(tmp_path: Path) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/schema", application)
    _, secret = create_api_key(name="schemathesis", role="admin")
    create_api_key(name="to be revoked", role="viewer")
    rows, faults = Rows(tmp_path / "artefacts"), []
    for result in schema.get_all_operations():
        operation: Any = cast(Any, result).ok()
        try:
            ask_many(operation, rows, {"Authorization": f"Api-Key {secret}"})
        except Exception as fault:  # noqa: BLE001  every operation is tried, and all faults are told at once
            faults.append(f"{operation.label}: {fault}")
    assert not faults, "\n\n".join(faults)
