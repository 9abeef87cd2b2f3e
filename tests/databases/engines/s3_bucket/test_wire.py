"""The way to a bucket: TLS with an authority of one's own, and through a proxy."""

import ssl
from pathlib import Path

import pytest

from jobs.errors import BackupError
from tests.contracts.engines import dump_of
from tests.databases.engines.s3_bucket.fake_store import BUCKET, fake_store
from tests.databases.engines.s3_bucket.helpers import engine_to, opened
from tests.servers.tls import make_tls_files

OBJECTS = {"a": b"1", "b": b"2" * 9_000_000}


def test_a_store_is_trusted_by_its_own_authority_only(tmp_path: Path) -> None:
    files = make_tls_files(tmp_path, client="somebody")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server_cert, files.server_key)
    with fake_store(context) as (store, server):
        store.objects = dict(OBJECTS)
        engine = engine_to(server, BUCKET, ca=files.ca.read_text())
        assert engine.validate(engine.connection, engine.options) == {}
        assert opened(dump_of(engine)).contents == OBJECTS
        with pytest.raises(BackupError) as raised:
            dump_of(engine_to(server, BUCKET))
        assert (raised.value.code, raised.value.permanent) == ("tls", True)


def test_a_proxy_of_the_environment_is_used_as_boto3_does(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_store() as (store, server):
        store.objects = dict(OBJECTS)
        monkeypatch.setenv("HTTP_PROXY", server.endpoint_url)
        monkeypatch.setenv("http_proxy", server.endpoint_url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        engine = engine_to(server, BUCKET, endpoint_url="http://store.invalid:9000")
        assert opened(dump_of(engine)).contents == OBJECTS
