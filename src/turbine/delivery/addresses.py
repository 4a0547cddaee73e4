"""Addresses that a webhook may reach: those of the public internet, unless the configuration allows others.

A webhook decides where this process connects to, so a private address would give its author access to services that
trust this machine. A host name proves nothing, so it is resolved at each delivery, and the connection goes to the
address that was checked. Sources: IANA's special-purpose registries (RFC 6890), RFC 4291, RFC 6052, RFC 3056.
"""

from __future__ import annotations

import ipaddress
import re
import socket

from turbine.threads import in_thread

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_SPECIAL = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24"))
"""Protocol assignments and 6to4 relays; not every supported Python knows all of them as special."""
_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_TUNNELS = (ipaddress.IPv6Network("2001::/32"), ipaddress.IPv6Network("2002::/16"))
"""Teredo and 6to4: their addresses embed an IPv4 address that would not be checked."""
_SHORTHAND = re.compile(r"(?:0[xX][0-9a-fA-F]*|\d+)(?:\.(?:0[xX][0-9a-fA-F]*|\d+)){0,3}")


class AddressRefused(Exception):
    """The receiver's address is not one that webhooks may reach."""


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet.

    Of addresses that embed another one, only those of the well-known NAT64 prefix are accepted, if the embedded one is
    public: networks without IPv4 reach the public IPv4 internet through it.
    """
    if isinstance(address, ipaddress.IPv4Address):
        is_special = address.is_multicast or any(address in network for network in _SPECIAL)
        return address.is_global and not is_special
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return address in _UNICAST and address.is_global and not any(address in tunnel for tunnel in _TUNNELS)


def literal(host: str) -> Address | None:
    """The address of a literal host, also in shorthands of IPv4 (`127.1`, `0x7f000001`); None for a name."""
    bare = host.strip("[]").rstrip(".").partition("%")[0]
    try:
        return ipaddress.ip_address(bare)
    except ValueError:
        pass
    if _SHORTHAND.fullmatch(bare):
        try:
            return ipaddress.IPv4Address(socket.inet_aton(bare))
        except OSError:
            return None
    return None


def check_literal(host: str) -> None:
    """Raise AddressRefused for a host that is a literal address and not public."""
    address = literal(host)
    if address is not None and not is_public(address):
        raise AddressRefused(_refusal(host, address))


async def resolve(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses of a host in the order of the resolver. Raises OSError, and AddressRefused if one is not public.

    One private address is enough to refuse the name: mixing them is an attack that hopes for the private one.
    """
    entries = await in_thread(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    texts = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    if not allow_private:
        for text in texts:
            address = ipaddress.ip_address(text.partition("%")[0])
            if not is_public(address):
                raise AddressRefused(_refusal(host, address))
    return texts


def _refusal(host: str, address: Address) -> str:
    where = f"{host} is the address" if str(address) == host else f"{host} leads to"
    return (
        f"{where} {address}, which is not on the public internet; set allow_private_addresses=True to allow"
        " private addresses"
    )
