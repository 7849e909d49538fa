"""The TLS handshake in the tunnel (RFC 8446, RFC 5246)."""

from __future__ import annotations

import re
from typing import Final

from capture.facts import CLIENT, PROXY, SENDERS, Alert, Mark
from capture.judging import mtu, talk
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
from capture.judging.reset import origin
from capture.judging.scene import (
    ALERT_13,
    ALERT_RECORD,
    DATA_RECORD,
    FINISHED_13,
    HANDSHAKE_RECORD,
    Scene,
)
from capture.protocols.events import Certificate
from capture.report.model import Confidence, Severity
from capture.units import duration, octets, plural, size

GAVE_UP_S: Final = 2.0
"""The same when the client gave up: sooner, it may have cancelled by itself."""

LEFT_AT_ONCE_S: Final = 2.0
"""A client that leaves a finished handshake sooner than this, without a byte of data, did
not like what it saw; one that stays longer opened the connection in advance."""

SPLIT_HELLO: Final = 1200
"""A ClientHello longer than this may need two packets, which some boxes cannot handle."""

UNDATED_S: Final = 366 * 86_400
"""Times in 1970 are those of a text without dates, or of a clock that was never set."""

QUIET_ALERTS: Final = frozenset({0, 90, 100})
"""close_notify, user_canceled, no_renegotiation: no failure."""

UNTRUSTED: Final = frozenset({42, 43, 44, 46, 48})
"""Alerts that reject a certificate for another reason than its age."""

_BY_ALERT: Final = {
    45: ("tls-cert-expired", "tls_cert_expired", CERTAIN),
    70: ("tls-version", "tls_version", CERTAIN),
    86: ("tls-version", "tls_version", CERTAIN),
    40: ("tls-handshake-failure", "tls_version", POSSIBLE),
    71: ("tls-handshake-failure", "tls_version", LIKELY),
    112: ("tls-sni-unknown", "tls_version", CERTAIN),
    116: ("tls-client-certificate", "tls_untrusted_ca", CERTAIN),
    120: ("tls-alpn", "tls_version", CERTAIN),
}
"""Alert code: rule, verdict and how sure the cause is."""

KNOWN_INSPECTORS: Final = re.compile(
    r"zscaler|umbrella|fortinet|fortigate|palo ?alto|blue ?coat|symantec web|mcafee web|skyhigh|"
    r"netskope|forcepoint|websense|sophos|barracuda|check ?point|watchguard|mitmproxy|squid|"
    r"charles proxy|fiddler|burp|cisco secure web|ironport|sslbump|ssl inspection|kaspersky|"
    r"bitdefender|eset ssl|avast|cato networks|untangle|smoothwall|lightspeed|iboss|contentkeeper",
    re.IGNORECASE,
)
"""Issuers of gateways and products that decrypt TLS."""


def failure_alert(scene: Scene) -> Alert | None:
    """The clear alert that ended the handshake.

    Warnings after which the handshake went on (Java servers send unrecognized_name so) do
    not count: data flowed from both sides after them.
    """
    tls = scene.tls
    if tls is None:
        return None
    for alert in tls.alerts:
        if alert.code in QUIET_ALERTS:
            continue
        later = [
            side.last.mark.number
            for side in tls.sides
            if side.last is not None and side.last.type == DATA_RECORD
        ]
        if alert.level == 1 and later and max(later) > alert.mark.number:
            continue
        return alert
    return None


def _names(code: int) -> tuple[str, str]:
    """An alert's name, and what it says in words."""
    from capture.protocols.tls_names import alert_name, alert_text

    return alert_name(code), alert_text(code)


