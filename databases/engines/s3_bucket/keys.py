"""Where the objects of a backup are below another prefix, and whose they are that are there."""

import re

from databases.engines.s3_bucket.globs import LONGEST
from databases.engines.s3_bucket.proof import key_hash

LONG = ".long-keys/"  # in a scratch prefix: objects whose own key would be too long there
_LONG = re.compile(rf"{re.escape(LONG)}([0-9a-f]{{64}})")


class Keys:
    """`prefix` is here, `source_prefix` the backup's."""

    def __init__(self, prefix: str, source_prefix: str) -> None:
        self.prefix, self.source_prefix = prefix, source_prefix

    def here(self, source_key: str) -> str:
        """In a scratch prefix. The key is below the source's prefix."""
        key = self.prefix + source_key.removeprefix(self.source_prefix)
        return key if len(key.encode()) <= LONGEST else f"{self.prefix}{LONG}{key_hash(source_key).hex()}"

    def source_of(self, key: str) -> str:
        """Of a shortened key that name itself."""
        return self.source_prefix + key.removeprefix(self.prefix)

    def hash_of(self, key: str) -> bytes:
        """Of the source's key."""
        shortened = _LONG.fullmatch(key.removeprefix(self.prefix))
        return bytes.fromhex(shortened[1]) if shortened else key_hash(self.source_of(key))

    def is_shortened(self, key: str) -> bool:
        return _LONG.fullmatch(key.removeprefix(self.prefix)) is not None
