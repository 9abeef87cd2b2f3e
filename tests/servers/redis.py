"""A throw-away Redis with a password and nothing on disk."""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.fetch import tool
from tests.servers.process import free_port, running


@dataclass(frozen=True)
class RedisServer:
    """A running server; `database` keeps parallel tests apart."""

    host: str
    port: int
    password: str = field(repr=False)

    def url(self, database: int = 0) -> str:
        """For BROKER_URL and redis clients. 64 databases exist."""
        return f"redis://:{self.password}@{self.host}:{self.port}/{database}"


@contextmanager
def start_redis(folder: Path) -> Iterator[RedisServer]:
    """Starts Redis in `folder`. Raises Missing or ServerError."""
    folder.mkdir(parents=True)
    server = RedisServer("127.0.0.1", free_port(), secrets.token_urlsafe(18))
    config = folder / "redis.conf"
    config.touch(mode=0o600)
    config.write_text(
        f'bind 127.0.0.1\nport {server.port}\nrequirepass {server.password}\ndir {folder}\nsave ""\ndatabases 64\n'
    )
    cli = tool("redis-cli")

    def ready() -> bool:
        answer = subprocess.run(
            [cli, "-p", str(server.port), "ping"],
            env={"REDISCLI_AUTH": server.password},
            check=False,
            capture_output=True,
        )
        return answer.stdout == b"PONG\n"

    with running(["bash", "-c", _RUN, str(tool("redis-check-rdb")), str(config)], log=folder / "log", ready=ready):
        yield server


# Debian's redis-tools holds the one Redis binary under this name; it becomes the server by the name it is called.
_RUN = 'exec -a redis-server "$0" "$1"'
