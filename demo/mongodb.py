"""A catalogue as a sample: MongoDB, with validators, views, capped and time-series collections, and files."""

import random
import re
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import gridfs
from bson import Decimal128, ObjectId
from pymongo.database import Database

from demo.opening import open_artefact
from demo.pictures import picture
from demo.sample import Comparison, Sample, differences
from tests.servers.mongodb import MongoServer, start_mongodb
from tests.servers.mongodb_programs import mongo_tools, mongod

USER = "catalogue"
DATABASES = {"catalogue": "catalogue", "catalogue-restored": "catalogue_restored"}
BY_HAND = "catalogue_by_hand"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RESTORED = re.compile(r"(\d+) document\(s\) restored successfully\. 0 document\(s\) failed")

Documents = Database[dict[str, Any]]


class Catalogue(Sample):
    title: ClassVar = "MongoDB: a catalogue"
    source: ClassVar = "catalogue"
    target: ClassVar = "catalogue-restored"

    def __init__(self, server: MongoServer, folder: Path) -> None:
        """Makes a user who may back up and restore. `folder` is for the file with mongorestore's password."""
        self.server, self.folder = server, folder
        self.password = f"{secrets.token_hex(12)}:/@ %"
        # Time-series collections need the first two; a restore is counted by reading.
        roles = ["backup", "restore", {"role": "readWrite", "db": DATABASES[self.target]}]
        server.create_user(USER, self.password, roles)

    def fill(self, *, percent: int = 100) -> str:
        with self.server.client() as client:
            database = client[DATABASES[self.source]]
            _fill(database, percent)
            size = database.command("dbStats")["dataSize"]
        return f"{size / 1e6:.0f} MB of catalogue"

    def registration(self, identifier: str) -> dict[str, Any]:
        return {
            "engine": "mongodb",
            "host": self.server.host,
            "port": self.server.port,
            "username": USER,
            "password": self.password,
            "database_name": DATABASES[identifier],
        }

    def open(self, artefacts: list[Path], identity: Path) -> str:
        """Restores it into a third database, which is dropped again: a dry run would not read to the end."""
        config = self.folder / "mongorestore.yaml"
        config.touch(mode=0o600)
        config.write_text(f'uri: "{self.server.uri()}"\n')
        tool = [str(self.server.tools_dir / "mongorestore"), f"--config={config}", "--archive", "--stopOnError"]
        tool += [f"--nsFrom={DATABASES[self.source]}.*", f"--nsTo={BY_HAND}.*"]
        try:
            opened = open_artefact(artefacts[0], identity=identity, tool=tool)
        finally:
            config.unlink()
            self.server.drop_database(BY_HAND)
        restored = RESTORED.search(opened.said)
        if restored is None:
            raise RuntimeError(f"mongorestore: {opened.said[-500:]}")
        return f"{opened.how}: {int(restored[1]):,} documents"

    def compare(self) -> Comparison:
        with self.server.client() as client:
            before, after = (_contents(client[DATABASES[name]]) for name in (self.source, self.target))
        documents = sum(figures["documents"] for figures in before.values())
        indexes = sum(len(figures["indexes"]) for figures in before.values())
        found = f"{len(before)} collections and views, {documents:,} documents, {indexes} indexes, dbHash"
        return Comparison(found, differences("collection", before, after))

    def access(self) -> str:
        where = f"{self.server.host}:{self.server.port}, {' and '.join(DATABASES.values())}"
        return f"{where}, {USER} / {self.password} (authSource admin)"


def start_catalogue(stack: ExitStack, folder: Path) -> Catalogue:
    """Raises Missing or ServerError where there is no MongoDB; nothing is installed for it."""
    mongod(may_install=False)
    mongo_tools(may_install=False)
    return Catalogue(stack.enter_context(start_mongodb(folder)), folder)


def _fill(database: Documents, percent: int) -> None:
    def scaled(count: int) -> int:
        return max(1, count * percent // 100)

    noise = random.Random(2026)
    strict = {"$jsonSchema": {"required": ["sku", "price"], "properties": {"price": {"bsonType": "decimal"}}}}
    database.create_collection("products", validator=strict)
    database.products.insert_many([_product(number, noise) for number in range(scaled(8000))])
    database.products.create_index("sku", unique=True)
    database.products.create_index([("name", "text")], default_language="german")
    database.reviews.insert_many([_review(number, noise) for number in range(scaled(30_000))])
    database.reviews.create_index([("product", 1), ("stars", -1)])
    database.reviews.create_index("stars", partialFilterExpression={"stars": {"$gte": 4}}, name="good ones")
    database.sessions.insert_many([{"_id": f"s{n}", "seen": NOON + timedelta(seconds=n)} for n in range(scaled(2000))])
    database.sessions.create_index("seen", expireAfterSeconds=10**9)
    database.create_collection("log", capped=True, size=1 << 18, max=1000)
    database.log.insert_many([{"n": n, "text": f"line {n}"} for n in range(scaled(3000))])
    database.create_collection("readings", timeseries={"timeField": "at", "metaField": "shelf"})
    readings = [{"at": NOON + timedelta(minutes=n), "shelf": n % 5, "celsius": n / 7} for n in range(scaled(5000))]
    database.readings.insert_many(readings)
    pipeline: list[dict[str, Any]] = [{"$match": {"stars": 5}}, {"$project": {"text": 0}}]
    database.create_collection("praise", viewOn="reviews", pipeline=pipeline)
    files = gridfs.GridFS(database)
    for number in range(3):
        # 600 pixels: more than one chunk.
        files.put(picture(number, edge=600), filename=f"{number}.png", metadata={"type": "image/png"})


def _product(number: int, noise: random.Random) -> dict[str, Any]:
    return {
        "sku": f"SKU-{number:05}",
        "name": f"Füller Nr. {number} \U0001f58b",
        "price": Decimal128(f"{noise.randrange(100, 99_999) / 100:.2f}"),
        "stock": {"here": noise.randrange(50), "there": noise.randrange(50)},
        "tags": [f"tag {noise.randrange(40)}" for _ in range(3)],
        "notes": noise.randbytes(150).hex(),
    }


def _review(number: int, noise: random.Random) -> dict[str, Any]:
    return {
        "_id": ObjectId(number.to_bytes(12, "big")),
        "product": f"SKU-{noise.randrange(8000):05}",
        "stars": noise.randrange(1, 6),
        "text": noise.randbytes(60).hex(),
        "at": NOON + timedelta(seconds=number),
    }


def _contents(database: Documents) -> dict[str, Mapping[str, Any]]:
    """Of every collection and view: kind, options, indexes, documents, and the server's own hash of them."""
    hashes = database.command("dbHash")["collections"]
    contents: dict[str, Mapping[str, Any]] = {}
    for found in database.list_collections(filter={"name": {"$not": re.compile("^system[.]")}}):
        name, kind = found["name"], found["type"]
        stored = f"system.buckets.{name}" if kind == "timeseries" else name
        contents[name] = {
            "kind": kind,
            "options": found["options"],
            "indexes": {} if kind == "view" else database[name].index_information(),
            "documents": 0 if kind == "view" else database[name].count_documents({}),
            "hash": hashes.get(stored),
        }
    return contents
