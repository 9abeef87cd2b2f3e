"""pg_restore's SQL into psql, without passing through Python's memory."""

import os
import threading
from typing import IO

NEWER_SETTING = b"SET transaction_timeout = 0;\n"  # written by every pg_dump since 17, unknown to older servers
HEAD = 64 << 10


def for_server(beginning: bytearray, server_major: int) -> bytearray:
    return beginning if server_major >= 17 else beginning.replace(NEWER_SETTING, b"", 1)


class Relay(threading.Thread):
    """Moves all of one pipe into another and closes both. `refused`: the reader ended before all was moved."""

    def __init__(self, source: IO[bytes], sink: IO[bytes], server_major: int) -> None:
        super().__init__(name="sql-relay", daemon=True)
        self._source, self._sink, self._server_major = source, sink, server_major
        self.refused = False

    def run(self) -> None:
        source = self._source.fileno()
        try:
            beginning = bytearray()
            while NEWER_SETTING not in beginning and len(beginning) < HEAD and (block := os.read(source, 8192)):
                beginning += block
            beginning = for_server(beginning, self._server_major)
            while beginning:
                beginning = beginning[self._sink.write(beginning) :]
            while os.splice(source, self._sink.fileno(), 1 << 20):
                pass
        except BrokenPipeError:
            self.refused = True
        finally:
            self._sink.close()
            self._source.close()
