"""In whose time a page tells times: the reader's, which the browser says in a cookie; everything else is in UTC."""

from collections.abc import Callable
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from backupsite.languages import is_page
from jobs.timezones import known_timezones

BROWSERS = "backupsite_timezone"  # set by static/backupsite/times.js
CHOSEN = "backupsite_times"  # set on the page of one's account: UTC, whatever the browser says
ALWAYS_UTC = "utc"


class TimeZoneMiddleware:
    """The reader's time zone, for as long as a page is made: threads are used again."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with timezone.override(zone_of(request) if is_page(request.path_info) else UTC):
            return self.get_response(request)


def zone_of(request: HttpRequest) -> tzinfo:
    """UTC before the browser has said its own, and when it says what is none."""
    name = request.COOKIES.get(BROWSERS, "")
    if wants_utc(request) or name not in known_timezones():
        return UTC
    return ZoneInfo(name)


def wants_utc(request: HttpRequest) -> bool:
    return request.COOKIES.get(CHOSEN) == ALWAYS_UTC
