"""Files that events and records name: fetched from where anybody may look, checked, and never a reason to fail."""

import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from databases.engines.base import Connection
from exports.sources import media as media_of_sources
from exports.sources.fetch import Fetcher
from exports.sources.http import HttpSource
from exports.sources.http_media import Finder
from exports.sources.media import MOST_LOGGED, MOST_TOLD
from exports.sources.registry import build
from jobs.egress import require_public, resolve
from jobs.errors import BackupError
from tests.exports.events import Author
from tests.exports.reading import EVERYWHERE, OneGuard, Stopped, nostr, read
from tests.exports.relays import OddRelay, odd_relay
from tests.servers.records import RecordsServer

ADA = Author("ada")
PICTURE = b"\x89PNG" + bytes(range(256)) * 300


class Files:
    """A server of files: what is at a path, and who asked how. A number is a status, a text a redirect."""

    def __init__(self) -> None:
        self.at: dict[str, bytes | int | str] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.url = ""
        self.pause_s = 0.0

    def digest(self, path: str) -> str:
        content = self.at[path]
        assert isinstance(content, bytes)
        return hashlib.sha256(content).hexdigest()


@contextmanager
def serving() -> Iterator[Files]:
    files = Files()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            files.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            time.sleep(files.pause_s)
            found = files.at.get(self.path, 404)
            self.send_response(found if isinstance(found, int) else 200 if isinstance(found, bytes) else 302)
            if isinstance(found, str):
                self.send_header("Location", found)
            body = found if isinstance(found, bytes) else b""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    files.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield files
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def files() -> Iterator[Files]:
    with serving() as found:
        yield found


@pytest.fixture
def relay() -> Iterator[OddRelay]:
    with odd_relay() as found:
        yield found


def named(url: str, sha256: str, *, kind: int = 1063) -> dict[str, Any]:
    if kind == 1063:
        return ADA.signs("a file", kind=1063, tags=[["url", url], ["x", sha256], ["m", "image/png"]])
    return ADA.signs("a note", kind=1, tags=[["imeta", f"url {url}", f"x {sha256}", "m image/png"]])


def fetcher(*own: str, guard: OneGuard | None = None, **values: Any) -> Fetcher:
    given: dict[str, Any] = {
        "timeout_s": 5,
        "max_bytes": 1 << 20,
        "own": {url: {"X-Key": "k"} for url in own},
        **values,
    }
    return Fetcher(EVERYWHERE, guard or OneGuard(), **given)


def code_of(found: Fetcher, url: str) -> str:
    with pytest.raises(BackupError) as caught, found.fetch(url):
        pytest.fail("it was fetched")
    return caught.value.code


def test_files_of_both_kinds_of_events_are_in_the_export(relay: OddRelay, files: Files) -> None:
    files.at = {"/a.png": PICTURE, "/b": b"text"}
    relay.events = [
        named(f"{files.url}/a.png", files.digest("/a.png")),
        named(f"{files.url}/b", files.digest("/b"), kind=1),
        named(f"{files.url}/again.png", files.digest("/a.png"), kind=1),
    ]
    found = read(nostr(relay.url, media=True, media_servers=[files.url]), ADA.pubkey)
    first, second = f"media/{files.digest('/a.png')}.png", f"media/{files.digest('/b')}.png"
    assert {first, second} < set(found.files)
    assert (found.files[first], found.files[second]) == (PICTURE, b"text")
    assert found.facts["media"] == {"fetched": 2, "failed": []}


def test_nothing_is_fetched_where_it_is_off(relay: OddRelay, files: Files) -> None:
    files.at = {"/a.png": PICTURE}
    relay.events = [named(f"{files.url}/a.png", files.digest("/a.png"))]
    assert list(read(nostr(relay.url, media_servers=[files.url]), ADA.pubkey).files) == ["events.ndjson"]
    assert files.asked == []


def test_files_that_cannot_be_had_are_named_with_the_reason(relay: OddRelay, files: Files) -> None:
    files.at = {"/other": b"not what was named", "/large": b"x" * 5000, "/loop": "/loop"}
    nothing = "0" * 64
    relay.events = [
        named(f"{files.url}/{name}", hashlib.sha256(name.encode()).hexdigest())
        for name in ("other", "large", "loop", "gone")
    ]
    relay.events.append(named("http://127.0.0.1:1/private", nothing))
    source = nostr(relay.url, media=True, media_servers=[files.url], media_max_bytes=4000)
    found = read(source, ADA.pubkey)
    told = {one["url"].rpartition("/")[2]: one["reason"] for one in found.facts["media"]["failed"]}
    assert told == {
        "other": "wrong_digest",
        "large": "too_large",
        "loop": "redirected",
        "gone": "not_found",
        "private": "egress_refused",
    }
    assert found.facts["media"]["fetched"] == 0
    assert list(found.files) == ["events.ndjson"]
    private = next(one for one in found.facts["media"]["failed"] if one["reason"] == "egress_refused")
    assert "127.0.0.1" not in private["message"]


