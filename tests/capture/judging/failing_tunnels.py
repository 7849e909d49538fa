"""Tunnels that fail: TLS, MTU and the transfer."""

from __future__ import annotations

from capture.facts import CLIENT, PROXY
from tests.capture.judging.build import (
    TLS12,
    Story,
    certificate,
    hello,
    opened,
    tunnel,
)
from tests.capture.judging.stories import (
    Scenario,
    answered_meanwhile,
    bye_after,
    challenge,
    dead,
    deaf,
    download,
    encrypted_alert,
    forgotten,
    full_size,
    half_flight,
    hello_lost,
    icmp,
    left,
    lossy,
    mute_in_text,
    mute_ssh,
    plain_inside,
    probed,
    rejected,
    shut,
    small_flight,
    swallowed,
    two_segments,
    unanswered,
)

TLS = (
    Scenario("unknown CA, alert in clear", lambda: opened().client_hello().server_flight()
             .alert(CLIENT, 48).close("client_rst"), "tls_untrusted_ca", ("tls-untrusted-ca",)),
    Scenario("gateway's certificate rejected", lambda: opened().client_hello().server_flight(
             TLS12, shown=certificate("CN=mitmproxy")).alert(CLIENT, 48).close("client_rst"),
             "tls_untrusted_ca", ("tls-untrusted-ca",)),
    Scenario("expired, alert in clear", lambda: opened().client_hello().server_flight()
             .alert(CLIENT, 45).close("client_rst"), "tls_cert_expired", ("tls-cert-expired",)),
    Scenario("expired by its visible dates", lambda: opened().client_hello().server_flight(
             TLS12, shown=certificate(days=-3)).alert(CLIENT, 46).close("client_rst"),
             "tls_cert_expired", ("tls-cert-expired",)),
    Scenario("no common version", lambda: opened().client_hello().alert(PROXY, 70)
             .close("proxy_fin"), "tls_version", ("tls-version",)),
    Scenario("handshake failure", lambda: opened().client_hello().alert(PROXY, 40)
             .close("proxy_fin"), "tls_version", ("tls-handshake-failure",)),
    Scenario("name unknown", lambda: opened().client_hello().alert(PROXY, 112)
             .close("proxy_fin"), "tls_version", ("tls-sni-unknown",)),
    Scenario("client certificate wanted", lambda: opened().client_hello().server_flight(TLS12)
             .alert(PROXY, 116).close("proxy_fin"), "tls_untrusted_ca",
             ("tls-client-certificate",)),
    Scenario("the server does not like what follows its flight", lambda: tunnel(TLS12)
             .alert(PROXY, 40), "tls_untrusted_ca", ("tls-client-certificate",)),
    Scenario("no common ALPN", lambda: opened().client_hello().alert(PROXY, 120)
             .close("proxy_fin"), "tls_version", ("tls-alpn",)),
    Scenario("internal error", lambda: opened().client_hello().alert(PROXY, 80)
             .close("proxy_fin"), "tls_version", ("tls-alert",)),
    Scenario("encrypted alert instead of Finished", lambda: encrypted_alert(),
             "tls_untrusted_ca", ("tls-encrypted-alert",)),
    Scenario("encrypted alert with Java's padding", lambda: encrypted_alert(35),
             "tls_untrusted_ca", ("tls-encrypted-alert",)),
    Scenario("no answer to what is TLS by its port, in text", mute_in_text, "tls_stall",
             ("tls-stall",), capture={"text": True}),
    Scenario("left after the handshake", lambda: left(tunnel().tickets()), "tls_untrusted_ca",
             ("tls-left-after-handshake",)),
    Scenario("left after the handshake, with close_notify", lambda: left(tunnel().goodbye()),
             "tls_untrusted_ca", ("tls-left-after-handshake",)),
    Scenario("left after the handshake, with close_notify, the FIN lost", lambda: tunnel()
             .goodbye(), "tls_untrusted_ca", ("tls-left-after-handshake",), 3.0),
    Scenario("left in the handshake", lambda: left(opened().client_hello().server_flight()),
             "tls_untrusted_ca", ("tls-left-in-handshake",)),
    Scenario("left on a self-signed certificate", lambda: left(opened().client_hello()
             .server_flight(TLS12, shown=certificate(self_signed=True))), "tls_untrusted_ca",
             ("tls-left-in-handshake",)),
    Scenario("server silent", lambda: bye_after(opened().client_hello(), 6.0), "tls_stall",
             ("tls-stall",)),
    Scenario("server silent, still open", lambda: opened().client_hello(), "tls_stall",
             ("tls-stall",), 30.0),
    Scenario("server silent, and the 2xx had come in two segments", lambda: bye_after(
             two_segments(opened()).client_hello(), 6.0), "tls_stall", ("tls-stall",)),
    Scenario("server silent, while the clock stepped back", lambda: bye_after(
             opened().client_hello(), 6.0).set(time_backwards=1), "tls_stall", ("tls-stall",)),
    Scenario("large hello, silence", lambda: bye_after(opened().client_hello(hello(length=1790)),
             6.0), "tls_stall", ("tls-stall-large-hello",)),
    Scenario("server's flight lost, as are the proxy's acknowledgements",
             lambda: deaf(opened().client_hello()), "tls_stall", ("path-dead",)),
    Scenario("hello lost", lambda: hello_lost(), "tls_stall", ("tls-hello-lost",), 5.0),
    Scenario("RST to the hello", lambda: opened().client_hello().close("proxy_rst"),
             "transfer_reset", ("tls-hello-reset",)),
    Scenario("FIN to the hello", lambda: opened().client_hello().close("proxy_fin"),
             "tunnel_closed_early", ("tls-hello-closed",)),
    Scenario("plain text in answer", lambda: plain_inside(), "tls_version",
             ("tls-answered-in-plain",)),
    Scenario("server's flight stops", lambda: bye_after(half_flight(), 8.0), "tls_stall",
             ("tls-half-flight",)),
    Scenario("nobody speaks, FIN", lambda: opened().close("proxy_fin"), "tunnel_closed_early",
             ("tunnel-closed-unused",)),
    Scenario("nobody speaks, RST", lambda: opened().close("proxy_rst"), "transfer_reset",
             ("tunnel-closed-unused",)),
    Scenario("far side says nothing to SSH", lambda: mute_ssh(), "transfer_stalled",
             ("tunnel-no-answer",)),
    Scenario("closed within the handshake", lambda: half_flight().close("proxy_fin"),
             "tunnel_closed_early", ("closed-in-handshake",)),
)  # fmt: skip


