"""Where a request comes from: an address that is believed, and a browser in words."""

from ipaddress import IPv6Address, ip_address
from typing import Any, cast

from django.http import HttpRequest
from django.utils.translation import gettext as _
from rest_framework.throttling import BaseThrottle

# The first that is found: what says "Chrome" may be Edge or Opera, what says "Safari" may be any of them.
BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrom", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def client_address(request: HttpRequest) -> str:
    """Believes as many proxies as BACKUPSITE_TRUSTED_PROXIES says, and no header without them."""
    return BaseThrottle().get_ident(cast(Any, request)) or ""


def network_of(address: str) -> str:
    """Whom an address stands for: one IPv4 address, or the /64 that one subscriber has of IPv6.

    What a proxy writes may carry a port (`192.0.2.1:5678`, `[2001:db8::1]:5678`): another one every time.
    """
    host = address.rpartition("]")[0].lstrip("[") if address.startswith("[") else address
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))
    return str(found)


def browser_words(agent: str) -> str:
    """`Firefox on Linux`; the program's own first word where it is no browser that is known."""
    browser = next((name for mark, name in BROWSERS if mark in agent), "")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or agent.split("/")[0][:40] or _("an unknown browser")
