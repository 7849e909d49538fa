"""Proxy authentication (RFC 9110 section 11, RFC 7617, 7616, 4559, NTLM per connection)."""

from __future__ import annotations

from typing import Final

from capture.facts import Exchange
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
from capture.judging.scene import Scene
from capture.report.model import Confidence, Severity

DEMANDS: Final = frozenset({401, 407})

LOOP: Final = 3
"""This many refusals of credentials on one connection are a loop, not a typing error."""

ANSWERED_S: Final = 1.0
"""A client that has credentials at hand sends them sooner."""

_UNANSWERED: Final = frozenset({"auth-challenge", "auth-scheme", "auth-ntlm-dropped"})
"""Rules about a client that does not answer a demand; until it had the time, it may."""

_CONNECTION_SCHEMES: Final = frozenset({"ntlm", "negotiate", "kerberos"})


def _offered(exchange: Exchange) -> tuple[str, ...]:
    response = exchange.response
    if response is None:
        return ()
    return tuple(dict.fromkeys(item.scheme for item in response.challenges))


def _names(schemes: tuple[str, ...]) -> str:
    proper = {"ntlm": "NTLM"}
    return ", ".join(proper.get(name, name.capitalize()) for name in schemes)


def demanded(scene: Scene) -> Hit | None:
    """The flow's last reply asks for credentials."""
    response, exchange = scene.response, scene.exchange
    if exchange is None or response is None or response.status not in DEMANDS:
        return None
    if response.status == 401 and not scene.is_connect:
        return _origin_login(scene)
    offered = _offered(exchange)
    refusals = [e for e in scene.flow.exchanges if e.response and e.response.status in DEMANDS]
    given = exchange.request.credentials if exchange.request else None
    values = {"offered": _names(offered) or "nothing", "scheme": _names((given.scheme,))
              if given else "no credentials"}  # fmt: skip
    rule, sure, words = _cause(exchange, offered, refusals)
    severity, again = PROBLEM, ""
    begun = given is None or given.ntlm_type == 1
    if rule in _UNANSWERED and begun and exchange.request is not None:
        rule, severity, sure, again = _what_next(scene, exchange, rule, sure)
    marks = [mark for e in refusals for mark in (e.request_mark, e.response_mark)]
    return Hit(
        rule,
        severity,
        sure,
        sentence(
            f"{scene.request_text} {words}".strip(),
            scene.reply_text,
            f"offered: {values['offered']}",
            f"{len(refusals)} such replies on this connection" if len(refusals) > 1 else "",
            again,
        ),
        packets(*marks[:6], *marks[-2:]),
        "auth_required",
        code=response.status,
        values=values,
    )


def _what_next(
    scene: Scene, exchange: Exchange, rule: str, sure: Confidence
) -> tuple[str, Severity, Confidence, str]:
    """What the client did about the proxy's demand: nothing (``rule``, as ``sure``), something
    too late, or nothing yet.

    Rule, severity, confidence and words.
    """
    last = scene.flow.exchanges[-1]
    if last is not exchange and last.request is not None and last.request_mark is not None:
        words = f"#{last.request_mark.number} the same request"
        words += " with credentials" if last.request.credentials else ""
        end = scene.proxy.fin
        words += f", after #{end.number} FIN from the proxy" if end else ""
        return "auth-closed", PROBLEM, LIKELY, words
    if not scene.flow.closes and not scene.waited_for(scene.answered, ANSWERED_S):
        soon = "the client has not answered yet"
        words = soon if scene.capture.live else "the capture ends before the client could answer"
        return "auth-challenge", WARNING, POSSIBLE, words
    return rule, PROBLEM, sure, ""


def _cause(
    exchange: Exchange, offered: tuple[str, ...], refusals: list[Exchange]
) -> tuple[str, Confidence, str]:
    """Rule, confidence, and what the request carried."""
    request, response = exchange.request, exchange.response
    assert response is not None
    given = request.credentials if request else None
    if given is None:
        if request is None:
            return "auth-challenge", POSSIBLE, ""
        if not offered and response.complete:
            return "auth-no-scheme", CERTAIN, "without credentials"
        if offered and set(offered) <= _CONNECTION_SCHEMES:
            return "auth-scheme", LIKELY, "without credentials"
        return "auth-challenge", CERTAIN, "without credentials"
    carried = f"with credentials ({_names((given.scheme,))})"
    if given.ntlm_type == 1:
        continued = any(item.ntlm_type == 2 for item in response.challenges)
        if continued:
            return "auth-ntlm-dropped", LIKELY, f"{carried}, message 1"
        return "auth-rejected", LIKELY, f"{carried}, message 1"
    if given.ntlm_type == 3:
        second = any(
            challenge.ntlm_type == 2
            for e in refusals[:-1]
            if e.response
            for challenge in e.response.challenges
        )
        if not second:
            return "auth-ntlm-broken", CERTAIN, f"{carried}, message 3"
        return "auth-rejected", CERTAIN, f"{carried}, message 3"
    if offered and given.scheme not in offered:
        return "auth-scheme", CERTAIN, carried
    if any(item.stale for item in response.challenges):
        return "auth-stale", LIKELY, carried
    with_credentials = [e for e in refusals if e.request and e.request.credentials]
    if len(with_credentials) >= LOOP:
        return "auth-loop", CERTAIN, carried
    return "auth-rejected", CERTAIN, carried


def _origin_login(scene: Scene) -> Hit:
    response = scene.response
    assert response is not None
    assert scene.exchange is not None
    offered = _names(_offered(scene.exchange)) or "nothing"
    return Hit(
        "origin-login",
        WARNING,
        LIKELY,
        sentence(scene.request_text, scene.reply_text, f"offered: {offered}"),
        packets(scene.asked, scene.answered),
        "auth_required",
        code=response.status,
        values={"offered": offered},
    )


def ntlm_for_kerberos(scene: Scene) -> Hit | None:
    """Negotiate carries an NTLM message: there was no Kerberos ticket."""
    for exchange in scene.flow.exchanges:
        given = exchange.request.credentials if exchange.request else None
        if given is not None and given.scheme == "negotiate" and given.ntlm_type:
            mark = exchange.request_mark
            return Hit(
                "auth-no-ticket",
                INFO,
                LIKELY,
                sentence(
                    f"#{mark.number if mark else 0} Negotiate carries NTLM "
                    f"message {given.ntlm_type}, not a Kerberos ticket"
                ),
                packets(mark),
            )
    return None
