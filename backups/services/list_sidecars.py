"""The sidecars that lie in a store: listed with the sizes of their artefacts, and read one by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from backups.artefact import SIDECAR_SUFFIX, parts_of, sidecar_key
from backups.services.read_sidecar import LARGEST, Found, artefact_of, parse_sidecar
from backups.storage.base import ObjectStorage, StoredObject
from jobs.errors import BackupError

PAGE = 64
PAIRED = 10_000  # sizes of artefacts remembered until their sidecars come, which follow them in the list


@dataclass(frozen=True)
class Listed:
    """An artefact by its sidecar. `size` is the artefact's own; None where the list has not told it."""

    key: str
    sidecar_size: int
    size: int | None


def pages(storage: ObjectStorage) -> Iterator[list[Listed]]:
    listed = _listed(storage)
    while page := list(islice(listed, PAGE)):
        yield page


def _listed(storage: ObjectStorage) -> Iterator[Listed]:
    """Every sidecar with its artefact's size. Stores list in the order of keys, so the artefact comes first."""
    sizes: dict[str, int] = {}
    for one in storage.list():
        if one.key.endswith(SIDECAR_SUFFIX):
            key = artefact_of(one.key)
            if parts_of(key) is not None:
                yield Listed(key, one.size, sizes.pop(key, None))
        else:
            if len(sizes) >= PAIRED:
                sizes.clear()  # forgotten ones are asked for
            sizes[one.key] = one.size


def read_sidecar(storage: ObjectStorage, listed: Listed) -> Found | str:
    """Runs beside others and touches no row. A text says why it is not taken."""
    try:
        if listed.sidecar_size > LARGEST:
            return f"has {listed.sidecar_size} bytes, more than any sidecar"
        found = parse_sidecar(key=listed.key, text=storage.read_text(sidecar_key(listed.key)))
        size = listed.size if listed.size is not None else _size(storage.stat(listed.key))
    except UnicodeDecodeError:
        return "The sidecar is not taken: it is no text in UTF-8."
    except BackupError as error:
        if error.code not in ("sidecar", "object_missing", "object_changed", "object_truncated"):
            raise  # the store does not answer
        return error.message
    if size is None:
        return "There is no artefact beside the sidecar."
    if size != found.size:
        return f"The artefact has {size} bytes; its sidecar says {found.size}."
    return found


def _size(found: StoredObject | None) -> int | None:
    return None if found is None else found.size
