"""What the drill tests share: a richer sample, and a round trip into a scratch database."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from databases.engines.base import Engine, RestoreRequest
from databases.engines.postgres.engine import PostgresEngine
from databases.engines.proof import Comparison, ScratchRequest
from tests.contracts.engines import Dumped, RecordingGuard
from tests.databases.engines.postgres.conftest import client_dirs

MORE = (Path(__file__).parent / "more.sql").read_text()


def request_for(dumped: Dumped, server: PostgresEngine | None, guard: RecordingGuard | None = None) -> ScratchRequest:
    name = f"drill_{secrets.token_hex(6)}"
    settings = {"pg_bin_dirs": client_dirs()}
    return ScratchRequest(name, guard or RecordingGuard(), dumped.manifest, server, settings)


@contextmanager
def restored(dumped: Dumped, server: PostgresEngine | None) -> Iterator[Engine]:
    with PostgresEngine.scratch(request_for(dumped, server)) as scratch:
        scratch.restore([dumped.source()], RestoreRequest(guard=RecordingGuard()))
        yield scratch


def compared(dumped: Dumped, scratch: Engine) -> Comparison:
    return scratch.compare(dumped.manifest, RecordingGuard())


def found(comparison: Comparison) -> list[tuple[str, str]]:
    return [(difference.kind, difference.name) for difference in comparison.differences]
