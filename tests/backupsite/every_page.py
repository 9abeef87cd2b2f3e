"""`python -m tests.backupsite.every_page`, with the settings of a site: opens whatever it answers to a GET, twice.

Once while it is empty, once with rows of everything. Lists are opened filtered, searched and ordered as well. Prints
JSON: how many addresses of each kind were opened, and what went wrong at which.
"""

import json
import os
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any

ANSWERS = (200, 302, 400, 401, 403, 404, 409, 503)  # of the API: a refusal is an answer, an error is not
PAGES = ("page", "page_size")
HISTORIES = ("completed", "failed", "in_progress")


class Visit:
    """One admin and one caller of the API, who go everywhere."""

    def __init__(self) -> None:
        from django.test import Client
        from rest_framework.test import APIClient

        from tests.api import api, browser_of

        self.browser: Client = browser_of("admin")
        self.caller: APIClient = api("admin")
        self.opened: Counter[str] = Counter()
        self.wrong: dict[str, str] = {}

    def open(self, kind: str, address: str, *, client: Any = None, allowed: tuple[int, ...] = (200,)) -> Any:
        self.opened[kind] += 1
        try:
            answer = (client or self.browser).get(address)
        except Exception:  # noqa: BLE001  the report is what this is for
            self.wrong[address] = traceback.format_exc()[-1500:]
            return None
        if answer.status_code not in allowed:
            self.wrong[address] = str(answer.status_code)
        return answer

    def lists(self) -> None:
        from django.contrib import admin
        from django.test import Client

        self.open("dashboard", "/admin/")
        self.open("dashboard", "/admin/running/")
        self.open("metrics", "/metrics", client=self.caller)
        self.open("health", "/readyz", client=Client(), allowed=(200, 503))
        for model, page in admin.site._registry.items():
            self._list(f"/admin/{model._meta.app_label}/{model._meta.model_name}/", page)
        for path in (path for path, does in _paths().items() if "get" in does and "{" not in path):
            self._api(path)

    def pages(self, rows: list[Any]) -> None:
        """Of these rows, whatever the admin has of each."""
        from tests.backupsite.admin.test_every_address import SINGLE, every_address
        from tests.everything import address_of

        tables = {address_of(row).removeprefix("/admin/").rsplit("/", 3)[0]: str(row.pk) for row in rows}
        for address in every_address(tables | SINGLE):
            self.open("page", address, allowed=(200, 204, 286, 302, 403, 404, 405))

    def _list(self, table: str, page: Any) -> None:
        answer = self.open("list", table, allowed=(200, 302))
        found = answer.context.get("cl") if answer is not None and answer.context else None
        for query in _queries(found, page) if found is not None and found.result_count else ():
            self.open("asked list", f"{table}?{query}", allowed=(200, 302))

    def _api(self, path: str) -> None:
        answer = self.open("API", path, client=self.caller, allowed=ANSWERS)
        for query in _parameters(_paths()[path]["get"]):
            self.open("asked API", f"{path}?{query}", client=self.caller, allowed=ANSWERS)
        found = answer.json() if answer is not None and answer["Content-Type"] == "application/json" else {}
        for row in found.get("results", [])[:2] if isinstance(found, dict) else []:
            for deeper in _below(path):
                one = deeper[: deeper.index("{")] + str(row.get("id", "none")) + deeper.partition("}")[2]
                self.open("row of the API", one, client=self.caller, allowed=ANSWERS)


def _below(path: str) -> list[str]:
    """What is asked of one row of a list."""
    start = path.rstrip("/") + "/{"
    return [one for one, does in _paths().items() if one.startswith(start) and one.count("{") == 1 and "get" in does]


@cache
def _paths() -> dict[str, Any]:
    from drf_spectacular.generators import SchemaGenerator

    paths: dict[str, Any] = SchemaGenerator().get_schema(public=True)["paths"]  # type: ignore[no-untyped-call]
    return paths


def _queries(found: Any, page: Any) -> Iterator[str]:
    """Each choice of a filter of our own, one of each that compares a column; all columns ordered; a search."""
    for spec in found.filter_specs:
        choices = getattr(spec, "lookup_choices", None) or getattr(getattr(spec, "field", None), "flatchoices", [])
        for choice in choices[:1] if hasattr(spec, "field") else choices:
            yield f"{spec.expected_parameters()[0]}={choice[0]}"
    yield "o=" + ".".join(f"{'-' * (number % 2)}{number}" for number in range(1, len(found.list_display)))
    if page.search_fields:
        yield "q=shop+1"


def _parameters(operation: dict[str, Any]) -> Iterator[str]:
    samples = {"boolean": "true", "integer": "1", "number": "1"}
    for given in operation.get("parameters", []):
        if given["in"] == "query" and given["name"] not in PAGES:
            schema = given["schema"]
            of_time = "2026-03-01T00:00:00Z" if schema.get("format") == "date-time" else "shop"
            value = (schema.get("enum") or [samples.get(schema.get("type", ""), of_time)])[0]
            yield f"{given['name']}={value}"


def a_month() -> None:
    """What the dashboard tells of: days of every kind, something failing, something overdue, something running."""
    from django.utils import timezone

    from backups.models import Backup, Destination, DrillOverdue, Overdue, Slot
    from jobs.models import LogLine, Process
    from tests.api import make_backup, make_database

    now, disk = timezone.now(), Destination.objects.get(is_default=True)
    Process.objects.create(name="sweeper@here:1", role="sweeper", host="here", pid=1)
    for status in HISTORIES:
        database = make_database(status, name=status, schedule="0 * * * *")
        for day in range(30):
            at = now - timedelta(days=day, minutes=5)
            ended = {"created_at": at, "started_at": at, "finished_at": at}
            make_backup(database, destination=disk, **ended, proven_at=at if day % 4 == 1 else None)
            missed = {"outcome": "skipped", "reason": "missed: nothing was running"} if day % 5 == 0 else {}
            Slot.objects.create(database=database, due_at=at, **{"outcome": "requested", **missed})
        if status != "completed":
            values = {"status": status, "started_at": now, "phase": "dump", "bytes_done": 5, "error_message": "No."}
            last = Backup.objects.create(database=database, database_name=status, engine="postgres", **values)
            LogLine.objects.create(job_kind="backup", job_id=last.pk, attempt=1, message="dumping")
        Overdue.objects.create(database=database, due_at=now, since=now)
        DrillOverdue.objects.create(database=database, since=now)


def main() -> None:
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection
    from django.test.utils import setup_test_environment

    setup_test_environment()  # answers know their context
    settings.BACKUPSITE_FOUR_EYES = True
    call_command("migrate", verbosity=0)
    from tests.everything import make_everything

    empty, full = Visit(), Visit()
    empty.lists()
    rows = make_everything()
    a_month()
    full.lists()
    full.pages(rows)
    wrong = {**empty.wrong, **full.wrong}
    sys.stdout.write(json.dumps({"on": connection.vendor, "opened": full.opened, "wrong": wrong}))


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "backupsite.settings"
    main()
