"""Small pictures out of nothing: PNG files, the same bytes for the same number."""

import random
import struct
import zlib

EDGE = 96
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def picture(number: int, *, edge: int = EDGE) -> bytes:
    """A grainy square in one colour, about 17 kB at 96 pixels: grain keeps it from being compressed away."""
    grain = random.Random(number)
    shade = grain.randrange(224)
    table = bytes(shade + (value & 31) for value in range(256))
    pixels = grain.randbytes(edge * edge * 3).translate(table)
    rows = b"".join(b"\0" + pixels[at : at + 3 * edge] for at in range(0, len(pixels), 3 * edge))
    header = struct.pack(">IIBBBBB", edge, edge, 8, 2, 0, 0, 0)  # 8 bits a channel, RGB
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 1)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
