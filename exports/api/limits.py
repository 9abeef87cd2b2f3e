"""How often end users may ask: by client address, counted before anything is looked at, and by public key."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.addresses import client_address, network_of
from exports.api.authentication import pubkey_of
from exports.models import ExportPolicy
from exports.selectors import export_policy
from jobs.services.quota import Limit, Taken, subject_of, take

HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


class Limited:
    """Mixed into a view before REST framework's: counts each request, and tells in headers what is left.

    A request whose signature is refused counts against its address, and against nobody's key.
    """

    taken: Taken | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        policy = export_policy()
        self._count(policy, "address", network_of(client_address(request._request)))
        super().initial(request, *args, **kwargs)  # type: ignore[misc]  # signs in
        self._count(policy, "key", pubkey_of(request))

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer: Response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]
        if self.taken is not None:
            answer["RateLimit-Limit"] = str(self.taken.limit)
            answer["RateLimit-Remaining"] = str(self.taken.remaining)
            answer["RateLimit-Reset"] = str(_seconds(self.taken.resets_at - timezone.now()))
        return answer

    def _count(self, policy: ExportPolicy, *who: str) -> None:
        creates = getattr(self, "action", None) == "create"
        most, window = (policy.creations_per_hour, HOUR) if creates else (policy.queries_per_quarter, QUARTER)
        limit = Limit(subject_of("exports", "create" if creates else "query", *who), most, window)
        self.taken = _tighter([take([limit]), *([self.taken] if self.taken else [])])
        if self.taken.wait is not None:
            # One second is added where the exception becomes an answer.
            raise Throttled(wait=_seconds(self.taken.wait) - 1, detail="Too many requests: wait, then ask again.")


def _tighter(counts: Sequence[Taken]) -> Taken:
    """What is refused, else what has the least left."""
    return min(counts, key=lambda taken: (taken.wait is None, taken.remaining))


def _seconds(time: timedelta) -> int:
    return max(1, math.ceil(time.total_seconds()))
