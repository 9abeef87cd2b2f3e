"""A sample with every kind of collection, index and value that a MongoDB 6 holds."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import gridfs
from bson import (
    SON,
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from pymongo.collation import Collation
from pymongo.database import Database

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

EVERY_TYPE: dict[str, Any] = {
    "double": 1.5,
    "infinite": float("-inf"),
    "string": 'Ünï "quoted" \n \x00 ☃ 𝄞',
    "empty": "",
    "document": {"a": {"b": {"c": [{}, [], [[1]]]}}},
    "array": [1, "two", None, {"three": 3}],
    "binary": Binary(bytes(range(256))),
    "uuid": Binary(bytes(range(16)), 4),
    "md5": Binary(b"m" * 16, 5),
    "user defined": Binary(b"u", 128),
    "object id": ObjectId("0123456789abcdef01234567"),
    "bool": True,
    "date": NOON,
    "before years": DatetimeMS(-(1 << 60)),
    "after years": DatetimeMS(1 << 60),
    "null": None,
    "regex": Regex("^a.*b$", "im"),
    "reference": DBRef("orders", 1, "shop"),
    "code": Code("function() { return 1; }"),
    "code with scope": Code("function() { return x; }", {"x": 1}),
    "int32": -(1 << 31),
    "timestamp": Timestamp(1700000000, 7),
    "int64": Int64(1 << 62),
    "decimal": Decimal128("-1234567890.12345678901234567890E-10"),
    "nan": Decimal128("NaN"),
    "least": MinKey(),
    "most": MaxKey(),
    "dotted.name": {"$dollar": 1},
}


def fill(database: "Database[dict[str, Any]]") -> None:
    """About 3 MB."""
    _values(database)
    _kinds(database)
    _indexes(database)


def _values(database: "Database[dict[str, Any]]") -> None:
    database.types.insert_one({"_id": 1, **EVERY_TYPE})
    database.types.insert_many(
        [{"_id": key} for key in ("text", 2.5, NOON, Binary(b"k"), ObjectId(b"k" * 12), {"a": 1})]
    )
    noise = random.Random(7)
    database.orders.insert_many(
        [
            {"_id": n, "number": n, "customer": n % 97, "text": noise.randbytes(90).hex(), "tags": [n % 3, n % 5]}
            for n in range(6000)
        ]
    )
    database["Wéird näme. with dots & $ign".replace("$", "§")].insert_one({"a": 1})
    database["star*star"].insert_one({"a": 1})
    database["s" * 120].insert_one({"a": 1})
    bucket = gridfs.GridFS(database)
    bucket.put(noise.randbytes(600_000), filename="picture.jpg", metadata={"type": "image/jpeg"})
    bucket.put(b"", filename="empty")


def _kinds(database: "Database[dict[str, Any]]") -> None:
    database.create_collection("empty")
    database.create_collection("late", viewOn="orders", pipeline=[{"$match": {"number": {"$gt": 5990}}}])
    database.create_collection("later", viewOn="late", pipeline=[{"$project": {"text": 0}}])
    database.create_collection(
        "strict",
        validator={"$jsonSchema": {"required": ["name"], "properties": {"name": {"bsonType": "string"}}}},
        validationLevel="moderate",
        validationAction="error",
    )
    database.strict.insert_one({"name": "valid"})
    database.create_collection("capped", capped=True, size=1 << 16, max=40)
    database.capped.insert_many([{"n": n} for n in range(70)])
    database.create_collection("collated", collation=Collation("de", strength=2))
    database.collated.insert_many([{"name": name} for name in ("Äpfel", "apfel", "Zebra")])
    database.create_collection("clustered", clusteredIndex={"key": {"_id": 1}, "unique": True, "name": "by id"})
    database.clustered.insert_many([{"_id": n} for n in range(20)])
    series = {"timeField": "at", "metaField": "sensor", "granularity": "minutes"}
    database.create_collection("weather", timeseries=series, expireAfterSeconds=10**9)
    database.weather.insert_many(
        [{"at": NOON + timedelta(minutes=n), "sensor": {"id": n % 4}, "celsius": n / 7} for n in range(800)]
    )


def _indexes(database: "Database[dict[str, Any]]") -> None:
    orders = database.orders
    orders.create_index("number", unique=True)
    orders.create_index([("customer", 1), ("number", -1)], name="compound")
    orders.create_index("tags", sparse=True)
    orders.create_index("text", partialFilterExpression={"number": {"$gt": 5000}}, name="partial")
    orders.create_index([("customer", "hashed")])
    orders.create_index("number", name="hidden", hidden=True, sparse=True)
    orders.create_index([("$**", 1)], name="wild", wildcardProjection={"_id": 0, "tags": 1})
    database.types.create_index("date", expireAfterSeconds=10**9)
    database.types.create_index([("string", "text")], default_language="german", weights={"string": 3})
    database.places.insert_many([{"at": {"type": "Point", "coordinates": [n, n / 2]}} for n in range(-40, 40)])
    database.places.create_index([("at", "2dsphere")])
    database.collated.create_index("name", collation=Collation("sv", numericOrdering=True), name="swedish")
    database.weather.create_index([("sensor.id", 1), ("at", -1)])


def content_of(database: "Database[dict[str, Any]]") -> dict[str, Any]:
    """What has to be equal: the server's own hash of the data, options, indexes, and documents where it hashes none."""
    listed = {entry["name"]: entry for entry in database.list_collections()}
    found: dict[str, Any] = {}
    for name, entry in listed.items():
        if name.startswith("system."):
            continue
        found[name] = {"type": entry["type"], "options": entry["options"]}
        if entry["type"] != "view":
            indexes = database[name].list_indexes()
            # mongorestore writes an index's options in any order; that of its key counts.
            found[name]["indexes"] = {one["name"]: (list(one["key"].items()), SON(one).to_dict()) for one in indexes}
        if entry["type"] != "collection" or entry["options"].get("capped"):
            raw = database[name].with_options(RAW).find(sort=None if entry["options"].get("capped") else [("_id", 1)])
            found[name]["documents"] = [document.raw for document in raw]
    hashed = database.command("dbHash")["collections"]
    found["hashes"] = {name: value for name, value in hashed.items() if name in found}
    return found


RAW: bson.CodecOptions[Any] = bson.CodecOptions(bson.raw_bson.RawBSONDocument)