def alerted(scene: Scene) -> Hit | None:
    """A TLS alert in clear text."""
    alert = failure_alert(scene)
    if alert is None:
        return None
    certificate = scene.tls.certificates[0] if scene.tls and scene.tls.certificates else None
    rule, verdict, sure = _reading(alert, certificate, scene)
    sender = SENDERS[alert.sender]
    if alert.sender == PROXY:
        sender = "proxy's side"
    values = _certificate_values(certificate)
    name, said = _names(alert.code)
    values["detail"] = f"{name} ({alert.code})"
    return Hit(
        rule,
        PROBLEM,
        sure,
        sentence(
            _hello_text(scene),
            f"#{alert.mark.number} alert {alert.code} {name} from the {sender}"
            + (f": {said}" if said else ""),
            _certificate_text(certificate),
        ),
        packets(scene.tls.client_hello_mark if scene.tls else None,
                scene.tls.server_hello_mark if scene.tls else None, alert.mark),
        verdict,
        code=alert.code,
        values=values,
    )  # fmt: skip


def _reading(
    alert: Alert, certificate: Certificate | None, scene: Scene
) -> tuple[str, str, Confidence]:
    """Rule, verdict and confidence of an alert."""
    if alert.sender == CLIENT and alert.code in UNTRUSTED:
        if certificate is not None and _expired(certificate, scene):
            return "tls-cert-expired", "tls_cert_expired", LIKELY
        suspect = certificate is not None and (
            certificate.self_signed or KNOWN_INSPECTORS.search(certificate.issuer)
        )
        return "tls-untrusted-ca", "tls_untrusted_ca", CERTAIN if suspect else LIKELY
    if alert.sender == PROXY and (alert.code in UNTRUSTED or alert.code == 45):
        return "tls-client-certificate", "tls_untrusted_ca", LIKELY
    if alert.code == 40 and scene.tls is not None and scene.tls.certificate_request:
        return "tls-client-certificate", "tls_untrusted_ca", LIKELY
    if alert.code == 40 and alert.sender == PROXY and _answered_by(scene, alert):
        # Version and cipher were agreed upon: what the client sent then did not please.
        return "tls-client-certificate", "tls_untrusted_ca", POSSIBLE
    if alert.code in _BY_ALERT:
        return _BY_ALERT[alert.code]
    return "tls-alert", "tls_version", POSSIBLE


def _answered_by(scene: Scene, alert: Alert) -> bool:
    """The client had answered the server's flight when the alert came."""
    hello = scene.tls.server_hello_mark if scene.tls else None
    return hello is not None and any(
        record.type == HANDSHAKE_RECORD and hello.number < record.mark.number < alert.mark.number
        for record in scene.tls_side(CLIENT).records
    )


def _expired(certificate: Certificate, scene: Scene) -> bool:
    """The certificate's dates exclude the time of the capture."""
    now = scene.flow.first.time_ns / 1e9
    if not scene.quality.clocked or now < UNDATED_S:
        return False
    after, before = certificate.not_after, certificate.not_before
    return (after is not None and after.timestamp() < now) or (
        before is not None and before.timestamp() > now
    )


def _certificate_values(certificate: Certificate | None) -> dict[str, str]:
    if certificate is None:
        return {}
    values = {"issuer": certificate.issuer, "subject": certificate.subject}
    if certificate.not_after is not None:
        values["expiry"] = certificate.not_after.strftime("%Y-%m-%d %H:%M UTC")
    return values


def _certificate_text(certificate: Certificate | None) -> str:
    if certificate is None:
        return ""
    text = f"the certificate {certificate.subject} is issued by {certificate.issuer}"
    if certificate.not_after is not None:
        text += f", valid to {certificate.not_after:%Y-%m-%d}"
    return text


def _hello_text(scene: Scene) -> str:
    tls = scene.tls
    if tls is None or tls.client_hello_mark is None:
        first = scene.flow.tunnel_first[CLIENT]
        sent = size(scene.flow.tunnel_bytes[CLIENT])
        return f"#{first.number} the client sent {sent} into the tunnel" if first else ""
    hello = tls.client_hello
    sni = f" for {hello.sni}" if hello and hello.sni else ""
    offered = ""
    if hello and hello.versions and tls.server_hello is None:
        from capture.protocols.tls_names import version_name

        offered = f", offering up to {version_name(max(hello.versions))}"
    return f"#{tls.client_hello_mark.number} ClientHello{sni}{offered}"


