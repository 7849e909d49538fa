"""The first bytes show that client and proxy do not speak the same language."""

from __future__ import annotations

from typing import Final

from capture.facts import CLIENT, PROXY
from capture.judging.hit import CERTAIN, INFO, LIKELY, PROBLEM, Hit, packets, sentence
from capture.judging.scene import Scene
from capture.units import duration, octets

UNANSWERED_S: Final = 3.0
"""A first message in the wrong language is not answered later: proxies that wait for a
request line wait for ever (squid 5.7 on a SOCKS greeting, measured)."""

_NAMES: Final = {
    "tls": "TLS",
    "socks4": "SOCKS4",
    "socks5": "SOCKS5",
    "ssh": "SSH",
    "http2": "HTTP/2 without upgrade",
    "other": "no known protocol",
}


def _outcome(scene: Scene) -> str:
    """What became of the first message, in words."""
    if scene.response is not None:
        return f"answered in HTTP: {scene.reply_text}"
    if scene.proxy.bytes:
        return "answered in another language"
    waited = scene.waited(scene.client.last_payload)
    quiet = f"no byte came back in {duration(waited)}" if waited else "no byte came back"
    return f"{quiet}; {scene.ending_text}" if scene.flow.closes else quiet


def _over(scene: Scene) -> bool:
    """The first message has its answer, or will not get one."""
    if scene.response is not None or scene.proxy_end is not None:
        return True
    if not scene.quality.absent(PROXY) or scene.proxy.bytes:
        return False
    if scene.flow.closes:
        return True
    return scene.waited_for(scene.client.last_payload, UNANSWERED_S)


def _said(scene: Scene) -> str:
    first, spoken = scene.client.first_payload, scene.flow.first_language[CLIENT]
    where = f"#{first.number} " if first else ""
    head = scene.flow.first_bytes[CLIENT][:8].hex(" ")
    shown = f" (first bytes {head})" if head and spoken not in ("http2", "ssh") else ""
    return f"{where}the client speaks {_NAMES.get(spoken, spoken)}{shown}"


def tls_to_http(scene: Scene) -> Hit | None:
    """A ClientHello to a port that answers in HTTP."""
    if scene.flow.first_language[CLIENT] != "tls" or scene.flow.tunnel is not None:
        return None
    if scene.flow.first_language[PROXY] not in ("http", "http-part"):
        return None
    response = scene.response
    opened = response is not None and 200 <= response.status < 300
    if opened or not (scene.opening_seen(CLIENT) and scene.opening_seen(PROXY)):
        return None  # a CONNECT that was not captured
    reply = scene.answered or scene.proxy.first_payload
    return Hit(
        "tls-to-plain-proxy",
        PROBLEM,
        CERTAIN,
        sentence(_said(scene), _outcome(scene)),
        packets(scene.client.first_payload, reply),
        "tls_to_plain_proxy",
        code=response.status if response else None,
    )


def tls_unanswered(scene: Scene) -> Hit | None:
    """A ClientHello to the proxy's port, and nothing comes back."""
    if scene.flow.first_language[CLIENT] != "tls" or scene.flow.first_language[PROXY]:
        return None
    if scene.proxy.bytes or not _over(scene) or not scene.opening_seen(CLIENT):
        return None
    return Hit(
        "tls-to-silent-proxy",
        PROBLEM,
        LIKELY,
        sentence(_said(scene), _outcome(scene)),
        packets(scene.client.first_payload, *[mark for _, mark in scene.flow.closes]),
        "connect_no_reply",
    )


def tls_with_proxy(scene: Scene) -> Hit | None:
    """TLS with the proxy itself: an HTTPS proxy, whose CONNECT is not visible."""
    if scene.stage != "outer":
        return None
    tls = scene.tls
    hello = tls.client_hello_mark if tls else scene.client.first_payload
    return Hit(
        "tls-proxy",
        INFO,
        CERTAIN,
        sentence(
            f"#{hello.number} TLS with the proxy itself" if hello else "TLS with the proxy itself",
            "requests and replies are inside it",
        ),
        packets(hello, tls.server_hello_mark if tls else None),
    )


def socks(scene: Scene) -> Hit | None:
    """A SOCKS greeting to an HTTP proxy."""
    spoken = scene.flow.first_language[CLIENT]
    if spoken not in ("socks4", "socks5") or not _over(scene) or not scene.opening_seen(CLIENT):
        return None
    response = scene.response
    return Hit(
        "socks-to-http-proxy",
        PROBLEM,
        CERTAIN,
        sentence(_said(scene), _outcome(scene)),
        packets(scene.client.first_payload, scene.answered, scene.client_end),
        "bad_request",
        code=response.status if response else None,
        values={"detail": _NAMES[spoken]},
    )


def other_language(scene: Scene) -> Hit | None:
    """HTTP/2 without negotiation, SSH or unknown bytes as the first message."""
    spoken = scene.flow.first_language[CLIENT]
    if spoken not in ("http2", "ssh", "other") or not _over(scene):
        return None
    if not scene.opening_seen(CLIENT):
        return None
    response = scene.response
    if response is not None and response.status < 400:
        return None
    return Hit(
        "not-http",
        PROBLEM,
        LIKELY if spoken == "other" else CERTAIN,
        sentence(_said(scene), _outcome(scene)),
        packets(scene.client.first_payload, scene.answered, *[m for _, m in scene.flow.closes]),
        "bad_request" if response else "connect_no_reply",
        code=response.status if response else None,
        values={"detail": _NAMES[spoken]},
    )


def http_to_tls(scene: Scene) -> Hit | None:
    """A plain request to a port that speaks TLS."""
    if scene.request is None or scene.flow.first_language[PROXY] != "tls":
        return None
    if scene.flow.tunnel is not None or not scene.opening_seen(PROXY):
        return None
    first = scene.proxy.first_payload
    where = f"#{first.number} " if first else ""
    alert = scene.tls.alerts[0] if scene.tls and scene.tls.alerts else None
    record = f"TLS alert {alert.code}" if alert else "a TLS record"
    return Hit(
        "http-to-tls-proxy",
        PROBLEM,
        CERTAIN,
        sentence(f"{scene.request_text} in plain text", f"{where}answered by {record}"),
        packets(scene.asked, first),
        "connect_no_reply",
        code=alert.code if alert else None,
    )


def http_to_socks(scene: Scene) -> Hit | None:
    """A request to a port that speaks SOCKS."""
    head = scene.flow.first_bytes[PROXY]
    if scene.request is None or scene.response is not None or scene.flow.tunnel is not None:
        return None
    if not (head[:2] == b"\x05\xff" or head[:2] in (b"\x00\x5b", b"\x00\x5c", b"\x00\x5d")):
        return None
    if not scene.opening_seen(PROXY):
        return None
    first = scene.proxy.first_payload
    where = f"#{first.number} " if first else ""
    return Hit(
        "http-to-socks-proxy",
        PROBLEM,
        CERTAIN,
        sentence(
            scene.request_text,
            f"{where}answered by {octets(len(head))} of SOCKS ({head[:8].hex(' ')})",
        ),
        packets(scene.asked, first),
        "connect_no_reply",
    )
