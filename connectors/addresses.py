"""Which network addresses a system of record may have: the guard against requests turned inwards.

Pure; `connectors/http.py` asks it about every address before it connects to one.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

METADATA = frozenset({ip_address("169.254.169.254"), ip_address("169.254.170.2"), ip_address("fd00:ec2::254")})
"""Where cloud machines and containers hand out their own credentials."""
_NAT64 = IPv6Network("64:ff9b::/96")


class RefusedError(ValueError):
    """An address that must not be called; the message says why and what to do."""


def check(host: str, address: str, allow_private: bool) -> None:
    """Raises `RefusedError` where `host`, resolved to `address`, must not be called.

    Private, loopback and other addresses that are not public need `allow_private`. Link-local, metadata, multicast and
    unspecified ones are always refused. IPv4 addresses wrapped in IPv6 are judged by what they wrap.
    """
    for found in _meant(address):
        if found in METADATA or found.is_link_local or found.is_multicast or found.is_unspecified:
            raise RefusedError(
                f"{host} leads to a link-local, metadata or multicast address; no system of record is there"
            )
        if not found.is_global and not allow_private:
            raise RefusedError(
                f"{host} leads to a private address; set AllowPrivateSystems if the system really is there"
            )


def _meant(address: str) -> list[IPv4Address | IPv6Address]:
    found = ip_address(address.partition("%")[0])
    if not isinstance(found, IPv6Address):
        return [found]
    if found.ipv4_mapped:
        return [found.ipv4_mapped]
    wrapped: list[IPv4Address | IPv6Address | None] = [found, found.sixtofour]
    wrapped += found.teredo or ()
    if found in _NAT64:
        wrapped.append(IPv4Address(int(found) & 0xFFFFFFFF))
    return [one for one in wrapped if one is not None]
