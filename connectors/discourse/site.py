"""The address of a forum, and what follows from it: its authority and the links to its posts. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[\w.-]{1,253}|[0-9a-f:.]{2,45}")


@dataclass(frozen=True, slots=True)
class Site:
    """`authority` is the host in lower case, with the port where it is not the scheme's own; `base` the full address
    without a slash at its end, sub-folder included."""

    authority: str
    base: str

    def link(self, path: str) -> str | None:
        """The absolute address of a path of this forum; None for one that leads to another host."""
        try:
            url = urljoin(f"{self.base}/", path)
            parts = urlsplit(url)
        except ValueError:
            return None
        same = parts.scheme in _DEFAULT_PORTS and parts.netloc.lower() == urlsplit(self.base).netloc
        return url if same else None


def read_site(address: str, field: str) -> Site:
    """The forum at `address`: `https://forum.acme.com`, `https://acme.com/forum`, or only a host, then https.

    `field` is what the address came from. Raises ValueError with a sentence that names it.
    """
    fault = f"{field} is not the address of a forum; it looks like https://forum.acme.com"
    full = address.strip()
    if "://" not in full:
        full = f"https://{full}"
    try:
        parts = urlsplit(full)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise ValueError(fault) from error
    if parts.scheme not in _DEFAULT_PORTS or not _HOST.fullmatch(host):
        raise ValueError(fault)
    authority = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        authority = f"{authority}:{port}"
    return Site(authority, f"{parts.scheme}://{authority}{parts.path.rstrip('/')}")
