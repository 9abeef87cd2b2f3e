"""Destinations in their order, and what retention would do, in the form of a Database."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from backups.models import Backup, Destination
from databases.models import Database
from jobs.models import Status
from tests.api import browser_of, make_backup, make_database, make_destination

EDIT = "/admin/databases/database/shop/edit/"
PREVIEW = "/admin/databases/database/shop/preview-retention/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Database:
    return make_database()


@pytest.fixture
def places() -> list[Destination]:
    near = make_destination(pk="near", name="Near")
    return [near, *(make_destination(pk=pk, name=pk, is_default=False) for pk in ("far", "farther"))]


def sent(**more: Any) -> dict[str, Any]:
    form = {"name": "Shop", "host": "127.0.0.1", "username": "shop", "database_name": "shop", "timezone": "UTC"}
    form |= {"schedule": "none", "catch_up": "latest", "compression": "zstd", "encryption": "none"}
    form |= {"options.format": "custom", "options.sslmode": "prefer", "options.counts": "exact", "enabled": "on"}
    return {**form, **more}


class TestDestinations:
    def test_they_are_kept_in_the_order_of_their_rows(self, shop: Database, places: list[Destination]) -> None:
        rows = {"destination": ["far", "near", "farther", ""], "destination_days": ["", "7", "365", ""]}
        answer = browser_of("admin").post(EDIT, sent(**rows))
        assert answer.status_code == 302, answer.context["form"].errors
        assert list(shop.placements.values_list("destination", "retention_days")) == [
            ("far", None),
            ("near", 7),
            ("farther", 365),
        ]

    def test_a_free_row_in_between_takes_its_days_along(self, shop: Database, places: list[Destination]) -> None:
        browser_of("admin").post(EDIT, sent(destination=["near", "", "far"], destination_days=["", "5", "9"]))
        assert list(shop.placements.values_list("destination", "retention_days")) == [("near", None), ("far", 9)]

    def test_no_row_is_the_default_destination(self, shop: Database, places: list[Destination]) -> None:
        browser_of("admin").post(EDIT, sent(destination=["far"], destination_days=[""]))
        page = browser_of("admin").get(EDIT).content.decode()
        assert '<option value="far" selected>' in page
        browser_of("admin").post(EDIT, sent(destination=[""], destination_days=[""]))
        assert not shop.placements.exists()
        assert "The default (Near)" in browser_of("admin").get(EDIT).content.decode()

    @pytest.mark.parametrize(
        ("rows", "told"),
        [
            ({"destination": ["near", "near"], "destination_days": ["", ""]}, "named twice"),
            ({"destination": ["nowhere"], "destination_days": [""]}, "No Destination has the id"),
            ({"destination": ["near"], "destination_days": ["0"]}, "Row 1: days are a number from 1"),
            ({"destination": ["near"], "destination_days": ["ten"]}, "Row 1: days are a number from 1"),
        ],
    )
    def test_what_is_wrong_is_said_there_and_what_was_typed_stays(
        self, shop: Database, places: list[Destination], rows: dict[str, list[str]], told: str
    ) -> None:
        answer = browser_of("admin").post(EDIT, sent(**rows))
        assert told in answer.content.decode().split('data-field="destination"')[1].split("bks-field group")[0]
        assert not shop.placements.exists()


class TestRetentionPreview:
    @pytest.fixture
    def ages(self, shop: Database, places: list[Destination]) -> None:
        for days in (1, 10, 20):
            at = timezone.now() - timedelta(days=days)
            make_backup(shop, destination=places[0], finished_at=at, started_at=at, size=1 << 20)

    def _said(self, role: str = "viewer", **limits: str) -> str:
        return " ".join(browser_of(role).get(PREVIEW, limits).content.decode().split())

    def test_it_counts_what_would_go_and_says_why(self, ages: None) -> None:
        said = self._said(retention_days="5")
        assert "2 backups would go" in said
        assert "(2.0 MiB), 1 stays." in said
        assert said.count("<time") == 2
        assert "older than 5 days" in said
        assert Backup.objects.filter(status=Status.COMPLETED).count() == 3

    def test_without_limits_all_stay(self, ages: None) -> None:
        assert "All 3 completed backups stay." in self._said(retention_days="0")

    def test_an_empty_box_takes_the_value_of_the_site(self, ages: None) -> None:
        Database.objects.update(retention_days=5)
        assert "All 3 completed backups stay." in self._said(retention_days="")

    def test_what_is_no_number_is_said(self, ages: None) -> None:
        assert "whole numbers" in self._said(retention_days="-1")

    def test_nothing_is_said_of_nothing(self, shop: Database) -> None:
        assert "no completed backup yet" in self._said()
