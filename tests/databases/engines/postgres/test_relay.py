"""The end of the SQL is only what pg_restore ended with."""

import errno
import io
import os

from databases.engines.postgres.relay import Relay


class BrokenSink(io.BytesIO):
    def write(self, block: object) -> int:
        raise OSError(errno.EIO, "Input/output error")


def test_a_fault_in_the_middle_does_not_pass_for_the_end() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"SELECT 1;\n" * 100)
    os.close(writer)
    sink = BrokenSink()
    with open(reader, "rb", buffering=0) as source:
        relay = Relay(source, sink, server_major=18, atomic=True)
        relay.start()
        relay.join()
    assert isinstance(relay.error, OSError)
    assert not sink.closed
