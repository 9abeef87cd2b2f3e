"""pg_restore's SQL on its way into psql."""

import threading
from typing import IO

NEWER_SETTING = b"SET transaction_timeout = 0;\n"  # written by every pg_dump since 17, unknown to older servers
HEAD = 64 << 10
BLOCK = 1 << 20
TAIL = 4096


def for_server(beginning: bytearray, server_major: int) -> bytearray:
    return beginning if server_major >= 17 else beginning.replace(NEWER_SETTING, b"", 1)


class Relay(threading.Thread):
    """Moves all of one pipe into another and closes both. `refused`: the reader ended before all was moved.

    `error` is any other fault; the sink then stays open, because its end would pass for the end of the SQL.

    With `atomic`, pg_restore's own first BEGIN and last COMMIT are taken out. (Without its --single-transaction it
    would write a COMMIT behind the large objects, in the middle of our transaction.)
    """

    def __init__(self, source: IO[bytes], sink: IO[bytes], *, server_major: int, atomic: bool) -> None:
        super().__init__(name="sql-relay", daemon=True)
        self._source, self._sink, self._server_major, self._atomic = source, sink, server_major, atomic
        self.refused = False
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._move()
        except BrokenPipeError:
            self.refused = True
        except Exception as error:  # noqa: BLE001 - whoever joins this thread raises it
            self.error = error
        self._source.close()
        if self.error is None:
            self._sink.close()

    def _move(self) -> None:
        """The last 4 KiB are held back until the end is seen."""
        buffer = memoryview(bytearray(HEAD + BLOCK))
        beginning = self._beginning()
        held = len(beginning)
        buffer[:held] = beginning
        while count := self._source.readinto(buffer[held:]):  # type: ignore[attr-defined]
            held += count
            if held > TAIL:
                self._write(buffer[: held - TAIL])
                buffer[:TAIL] = buffer[held - TAIL : held]
                held = TAIL
        self._write(memoryview(self._without_commit(bytes(buffer[:held]))))

    def _beginning(self) -> bytearray:
        beginning = bytearray()
        while NEWER_SETTING not in beginning and len(beginning) < HEAD - TAIL:
            block = self._source.read(TAIL)
            if not block:
                break
            beginning += block
        if self._atomic:
            beginning = beginning.replace(b"\nBEGIN;\n", b"\n", 1)
        return for_server(beginning, self._server_major)

    def _without_commit(self, ending: bytes) -> bytes:
        before, commit, after = ending.rpartition(b"\nCOMMIT;\n")
        return before + b"\n" + after if commit and self._atomic else ending

    def _write(self, block: memoryview) -> None:
        while block:
            block = block[self._sink.write(block) :]