def test_rows_hold_no_end_of_addresses_that_failed(relay: OddRelay) -> None:
    tags = [["imeta", f"url http://:{number}/secret", f"x {number:064x}"] for number in range(MOST_TOLD + 20)]
    relay.events = [ADA.signs("a note", kind=1, tags=tags)]
    guard = OneGuard()
    media = read(nostr(relay.url, media=True), ADA.pubkey, guard=guard).facts["media"]
    assert (len(media["failed"]), media["failed_unnamed"]) == (MOST_TOLD, 20)
    logged = [line for line in guard.lines if "file" in line]
    assert len(logged) == MOST_LOGGED
    assert not [line for line in logged if "secret" in line]  # operators read the log


def test_servers_that_are_slow_on_purpose_keep_nobody_waiting(
    relay: OddRelay, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file comes in the end, so that none of them fails: it is time that is lost."""
    monkeypatch.setattr(media_of_sources, "MOST_WASTED_S", 0.3)
    monkeypatch.setattr(media_of_sources, "PATIENCE_S", 0.0)
    files.at = {f"/{number}": b"%d" % number for number in range(9)}
    files.pause_s = 0.2
    relay.events = [named(f"{files.url}{path}", files.digest(path)) for path in files.at]
    media = read(nostr(relay.url, media=True, media_servers=[files.url]), ADA.pubkey).facts["media"]
    assert 1 <= media["fetched"] <= 3
    assert {one["reason"] for one in media["failed"]} == {"not_tried"}


class TestPublicOnly:
    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "192.168.1.1",
            "172.16.0.1", "100.64.0.1", "169.254.169.254", "0.0.0.0", "[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]", "[::127.0.0.1]", "198.18.0.1", "224.0.0.1", "255.255.255.255", "localhost",
        ],
    )  # fmt: skip
    def test_the_sites_own_network_is_not_reached(self, host: str) -> None:
        assert code_of(fetcher(), f"http://{host}/x") in ("egress_refused", "unreachable")

    def test_a_redirect_does_not_lead_there_either(self, files: Files) -> None:
        with serving() as inner:
            inner.at = {"/secret": b"secret"}
            files.at = {"/a": f"{inner.url}/secret"}
            assert code_of(fetcher(files.url), f"{files.url}/a") == "egress_refused"
            assert inner.asked == []

    @pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "http://", "http://[", "//x/y", ""])
    def test_other_schemes_are_refused(self, url: str) -> None:
        assert code_of(fetcher(), url) in ("refused", "unreachable")

    def test_public_addresses_are(self) -> None:
        for host in ("8.8.8.8", "2606:4700:4700::1111"):
            require_public(host, resolve(host, 443, EVERYWHERE))

    def test_the_sites_own_rule_still_holds(self) -> None:
        narrow = Fetcher({"allowed_networks": ["10.0.0.0/8"]}, OneGuard(), timeout_s=1, max_bytes=1, own={})
        assert code_of(narrow, "http://8.8.8.8/") == "egress_refused"


def test_headers_go_to_the_own_server_only(files: Files) -> None:
    with serving() as other:
        files.at = {"/a": b"a", "/b": f"{other.url}/b"}
        other.at = {"/b": b"b"}
        both = Fetcher(EVERYWHERE, OneGuard(), timeout_s=5, max_bytes=9, own={files.url: {"X-Key": "k"}, other.url: {}})
        for url in (f"{files.url}/a", f"{files.url}/b"):
            with both.fetch(url) as found:
                assert found.size == 1
        assert [headers.get("x-key") for _, headers in (*files.asked, *other.asked)] == ["k", "k", None]


class TestSlow:
    def test_a_server_that_sends_byte_by_byte_is_cut(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=_drip, args=(server,), daemon=True)
            thread.start()
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
            began = time.monotonic()
            assert code_of(fetcher(url, timeout_s=0.4), f"{url}/x") == "timeout"
            assert time.monotonic() - began < 20
        thread.join(30)

    def test_a_job_that_is_told_to_stop_stops(self) -> None:
        guard = OneGuard()
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
            stopper = threading.Timer(0.3, guard.stop)
            stopper.start()
            with pytest.raises(Stopped), fetcher(url, guard=guard, timeout_s=60).fetch(f"{url}/x"):
                pytest.fail("it was fetched")
            stopper.join()
        assert guard.callbacks == []

    def test_half_a_file_is_none(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=_half, args=(server,), daemon=True)
            thread.start()
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
            assert code_of(fetcher(url), f"{url}/x") in ("incomplete_body", "unreachable")
        thread.join(30)


class TestRecords:
    def source(self, service: RecordsServer, **options: Any) -> HttpSource:
        given = {
            "url": f"{service.url}/list/posts?of={{pubkey}}",
            "auth": "bearer",
            "token": "t0ken-of-ours",
            **options,
        }
        built = build("http", Connection(), given, EVERYWHERE)
        assert isinstance(built, HttpSource)
        assert built.validate(built.connection, built.options) == {}
        return built

    def test_files_of_the_service_come_with_its_own_sign_in(self, records_service: RecordsServer, files: Files) -> None:
        files.at = {"/elsewhere.jpg": b"elsewhere"}
        records_service.token = "t0ken-of-ours"
        records_service.fill(
            "posts", [{"id": 1, "photos": [{"url": "/list/pictures"}, {"url": f"{files.url}/elsewhere.jpg"}]}]
        )
        records_service.fill("pictures", [{"id": "a picture"}])
        source = self.source(records_service, media_path="photos.url", media_url=f"{records_service.url}/list/")
        found = read(source, ADA.pubkey)
        content = json.dumps([{"id": "a picture"}]).encode()
        assert found.files[f"media/{hashlib.sha256(content).hexdigest()}.json"] == content
        assert found.facts["media"]["fetched"] == 1
        assert [one["reason"] for one in found.facts["media"]["failed"]] == ["egress_refused"]
        assert files.asked == []

    @pytest.mark.parametrize(
        "path",
        [
            *("posts?of={other}", "{files}/../posts?of={other}", "{files}/%2e%2e/posts?of={other}"),
            *("{files}/..%2fposts?of={other}", "{files}/%252e%252e/posts?of={other}", "{files}/..;/posts?of={other}"),
            *("{files}/..%5cposts", "pictures-of-others"),
        ],
    )
    @pytest.mark.parametrize("folder", ["", "pictures/"])
    def test_a_record_cannot_name_what_others_have(
        self, records_service: RecordsServer, path: str, folder: str
    ) -> None:
        """Whoever may write into a record would read anything with the service's own credentials."""
        records_service.token = "t0ken-of-ours"
        records_service.fill("posts", [{"id": 1, "photo": f"/list/{path.format(files='pictures', other='f' * 64)}"}])
        records_service.fill("pictures-of-others", [{"id": 1}])
        own = f"{records_service.url}/list/{folder}" if folder else ""
        found = read(self.source(records_service, media_path="photo", media_url=own), ADA.pubkey)
        assert [one["reason"] for one in found.facts["media"]["failed"]] == ["egress_refused"]
        assert list(found.files) == ["records.ndjson"]

    @pytest.mark.parametrize(
        ("url", "good"),
        [
            *(("https://x.example/photos/", True), ("https://x.example/of/{pubkey}/", True)),
            *(("https://x.example/photos", False), ("https://{pubkey}.example/", False), ("ftp://x.example/", False)),
            *(("https://x.example/?a=/", False), ("https://x.example/{collection}/", False)),
        ],
    )
    def test_where_the_services_files_lie_is_one_folder(self, url: str, good: bool) -> None:
        given = {"url": "https://x.example/of/{pubkey}", "media_url": url}
        source = build("http", Connection(), given, EVERYWHERE)
        assert ("options.media_url" not in source.validate(source.connection, source.options)) is good

    def test_without_a_path_nothing_is_fetched(self, records_service: RecordsServer) -> None:
        records_service.token = "t0ken-of-ours"
        records_service.fill("posts", [{"id": 1, "photos": "/list/pictures"}])
        assert "media" not in read(self.source(records_service), ADA.pubkey).facts

    def test_addresses_are_found_wherever_the_path_leads(self) -> None:
        finder = Finder(("a", "b"), "https://x.example/y")
        lines = [{"a": {"b": "1"}}, {"a": [{"b": ["2", 3, None]}, 4]}, {"b": "5"}, {"a": {"b": "https://z.example/6"}}]
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        found = [file.url for at in range(0, len(data), 7) for file in finder.feed(data[at : at + 7])]
        assert found == ["https://x.example/1", "https://x.example/2", "https://z.example/6"]


def _drip(server: socket.socket) -> None:
    server.settimeout(20)
    connection, _ = server.accept()
    with connection:
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            for _ in range(400):
                connection.sendall(b"a: b\r\n")
                time.sleep(0.05)
        except OSError:
            return


def _half(server: socket.socket) -> None:
    server.settimeout(20)
    connection, _ = server.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
