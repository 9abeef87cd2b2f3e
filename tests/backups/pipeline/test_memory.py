"""Memory stays flat whatever the size, in a process of its own so that its peak is the pipeline's."""

import subprocess
import sys

import pytest

from tests.backups.pipeline.conftest import RECIPIENT

LIMIT_MIB = 60
COMMON = """
import io, resource, sys, zstandard, gzip
from backups.pipeline.decode import decode
from backups.pipeline.encode import encode
from backups.pipeline.encoding import Encoding
from backups.pipeline.keys import generate_identity

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def drain(reader):
    buffer, total = bytearray(1 << 20), 0
    while count := reader.readinto(buffer):
        total += count
    return total

class Synthetic:
    left = 2 << 30
    row = bytes(range(256)) * 4096
    def readinto(self, buffer):
        count = min(len(buffer), self.left, len(self.row))
        buffer[:count] = self.row[:count]
        self.left -= count
        return count
"""
ENCODE = """
before = peak()
compression, threads, recipients = sys.argv[1], int(sys.argv[2]), tuple(sys.argv[3:])
with encode(Synthetic(), encoding=Encoding(compression, threads=threads, recipients=recipients)) as reader:
    drain(reader)
    assert reader.digests.original_size == 2 << 30
print(peak() - before)
"""
BOMB = """
with encode(Synthetic(), encoding=Encoding(sys.argv[1])) as reader:
    bomb = reader.read()
before = peak()
with decode(io.BytesIO(bomb), compression=sys.argv[1], encrypted=False) as reader:
    assert drain(reader) == 2 << 30
print(peak() - before)
"""


def growth(script: str, *arguments: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", COMMON + script, *arguments], capture_output=True, check=True, text=True
    )
    return float(done.stdout)


@pytest.mark.parametrize("arguments", [("zstd", "0"), ("zstd", "2"), ("gzip", "0"), ("none", "0")], ids="-".join)
def test_two_gigabytes_are_encoded_in_flat_memory(arguments: tuple[str, str]) -> None:
    assert growth(ENCODE, *arguments, RECIPIENT) < LIMIT_MIB


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_a_small_artefact_that_unpacks_to_gigabytes_is_decoded_in_flat_memory(compression: str) -> None:
    assert growth(BOMB, compression) < LIMIT_MIB
