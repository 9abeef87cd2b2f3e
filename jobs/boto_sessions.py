"""Sessions of botocore that share what it knows of S3. Importing this imports boto3 (350 ms)."""

from pathlib import Path

import boto3
import botocore.session
from botocore.loaders import Loader


class _SharedLoader(Loader):
    @property
    def search_paths(self) -> list[str]:
        """A copy: each session adds boto3's own folder to the list it finds."""
        return list(super().search_paths)


# S3's description is read once in a process, not for every client: 150 ms each.
_LOADER = _SharedLoader(extra_search_paths=[str(Path(boto3.__file__).parent / "data")])


def new_session(access_key: str = "", secret_key: str = "") -> botocore.session.Session:
    """With these keys alone; without any, with what the host offers."""
    session = botocore.session.get_session()
    session.register_component("data_loader", _LOADER)
    if access_key:
        session.set_credentials(access_key, secret_key)
    return session
