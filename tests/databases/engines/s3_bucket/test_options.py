"""What can be set, and what is wrong with it."""

import pytest

from databases.engines.base import Connection
from databases.engines.registry import secret_option_names
from databases.engines.s3_bucket.engine import S3BucketEngine
from databases.engines.s3_bucket.options import S3Options


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"bucket": ""}, "bucket"),
        ({"bucket": "a b"}, "bucket"),
        ({"bucket": "a/b"}, "bucket"),
        ({"prefix": "x" * 1025}, "prefix"),
        ({"prefix": "\ud800"}, "prefix"),
        ({"endpoint_url": "store.example"}, "endpoint_url"),
        ({"endpoint_url": "https://me:secret@store.example"}, "endpoint_url"),
        ({"endpoint_url": "https://store.example:99999"}, "endpoint_url"),
        ({"endpoint_url": "file:///etc"}, "endpoint_url"),
        ({"ca": "not PEM"}, "ca"),
        ({"access_key": "a"}, "secret_key"),
        ({"secret_key": "s"}, "access_key"),
        ({"access_key": "a\n", "secret_key": "s"}, "access_key"),
        ({"parallel": 0}, "parallel"),
        ({"parallel": 65}, "parallel"),
        ({"full_every": 0}, "full_every"),
        ({"include": ("",)}, "include"),
        ({"exclude": ("x" * 2000,)}, "exclude"),
        ({"region": "eu central"}, "region"),
    ],
)
def test_a_fault_names_its_option(options: dict[str, object], fault: str) -> None:
    faults = S3BucketEngine.validate(Connection(), S3Options(**{"bucket": "shop", **options}))  # type: ignore[arg-type]
    assert set(faults) == {f"options.{fault}"}


@pytest.mark.parametrize("bucket", ["shop", "shop.images-2026", "Old_Bucket", "arn:aws:s3:eu-west-1:1:accesspoint/a"])
def test_a_bucket_alone_is_enough(bucket: str) -> None:
    assert S3BucketEngine.validate(Connection(), S3Options(bucket=bucket)) == {}


def test_the_secret_key_is_a_secret() -> None:
    assert secret_option_names("s3") == {"secret_key"}
    assert "canary" not in repr(S3Options(secret_key="canary"))


def test_the_address_says_bucket_prefix_and_store() -> None:
    options = {"bucket": "shop", "prefix": "images/", "endpoint_url": "https://store.example:9000"}
    assert S3BucketEngine.address(Connection(), options) == "shop/images at store.example:9000"
    assert S3BucketEngine.address(Connection(), {"bucket": "shop"}) == "shop"
