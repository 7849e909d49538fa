"""What an error reply says of its own cause, best evidence first.

The order is: ``Proxy-Status`` (RFC 9209), a vendor's header, the reason phrase or body,
and last the status code, whose meaning differs between products.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from capture.facts import Exchange
from capture.protocols.events import Response
from capture.report.model import Confidence

PLACES: Final = ("header", "reason", "body")
"""Where a sign can stand; also their order as evidence."""

DENIALS: Final = frozenset({"acl-deny", "acl-port", "acl-category"})
"""Rules that say a policy forbids the request; the only ones a 403 can be read as."""

_MAX_EVIDENCE: Final = 90


class Sign(NamedTuple):
    """A phrase that names the cause of an error reply."""

    place: str
    """``header``, ``reason`` or ``body``."""
    header: str
    """Lower-case field name; empty unless ``place`` is ``header``."""
    pattern: str
    """Regular expression, searched without regard to case."""
    means: str
    """Rule it stands for: ``up-dns``."""
    confidence: Confidence
    detail: str = ""
    """What it says, in words: ``errno 111, connection refused``."""


class Reading(NamedTuple):
    """A sign that was found, and the text it was found in."""

    sign: Sign
    evidence: str
    """``X-Squid-Error: ERR_CONNECT_FAIL 111``; safe to print."""


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _canonical(name: str) -> str:
    return "-".join(part.capitalize() for part in name.split("-"))


def body_text(exchange: Exchange) -> str:
    """First bytes of the error page as one line of text without tags."""
    if not exchange.body_start:
        return ""
    from capture.protocols.text import printable

    raw = exchange.body_start.decode("utf-8", "replace")
    raw = re.sub(r"(?is)<(script|style)\b.*?(</\1>|$)", " ", raw)
    return printable(" ".join(re.sub(r"<[^>]{0,500}>", " ", raw).split()), 2048)


def read(exchange: Exchange, signs: Sequence[Sign]) -> Reading | None:
    """Find the best sign in a reply.

    Args:
        exchange: A request with an error reply.
        signs: In the order of the catalogue; within one place the first match wins.
    """
    response = exchange.response
    if response is None:
        return None
    denial_only = response.status in (401, 403, 451)
    body = None
    for place in PLACES:
        for sign in signs:
            if sign.place != place or (denial_only and sign.means not in DENIALS):
                continue
            if place == "header":
                found = _in_header(response, sign)
            elif place == "reason":
                matched = bool(response.reason) and _compiled(sign.pattern).search(response.reason)
                found = f"reason phrase '{response.reason}'" if matched else ""
            else:
                body = body_text(exchange) if body is None else body
                match = _compiled(sign.pattern).search(body) if body else None
                found = f"page says '{_clip(match.group(0))}'" if match else ""
            if found:
                return Reading(sign, found)
    return None


def _in_header(response: Response, sign: Sign) -> str:
    for name, value in response.headers:
        if name == sign.header and _compiled(sign.pattern).search(value):
            return f"{_canonical(name)}: {_clip(value)}"
    return ""


def _clip(text: str) -> str:
    return text if len(text) <= _MAX_EVIDENCE else text[: _MAX_EVIDENCE - 1] + "…"


_PROXY_SERVERS: Final = re.compile(
    r"squid|tinyproxy|privoxy|polipo|mitmproxy|zscaler|bluecoat|proxysg|mcafee|skyhigh|ironport|"
    r"websense|forcepoint|fortiproxy|fortigate|sophos|barracuda|ats/|trafficserver|3proxy|ccproxy|"
    r"wingate|cntlm|goproxy|proxy|e2guardian|dansguardian|captive|hotspot|portal",
    re.IGNORECASE,
)
"""Names in ``Server`` that a proxy gives itself. squid's own error pages say squid."""

_OWN_HEADERS: Final = ("x-squid-error", "proxy-agent", "proxy-authenticate", "x-proxy-error",
                       "x-bluecoat-error", "x-zscaler-error")  # fmt: skip


def from_proxy(response: Response) -> str:
    """What shows that the proxy itself wrote this reply; empty when nothing does."""
    for name in _OWN_HEADERS:
        value = response.header(name)
        if value:
            return f"{_canonical(name)}: {_clip(value)}"
    status = response.header("proxy-status")
    if status and "error=" in status:
        return f"Proxy-Status: {_clip(status)}"
    server = response.header("server")
    if server and _PROXY_SERVERS.search(server):
        return f"Server: {_clip(server)}"
    return ""


def from_origin(response: Response) -> bool:
    """The reply to a plain request came from the server behind the proxy, most likely: it
    went through the proxy's cache or names itself as a server, and bears no proxy's mark."""
    if from_proxy(response):
        return False
    return any(response.header(name) for name in ("via", "x-cache", "server", "age", "set-cookie"))
