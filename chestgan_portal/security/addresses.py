"""The address of a client, for what is limited per address.

Behind an ingress every connection comes from the ingress, and the client's address is the last entry of the header
X-Forwarded-For, which the ingress adds. Anybody can send that header: it is believed from the proxies of the settings
alone, and from the right only, as a client can write what stands further left.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from fastapi import Request

Network = IPv4Network | IPv6Network
_HOPS = 20  # entries of the header that are looked at
_PREFIX = 64  # bits of an IPv6 address that one customer of a provider has at least (RFC 6177)


def client_address(request: Request) -> str:
    """Canonical text: of IPv4 the address, of IPv6 its first 64 bits; "unknown" where the server has none."""
    proxies: tuple[Network, ...] = request.app.state.settings.proxies
    address = _parsed(request.client.host) if request.client else None
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for entry in reversed(forwarded[-_HOPS:]):
        if address is None or not any(address in network for network in proxies):
            break
        further = _parsed(entry)
        if further is None:
            break
        address = further
    if address is None:
        return "unknown"
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _PREFIX), strict=False))
    return str(address)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Also of `1.2.3.4:567` and `[2001:db8::1]:567`, as some proxies write them."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        return IPv6Address(int(address))  # without a zone
    return address