# -- no server flight ----------------------------------------------------------------------


def _began(scene: Scene) -> Mark | None:
    """The client's first words in the tunnel."""
    tls = scene.tls
    if tls is not None and tls.client_hello_mark is not None:
        return tls.client_hello_mark
    return scene.flow.tunnel_first[CLIENT]


def no_server_flight(scene: Scene) -> Hit | None:
    """The client spoke in the tunnel and never got a byte."""
    flow = scene.flow
    if flow.tunnel is None or scene.heard or not scene.quality.absent(PROXY):
        return None
    began = _began(scene)
    if began is None:
        return _closed_unspoken(scene)
    if scene.proxy_ended_first:
        return _cut_off(scene, began)
    limit = GAVE_UP_S if flow.closes else scene.limits.tls_silent_s
    if not scene.waited_for(began, limit) or mtu.size_dependent(scene):
        return None
    tls = scene.tls
    large = tls is not None and tls.client_hello is not None and (
        tls.client_hello.length > SPLIT_HELLO or tls.client_hello_packets > 1
    )  # fmt: skip
    lost = scene.client.unacked > 0
    seen = sentence(
        _hello_text(scene),
        f"not acknowledged after {plural(scene.client.retransmissions, 'retransmission')}"
        if lost else "acknowledged" if scene.client.unacked == 0 else "",
        f"no byte came back in {duration(scene.waited(began))}",
        scene.ending_text,
    )  # fmt: skip
    marks = packets(flow.tunnel, began, scene.client.unacked_since if lost else None,
                    scene.client_end)  # fmt: skip
    if not scene.speaks_tls:
        return Hit("tunnel-no-answer", PROBLEM, LIKELY, seen, marks, "transfer_stalled")
    if lost:
        return Hit("tls-hello-lost", PROBLEM, LIKELY, seen, marks, "tls_stall")
    rule = "tls-stall-large-hello" if large else "tls-stall"
    return Hit(rule, PROBLEM, POSSIBLE, seen, marks, "tls_stall")


def _closed_unspoken(scene: Scene) -> Hit | None:
    """2xx, and the proxy closes before anybody said anything."""
    flow, end = scene.flow, scene.proxy_end
    if not scene.proxy_ended_first or end is None or not scene.quality.absent(CLIENT):
        return None
    reset = scene.first_end == "proxy_rst"
    after = scene.span(flow.tunnel, end)
    return Hit(
        "tunnel-closed-unused",
        PROBLEM,
        LIKELY,
        sentence(
            scene.request_text,
            scene.reply_text,
            f"#{end.number} {'RST' if reset else 'FIN'} from the proxy"
            + (f" {after} later" if after else ""),
            "nobody had sent a byte in the tunnel",
        ),
        packets(flow.tunnel, end),
        "transfer_reset" if reset else "tunnel_closed_early",
    )


def _cut_off(scene: Scene, began: Mark) -> Hit | None:
    """FIN or RST from the proxy's side in answer to the client's first words."""
    end = scene.proxy_end
    if end is None or mtu.full_size_reset(scene):
        return None
    reset = scene.first_end == "proxy_rst"
    after = scene.span(began, end)
    rtt = (scene.flow.rtt_ns or 0) / 1e9
    quick = reset and scene.quality.timed and (end.time_ns - began.time_ns) / 1e9 <= 3 * rtt
    signs = origin(scene.proxy) if reset else None
    return Hit(
        "tls-hello-reset" if reset else "tls-hello-closed",
        PROBLEM,
        LIKELY if quick and signs and signs.between else POSSIBLE,
        sentence(
            scene.reply_text,
            _hello_text(scene),
            f"#{end.number} {'RST' if reset else 'FIN'} from the proxy's side"
            + (f" {after} later" if after else "")
            + ", without a byte from the far side",
            f"the RST may not be the proxy's: {signs.text}" if signs and signs.signs else "",
        ),
        packets(scene.flow.tunnel, began, end),
        "transfer_reset" if reset else "tunnel_closed_early",
        values={"delay": after or "an unknown time"},
    )


