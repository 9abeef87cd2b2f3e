"""Where requests may go: a host is resolved once, and every address it has is checked before one is used."""

import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from jobs.errors import BackupError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
EVERYWHERE = ("0.0.0.0/0", "::/0")

# Never, whatever the setting allows: this host's link, many hosts, nobody, and what clouds tell their machines.
NEVER: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",  # link-local; the metadata of AWS, Google, Azure, Oracle and others
        "100.100.100.200/32",  # Alibaba's metadata
        "168.63.129.16/32",  # Azure's host
        "192.0.0.192/32",  # Oracle's older metadata
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
        "fd00:ec2::/32",  # AWS's metadata and services of the instance
        "fd20:ce::/32",  # Google's metadata
        "fd00:c1::/32",  # Oracle's metadata
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
# Of IPv6, everything else is reserved; or, 64:ff9b:1::/48, carries an IPv4 address where only its gateway knows.
_KNOWN = (*(IPv6Network(text) for text in ("2000::/3", "fc00::/7", "::1/128")), _NAT64)
_COMPATIBLE = IPv6Network("::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)


@dataclass(frozen=True)
class Reached:
    """One address to connect to, as `socket.connect` takes it."""

    family: socket.AddressFamily
    sockaddr: tuple[Any, ...]


def resolve(host: str, port: int, settings: Mapping[str, Any]) -> tuple[Reached, ...]:
    """Every address of the host, asked for once; one that is not allowed refuses all of them.

    Raises BackupError: unreachable (the name is not known), egress_refused, invalid_setting.
    """
    networks = allowed_networks(settings)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BackupError(
            f"The name {host} cannot be resolved.", code="unreachable", hint="Check the URL's host and the DNS."
        ) from error
    reached = tuple(dict.fromkeys(Reached(family, sockaddr) for family, _, _, _, sockaddr in found))
    for address in (ip_address(one.sockaddr[0]) for one in reached):
        if not is_allowed(address, networks):
            raise BackupError(
                f"{host} has the address {address}, where requests may not go.",
                code="egress_refused",
                permanent=True,
                hint="The administrator allows networks with BACKUPSITE_ALLOWED_NETWORKS; link-local and cloud "
                "metadata addresses never.",
            )
    return reached


def require_public(host: str, reached: Iterable[Reached]) -> None:
    """For addresses that others have chosen: nothing of the site's own networks, whatever the setting allows.

    Raises BackupError(code="egress_refused").
    """
    for one in reached:
        faces = _faces(ip_address(one.sockaddr[0]))
        if not all(face.is_global and not face.is_multicast for face in faces):
            raise BackupError(f"{host} is at no public address.", code="egress_refused", permanent=True)


def allowed_networks(settings: Mapping[str, Any]) -> tuple[Network, ...]:
    """Raises BackupError(code="invalid_setting")."""
    texts: Sequence[str] = settings.get("allowed_networks", EVERYWHERE)
    try:
        return tuple(ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise BackupError(
            "BACKUPSITE_ALLOWED_NETWORKS holds something that is no network.",
            code="invalid_setting",
            permanent=True,
            hint="Write networks as 10.0.0.0/8,fd00::/8, separated by commas.",
        ) from error


def is_allowed(address: Address, networks: Iterable[Network]) -> bool:
    """Also of an address inside another one (IPv4 within IPv6): a gateway sends the packets there."""
    allowed = tuple(networks)
    return all(_may(one, allowed) for one in _faces(address))


def _may(address: Address, networks: tuple[Network, ...]) -> bool:
    if isinstance(address, IPv6Address) and not any(address in known for known in _KNOWN):
        return False
    return not any(address in never for never in NEVER) and any(address in network for network in networks)


def _faces(address: Address) -> list[Address]:
    """What a packet to this address may reach: the address itself, and any IPv4 address it carries."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:  # the kernel takes it for IPv4
        return [address.ipv4_mapped]
    faces: list[Address] = [address]
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour is not None:
        faces.append(address.sixtofour)
    if address.teredo is not None:
        faces += address.teredo
    isatap = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
    if isatap or address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        faces.append(last)
    return faces
