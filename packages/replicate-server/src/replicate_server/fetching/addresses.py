"""Which addresses the server may contact: one table, read by one pure function.

Owns the address rules (promise N1) and the reading of host texts that mean an address. Does no I/O: names are resolved
elsewhere, and every address that comes out is judged here.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class AddressRule:
    """A range that is not the public Internet."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    reason: str
    is_private: bool = False
    """Whether a server that allows private targets may contact it."""


def _rule(network: str, reason: str, *, is_private: bool = False) -> AddressRule:
    return AddressRule(ipaddress.ip_network(network), reason, is_private)


# The special-purpose registries of RFC 6890 and its successors. The first matching line counts, so exceptions come first.
ADDRESS_RULES = (
    _rule("0.0.0.0/8", "this host"),
    _rule("127.0.0.0/8", "loopback", is_private=True),
    _rule("10.0.0.0/8", "private", is_private=True),
    _rule("172.16.0.0/12", "private", is_private=True),
    _rule("192.168.0.0/16", "private", is_private=True),
    _rule("100.64.0.0/10", "carrier-grade NAT", is_private=True),
    # Cloud metadata services live here and hand out credentials; no setting opens it.
    _rule("169.254.0.0/16", "link-local"),
    _rule("192.0.0.0/24", "protocol assignments"),
    _rule("192.0.2.0/24", "documentation"),
    _rule("192.31.196.0/24", "AS112"),
    _rule("192.52.193.0/24", "AMT"),
    _rule("192.88.99.0/24", "6to4 relay"),
    _rule("192.175.48.0/24", "AS112"),
    _rule("198.18.0.0/15", "benchmarking"),
    _rule("198.51.100.0/24", "documentation"),
    _rule("203.0.113.0/24", "documentation"),
    _rule("224.0.0.0/4", "multicast"),
    _rule("240.0.0.0/4", "reserved"),
    # Alibaba's and Oracle's metadata services use addresses outside the link-local range.
    _rule("168.63.129.16/32", "cloud metadata"),
    _rule("::1/128", "loopback", is_private=True),
    _rule("::/128", "unspecified"),
    _rule("fd00:ec2::254/128", "cloud metadata"),
    _rule("fc00::/7", "unique local", is_private=True),
    _rule("fe80::/10", "link-local"),
    _rule("fec0::/10", "site-local"),
    _rule("ff00::/8", "multicast"),
    _rule("2001::/23", "protocol assignments"),
    _rule("2001:db8::/32", "documentation"),
    _rule("3fff::/20", "documentation"),
    _rule("2002::/16", "6to4"),
    _rule("2620:4f:8000::/48", "AS112"),
)

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")


def address_refusal(address: IPAddress, *, allows_private: bool) -> str | None:
    """Say why an address may not be contacted; None when it may.

    An IPv6 form that carries an IPv4 address (mapped, or NAT64's well-known prefix) is judged by the address it carries.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return "it names a network interface"
        if address.ipv4_mapped is not None:
            return address_refusal(address.ipv4_mapped, allows_private=allows_private)
        if address in _NAT64:
            return address_refusal(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF), allows_private=allows_private)
    for rule in ADDRESS_RULES:
        if rule.network.version == address.version and address in rule.network:
            return None if rule.is_private and allows_private else f"{rule.reason} address"
    # Whatever IPv6 space is not handed out as global unicast (ISATAP and deprecated transition forms among it) stays closed.
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return "not a public address"
    return None


def parse_literal(host: str) -> IPAddress | None:
    """Read a host that means an address rather than a name, in every spelling the C library understands.

    ``2130706433``, ``0x7f.1``, ``0177.0.0.1`` and ``127.1`` all mean 127.0.0.1 to ``connect``, so they must mean it here.
    """
    text = host.strip("[]").rstrip(".")
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(text))
    except (OSError, UnicodeEncodeError, ValueError):
        return None