def not_tls(scene: Scene) -> Hit | None:
    """A ClientHello answered by something that is not TLS."""
    tls, flow = scene.tls, scene.flow
    if flow.tunnel is None or tls is None or tls.client_hello is None or tls.alerts:
        return None
    if tls.server_hello is not None or tls.sides[PROXY].count or not scene.heard:
        return None
    if scene.stream_gap(PROXY) or scene.quality.one_way or scene.quality.text:
        return None
    if scene.proxy.acked_unseen and flow.tunnel_language[PROXY] != "http":
        return None  # what was captured late was not waited for: the first bytes may be others
    first = flow.tunnel_first[PROXY]
    if first is None or not flow.closes:
        return None
    return Hit(
        "tls-answered-in-plain",
        PROBLEM,
        LIKELY,
        sentence(
            _hello_text(scene),
            f"#{first.number} the answer inside the tunnel is not TLS"
            + (" but HTTP" if flow.tunnel_language[PROXY] == "http" else ""),
            scene.ending_text,
        ),
        packets(tls.client_hello_mark, first),
        "tls_version",
    )


def half_server_flight(scene: Scene) -> Hit | None:
    """ServerHello came, the handshake was never finished, nothing more came."""
    tls, flow = scene.tls, scene.flow
    if tls is None or flow.tunnel is None or not tls.sides[PROXY].count or tls.alerts:
        return None
    if _client_went_on(scene) or not scene.quality.absent(PROXY) or scene.quality.cut[PROXY]:
        return None
    if tls.client_hello is None or mtu.size_dependent(scene) or scene.quality.mid_stream:
        return None
    if scene.stream_gap(CLIENT) or mtu.unheard(scene, PROXY):
        return None  # the client went on with what was not captured, or never got the flight
    last = scene.proxy.last_payload
    if scene.proxy_ended_first or not scene.waited_for(last, scene.limits.tls_silent_s):
        return None
    missing = tls.sides[PROXY].missing
    return Hit(
        "tls-half-flight",
        PROBLEM,
        LIKELY if missing or scene.proxy.holes else POSSIBLE,
        sentence(
            _hello_text(scene),
            f"#{last.number} last data of the server's flight" if last else "",
            f"{octets(missing)} of its last record are missing" if missing else "",
            f"nothing more from either side in {duration(scene.waited(last))}",
            scene.ending_text,
        ),
        packets(tls.client_hello_mark, tls.server_hello_mark, last, scene.client_end),
        "tls_stall",
    )


def _client_went_on(scene: Scene) -> bool:
    """The client answered the server's flight."""
    records = scene.tls_side(CLIENT).records
    hellos = sum(record.type == HANDSHAKE_RECORD for record in records)
    more = any(record.type in (DATA_RECORD, ALERT_RECORD) for record in records)
    return more or hellos > (2 if _retried(scene) else 1)


def _retried(scene: Scene) -> bool:
    hello = scene.tls.server_hello if scene.tls else None
    return hello is not None and hello.retry


# -- rejected without a clear alert --------------------------------------------------------


