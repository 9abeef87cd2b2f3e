"""A microservice's records as a sample: HTTP, page by page, and posted back to a second, empty one."""

import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from demo.opening import open_artefact
from demo.sample import Comparison, Sample, differences
from tests.servers.records import RecordsServer, order, start_records, user

COLLECTIONS = ("users", "orders")
USERS = 3000


class Records(Sample):
    title: ClassVar = "HTTP: a service of records"
    source: ClassVar = "records"
    target: ClassVar = "records-restored"

    def __init__(self, service: RecordsServer, empty: RecordsServer) -> None:
        self.services = {self.source: service, self.target: empty}

    def fill(self, *, percent: int = 100) -> str:
        users = max(10, USERS * percent // 100)
        service, empty = self.services.values()
        service.fill("users", [user(number) for number in range(1, users + 1)])
        service.fill("orders", [order(number) for number in range(1, 2 * users + 1)])
        for name in COLLECTIONS:
            empty.fill(name, [])
        for one in self.services.values():
            one.token = secrets.token_urlsafe(18)
        return f"{3 * users:,} records"

    def registration(self, identifier: str) -> dict[str, Any]:
        service = self.services[identifier]
        options = {
            "url": f"{service.url}/cursor/{{collection}}",
            "collection": ",".join(COLLECTIONS),
            "auth": "bearer",
            "token": service.token,
            "records_path": "items",
            "pagination": "cursor",
            "cursor_path": "meta.next",
            "page_size_param": "size",
            "page_size": 500,
        }
        if identifier == self.target:
            options["restore_url"] = f"{service.url}/in/{{collection}}"
        return {"engine": "http", "options": options}

    def open(self, artefacts: list[Path], identity: Path) -> str:
        opened = open_artefact(artefacts[0], identity=identity, tool=["wc", "-l"])
        return f"{opened.how} -l: {int(opened.said):,} lines of JSON"

    def compare(self) -> Comparison:
        found, words = [], []
        for name in COLLECTIONS:
            before, after = (service.collections.get(name, {}) for service in self.services.values())
            words.append(f"{len(before):,} {name}")
            found += differences(name, before, after)
        return Comparison(f"{', '.join(words)}, each record", found)

    def access(self) -> str:
        return ", ".join(f"{service.url}/list/users (Bearer {service.token})" for service in self.services.values())


def start_records_service(stack: ExitStack) -> Records:
    """In threads of this process."""
    return Records(stack.enter_context(start_records()), stack.enter_context(start_records()))
