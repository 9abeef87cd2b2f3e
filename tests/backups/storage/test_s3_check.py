"""Each thing that can be wrong with an S3 Destination has a code of its own, and says nothing secret."""

import gc
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backups.storage.s3 import S3BackupStorage
from jobs.errors import BackupError
from tests.backups.storage.conftest import S3Factory


def test_a_wrong_secret(s3_storage: S3Factory) -> None:
    report = s3_storage(secret_key="canary-of-a-secret").check()
    assert (report.ok, report.code) == (False, "destination_credentials")
    assert "canary" not in f"{report}"


def test_an_unknown_access_key(s3_storage: S3Factory) -> None:
    assert s3_storage(access_key="test:nobody").check().code == "destination_credentials"


def test_a_missing_bucket(s3_storage: S3Factory) -> None:
    storage = s3_storage(bucket="no-such-bucket")
    assert storage.check().code == "destination_bucket_missing"
    with pytest.raises(BackupError) as raised:
        storage.stat("object")
    assert raised.value.code == "destination_bucket_missing"
    with pytest.raises(BackupError) as raised, storage.open_stream("object"):
        pass
    assert raised.value.code == "destination_bucket_missing"


def test_a_bucket_name_that_cannot_be(s3_storage: S3Factory) -> None:
    assert s3_storage(bucket="b").check().code == "destination_bucket_missing"


def test_an_endpoint_where_nobody_listens(s3_storage: S3Factory) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    report = s3_storage(endpoint_url=f"http://127.0.0.1:{port}").check()
    assert report.code == "destination_unreachable"
    assert report.hint


def test_an_endpoint_that_is_none(s3_storage: S3Factory) -> None:
    assert s3_storage(endpoint_url="not an endpoint").check().code == "destination_endpoint"


def test_an_endpoint_without_tls(s3_storage: S3Factory) -> None:
    storage = s3_storage()
    report = s3_storage(endpoint_url=storage.endpoint_url.replace("http:", "https:")).check()
    assert report.code == "destination_tls"


def test_rights_to_write_only_are_a_warning(s3_storage: S3Factory) -> None:
    storage = s3_storage()
    for operation in ("GetObject", "HeadObject", "ListObjectsV2", "DeleteObject"):
        storage.client.meta.events.register(f"before-call.s3.{operation}", _deny)
    report = storage.check()
    assert report.ok
    assert len(report.warnings) == 3


def test_what_may_not_list_uploads_is_removed_all_the_same(s3_storage: S3Factory) -> None:
    storage = s3_storage()
    upload = storage.client.create_multipart_upload(Bucket=storage.bucket_name, Key=f"{storage.prefix}key")["UploadId"]
    storage.client.meta.events.register("before-call.s3.ListMultipartUploads", _deny)
    assert storage.abort_uploads("key") == 0
    assert storage.abort_uploads("key", upload_id=upload) == 1


def _deny(**kwargs: object) -> Any:
    """Answers in place of the test store, which has no policies as fine as these."""

    class Answer:
        status_code = 403
        headers: dict[str, str] = {}

    return Answer(), {
        "Error": {"Code": "AccessDenied", "Message": "Access Denied."},
        "ResponseMetadata": {"HTTPStatusCode": 403},
    }


def test_no_right_to_write(s3_storage: S3Factory) -> None:
    storage = s3_storage()
    storage.client.meta.events.register("before-call.s3.PutObject", _deny)
    assert storage.check().code == "destination_permission"


def test_half_a_pair_of_keys_is_refused() -> None:
    with pytest.raises(BackupError) as raised:
        S3BackupStorage(bucket="bucket", access_key="only")
    assert raised.value.code == "destination_credentials"


def test_no_keys_and_no_role(monkeypatch: pytest.MonkeyPatch, s3_storage: S3Factory, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert s3_storage(access_key="", secret_key="").check().code == "destination_credentials"


def test_the_hosts_role_is_used_without_keys(monkeypatch: pytest.MonkeyPatch, s3_storage: S3Factory) -> None:
    own = s3_storage()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", own.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", own.secret_key)
    assert s3_storage(access_key="", secret_key="").check().ok


def test_the_hosts_token_is_not_mixed_into_own_keys(monkeypatch: pytest.MonkeyPatch, s3_storage: S3Factory) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "canary-token")
    storage = s3_storage()
    sent: list[str] = []
    storage.client.meta.events.register(
        "before-send.s3.*", lambda request, **kwargs: sent.extend(map(str, request.headers.items()))
    )
    assert storage.check().ok
    assert sent and "canary-token" not in "".join(sent)


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Speaks TLS with a certificate of its own, answers every request with 404 NoSuchBucket: endpoint and CA."""
    certificate, ca = _self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    body = b"<Error><Code>NoSuchBucket</Code></Error>"
    answer = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    connection.recv(65536)
                    connection.sendall(answer)
            except OSError:
                plain.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}", ca
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def _self_signed(folder: Path) -> tuple[Path, str]:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + ca)
    return folder / "server.pem", ca.decode()


def test_an_untrusted_certificate(s3_storage: S3Factory, tls_server: tuple[str, str]) -> None:
    endpoint_url, _ = tls_server
    assert s3_storage(endpoint_url=endpoint_url).check().code == "destination_tls"


def test_a_ca_of_ones_own_is_trusted(s3_storage: S3Factory, tls_server: tuple[str, str]) -> None:
    endpoint_url, ca = tls_server
    storage = s3_storage(endpoint_url=endpoint_url, ca=ca)
    assert storage.check().code == "destination_bucket_missing"
    path = Path(storage.verify)
    assert path.exists()
    del storage
    gc.collect()
    assert not path.exists()


def test_a_ca_that_is_none_is_refused(s3_storage: S3Factory) -> None:
    with pytest.raises(BackupError) as raised:
        s3_storage(ca="-----BEGIN NONSENSE-----")
    assert raised.value.code == "destination_tls"


def test_a_clock_that_is_wrong(s3_storage: S3Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    late = datetime.now(UTC) - timedelta(hours=2)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: late.replace(tzinfo=None))
    assert s3_storage().check().code == "destination_clock"