def left_after_handshake(scene: Scene) -> Hit | None:
    """The client leaves right after the server's flight, without data or a clear alert."""
    tls, flow = scene.tls, scene.flow
    if tls is None or tls.server_hello is None or failure_alert(scene) is not None:
        return None
    end = scene.client_end
    if scene.quality.one_way or scene.quality.mid_stream or scene.stream_gap(CLIENT):
        return None
    bye = scene.goodbye(CLIENT)
    if end is None and (bye is None or not scene.passed(bye, LEFT_AT_ONCE_S)):
        return None  # a FIN follows a goodbye; what none follows may be a short request
    how = _departure(scene)
    if how is None:
        return None
    rule, words, mark = how
    flight = tls.certificate_mark or tls.server_hello_mark
    leave = mark if rule == "tls-encrypted-alert" else scene.goodbye(CLIENT) or end
    if flight is None or leave is None or not scene.quality.clocked:
        return None
    took = (leave.time_ns - flight.time_ns) / 1e9
    if took > LEFT_AT_ONCE_S:
        return None
    certificate = tls.certificates[0] if tls.certificates else None
    verdict, severity, sure = _why_left(scene, certificate, rule)
    values = _certificate_values(certificate)
    values["delay"] = duration(max(took, 0.0))
    return Hit(
        rule,
        severity,
        sure,
        sentence(
            _hello_text(scene),
            f"#{flight.number} server's flight",
            words,
            f"{scene.ending_text}, {values['delay']} after the flight",
            _certificate_text(certificate),
        ),
        packets(tls.client_hello_mark, flight, mark, end, flow.tunnel),
        verdict,
        values=values,
    )


def _departure(scene: Scene) -> tuple[str, str, Mark | None] | None:
    """How the client left: rule, words and packet; None when it used the tunnel."""
    records = scene.tls_side(CLIENT).records
    side = scene.tls_side(CLIENT)
    if side.count > len(records) or len(records) >= 16:
        return None
    if scene.modern:
        sealed = [record for record in records if record.type == DATA_RECORD]
        if not sealed:
            if scene.client_ended_first and scene.flow.tunnel_protocol != "other":
                return "tls-left-in-handshake", "the client sent no more TLS records", None
            return None
        if sealed[0].length in ALERT_13:
            words = f"#{sealed[0].mark.number} the client sent one encrypted record of "
            words += f"{sealed[0].length} bytes, the size of an alert, and no Finished"
            return "tls-encrypted-alert", words, sealed[0].mark
        if sealed[0].length not in FINISHED_13 or talk.spoke(scene, sealed[0], sealed[1:]):
            return None
        words = "the client finished the handshake and sent no data"
        return "tls-left-after-handshake", words, sealed[-1].mark
    if any(record.type == DATA_RECORD for record in records):
        return None
    went_on = _client_went_on(scene)
    if not went_on and not scene.client_ended_first:
        return None
    if went_on:
        words = "the client finished the handshake and sent no data"
        return "tls-left-after-handshake", words, records[-1].mark if records else None
    return "tls-left-in-handshake", "the client sent no more TLS records", None


def _why_left(scene: Scene, certificate: Certificate | None, rule: str) -> tuple[
    str, Severity, Confidence
]:  # fmt: skip
    """Verdict, severity and confidence from what is visible of the certificate."""
    if certificate is not None and _expired(certificate, scene):
        return "tls_cert_expired", PROBLEM, LIKELY
    suspect = certificate is not None and (
        certificate.self_signed or KNOWN_INSPECTORS.search(certificate.issuer) is not None
    )
    if rule == "tls-encrypted-alert" or suspect:
        return "tls_untrusted_ca", PROBLEM, LIKELY
    if rule == "tls-left-in-handshake":
        return "tls_untrusted_ca", PROBLEM, POSSIBLE
    return "tls_untrusted_ca", WARNING, POSSIBLE


def inspected(scene: Scene) -> Hit | None:
    """The visible certificate comes from a box that decrypts TLS."""
    tls = scene.tls
    if tls is None or not tls.certificates or failure_alert(scene) is not None:
        return None
    certificate = tls.certificates[0]
    found = KNOWN_INSPECTORS.search(certificate.issuer)
    if found is None:
        return None
    mark = tls.certificate_mark
    return Hit(
        "tls-inspected",
        INFO,
        LIKELY,
        sentence(f"#{mark.number if mark else 0} {_certificate_text(certificate)}"),
        packets(mark),
        values=_certificate_values(certificate),
    )
