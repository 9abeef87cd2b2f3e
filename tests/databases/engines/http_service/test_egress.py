"""Requests go to addresses that were checked, and nowhere else."""

import socket
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from databases.engines.base import DumpRequest
from jobs.egress import allowed_networks, is_allowed, resolve
from jobs.errors import BackupError
from tests.contracts.engines import RecordingGuard
from tests.databases.engines.http_service.services import dumped, engine_for
from tests.servers import scripts
from tests.servers.records import Handler, RecordsServer, sample, start_records
from tests.servers.tls import TlsFiles, make_tls_files

EVERYWHERE = allowed_networks({})


@pytest.mark.parametrize(
    "text",
    [
        *("127.0.0.1", "10.1.2.3", "192.168.0.1", "93.184.216.34", "::1", "fd12::1", "2606:2800:220:1::1"),
        *("::ffff:10.0.0.1", "64:ff9b::93.184.216.34", "2002:5db8:d822::1"),
    ],
)
def test_ordinary_addresses_are_allowed_by_default(text: str) -> None:
    assert is_allowed(ip_address(text), EVERYWHERE)


@pytest.mark.parametrize(
    "text",
    [
        *("0.0.0.0", "169.254.169.254", "169.254.1.1", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
        *("224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
        *("::", "fe80::1", "fec0::1", "ff02::1", "fd00:ec2::254", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "5000::1"),
        *("::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1"),
        *("::169.254.169.254", "2001:0:a9fe:a9fe::1", "2001:db8::5efe:169.254.169.254"),
        *("64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:808:8:800::", "64:ff9b:1::8.8.8.8"),  # RFC 6052 puts it anywhere
    ],
)
def test_some_addresses_are_never_allowed(text: str) -> None:
    assert not is_allowed(ip_address(text), EVERYWHERE)


def test_the_setting_narrows_addresses_in_every_guise() -> None:
    inside = allowed_networks({"allowed_networks": ["10.0.0.0/8", "fd12::/16"]})
    for text in ("10.1.1.1", "fd12::1", "::ffff:10.1.1.1"):
        assert is_allowed(ip_address(text), inside)
    for text in ("127.0.0.1", "11.0.0.1", "fd13::1", "::ffff:11.0.0.1", "64:ff9b::10.1.1.1", "::1"):
        assert not is_allowed(ip_address(text), inside)


def test_a_setting_that_is_no_network_is_told() -> None:
    with pytest.raises(BackupError) as raised:
        allowed_networks({"allowed_networks": ["10.0.0.0/40"]})
    assert raised.value.code == "invalid_setting"


def answering(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """getaddrinfo gives these addresses, one list after the other; returns the names it was asked for."""
    asked: list[str] = []
    left = list(answers)

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        asked.append(host)
        found = left.pop(0) if left else ["192.0.2.1"]
        families = [socket.AF_INET6 if ":" in text else socket.AF_INET for text in found]
        return [
            (family, socket.SOCK_STREAM, 6, "", (text, port, 0, 0) if ":" in text else (text, port))
            for family, text in zip(families, found, strict=True)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("addresses", [["169.254.169.254"], ["127.0.0.1", "169.254.169.254"], ["::1", "fe80::1"]])
def test_one_forbidden_address_of_several_refuses_the_host(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    answering(monkeypatch, addresses)
    with pytest.raises(BackupError) as raised:
        resolve("crm.example.org", 80, {})
    assert (raised.value.code, raised.value.permanent) == ("egress_refused", True)


def test_a_name_is_asked_for_once_and_its_second_answer_never_used(
    records_service: RecordsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: checked as one address, connected to as another. Every page closes its connection."""
    sample(records_service, 300)
    records_service.script.extend([closing] * 5)
    asked = answering(monkeypatch, ["127.0.0.1"], ["169.254.169.254"], ["169.254.169.254"])
    port = records_service.url.rpartition(":")[2]
    engine = engine_for(records_service, "page", url=f"http://crm.example.org:{port}/page/{{collection}}")
    with engine.dump(DumpRequest(guard=RecordingGuard())) as dump:
        while dump.readinto(bytearray(1 << 16)):
            pass
    assert dump.manifest["records"] == 300
    assert asked == ["crm.example.org"]
    assert {request.headers["host"] for request in records_service.asked} == {f"crm.example.org:{port}"}


def closing(handler: Handler) -> bool:
    handler.close_connection = True
    return False


def test_the_next_address_is_tried_when_one_does_not_answer(
    records_service: RecordsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample(records_service, 3)
    answering(monkeypatch, ["127.0.0.2", "127.0.0.1"], ["127.0.0.2", "127.0.0.1"])
    assert dumped(records_service).manifest["records"] == 3


def test_nothing_is_sent_to_a_network_that_is_not_allowed(records_service: RecordsServer) -> None:
    sample(records_service, 3)
    engine = engine_for(records_service, settings={"allowed_networks": ["10.0.0.0/8"]})
    request = DumpRequest(guard=RecordingGuard())
    for attempt in (lambda: engine.preflight(request), engine.inventory):
        with pytest.raises(BackupError) as raised:
            attempt()
        assert (raised.value.code, raised.value.permanent) == ("egress_refused", True)
        assert "BACKUPSITE_ALLOWED_NETWORKS" in raised.value.hint
    assert engine.check().code == "egress_refused"
    with pytest.raises(BackupError), engine.dump(request):
        pass
    assert records_service.asked == []


def test_a_proxy_of_the_environment_is_not_used(
    records_service: RecordsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    sample(records_service, 3)
    assert dumped(records_service).manifest["records"] == 3


@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_origin_is_followed(records_service: RecordsServer, number: int) -> None:
    sample(records_service, 3)
    for location in (f"{records_service.url}/list/users", "/list/users", "../list/users"):
        records_service.script.append(scripts.status(number, body={}, headers={"Location": location}))
        assert dumped(records_service).manifest["records"] == 3


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:1/list/users",
        "http://localhost:{port}/list/users",
        "https://127.0.0.1:{port}/list/users",
        "//127.0.0.2:{port}/list/users",
        "file:///etc/passwd",
        "http://[broken/",
    ],
)
def test_a_redirect_elsewhere_is_refused(records_service: RecordsServer, location: str) -> None:
    target = location.format(port=records_service.url.rpartition(":")[2])
    records_service.script.append(scripts.status(302, body={}, headers={"Location": target}))
    with pytest.raises(BackupError) as raised:
        dumped(records_service)
    assert (raised.value.code, raised.value.permanent) == ("redirected", True)
    assert len(records_service.asked) == 1


def test_redirects_without_end_are_left(records_service: RecordsServer) -> None:
    records_service.script.extend([scripts.status(307, body={}, headers={"Location": "/list/users"})] * 9)
    with pytest.raises(BackupError) as raised:
        dumped(records_service)
    assert raised.value.code == "redirected"
    assert len(records_service.asked) == 4


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return make_tls_files(tmp_path_factory.mktemp("tls"), client="x")


class TestTls:
    @pytest.fixture
    def secure(self, files: TlsFiles) -> Iterator[RecordsServer]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.server_cert, files.server_key)
        with start_records(tls=context) as service:
            sample(service, 3)
            yield service

    def test_the_certificate_is_checked_by_the_name_in_the_url(
        self, secure: RecordsServer, files: TlsFiles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ca = Path(files.ca).read_text()
        port = secure.url.rpartition(":")[2]
        assert dumped(secure, ca=ca).manifest["records"] == 3
        for host, fits in (("localhost", True), ("crm.example.org", False)):
            answering(monkeypatch, ["127.0.0.1"], ["127.0.0.1"])
            url = f"https://{host}:{port}/list/users"
            if fits:
                assert dumped(secure, ca=ca, url=url).manifest["records"] == 3
                continue
            with pytest.raises(BackupError) as raised:
                dumped(secure, ca=ca, url=url)
            assert (raised.value.code, raised.value.permanent) == ("tls", True)

    def test_a_certificate_of_an_unknown_authority_is_refused(self, secure: RecordsServer) -> None:
        with pytest.raises(BackupError) as raised:
            dumped(secure)
        assert (raised.value.code, raised.value.permanent) == ("tls", True)
        assert "CA" in raised.value.hint

    def test_an_authority_that_cannot_be_read_is_told(self, secure: RecordsServer) -> None:
        report = engine_for(secure, ca="-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----").check()
        assert (report.ok, report.code) == (False, "tls")

    def test_a_port_without_tls_is_told(self, records_service: RecordsServer) -> None:
        with pytest.raises(BackupError) as raised:
            dumped(records_service, url=records_service.url.replace("http:", "https:") + "/list/users")
        assert (raised.value.code, raised.value.permanent) == ("tls", True)
