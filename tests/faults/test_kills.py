"""SIGKILL, wherever and whenever: every run ends or comes back in time, and leaves no object, upload or process."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from secrets import token_hex

import psutil
import psycopg2
import pytest

from tests.gate import Gate, gate
from tests.live import RESOLVED_WITHIN_S, TOOLS, Live, busy, id_of, kill, live, until
from tests.servers.postgres import PostgresServer
from tests.servers.s3 import S3Server

pytestmark = [pytest.mark.slow]

SOURCE = "CREATE TABLE item AS SELECT n AS id, repeat(md5(n::text), 25) AS note FROM generate_series(1, {rows}) n"
LARGE = 30_000  # rows of 800 bytes: more than one part of a multipart upload
SMALL = 2_000


def reads_an_artefact(request: bytes) -> bool:
    return request.startswith(b"GET ") and request.split()[1].partition(b"?")[0].endswith(b".dump.zst")


class Scene:
    """Six jobs that can be held at once, each in another phase."""

    def __init__(self, site: Live, store: S3Server, bucket: str, gates: dict[str, Gate], names: dict[str, str]) -> None:
        self.site, self.store, self.bucket, self.gates, self.names = site, store, bucket, gates, names
        self.good = {pk: self._back_up(pk) for pk in ("bulk", "reading")}
        self.stored = site.stored()
        self.objects = self._objects()

    def _back_up(self, pk: str) -> str:
        path = self.site.back_up(pk)
        job = self.site.until(path)
        assert job["status"] == "completed", job
        return path

    def _objects(self) -> set[str]:
        with closing(self.store.client()) as client:
            return {found["Key"] for found in client.list_objects_v2(Bucket=self.bucket).get("Contents", [])}

    def uploads(self) -> list[str]:
        with closing(self.store.client()) as client:
            return [found["Key"] for found in client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])]

    def hold(self) -> dict[str, str]:
        """Starts the six and returns their paths by phase, once each is stuck in it."""
        self.gates["preflight"].shut(down=0)
        self.gates["dump"].shut(down=400_000)
        self.gates["upload"].shut(down=20_000_000)
        self.gates["store"].shut(hold_if=reads_an_artefact)
        self.gates["restore"].shut(up=200_000)
        site, jobs = self.site, {}
        jobs["dump"] = site.back_up("dumping")
        jobs["upload"] = site.back_up("uploading")
        jobs["restore"] = site.restore(self.good["bulk"], "target")
        jobs["read_back"] = site.back_up("reading")
        jobs["verify"] = site.verify(self.good["reading"])
        until(self.uploads, seconds=40, what=lambda: site.log[-3000:])
        jobs["preflight"] = site.back_up("connecting")
        for phase, path in jobs.items():
            site.until_phase(path, {"upload": "dump"}.get(phase, phase))
        for held in self.gates.values():
            assert held.held.wait(30 * busy())
        until(lambda: len(site.tools()) == 4, what=site.tools)
        assert any(name.endswith(".partial") for name in site.stored())
        return jobs

    def release(self) -> None:
        for held in self.gates.values():
            held.open()

    def assert_nothing_is_left(self) -> None:
        """Only the first backups are there: objects, unfinished ones, and the rows that name them."""
        site = self.site
        until(
            lambda: site.stored() == self.stored and self._objects() == self.objects and not self.uploads(),
            seconds=RESOLVED_WITHIN_S,
            what=lambda: (site.stored() - self.stored, self._objects() - self.objects, self.uploads()),
        )
        until(lambda: site.rows("SELECT count(*) FROM backups_copy WHERE state <> 'stored'") == [(0,)])
        assert (
            self.site.server.psql("SELECT count(*) FROM pg_class WHERE relname = 'item'", self.names["target"]) == "0"
        )
        sessions = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'backupsite' AND datname = ANY('{%s}')"
        )
        names = ",".join(name for (name,) in site.rows("SELECT database_name FROM databases_database"))
        until(lambda: site.server.psql(sessions % names) == "0")

    def finish(self, jobs: dict[str, str]) -> None:
        """The next attempts succeed, so that the next test starts from a quiet site."""
        for phase, path in jobs.items():
            if phase != "restore":
                self.site.hurry()
                job = self.site.until(path)
                assert job["status"] == "completed", job
        self.stored, self.objects = self.site.stored(), self._objects()


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory, postgres18: PostgresServer, s3: S3Server, request: pytest.FixtureRequest
) -> Iterator[Scene]:
    names = {name: f"kills_{name}_{token_hex(4)}" for name in ("small", "large", "target")}
    bucket = s3.make_bucket()
    with ExitStack() as stack:
        for name in names.values():
            postgres18.create_database(name)
            stack.callback(postgres18.drop_database, name)
        postgres18.psql(f"{SOURCE.format(rows=SMALL)}; CREATE SEQUENCE ticket", names["small"])
        postgres18.psql(SOURCE.format(rows=LARGE), names["large"])
        gates = {
            name: stack.enter_context(gate(postgres18.host, postgres18.port))
            for name in ("preflight", "dump", "upload", "restore")
        }
        gates["store"] = stack.enter_context(gate("127.0.0.1", int(s3.endpoint_url.rpartition(":")[2])))
        settings = {"BACKUPSITE_MAX_PARALLEL_JOBS": "6", "BACKUPSITE_MAX_ATTEMPTS": "2"}
        site = stack.enter_context(live(tmp_path_factory.mktemp("kills"), postgres18, **settings))
        site.add_bucket(s3, bucket, port=gates["store"].port)
        site.add_database("connecting", names["small"], port=gates["preflight"].port)
        site.add_database("dumping", names["small"], port=gates["dump"].port)
        site.add_database(
            "uploading", names["large"], port=gates["upload"].port, destination="bucket", compression="none"
        )
        site.add_database("bulk", names["large"])
        site.add_database("reading", names["small"], destination="bucket")
        site.add_database("target", names["target"], port=gates["restore"].port)
        yield Scene(site, s3, bucket, gates, names)


def kill_pool_children(site: Live, jobs: dict[str, str]) -> None:
    kill(site.pool(*map(id_of, jobs.values())))


def kill_worker(site: Live, jobs: dict[str, str]) -> None:
    kill([site.child("worker")])


def kill_host(site: Live, jobs: dict[str, str]) -> None:
    site.kill_host()


@pytest.mark.parametrize("murder", [kill_pool_children, kill_worker, kill_host])
def test_a_kill_in_any_phase_is_resolved_within_the_lease(
    scene: Scene, murder: Callable[[Live, dict[str, str]], None]
) -> None:
    site = scene.site
    jobs = scene.hold()
    victims = [*site.pool(*map(id_of, jobs.values())), *site.tools()]
    assert len(victims) == 10
    murder(site, jobs)
    _, alive = psutil.wait_procs(victims, timeout=5 * busy())
    assert not alive, f"these outlived their worker: {alive}"
    scene.release()
    if murder is kill_host:
        site.start()
    for phase, path in jobs.items():
        job = site.until(path, "failed", "scheduled", seconds=RESOLVED_WITHIN_S)
        assert job["error"]["code"] == "worker_lost", (phase, job)
        assert job["error"]["hint"]
        assert job["status"] == ("failed" if phase == "restore" else "scheduled"), (phase, job)
    scene.assert_nothing_is_left()
    scene.finish(jobs)


def test_a_killed_tool_fails_its_run_at_once(scene: Scene) -> None:
    site = scene.site
    jobs = scene.hold()
    tools = site.tools()
    assert {process.name() for process in tools} == set(TOOLS)
    kill(tools)
    for phase in ("dump", "upload", "restore"):
        job = site.until(jobs[phase], "failed", "scheduled", seconds=RESOLVED_WITHIN_S)
        assert "SIGKILL" in job["error"]["message"], (phase, job)
        assert job["status"] == ("failed" if phase == "restore" else "scheduled")
    scene.release()
    for phase in ("read_back", "verify", "preflight"):
        assert site.until(jobs[phase])["status"] == "completed"
    scene.stored |= {name for name in site.stored() if id_of(jobs["preflight"]) in name}
    scene.objects |= {name for name in scene._objects() if id_of(jobs["read_back"]) in name}
    scene.assert_nothing_is_left()
    scene.finish(jobs)


def test_a_pg_dump_that_waits_for_a_lock_dies_with_its_worker_and_holds_none(scene: Scene) -> None:
    site, server = scene.site, scene.site.server
    waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'backupsite' AND wait_event_type = 'Lock'"
    with closing(psycopg2.connect(server.dsn(scene.names["small"]))) as session, session.cursor() as cursor:
        cursor.execute("DROP SEQUENCE ticket")  # nobody but pg_dump looks at it
        path = site.back_up("dumping")
        tools = until(site.tools, what=lambda: site.client.get(path))
        until(lambda: server.psql(waits) == "1", what=lambda: site.client.get(path))
        kill([site.child("worker")])
        _, alive = psutil.wait_procs(tools, timeout=5 * busy())
        assert not alive
        session.rollback()
    with closing(psycopg2.connect(server.dsn(scene.names["small"]))) as session, session.cursor() as cursor:
        cursor.execute("SET lock_timeout = '2s'; LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
    assert site.until(path, "scheduled", seconds=RESOLVED_WITHIN_S)["error"]["code"] == "worker_lost"
    scene.assert_nothing_is_left()
    scene.finish({"dump": path})
