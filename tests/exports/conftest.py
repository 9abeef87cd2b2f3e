"""A site that end users can ask: an address, a place for exports, and a service with the data of users."""

from pathlib import Path
from typing import Any

import pytest

from backups.models import Destination
from exports.models import Source
from exports.services.save_source import save_source
from tests.exports.signing import ORIGIN
from tests.room import local_destination
from tests.servers.records import RecordsServer


@pytest.fixture
def origin(settings: Any) -> str:
    settings.BACKUPSITE_EXPORT_ORIGINS = [ORIGIN]
    return ORIGIN


@pytest.fixture
def disk(tmp_path: Path) -> Destination:
    folder = tmp_path / "disk"
    folder.mkdir()
    return local_destination(folder)


@pytest.fixture
def shop(records_service: RecordsServer) -> Source:
    """A source whose users have posts and orders: whoever asks gets the same, which is enough here."""
    records_service.fill("posts", [{"id": number, "text": "x" * 50} for number in range(300)])
    records_service.fill("orders", [{"id": number} for number in range(7)])
    options = {"url": f"{records_service.url}/list/{{collection}}?user={{pubkey}}", "collection": "posts, orders"}
    return save_source(source=Source(pk="shop", kind="http"), values={"name": "Shop", "options": options}, create=True)


@pytest.fixture
def offered(origin: str, disk: Destination, shop: Source) -> str:
    """Everything that an export needs."""
    return origin