MTU = (
    Scenario("upload vanishes", lambda: answered_meanwhile(tunnel().fetch().repeat(CLIENT, 1448)),
             "mtu_blackhole", ("mtu-black-hole",)),
    Scenario("a download vanishes, and each packet of the client was captured twice",
             lambda: deaf(download()).set(CLIENT, run=None), "mtu_blackhole",
             ("mtu-black-hole",)),
    Scenario("upload vanishes, and the FIN draws no answer", lambda: tunnel().fetch().repeat(
             CLIENT, 1448).close("client_fin").set(CLIENT, fin_acked=False), "transfer_stalled",
             ("path-dead",), 5.0),
    Scenario("upload vanishes, the FIN has just been sent", lambda: tunnel().fetch().repeat(
             CLIENT, 1448).close("client_fin").set(CLIENT, fin_acked=False), "mtu_blackhole",
             ("mtu-black-hole",)),
    Scenario("upload vanishes, path silent", lambda: tunnel().fetch().repeat(CLIENT, 1448),
             "mtu_blackhole", ("mtu-black-hole",)),
    Scenario("large CONNECT vanishes", lambda: Story().connect().ask().answer(
             **challenge("negotiate")).repeat(CLIENT, 1448), "mtu_blackhole", ("mtu-black-hole",
             "auth-scheme")),
    Scenario("large hello: tail acknowledged, head not", lambda: opened().repeat(CLIENT, 1448)
             .set(CLIENT, sacked_beyond_hole=True), "mtu_blackhole", ("mtu-black-hole",), 9.0),
    Scenario("server's flight vanishes", lambda: opened().client_hello().hole(PROXY, 2896, 1200)
             .wait(8).close("client_fin"), "mtu_blackhole", ("mtu-black-hole",)),
    Scenario("server's flight vanishes, the SYN was not captured", lambda: opened().client_hello()
             .hole(PROXY, 2896, 1200).set(CLIENT, mss=0).wait(8).close("client_fin"),
             "mtu_blackhole", ("mtu-black-hole",)),
    Scenario("server's flight vanishes whole, FIN draws a telling ACK", lambda: swallowed(),
             "mtu_blackhole", ("mtu-black-hole",)),
    Scenario("small flight passes, the download vanishes", lambda: small_flight(),
             "mtu_blackhole", ("mtu-black-hole",)),
    Scenario("told, and ignored", lambda: tunnel().fetch().repeat(CLIENT, 1448)
             .set(icmp=(icmp(3, 4, mtu=1300),)), "mtu_blackhole", ("mtu-icmp-ignored",)),
    Scenario("full-size packet reset", lambda: full_size(tunnel().fetch()).close("proxy_rst")
             .set(PROXY, rst_ttl=64), "mtu_rst", ("mtu-rst",)),
)  # fmt: skip


