"""Fixtures every test can ask for: real servers, shared by the whole run and started when first asked for."""

import atexit
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crashes import pytest_handlecrashitem, pytest_sessionfinish  # noqa: F401 - pytest looks for them here
from tests.servers import keeper
from tests.servers.apt import Missing
from tests.servers.ceph import CephServer
from tests.servers.fetch import browser, ceph_root, prometheus_program
from tests.servers.mongodb import MongoServer
from tests.servers.nostr import NostrRelay
from tests.servers.postgres import PostgresServer
from tests.servers.records import RecordsServer, start_records
from tests.servers.redis import RedisServer
from tests.servers.s3 import S3Server


def _close_room() -> None:
    if os.getpid() == int(os.environ["BACKUPSITE_TEST_OWNER"]):  # and not in a fork of it
        keeper.stop_all(ROOM)
        shutil.rmtree(ROOM, ignore_errors=True)


# Before Django reads its settings: no test touches the checkout's own data folder. The first process of the run
# makes the room, the parallel workers inherit it.
if "BACKUPSITE_TEST_ROOM" not in os.environ:
    os.environ["BACKUPSITE_TEST_OWNER"] = str(os.getpid())
    os.environ["BACKUPSITE_TEST_ROOM"] = tempfile.mkdtemp(prefix="backupsite-tests-")
    atexit.register(_close_room)
ROOM = Path(os.environ["BACKUPSITE_TEST_ROOM"])
os.environ["BACKUPSITE_DATA_DIR"] = str(ROOM / f"data-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}")
os.environ.setdefault("BACKUPSITE_SELF_BACKUP", "false")  # tests of it switch it on
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backupsite.settings")

import django

django.setup()  # a test module or conftest may import models at its top

from django.conf import settings

# Half a second of processor time for each password would be a fifth of the suite, and so would a look at every static
# file in each test that asks for a page. The sites that tests start do both as the product does.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
settings.WHITENOISE_AUTOREFRESH = True

from tests.tables import django_db_keepdb, django_db_modify_db_settings  # noqa: F401 - pytest looks for them here


def _shared(kind: str) -> object:
    return keeper.shared(kind, ROOM, int(os.environ["BACKUPSITE_TEST_OWNER"]))


@pytest.fixture(scope="session")
def postgres() -> Callable[[int], PostgresServer]:
    """`postgres(16)` is the run's PostgreSQL 16. 14, 16, 17 and 18 can be fetched; 15 where the machine has it."""

    def server(version: int) -> PostgresServer:
        found = _shared(f"postgres-{version}")
        assert isinstance(found, PostgresServer)
        return found

    return server


@pytest.fixture(scope="session")
def postgres14(postgres: Callable[[int], PostgresServer]) -> PostgresServer:
    return postgres(14)


@pytest.fixture(scope="session")
def postgres18(postgres: Callable[[int], PostgresServer]) -> PostgresServer:
    return postgres(18)


@pytest.fixture(scope="session", params=[14, 18], ids=["postgres14", "postgres18"])
def postgres_server(request: pytest.FixtureRequest, postgres: Callable[[int], PostgresServer]) -> PostgresServer:
    """The oldest and the newest supported version, one after the other."""
    return postgres(request.param)


@pytest.fixture
def fresh_database() -> Iterator[Callable[[PostgresServer], str]]:
    """`fresh_database(server)` makes an empty database by a name of its own; gone after the test."""
    made: list[tuple[PostgresServer, str]] = []

    def make(server: PostgresServer) -> str:
        name = f"test_{secrets.token_hex(6)}"
        server.create_database(name)
        made.append((server, name))
        return name

    yield make
    for server, name in made:
        server.drop_database(name)


@pytest.fixture(scope="session")
def mongodb_server() -> MongoServer:
    """A replica set of one member with authentication on."""
    found = _shared("mongodb")
    assert isinstance(found, MongoServer)
    return found


@pytest.fixture(scope="session")
def mongodb_tls() -> MongoServer:
    """The same, which answers over TLS only."""
    found = _shared("mongodb-tls")
    assert isinstance(found, MongoServer)
    return found


@pytest.fixture
def fresh_mongo_database(mongodb_server: MongoServer) -> Iterator[Callable[[], str]]:
    """`fresh_mongo_database()` is a name nobody uses; what is written under it is gone after the test."""
    made: list[str] = []

    def make() -> str:
        made.append(f"test_{secrets.token_hex(6)}")
        return made[-1]

    yield make
    for name in made:
        mongodb_server.drop_database(name)


@pytest.fixture(scope="session")
def s3() -> S3Server:
    found = _shared("s3")
    assert isinstance(found, S3Server)
    return found


@pytest.fixture
def s3_bucket(s3: S3Server) -> str:
    """A new empty bucket."""
    return s3.make_bucket()


@pytest.fixture(scope="session")
def ceph() -> CephServer:
    """An S3 store with Object Lock and versions. It takes half a minute to start: for one module only."""
    try:
        ceph_root()
    except Missing as missing:
        pytest.skip(str(missing))
    found = _shared("ceph")
    assert isinstance(found, CephServer)
    return found


@pytest.fixture
def records_service() -> Iterator[RecordsServer]:
    """A microservice of this test's own, without records."""
    with start_records() as service:
        yield service


@pytest.fixture(scope="session")
def redis_server() -> RedisServer:
    found = _shared("redis")
    assert isinstance(found, RedisServer)
    return found


@pytest.fixture(scope="session")
def nostr_relays() -> tuple[NostrRelay, NostrRelay]:
    """Two relays that know nothing of each other. Tests write as authors of their own."""
    first, second = _shared("nostr-1"), _shared("nostr-2")
    assert isinstance(first, NostrRelay) and isinstance(second, NostrRelay)
    return first, second


@pytest.fixture(scope="session")
def promtool() -> Path:
    return prometheus_program("promtool")


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser's executable, for playwright's `executable_path`."""
    try:
        return browser()
    except Missing as missing:
        pytest.skip(str(missing))
