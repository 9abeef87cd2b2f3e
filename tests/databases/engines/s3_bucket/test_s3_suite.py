"""A bucket passes the engine suite."""

import random
from dataclasses import replace

import pytest

from databases.engines.base import Engine
from tests.contracts.engine_suite import EngineSuite
from tests.databases.engines.s3_bucket.buckets import content_of, fill
from tests.databases.engines.s3_bucket.helpers import engine_to
from tests.servers.s3 import S3Server

SOME = random.Random(1).randbytes(9 << 20)
OBJECTS = {f"images/{number:03}.jpg": SOME[number : number + 5000] for number in range(12)}
OBJECTS |= {"large.bin": SOME, "empty": b"", "deep/er/é": b"x", "../up": b"y"}


@pytest.fixture(scope="module")
def sample(s3: S3Server) -> str:
    """A bucket that the tests only read."""
    bucket = s3.make_bucket()
    fill(s3, bucket, OBJECTS)
    return bucket


class TestS3Bucket(EngineSuite):
    @pytest.fixture
    def engine(self, s3: S3Server, sample: str) -> Engine:
        return engine_to(s3, sample)

    @pytest.fixture
    def target(self, s3: S3Server, s3_bucket: str) -> Engine:
        return engine_to(s3, s3_bucket)

    @pytest.fixture(autouse=True)
    def _server(self, s3: S3Server) -> None:
        self.server = s3

    def same(self, engine: Engine, target: Engine) -> bool:
        one, other = (content_of(self.server, found.options.bucket) for found in (engine, target))
        return one == other

    def with_password(self, engine: Engine, password: str) -> Engine:
        return type(engine)(engine.connection, replace(engine.options, secret_key=password), engine.settings)

    def away(self, engine: Engine) -> Engine:
        return type(engine)(
            engine.connection, replace(engine.options, endpoint_url="http://127.0.0.1:1"), engine.settings
        )