TRANSFER = (
    Scenario("cut in a record", lambda: download().set(missing=(0, 900)).close("proxy_fin"),
             "tunnel_closed_early", ("cut-in-record",)),
    Scenario("cut between records", lambda: download().close("proxy_fin").goodbye(),
             "tunnel_closed_early", ("cut-without-goodbye",)),
    Scenario("cut between records; the capture began with the CONNECT", lambda: download()
             .set(mid_stream=True).close("proxy_fin").goodbye(), "tunnel_closed_early",
             ("cut-without-goodbye",)),
    Scenario("closed without an answer", lambda: unanswered().close("proxy_fin"),
             "tunnel_closed_early", ("closed-unanswered",)),
    Scenario("closed for idleness while the client waited", lambda: tunnel().fetch(9000).wait(60.0)
             .close("proxy_fin"), "tunnel_closed_early", ("idle-timeout", )),
    Scenario("never used, closed by an idle timer", lambda: tunnel().tickets().wait(10.0)
             .close("proxy_fin"), "tunnel_closed_early", ("idle-timeout",)),
    Scenario("reset in a record", lambda: download().set(missing=(0, 900)).close("proxy_rst"),
             "transfer_reset", ("reset-in-transfer",)),
    Scenario("reset while data flowed", lambda: download().close("proxy_rst"), "transfer_reset",
             ("reset-in-transfer",)),
    Scenario("reset after silence, on the next request", lambda: forgotten(), "transfer_reset",
             ("reset-after-idle",)),
    Scenario("a download stops at a record's end, given up after 30 s",
             lambda: bye_after(download(1_000_000), 30.2), "transfer_stalled", ("transfer-stall",)),
    Scenario("stopped in a record", lambda: bye_after(download().set(missing=(0, 900)), 7.0),
             "transfer_stalled", ("transfer-stall",)),
    Scenario("stopped, still open", lambda: download().set(missing=(0, 900)), "transfer_stalled",
             ("transfer-stall",), 30.0),
    Scenario("stopped between records", lambda: bye_after(download(200_000), 11.0),
             "transfer_stalled", ("transfer-stall",)),
    Scenario("stopped after a full record", lambda: download(16_384 * 8), "transfer_stalled",
             ("transfer-stall",), 60.0),
    Scenario("stopped after four full records", lambda: bye_after(download(16_384 * 4), 11.0),
             "transfer_stalled", ("transfer-stall",)),
    Scenario("closed after four full records",
             lambda: download(16_384 * 4).close("proxy_fin").close("client_fin"),
             "tunnel_closed_early", ("cut-without-goodbye",)),
    Scenario("lost data never came", lambda: lossy(), "transfer_stalled", ("transfer-loss",)),
    Scenario("path dies in a download", lambda: dead(), "transfer_stalled", ("path-dead",)),
    Scenario("path from the proxy dies in a download", lambda: deaf(download()),
             "transfer_stalled", ("path-dead",)),
    Scenario("a download by a proxy with lazy timers stops", lambda: download().wait(4.71).close(
             "proxy_fin"), "tunnel_closed_early", ("idle-timeout",)),
    Scenario("a firewall rejects an open connection", lambda: rejected(tunnel().fetch()),
             "transfer_stalled", ("path-rejected",)),
    Scenario("a firewall rejects the hello", lambda: rejected(opened().client_hello(acked=False)),
             "tls_stall", ("path-rejected",)),
    Scenario("path dies in an upload", lambda: tunnel().fetch().set(CLIENT, largest_acked=1448)
             .repeat(CLIENT, 1448), "transfer_stalled", ("path-dead",)),
    Scenario("path gone after a silence", lambda: tunnel().fetch().wait(1900).set(
             CLIENT, largest_acked=1448).repeat(CLIENT, 300, 5), "transfer_stalled",
             ("silent-drop",)),
    Scenario("no response", lambda: bye_after(unanswered(), 15.0), "transfer_stalled",
             ("no-response",)),
    Scenario("proxy shuts its window", lambda: shut(download(), PROXY, 20), "transfer_stalled",
             ("window-shut-by-proxy",), 1.0),
    Scenario("client shuts its window", lambda: shut(download(), CLIENT, 20), "transfer_stalled",
             ("window-shut-by-client",), 1.0),
    Scenario("probes of a shut window never answered", lambda: probed(8),
             "transfer_stalled", ("path-dead",), 1.0),
)  # fmt: skip
