"""An engine's own words, for pages. Templates take mappings: a class in them would be called."""

from typing import Any

from databases.engines import registry

SYMBOLS = {"postgres": "database", "mongodb": "eco", "s3": "stacks", "http": "api", "sqlite": "draft"}


def words_of(kind: str) -> dict[str, Any]:
    """Raises BackupError(code="unknown_engine")."""
    engine = registry.engine_class(kind)
    return {
        "kind": kind,
        "label": engine.label,
        "about": engine.about,
        "symbol": SYMBOLS.get(kind, "database"),
        "item": engine.item,
        "items": f"{engine.item}s",
        "example": f", like {engine.example}" if engine.example else "",
        "unit": engine.unit,
        "units": f"{engine.unit}s",
        "supports": engine.supports,
    }
