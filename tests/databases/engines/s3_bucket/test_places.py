"""What a bucket holds that is the site's own."""

import pytest

from databases.engines.base import StoredPlace
from databases.engines.s3_bucket.options import S3Options
from databases.engines.s3_bucket.places import OwnPlaces, endpoint_of

ARTEFACT = "shop/2026/11/shop_2026-11-21_02-00-00_bkp_0a1b2c3d4e5f-1.dump.zst.age"


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://store.example", "https://STORE.example:443/"),
        ("http://store.example", "http://store.example:80"),
        ("", "https://s3.eu-central-1.amazonaws.com"),
        ("https://s3.amazonaws.com/", "https://s3.dualstack.us-east-1.amazonaws.com"),
    ],
)
def test_one_endpoint_may_be_written_in_two_ways(url: str, same: str) -> None:
    assert endpoint_of(url) == endpoint_of(same)


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://store.example", "https://store.example:8443"),
        ("https://store.example", "http://store.example"),
        ("", "https://store.example"),
        ("https://s3.amazonaws.com.example", ""),
    ],
)
def test_other_endpoints_stay_other(url: str, other: str) -> None:
    assert endpoint_of(url) != endpoint_of(other)


def _own(*places: StoredPlace) -> tuple[OwnPlaces, list[str]]:
    said: list[str] = []
    return OwnPlaces(S3Options(bucket="shop", endpoint_url="https://store.example"), places, said.append), said


def test_all_below_a_destinations_prefix_is_left_out() -> None:
    own, said = _own(StoredPlace("https://store.example:443", "shop", "backups/"))
    assert own.holds("backups/anything")
    assert not own.holds("backups-2/anything")
    assert own.left_out == {"backups/": 1}
    assert said == []


@pytest.mark.parametrize("suffix", ["", ".manifest.json", ".index.ndjson.zst.age"])
def test_a_destination_without_a_prefix_is_known_by_the_names_of_its_artefacts(suffix: str) -> None:
    own, _ = _own(StoredPlace("https://store.example", "shop", ""))
    assert own.holds(ARTEFACT + suffix)
    assert not own.holds("images/" + ARTEFACT + suffix)
    assert own.holds("packages/2026/11/package_2026-11-21_02-00-00_pkg_0a1b2c3d4e5f-1.zip" + suffix)
    assert not own.holds("shop/2026/11/photo.jpg")
    assert not own.holds(ARTEFACT.replace("shop/2026", "other/2026"))


def test_the_same_name_at_another_store_is_only_warned_of() -> None:
    own, said = _own(StoredPlace("https://other.example", "shop", ""), StoredPlace("", "else", ""))
    assert not own.holds(ARTEFACT)
    assert len(said) == 1
