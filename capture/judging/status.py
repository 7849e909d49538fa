"""Error replies: what the status, the headers and the page say."""

from __future__ import annotations

import re
from typing import Final

from capture.facts import CLIENT
from capture.judging import signs
from capture.judging.connect import half_reply
from capture.judging.hit import (
    CERTAIN,
    INFO,
    LIKELY,
    POSSIBLE,
    PROBLEM,
    WARNING,
    Hit,
    packets,
    sentence,
)
from capture.judging.scene import SECOND, Scene
from capture.report.model import Confidence

VERDICT_OF: Final = {
    401: "auth_required", 402: "acl_denied", 403: "acl_denied", 404: "not_found",
    407: "auth_required", 410: "not_found", 423: "acl_denied", 429: "service_unavailable",
    451: "acl_denied", 501: "bad_request", 505: "bad_request", 502: "bad_gateway",
    503: "service_unavailable", 504: "gateway_timeout", 509: "service_unavailable",
    510: "bad_request", 511: "captive_redirect", 517: "bad_gateway", 522: "gateway_timeout",
    524: "gateway_timeout", 529: "service_unavailable", 530: "bad_gateway",
    598: "gateway_timeout", 599: "gateway_timeout",
}  # fmt: skip
"""Nearest verdict of a status that is not told by its class."""

NOT_A_PROXY: Final = frozenset({400, 404, 405, 501})
"""What web servers say to CONNECT: nginx 405 or 400, Apache without its module 405."""

_WEB_SERVER: Final = re.compile(
    r"nginx|apache|iis|envoy|lighttpd|caddy|cloudflare|jetty|tomcat|openresty|gunicorn|werkzeug|"
    r"basehttp|simplehttp",
    re.IGNORECASE,
)

AT_ONCE_NS: Final = 50_000_000
"""An upstream error within 50 ms was a refusal, a policy or a cached answer, no time-out."""

TIMEOUTS_S: Final = (5, 10, 15, 20, 30, 45, 60, 75, 90, 120, 180, 240, 300, 600, 900)
"""Round time-outs that proxies ship with (squid: 30, 60, 240, 300, 900 s)."""

_DENIAL_WORDS: Final = re.compile(
    r"denied|block(ed|page)|forbidden|restrict|violation|notallowed|not-allowed|policy", re.I
)
_PORTAL_WORDS: Final = re.compile(
    r"login|logon|signin|sign-in|portal|captive|hotspot|guest|auth|welcome|splash|wifi|wlan", re.I
)

_OWN_PAGES: Final = re.compile(
    r"portal|captive|hotspot|block[-_]?page|url[-_]?block|access[-_]?denied", re.IGNORECASE
)
"""Pages to which a portal or a filter sends what it holds up; servers seldom have any."""


def verdict_of(status: int) -> str:
    """The verdict that stands for a final status other than 2xx."""
    if status in VERDICT_OF:
        return VERDICT_OF[status]
    if 300 <= status < 400:
        return "captive_redirect"
    if 400 <= status < 500:
        return "bad_request"
    if 520 <= status < 530:
        return "bad_gateway"
    return "server_error"


def _skip(scene: Scene) -> bool:
    """Replies that other rules speak for."""
    response = scene.response
    if scene.stage != "answered" or response is None or response.status in (401, 407):
        return True
    if scene.flow.first_language[CLIENT] in ("tls", "socks4", "socks5", "http2", "ssh", "other"):
        # What the client said first is judged where it was seen, by the rules of language.
        return scene.request is None and scene.opening_seen(CLIENT)
    return not response.complete and half_reply(scene) is not None


def error_reply(scene: Scene) -> Hit | None:
    """A final reply of 4xx or 5xx."""
    response, exchange = scene.response, scene.exchange
    if _skip(scene) or response is None or exchange is None or response.status < 400:
        return None
    if not scene.is_connect and signs.from_origin(response):
        return _from_server(scene)
    reading = signs.read(exchange, scene.signs)
    rule, sure, evidence = _told(scene, reading)
    verdict = verdict_of(response.status)
    if reading and rule in signs.DENIALS and sure is CERTAIN:
        verdict = "acl_denied"
    port = scene.host_port[1]
    by = "" if evidence and evidence in signs.from_proxy(response) else signs.from_proxy(response)
    return Hit(
        rule,
        PROBLEM,
        sure,
        sentence(scene.request_text, scene.reply_text, evidence, by, _malformed(scene)),
        packets(scene.asked, scene.answered),
        verdict,
        code=response.status,
        values={"detail": reading.sign.detail if reading else "", "port": port or "PORT"},
    )


