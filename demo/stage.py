"""Everything the demo runs: a server and a sample of each engine, as far as this machine can, and the site."""

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.bucket import Pictures, start_pictures
from demo.mongodb import Catalogue, start_catalogue
from demo.postgres import ShopSample
from demo.sample import Sample
from demo.screen import Screen
from demo.service import Records, start_records_service
from demo.shop import open_shop
from demo.site import Site, running_site
from tests.servers.apt import Missing
from tests.servers.fetch import postgres_bin
from tests.servers.mongodb_programs import mongod
from tests.servers.postgres import start_postgres
from tests.servers.process import ServerError
from tests.servers.store import servers_folder

POSTGRES = 18
LONGEST_REASON = 200
SSPL = "MongoDB's own licence: fetched for demo and tests only"

Filling = Future[tuple[str, float]]


@dataclass(frozen=True)
class Stage:
    """`settings` is what the site was told about the servers, for commands beside it."""

    site: Site
    samples: list[Sample]
    settings: dict[str, str]


class Samples:
    """Starts a server after the other; each fills its sample while the next ones start."""

    def __init__(self, screen: Screen, stack: ExitStack, folder: Path, *, percent: int = 100) -> None:
        # Entered first and left last: a thread that still fills ends when its server is gone.
        self._threads = stack.enter_context(ThreadPoolExecutor(4))
        self._screen, self._stack, self._folder, self._percent = screen, stack, folder, percent
        self._filling: list[Filling] = []
        self.samples: list[Sample] = []

    def start(self) -> None:
        """PostgreSQL has to be there; whatever else cannot be had is skipped. Raises Missing or ServerError."""
        self._add("PostgreSQL", self._postgres)
        for name, start in (("MongoDB", self._mongodb), ("S3 store", self._s3), ("records service", self._records)):
            with optional(self._screen, name):
                self._add(name, start)

    def settings(self) -> dict[str, str]:
        """What the site has to be told."""
        folders = [str(one.server.tools_dir) for one in self.samples if isinstance(one, Catalogue)]
        return {"BACKUPSITE_MONGO_BIN_DIRS": ",".join(folders)}

    def wait(self) -> None:
        with self._screen.step("Fill the samples") as running:
            filled = [filling.result() for filling in self._filling]
            running.step.seconds = max(seconds for _, seconds in filled)
            running.step.note = "meanwhile: " + "; ".join(words for words, _ in filled)

    def _add(self, name: str, start: Callable[[], tuple[Sample, str]]) -> None:
        with self._screen.step(f"Start {name}") as running:
            running.show(phase="fetched once, then started")
            sample, running.step.note = start()
        self.samples.append(sample)
        self._filling.append(self._threads.submit(self._fill, sample))

    def _fill(self, sample: Sample) -> tuple[str, float]:
        started = time.monotonic()
        return sample.fill(percent=self._percent), time.monotonic() - started

    def _postgres(self) -> tuple[ShopSample, str]:
        postgres_bin(POSTGRES)
        server = self._stack.enter_context(start_postgres(POSTGRES, self._folder / "postgres"))
        return ShopSample(open_shop(server)), f"version {POSTGRES}, port {server.port}"

    def _mongodb(self) -> tuple[Catalogue, str]:
        sample = start_catalogue(self._stack, self._folder / "mongodb")
        note = f"version {sample.server.version}, port {sample.server.port}"
        fetched = mongod(may_install=False).is_relative_to(servers_folder())
        return sample, f"{note} (SSPL, {SSPL})" if fetched else note

    def _s3(self) -> tuple[Pictures, str]:
        sample = start_pictures(self._stack, self._folder / "s3")
        return sample, f"OpenStack Swift, port {sample.server.endpoint_url.rpartition(':')[2]}"

    def _records(self) -> tuple[Records, str]:
        sample = start_records_service(self._stack)
        ports = (service.url.rpartition(":")[2] for service in sample.services.values())
        return sample, f"ports {' and '.join(ports)}"


def set_up(screen: Screen, stack: ExitStack, folder: Path, port: int | None) -> Stage:
    """Raises Missing or ServerError."""
    screen.heading("Servers")
    samples = Samples(screen, stack, folder)
    samples.start()
    with screen.step("Start Backupsite") as running:
        bin_dir = postgres_bin(POSTGRES)
        site = stack.enter_context(running_site(folder, pg_bin_dir=bin_dir, port=port, env=samples.settings()))
        running.step.note = site.url
    samples.wait()
    return Stage(site, samples.samples, samples.settings())


@contextmanager
def optional(screen: Screen, name: str) -> Iterator[None]:
    """What cannot be had on this machine is said in a line, and left out."""
    try:
        yield
    except (Missing, ServerError, OSError, subprocess.CalledProcessError) as error:
        screen.skip(name, _reason(error))


def _reason(error: Exception) -> str:
    """One line: of pip and npm their last words, of a server that does not start the first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    line = lines[-1] if isinstance(error, Missing) else lines[0]
    return line.removeprefix("ERROR: ")[:LONGEST_REASON].rstrip(": ")
