"""Truncation, flipped bits, added bytes and wrong keys are found before the end is reported."""

import io
import random
import subprocess

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from backups.pipeline.age import CHUNK, SEALED_CHUNK
from backups.pipeline.age_header import derive, write_header
from backups.pipeline.decode import decode
from backups.pipeline.encoding import Encoding
from backups.pipeline.keys import generate_identity
from jobs.errors import BackupError
from tests.backups.pipeline.conftest import ENCODINGS, IDENTITY, RECIPIENT, Source, decoded, encoded

DAMAGE = {"artefact_truncated", "artefact_corrupt"}
PLAIN = random.Random(7).randbytes(150_000) + b"row\t1\n" * 50_000  # both kinds of block
AGE_ONLY = Encoding(compression="none", recipients=(RECIPIENT,))
COMPRESSED = [encoding for encoding in ENCODINGS if encoding.extension]


def code_of(stored: bytes, encoding: Encoding, **kwargs: object) -> str:
    with pytest.raises(BackupError) as raised:
        decoded(stored, encoding, **kwargs)  # type: ignore[arg-type]
    assert raised.value.permanent
    return raised.value.code


@pytest.mark.parametrize("encoding", COMPRESSED, ids=lambda encoding: encoding.extension)
def test_a_cut_anywhere_is_found_without_knowing_the_size(encoding: Encoding) -> None:
    stored, _ = encoded(PLAIN, encoding)
    header = stored.find(b"\n---") + 80 if encoding.recipients else 30
    edges = [header + 16 + SEALED_CHUNK * chunk + offset for chunk in (0, 1, 2) for offset in (-1, 0, 1, 15, 16, 17)]
    cuts = {*range(0, header, 7), *edges, *range(len(stored) - 20, len(stored))}
    for cut in sorted(cut for cut in cuts if cut < len(stored)):
        assert code_of(stored[:cut], encoding) == "artefact_truncated", cut


def test_a_cut_is_found_by_size_where_nothing_wraps_the_stream() -> None:
    encoding = Encoding("none")
    stored, digests = encoded(PLAIN, encoding)
    assert code_of(stored[:-1], encoding, expected=digests) == "artefact_truncated"
    assert code_of(stored + b"x", encoding, expected=digests) == "artefact_corrupt"


@pytest.mark.parametrize("with_digests", [True, False])
def test_a_flipped_bit_anywhere_is_found(encoding: Encoding, with_digests: bool) -> None:
    if not with_digests and not encoding.recipients:
        pytest.skip("only age covers every byte by itself: gzip's header and zstd's frame header have unused bits")
    stored, digests = encoded(PLAIN, encoding)
    chance = random.Random(3)
    spots = {
        *range(0, 330, 3),
        *range(len(stored) - 30, len(stored)),
        *(chance.randrange(len(stored)) for _ in range(60)),
    }
    for spot in spots:
        bad = bytearray(stored)
        bad[spot] ^= 1 << chance.randrange(8)
        code = code_of(bytes(bad), encoding, expected=digests if with_digests else None)
        assert code in DAMAGE | ({"wrong_key"} if encoding.recipients and spot < 250 else set()), spot


def test_damage_in_the_last_chunk_is_corrupt_when_every_byte_is_there() -> None:
    stored, digests = encoded(PLAIN, AGE_ONLY)
    bad = stored[:-1] + bytes([stored[-1] ^ 1])
    assert code_of(bad, AGE_ONLY, expected=digests) == "artefact_corrupt"
    assert code_of(stored[:-1], AGE_ONLY, expected=digests) == "artefact_truncated"


@pytest.mark.parametrize("tail", [b"\0", b"junk", bytes(2_000_000)])
def test_bytes_after_the_compressed_stream_are_refused(tail: bytes) -> None:
    for encoding in (Encoding("zstd"), Encoding("gzip")):
        assert code_of(encoded(PLAIN, encoding)[0] + tail, encoding) == "artefact_corrupt"


def test_a_second_frame_or_member_is_refused() -> None:
    for encoding in (Encoding("zstd"), Encoding("gzip")):
        stored, _ = encoded(PLAIN, encoding)
        assert code_of(stored + stored, encoding) == "artefact_corrupt"
        assert code_of(stored + encoded(b"", encoding)[0], encoding) == "artefact_corrupt"


def test_swapped_or_repeated_chunks_are_refused() -> None:
    stored, _ = encoded(PLAIN, AGE_ONLY)
    start = stored.find(b"\n---") + 49 + 16
    first, second = stored[start : start + SEALED_CHUNK], stored[start + SEALED_CHUNK : start + 2 * SEALED_CHUNK]
    rest = stored[start + 2 * SEALED_CHUNK :]
    assert code_of(stored[:start] + second + first + rest, AGE_ONLY) == "artefact_corrupt"
    assert code_of(stored[:start] + first + first + rest, AGE_ONLY) == "artefact_corrupt"
    assert code_of(stored + first, AGE_ONLY) in DAMAGE


