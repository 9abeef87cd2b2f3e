"""SSH keys open what was encrypted for them: by stock age what we wrote, by us what stock age wrote."""

import subprocess
from pathlib import Path

import pytest

from backups.pipeline.encoding import Encoding
from backups.pipeline.keys import generate_identity, public_key, recipient_of, valid_identity, valid_recipient
from jobs.errors import BackupError
from tests.backups.pipeline.conftest import decoded, encoded

PLAIN = b"words\n" * 30_000
KINDS = [("ed25519", "256"), ("rsa", "2048")]


@pytest.fixture(params=KINDS, ids="".join)
def key(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make(tmp_path / "id", *request.param)


def make(file: Path, kind: str, bits: str, passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", passphrase, "-C", "ada@example.com", "-f", str(file)]
    subprocess.run(command, check=True)
    return file


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text().strip()


def test_stock_age_opens_ours(key: Path) -> None:
    _, other = generate_identity()
    encoding = Encoding(compression="none", recipients=(other, public(key)))
    stored, _ = encoded(PLAIN, encoding)
    opened = subprocess.run(["age", "-d", "-i", str(key)], input=stored, capture_output=True, check=True)
    assert opened.stdout == PLAIN


def test_we_open_that_of_stock_age(key: Path, tmp_path: Path) -> None:
    _, other = generate_identity()
    command = ["age", "-r", other, "-R", str(key.with_suffix(".pub"))]
    stored = subprocess.run(command, input=PLAIN, capture_output=True, check=True).stdout
    encoding = Encoding(compression="none", recipients=("x",))
    assert decoded(stored, encoding, identity=key.read_text()) == PLAIN


def test_another_key_does_not_open_it(key: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other", "ed25519", "256")
    encoding = Encoding(compression="none", recipients=(public(key),))
    stored, _ = encoded(PLAIN, encoding)
    for identity in (other.read_text(), generate_identity()[0]):
        with pytest.raises(BackupError) as caught:
            decoded(stored, encoding, identity=identity)
        assert caught.value.code == "wrong_key"


def test_a_private_key_belongs_to_its_line(key: Path) -> None:
    assert valid_identity(key.read_text())
    assert public(key).startswith(recipient_of(key.read_text()) + " ")
    assert valid_recipient(public(key)) and valid_recipient(recipient_of(key.read_text()))


def test_flipped_bits_of_the_stanza_are_found(key: Path) -> None:
    encoding = Encoding(compression="none", recipients=(public(key),))
    stored, _ = encoded(b"x", encoding)
    end = stored.index(b"\n---")
    for at in range(22, end, end // 20):  # opening an RSA key takes its time
        changed = bytearray(stored)
        changed[at] ^= 1
        with pytest.raises(BackupError) as caught:
            decoded(bytes(changed), encoding, identity=key.read_text())
        assert caught.value.code in ("wrong_key", "artefact_corrupt")


@pytest.mark.parametrize(
    "text",
    [
        "ssh-ed25519 AAAA",
        "ssh-ed25519 " + "A" * 68,
        "ssh-dss " + "A" * 68,
        "ecdsa-sha2-nistp256 " + "A" * 68,
        "ssh-rsa " + "A" * 300,
    ],
)
def test_what_looks_like_a_key_is_none(text: str) -> None:
    assert not valid_recipient(text)
    with pytest.raises(BackupError) as caught:
        public_key(text)
    assert caught.value.code == "invalid_recipient"


def test_small_and_other_keys_are_refused(tmp_path: Path) -> None:
    for name, kind, bits in (("small", "rsa", "1024"), ("curve", "ecdsa", "256")):
        key = make(tmp_path / name, kind, bits)
        assert not valid_recipient(public(key)), name


def test_a_key_with_a_passphrase_is_refused_as_an_identity(tmp_path: Path) -> None:
    key = make(tmp_path / "id", "ed25519", "256", "passphrase")
    assert valid_recipient(public(key))
    assert not valid_identity(key.read_text())


def test_two_lines_are_not_one_recipient(tmp_path: Path) -> None:
    key = make(tmp_path / "id", "ed25519", "256")
    assert not valid_recipient(public(key) + "\n" + public(key))
    assert not valid_recipient(public(key) + "\n")
