"""The demo's journey on small samples: a real site, real servers, and differences that must not pass."""

import io
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import pytest
from rich.console import Console

from demo.bucket import BUCKETS, Pictures, key_of
from demo.journey import DemoFailed, compare_both, travel
from demo.mongodb import DATABASES, Catalogue
from demo.postgres import ShopSample
from demo.sample import Sample
from demo.screen import WIDTH, Row, Screen
from demo.service import Records
from demo.site import Site, running_site
from demo.stage import POSTGRES, Samples
from tests.prepared import QUICK, prepare
from tests.servers.fetch import postgres_bin

pytestmark = pytest.mark.slow

ENGINES = ["PostgreSQL", "MongoDB", "S3", "HTTP"]


@dataclass
class Stage:
    samples: list[Sample]
    site: Site
    screen: Screen
    output: io.StringIO
    rows: list[Row]

    def sample(self, engine: str) -> Sample:
        return self.samples[ENGINES.index(engine)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Everything the demo starts, after the journeys of all samples."""
    folder, output = tmp_path_factory.mktemp("demo"), io.StringIO()
    screen = Screen(Console(file=output))
    with ExitStack() as stack:
        samples = Samples(screen, stack, folder, percent=2)
        samples.start()
        bin_dir = postgres_bin(POSTGRES)
        prepare(folder / "data")
        site = stack.enter_context(running_site(folder, pg_bin_dir=bin_dir, env={**QUICK, **samples.settings()}))
        samples.wait()
        rows = [row for sample in samples.samples for row in travel(screen, site, sample)]
        screen.table(rows)
        yield Stage(samples.samples, site, screen, output, rows)


def test_every_engine_goes_out_and_comes_back_equal(stage: Stage) -> None:
    assert stage.screen.skipped == {}
    assert [sample.title.partition(":")[0] for sample in stage.samples] == ENGINES
    names = [step.name for step in stage.screen.steps]
    own = names[names.index("Fill the samples") + 1 :]
    usual = ["Register and check", "Back up", "Verify", "Open it without us", "Restore", "Compare"]
    bucket = [*usual[:2], "Back up, incremental", *usual[2:]]
    assert own == [*usual, *usual, *bucket, *usual]
    assert [step.note.startswith("equal: ") for step in stage.screen.steps if step.name == "Compare"] == [True] * 4


def test_the_incremental_holds_only_what_changed(stage: Stage) -> None:
    full, incremental = (row for row in stage.rows if row.name.startswith("S3"))
    assert (full.name, incremental.name) == ("S3, full", "S3, incremental")
    notes = {step.name: step.note for step in stage.screen.steps}
    assert notes["Back up, incremental"].startswith("3 replaced, 2 new, 1 deleted: ")
    assert "tar: 10 and 5 objects" in stage.output.getvalue()


def test_its_lines_fit_a_terminal_of_80_columns(stage: Stage) -> None:
    lines = stage.output.getvalue().splitlines()
    assert [line for line in lines if len(line) > WIDTH] == []
    assert sum(line.startswith("✓") for line in lines) == len(stage.screen.steps)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_difference_fails_it_and_is_named(stage: Stage, engine: str) -> None:
    sample = stage.sample(engine)
    named = spoil(sample)
    with pytest.raises(DemoFailed, match=named):
        compare_both(stage.screen, sample)


def spoil(sample: Sample) -> str:
    """Changes one thing in the target; returns what has to be said of it."""
    match sample:
        case ShopSample():
            sample.shop.server.psql("UPDATE customers SET name = 'Mallory' WHERE id = 2", "shop_restored")
            return r"table public\.customers"
        case Catalogue():
            with sample.server.client() as client:
                client[DATABASES[sample.target]].products.update_one({}, {"$inc": {"stock.here": 1}})
            return "collection products"
        case Pictures():
            with closing(sample.server.client()) as s3:
                s3.put_object(Bucket=BUCKETS[sample.target], Key=key_of(3), Body=b"other")
            return key_of(3)
        case Records():
            sample.services[sample.target].collections["users"]["7"]["name"] = "Mallory"
            return "users 7"
        case _:
            raise AssertionError(sample)


def test_what_the_site_refuses_fails_it_with_the_sites_words(stage: Stage) -> None:
    with pytest.raises(RuntimeError, match=r"^POST /api/databases: 409 .*exists"):
        travel(Screen(Console(file=io.StringIO())), stage.site, stage.samples[0])