def _told(scene: Scene, reading: signs.Reading | None) -> tuple[str, Confidence, str]:
    """Rule, confidence and evidence, from the best sign or else from the status."""
    response, request = scene.response, scene.request
    assert response is not None
    status, evidence = response.status, reading.evidence if reading else ""
    port = scene.host_port[1]
    odd_port = scene.is_connect and port not in ("", "443")
    if reading is not None and reading.sign.means == "acl-deny" and odd_port:
        return "acl-port", LIKELY, evidence
    if reading is not None:
        return reading.sign.means, reading.sign.confidence, evidence
    if verdict_of(status) == "acl_denied":
        return ("acl-port" if odd_port else "acl-deny"), LIKELY, evidence
    if request is not None and request.form == "origin":
        return "origin-form-request", LIKELY, "a request for a path, as to a web server"
    if status == 426 and request is not None and request.version == "HTTP/1.0":
        return "http10-refused", CERTAIN, "the request is HTTP/1.0"
    if status in (414, 431):
        return "request-too-big", CERTAIN, ""
    server = response.header("server") or ""
    is_web = bool(_WEB_SERVER.search(server)) and not response.header("via")
    if scene.is_connect and status in NOT_A_PROXY and (is_web or status in (405, 501)):
        return "not-a-proxy", LIKELY, f"Server: {server}" if server else ""
    if status == 400 and request is not None and request.malformed:
        return "malformed-request", LIKELY, ""
    bare = {
        "bad_request": "bad-request", "not_found": "not-found", "server_error": "server-error",
        "bad_gateway": "bad-gateway", "service_unavailable": "service-unavailable",
        "gateway_timeout": "gateway-timeout", "captive_redirect": "captive-portal",
    }  # fmt: skip
    rule = bare[verdict_of(status)]
    if status == 503 and response.header("retry-after"):
        return "up-busy", CERTAIN, f"Retry-After: {response.header('retry-after')}"
    if status == 429:
        return "up-busy", CERTAIN, ""
    sure = CERTAIN if status == 511 else LIKELY if status == 504 else POSSIBLE
    return rule, sure, delay_words(scene)


def delay_words(scene: Scene) -> str:
    """What the time to the reply suggests; empty when nothing."""
    delay = scene.delay_ns
    if delay is None or delay < 0:
        return ""
    if delay < AT_ONCE_NS:
        return "too quick for a time-out: refused, forbidden or known as bad"
    seconds = delay / SECOND
    for limit in TIMEOUTS_S:
        if abs(seconds - limit) <= max(0.25, 0.01 * limit):
            return f"just after {limit} s: a time-out ran out"
    return ""


def _malformed(scene: Scene) -> str:
    request = scene.request
    if request is None or not request.malformed:
        return ""
    return f"the request is odd: {', '.join(request.malformed)}"


def _from_server(scene: Scene) -> Hit:
    response = scene.response
    assert response is not None
    via = response.header("via")
    return Hit(
        "origin-error",
        WARNING,
        LIKELY,
        sentence(
            scene.request_text,
            scene.reply_text,
            f"passed on by the proxy (Via: {via})" if via else "no mark of the proxy on it",
        ),
        packets(scene.asked, scene.answered),
        verdict_of(response.status),
        code=response.status,
    )


def redirected(scene: Scene) -> Hit | None:
    """A redirect: never an answer to CONNECT, seldom the proxy's own to a plain request."""
    response, exchange = scene.response, scene.exchange
    if _skip(scene) or response is None or exchange is None:
        return None
    if not 300 <= response.status < 400 or response.status == 304:
        return None
    location = response.header("location") or ""
    reading = signs.read(exchange, scene.signs)
    denied = reading is not None and reading.sign.means in signs.DENIALS
    named = bool(_DENIAL_WORDS.search(location))
    if not scene.is_connect and not denied and not _own_redirect(scene, location):
        return None
    seen = sentence(
        scene.request_text,
        scene.reply_text,
        f"Location: {location[:120]}" if location else "no Location",
        reading.evidence if reading else signs.from_proxy(response),
    )
    shared = (seen, packets(scene.asked, scene.answered))
    if denied:
        return Hit("acl-redirect", PROBLEM, CERTAIN, *shared, "acl_denied", response.status)
    if named and not _PORTAL_WORDS.search(location):
        return Hit("acl-redirect", PROBLEM, LIKELY, *shared, "acl_denied", response.status)
    sure = LIKELY if _PORTAL_WORDS.search(location) else POSSIBLE
    return Hit("captive-redirect", PROBLEM, sure, *shared, "captive_redirect", response.status)


def _own_redirect(scene: Scene, location: str) -> bool:
    """The proxy (or a portal before it) redirects a plain request by itself."""
    response = scene.response
    assert response is not None
    if response.header("via") or response.header("x-cache"):
        return False
    server = response.header("server") or ""
    if re.search(r"captive|portal|hotspot", server, re.I):
        return True
    host = re.match(r"https?://([^/:?#]+)", location, re.I)
    asked = scene.host_port[0].lower()
    elsewhere = host is not None and host.group(1).lower() != asked
    return elsewhere and bool(_OWN_PAGES.search(location))


def https_without_connect(scene: Scene) -> Hit | None:
    """An absolute https URI in a plain request: the client expects the proxy to do TLS."""
    request = scene.request
    if request is None or request.form != "absolute" or request.method == "CONNECT":
        return None
    if not request.target.lower().startswith("https://"):
        return None
    return Hit(
        "https-without-connect",
        INFO,
        CERTAIN,
        sentence(f"{scene.request_text}: https without CONNECT"),
        packets(scene.asked),
    )