def test_the_wrong_key_a_missing_key_and_no_key_at_all_are_told_apart() -> None:
    stored, _ = encoded(PLAIN, AGE_ONLY)
    assert code_of(stored, AGE_ONLY, identity=generate_identity()[0]) == "wrong_key"
    assert code_of(stored, AGE_ONLY, identity="not a key") == "wrong_key"
    with pytest.raises(BackupError) as raised, decode(io.BytesIO(stored), compression="none", encrypted=True):
        pass
    assert raised.value.code == "missing_key"


def test_a_passphrase_header_and_other_peoples_stanzas_are_not_ours() -> None:
    header = b"age-encryption.org/v1\n-> scrypt bBjlhJVYZeE4aqUdmtRHfw 15\n" + b"A" * 43 + b"\n--- " + b"A" * 43 + b"\n"
    assert code_of(header, AGE_ONLY) == "wrong_key"


@pytest.mark.parametrize(("old", "new"), [(b"--- ", b"---  "), (b"-> X25519", b"->  X25519"), (b"/v1\n", b"/v2\n")])
def test_a_header_that_breaks_the_grammar_is_refused(old: bytes, new: bytes) -> None:
    stored, _ = encoded(PLAIN, AGE_ONLY)
    assert code_of(stored.replace(old, new, 1), AGE_ONLY) == "artefact_corrupt"


def test_base64_that_is_not_canonical_is_refused() -> None:
    stored, _ = encoded(PLAIN, AGE_ONLY)
    last = stored.find(b"\n---") + 47
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = letters[letters.index(stored[last]) ^ 1]  # differs only in bits that carry nothing
    assert code_of(stored[:last] + bytes([twin]) + stored[last + 1 :], AGE_ONLY) == "artefact_corrupt"


def test_an_empty_last_chunk_after_a_full_one_is_refused() -> None:
    file_key, nonce = bytes(16), bytes(16)
    cipher = ChaCha20Poly1305(derive(file_key, salt=nonce, info=b"payload"))
    full = cipher.encrypt(bytes(12), bytes(CHUNK), None)
    empty = cipher.encrypt(bytes(10) + b"\1\1", b"", None)
    stored = write_header(file_key, [RECIPIENT]) + nonce + full + empty
    assert code_of(stored, AGE_ONLY) == "artefact_corrupt"


def test_a_header_without_end_is_refused_in_bounded_memory() -> None:
    assert code_of(b"age-encryption.org/v1\n" + b"x" * 3_000_000, AGE_ONLY) == "artefact_corrupt"


def test_other_formats_are_refused() -> None:
    for encoding in COMPRESSED:
        assert code_of(b"PGDMP" + PLAIN, encoding) == "artefact_corrupt"


def test_digests_of_another_backup_do_not_pass(encoding: Encoding) -> None:
    _, other = encoded(PLAIN[1:] + b"x", encoding)
    stored, _ = encoded(PLAIN, encoding)
    assert code_of(stored, encoding, expected=other) in DAMAGE


def test_no_end_is_reported_before_the_digests_agree() -> None:
    encoding = Encoding("none")
    stored, digests = encoded(PLAIN, encoding)
    bad = b"x" + stored[1:]
    with decode(io.BytesIO(bad), compression="none", encrypted=False, expected=digests) as reader:
        with pytest.raises(BackupError):
            while True:
                assert reader.readinto(bytearray(1000)) == 1000
        with pytest.raises(BackupError):
            reader.readinto(bytearray(1000))


def test_a_store_that_fails_at_the_end_is_not_an_end(encoding: Encoding) -> None:
    stored, _ = encoded(PLAIN, encoding)
    with (
        decode(
            Source(stored, error=OSError("gone")),
            compression=encoding.compression,
            encrypted=bool(encoding.recipients),
            identities=[IDENTITY],
        ) as reader,
        pytest.raises(OSError, match="gone"),
    ):
        reader.read()


def test_stock_age_refuses_what_we_refuse() -> None:
    """The fixture of this file is a real age file: a cut at a chunk's edge is refused by both."""
    stored, _ = encoded(PLAIN, AGE_ONLY)
    start = stored.find(b"\n---") + 49 + 16
    cut = stored[: start + SEALED_CHUNK]
    assert code_of(cut, AGE_ONLY) == "artefact_truncated"
    done = subprocess.run(["age", "-d", "-i", "-"], input=cut, capture_output=True, check=False)
    assert done.returncode != 0
