"""Keys are the ones every age tool knows."""

import subprocess

import pyrage
import pytest

from backups.pipeline.keys import generate_identity, public_key, recipient_of, valid_identity, valid_recipient
from jobs.errors import BackupError


def test_a_new_pair_is_one_that_other_age_tools_accept() -> None:
    identity, recipient = generate_identity()
    assert recipient_of(identity) == recipient
    assert str(pyrage.x25519.Identity.from_str(identity).to_public()) == recipient
    known = subprocess.run(["age-keygen", "-y"], input=identity + "\n", capture_output=True, text=True, check=True)
    assert known.stdout.strip() == recipient


def test_keys_of_age_keygen_are_ours_too() -> None:
    made = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout.splitlines()
    identity = made[-1]
    assert valid_identity(identity)
    assert recipient_of(f" {identity}\n") == made[1].removeprefix("# public key: ")


def test_a_changed_letter_is_noticed() -> None:
    identity, recipient = generate_identity()
    for text, valid in ((recipient, valid_recipient), (identity, valid_identity)):
        for at in range(len(text) - 40, len(text)):
            changed = "Q" if text[at].upper() != "Q" else "P"
            changed = changed if text.isupper() else changed.lower()
            assert not valid(text[:at] + changed + text[at + 1 :])


@pytest.mark.parametrize("text", ["", "age1", "AGE-SECRET-KEY-1", "ssh-ed25519 AAAA", "é" * 62, "age1" + "q" * 58])
def test_other_text_is_no_key(text: str) -> None:
    assert not valid_recipient(text)
    assert not valid_identity(text)
    with pytest.raises(BackupError, match="no age secret key"):
        recipient_of(text)


def test_a_secret_key_given_as_recipient_is_not_repeated() -> None:
    identity, _ = generate_identity()
    with pytest.raises(BackupError) as raised:
        public_key(identity)
    assert identity[20:40] not in str(raised.value)


def test_the_two_kinds_are_not_mixed_up_and_case_is_not_mixed() -> None:
    identity, recipient = generate_identity()
    assert not valid_recipient(identity)
    assert not valid_identity(recipient)
    assert valid_recipient(recipient.upper())
    assert not valid_recipient(recipient[:-1] + recipient[-1].upper()) or recipient[-1].isdigit()
