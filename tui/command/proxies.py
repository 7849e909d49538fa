"""Which addresses the user told to be proxies: by option, configuration file, environment.

Names are never looked up (a DNS question would block, and could reach the very network
that fails). A name is passed on as it is: captures in text form have names in them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Final

Proxy = tuple[str, int | None]
"""Host or address, and port or None for any."""

_ENVIRONMENT: Final = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
_SCHEME_PORTS: Final = {"https": 443}
_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})\.?")
_CONF_MAX: Final = 65_536


class BadProxy(ValueError):
    """A proxy cannot be understood. ``str()`` is one line and holds no credentials."""


def parse_proxy(text: str) -> Proxy:
    """``HOST``, ``HOST:PORT``, ``[ADDR]:PORT``, a bare IPv6 address, or a URL of those.

    User and password of a URL are dropped. A URL without a port means port 443 for
    ``https`` and any port otherwise (clients disagree on the default: curl takes 1080).

    Raises:
        BadProxy: It is none of them.
    """
    rest = text.strip()
    scheme, separator, after = rest.partition("://")
    if separator:
        rest = after
    rest = re.split(r"[/?#]", rest.rpartition("@")[2], maxsplit=1)[0]
    if not rest:
        raise BadProxy("a proxy needs a host: HOST or HOST:PORT")
    if rest.startswith("["):
        host, bracket, port = rest[1:].partition("]")
        if not bracket or (port and not port.startswith(":")) or address(host) is None:
            raise BadProxy("not an IPv6 proxy: [ADDRESS]:PORT")
        port = port[1:]
    elif address(rest) is not None:
        host, port = rest, ""
    else:
        host, _, port = rest.partition(":")
    known = address(host)
    if known is None and not _HOST.fullmatch(host):
        raise BadProxy("not a proxy: HOST or HOST:PORT, IPv6 as [ADDRESS]:PORT")
    return known or host.lower().rstrip("."), _port(port, scheme.lower() if separator else "")


def is_address(host: str) -> bool:
    """Whether ``host`` is an IP address rather than a name."""
    return address(host) is not None


def address(text: str) -> str | None:
    """The usual spelling of an IPv4 or IPv6 address; None for anything else."""
    import socket

    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_ntop(family, socket.inet_pton(family, text))
        except (OSError, ValueError):  # ValueError: a NUL in it
            continue
    return None


def from_environment(environ: Mapping[str, str] | None = None) -> list[Proxy]:
    """Proxies of ``$http_proxy`` and ``$https_proxy``; what cannot be understood is no hint."""
    found = []
    for name in _ENVIRONMENT:
        value = (os.environ if environ is None else environ).get(name, "").strip()
        if value and not value.lower().startswith("socks"):
            try:
                found.append(parse_proxy(value))
            except BadProxy:
                continue
    return found


def from_iprep_conf(path: str) -> Proxy:
    """The proxy of an appliance's ``/etc/sf/iprep_proxy.conf``.

    ``iprep_proxy { PROXY_HOST 10.10.10.1; PROXY_PORT 80; }``, on one line or several, with
    ``#`` comments. Only host and port are looked at; user and password are not kept.

    Raises:
        BadProxy: It cannot be read, or names no proxy.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(_CONF_MAX).decode("utf-8", "replace")
    except OSError as error:
        raise BadProxy(f"{path}: {error.strerror or 'cannot be read'}") from None
    values: dict[str, str] = {}
    # A comment begins a line or follows a blank: passwords may hold a #.
    text = re.sub(r"(?m)(?:^|(?<=[\s;{]))#.*$", "", text)
    for name, value in re.findall(r"\b(PROXY_HOST|PROXY_PORT)\b[\s=:]*[\"']?([^\s;\"'}]*)", text):
        values.setdefault(name, value)
    host = values.get("PROXY_HOST", "")
    if not host:
        raise BadProxy(f"{path}: names no PROXY_HOST")
    try:
        known, port = parse_proxy(f"[{host}]" if ":" in host and is_address(host) else host)
        return known, _port(values["PROXY_PORT"], "") if values.get("PROXY_PORT") else port
    except BadProxy as error:
        raise BadProxy(f"{path}: {error}") from None


def unique(proxies: Iterable[Proxy]) -> tuple[Proxy, ...]:
    """Each proxy once, in order."""
    return tuple(dict.fromkeys(proxies))


def _port(text: str, scheme: str) -> int | None:
    if not text:
        return _SCHEME_PORTS.get(scheme)
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:6]) < 65_536:
        raise BadProxy("a proxy's port is a number from 1 to 65535")
    return int(text)
