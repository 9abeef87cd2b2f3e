"""Count what happened, in the transaction in which it happened: every process and host adds to the same rows."""

import json
from bisect import bisect_left
from collections.abc import Sequence

from django.db.models import F

from jobs.models import Tally

SECONDS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600)
BYTES = tuple(1 << shift for shift in (10, 20, 24, 27, 30, 33, 36, 40))  # 1 KiB to 1 TiB


def add(name: str, amount: float = 1, **labels: str) -> None:
    text = json.dumps(labels, sort_keys=True) if labels else ""
    rows = Tally.objects.filter(name=name, labels=text)
    if not rows.update(value=F("value") + amount):
        Tally.objects.get_or_create(name=name, labels=text)
        rows.update(value=F("value") + amount)


def observe(name: str, value: float, *, bounds: Sequence[float], **labels: str) -> None:
    """One observation of a histogram: the bucket it falls into is counted, and its value added to the sum."""
    bucket = bisect_left(bounds, value)
    add(f"{name}_bucket", 1, le=str(float(bounds[bucket])) if bucket < len(bounds) else "+Inf", **labels)
    add(f"{name}_sum", value, **labels)
