"""An engine's own words, for pages. Templates take mappings: a class in them would be called."""

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from databases.engines import registry

SYMBOLS = {"postgres": "database", "mongodb": "eco", "s3": "stacks", "http": "api", "sqlite": "draft"}

# Engines know no Django: what they say of themselves is named here for the translators, as they say it.
SAID = (
    _("collection"),
    _("collections"),
    _("document"),
    _("documents"),
    _("item"),
    _("items"),
    _("key"),
    _("keys"),
    _("object"),
    _("objects"),
    _("record"),
    _("records"),
    _("row"),
    _("rows"),
    _("table"),
    _("tables"),
    _("One database file on a worker's host, while it is in use."),
    _("One database of a server, versions 14 to 18, by pg_dump."),
    _("One database or a whole replica set, by mongodump."),
    _("The objects of a bucket or a prefix, at AWS or any store that speaks S3, as one tar."),
    _("The records of a microservice, read over HTTP as JSON."),
)

# So is what their drills compare, as the filter `words` writes it.
COMPARED = (
    _("collection"),
    _("constraint"),
    _("content"),
    _("documents"),
    _("extension"),
    _("function"),
    _("group"),
    _("index"),
    _("index valid"),
    _("large objects"),
    _("metadata"),
    _("object"),
    _("objects"),
    _("option"),
    _("policy"),
    _("records"),
    _("records digest"),
    _("row hash"),
    _("rows"),
    _("schema"),
    _("sequence"),
    _("sequence value"),
    _("table"),
    _("trigger"),
    _("view"),
)


def words_of(kind: str) -> dict[str, Any]:
    """In the reader's language. Raises BackupError(code="unknown_engine")."""
    engine = registry.engine_class(kind)
    items, units = f"{engine.item}s", f"{engine.unit}s"
    example = gettext(", like %(example)s") % {"example": engine.example} if engine.example else ""
    return {
        "kind": kind,
        "label": engine.label,
        "about": gettext(engine.about) if engine.about else "",
        "symbol": SYMBOLS.get(kind, "database"),
        "item": gettext(engine.item),
        "items": gettext(items),
        "example": example,
        "unit": gettext(engine.unit),
        "units": gettext(units),
        "supports": engine.supports,
    }
