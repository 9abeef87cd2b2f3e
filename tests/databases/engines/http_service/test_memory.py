"""Records are never held whole: what is kept in memory does not grow with them."""

import tracemalloc

from databases.engines.base import DumpRequest
from tests.contracts.engines import RecordingGuard
from tests.databases.engines.http_service.services import engine_for
from tests.servers.records import Handler, RecordsServer

RECORD = b'{"id": 1, "text": "%s"}' % (b"x" * 20_000)
COUNT = 1500


def test_thirty_megabytes_pass_through_a_few(records_service: RecordsServer) -> None:
    def answer(handler: Handler) -> bool:
        handler.send_body(b"[", length=COUNT * (len(RECORD) + 1) + 1)
        for number in range(COUNT):
            handler.wfile.write(RECORD + (b"," if number < COUNT - 1 else b"]"))
        return True

    records_service.script.append(answer)
    buffer = bytearray(1 << 20)
    tracemalloc.start()
    try:
        total = 0
        with engine_for(records_service).dump(DumpRequest(guard=RecordingGuard())) as dump:
            while count := dump.readinto(buffer):
                total += count
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == COUNT * (len(RECORD) + 1)
    assert peak < 6 << 20
