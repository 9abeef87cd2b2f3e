"""A certificate authority for one test run: a server certificate for loopback and a client certificate."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class TlsFiles:
    """PEM files; keys have mode 0600. The client certificate's common name is the role it logs in as."""

    ca: Path
    server_cert: Path
    server_key: Path
    client_cert: Path
    client_key: Path


def make_tls_files(folder: Path, *, client: str) -> TlsFiles:
    """Writes an authority and certificates for `localhost`/`127.0.0.1` and the role `client` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = TlsFiles(*(folder / name for name in ("ca.crt", "server.crt", "server.key", "client.crt", "client.key")))
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("Backupsite test authority", ca_key, ca_key, None)
    files.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    for name, cert, key in (
        ("localhost", files.server_cert, files.server_key),
        (client, files.client_cert, files.client_key),
    ):
        private = ec.generate_private_key(ec.SECP256R1())
        cert.write_bytes(_certificate(name, private, ca_key, ca).public_bytes(serialization.Encoding.PEM))
        key.touch(mode=0o600)
        key.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return files


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, issuer: x509.Certificate | None
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if name == "localhost":
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256())
