"""The demo's journey on a small shop: a real site, a real server, and a difference that must not pass."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from rich.console import Console

from demo.journey import SOURCE, TARGET, DemoFailed, compare_both, travel
from demo.screen import Screen
from demo.shop import Shop, open_shop
from demo.site import Site, running_site
from tests.servers.fetch import postgres_bin
from tests.servers.postgres import start_postgres

pytestmark = pytest.mark.slow


@dataclass
class Stage:
    shop: Shop
    site: Site
    screen: Screen
    output: io.StringIO


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Everything the demo starts, after its journey."""
    folder, output = tmp_path_factory.mktemp("demo"), io.StringIO()
    with start_postgres(18, folder / "postgres") as server, running_site(folder, pg_bin_dir=postgres_bin(18)) as site:
        shop = open_shop(server)
        shop.create_database(SOURCE)
        shop.create_database(TARGET)
        shop.fill(SOURCE, percent=1)
        screen = Screen(Console(file=output))
        travel(screen, site, shop)
        screen.table()
        yield Stage(shop, site, screen, output)


def test_it_shows_every_step_and_that_both_are_equal(stage: Stage) -> None:
    text = stage.output.getvalue()
    assert [step.name.split(":")[0].split(" ")[0] for step in stage.screen.steps] == [
        "Register",
        "Back",
        "Verify",
        "Open",
        "Restore",
        "Compare",
    ]
    assert text.count("✓") == 6
    assert "equal: " in text and "read back" in text


def test_a_difference_fails_it_and_is_named(stage: Stage) -> None:
    stage.shop.server.psql("UPDATE customers SET name = 'Mallory' WHERE id = 2", TARGET)
    with pytest.raises(DemoFailed, match=r"table public\.customers"):
        compare_both(stage.screen, stage.shop)


def test_what_the_site_refuses_fails_it_with_the_sites_words(stage: Stage) -> None:
    with pytest.raises(RuntimeError, match=r"^POST /api/databases: 409 .*exists"):
        travel(Screen(Console(file=io.StringIO())), stage.site, stage.shop)
