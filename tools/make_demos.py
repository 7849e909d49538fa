"""Make the demo captures anew: ``sudo python -m tools.make_demos [NAME...]``.

One function a capture; its name is the demo's. Each says with real programs what the
network did; ``capture/demos/index.toml`` says what the tool must make of it.
"""

from __future__ import annotations

import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable

from tools.lab import PROXY, ROOT, ROUTER, Lab, run
from tools.servers import ORIGINS
from tools.wire import Fault, drop_all, drop_larger, dying_host, reset_larger

DEMOS = ROOT / "capture" / "demos"
CISCO = "https://tools.cisco.com/"
UPDATES = ORIGINS["updates.example.com"]

Scenario = Callable[[Lab], None]
SCENARIOS: dict[str, Scenario] = {}


def demo(function: Scenario) -> Scenario:
    """Register a scenario under its name, underscores as hyphens."""
    SCENARIOS[function.__name__.replace("_", "-")] = function
    return function


def nft(lab: Lab, *rules: str) -> None:
    """Replace the router's firewall by these rules on forwarded packets (none: open)."""
    del lab
    table = "flush ruleset\n"
    if rules:
        table += "table ip lab { chain forward { type filter hook forward priority 0; "
        table += "\n".join(rules) + "\n}\n}\n"
    run("ip", "netns", "exec", ROUTER, "nft", "-f", "-", text=table)


def only(port: int, fault: Fault) -> Fault:
    """Apply a fault to the client port ``port`` alone."""

    def applied(frame: bytes, from_near: bool) -> list[tuple[bytes, bool]] | None:
        at = 34 if from_near else 36
        mine = frame[12:14] == b"\x08\x00" and int.from_bytes(frame[at : at + 2], "big") == port
        return fault(frame, from_near) if mine else None

    return applied


def scripted(lab: Lab, status: str, *headers: str, body: str = "") -> None:
    """A proxy on port 8080 that answers every request so."""
    head = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close"]
    answer = lab.directory / "answer"
    answer.write_bytes(("\r\n".join(head) + "\r\n\r\n" + body).encode())
    lab.python(PROXY, "tools.servers", "--reply", str(answer), "8080")
    time.sleep(1.0)


@demo
def ok_tls13(lab: Lab) -> None:
    lab.curl(40716, "-I", CISCO)


@demo
def ok_tls12(lab: Lab) -> None:
    lab.curl(40716, "https://www.example.com/bytes/12000")


@demo
def auth_ok(lab: Lab) -> None:
    lab.curl(40716, "--proxy-anyauth", "--proxy-user", "demo:not-a-secret", "-I", CISCO, proxy=3128)


@demo
def auth_required(lab: Lab) -> None:
    lab.curl(40716, "-I", CISCO, proxy=3128)


@demo
def auth_wrong_password(lab: Lab) -> None:
    lab.curl(40716, "--proxy-user", "demo:wrong-password", "-I", CISCO, proxy=3128)


@demo
def acl_denied(lab: Lab) -> None:
    lab.curl(40716, "-I", "https://blocked.example.com/")


@demo
def acl_port(lab: Lab) -> None:
    lab.curl(40716, "-I", "https://tools.cisco.com:8443/")


@demo
def captive_redirect(lab: Lab) -> None:
    scripted(lab, "302 Found", "Location: http://login.example.com/portal?to=tools.cisco.com")
    lab.curl(40716, "-I", CISCO, proxy=8080)


@demo
def bad_request(lab: Lab) -> None:
    lab.send(40716, b"CONNECT tools.cisco.com:99999 HTTP/1.1\r\nHost: tools.cisco.com\r\n\r\n")


@demo
def not_found(lab: Lab) -> None:
    lab.curl(40716, "http://www.example.com/missing")


@demo
def server_error(lab: Lab) -> None:
    lab.curl(40716, "-I", "https://nowhere.example.com/")


@demo
def bad_gateway(lab: Lab) -> None:
    scripted(lab, "502 Bad Gateway", "Via: 1.1 proxy.example", "Proxy-Status: proxy.example; "
             "error=dns_error; rcode=NXDOMAIN", "Content-Type: text/html",
             body="<h1>Bad Gateway</h1><p>The proxy could not reach the server.</p>\n")  # fmt: skip
    lab.curl(40716, "-I", CISCO, proxy=8080)


@demo
def service_unavailable(lab: Lab) -> None:
    lab.curl(40716, "-I", "https://dead.example.com/")


@demo
def gateway_timeout(lab: Lab) -> None:
    scripted(lab, "504 Gateway Timeout", "Via: 1.1 proxy.example", "Content-Type: text/html",
             body="<h1>Gateway Timeout</h1><p>No answer from the server.</p>\n")  # fmt: skip
    lab.curl(40716, "-I", CISCO, proxy=8080)


@demo
def upstream_timeout(lab: Lab) -> None:
    nft(lab, 'ip saddr 10.10.10.1 oifname "internet" drop')
    lab.curl(40716, "-I", CISCO)


@demo
def proxy_refused(lab: Lab) -> None:
    lab.curl(40716, "-I", CISCO, proxy=8888)


@demo
def proxy_unreachable(lab: Lab) -> None:
    nft(lab, "ip daddr 10.10.10.1 drop")
    lab.curl(40716, "--max-time", "9", "-I", CISCO)


@demo
def proxy_prohibited(lab: Lab) -> None:
    nft(lab, "ip daddr 10.10.10.1 reject with icmp type admin-prohibited")
    lab.curl(40716, "-I", CISCO)


@demo
def connect_no_reply(lab: Lab) -> None:
    assert lab.squid
    lab.squid.send_signal(signal.SIGSTOP)
    lab.curl(40716, "--max-time", "25", "-I", CISCO)


@demo
def tunnel_closed_early(lab: Lab) -> None:
    lab.curl(40716, "https://closing.example.com/")


@demo
def tunnel_cut_short(lab: Lab) -> None:
    lab.curl(40716, "https://updates.example.com/die/32768")


@demo
def tls_stall(lab: Lab) -> None:
    lab.curl(40716, "--max-time", "15", "https://silent.example.com/")


@demo
def tls_untrusted_ca(lab: Lab) -> None:
    lab.curl(40716, "-I", "https://reputation.example.net/")


@demo
def tls_cert_expired(lab: Lab) -> None:
    lab.curl(40716, "-I", "https://expired.example.com/")


@demo
def tls_version(lab: Lab) -> None:
    lab.curl(40716, "--tls-max", "1.2", "-I", "https://modern.example.com/")


@demo
def tls_to_plain_proxy(lab: Lab) -> None:
    lab.curl(40716, "--proxy-insecure", "--proxy", "https://10.10.10.1:80", "-I", CISCO, proxy=None)


@demo
def socks_to_http_proxy(lab: Lab) -> None:
    lab.curl(40716, "--max-time", "8", "--proxy", "socks5h://10.10.10.1:80", CISCO, proxy=None)


@demo
def transfer_stalled(lab: Lab) -> None:
    lab.internet.fault = dying_host(UPDATES, 24_000)
    lab.curl(40716, "--max-time", "35", "https://updates.example.com/bytes/500000")


@demo
def transfer_path_dies(lab: Lab) -> None:
    lab.curl(40716, "--max-time", "20", "https://updates.example.com/pause/16000", wait=False)
    time.sleep(3)
    lab.access.fault = drop_all
    time.sleep(24)


@demo
def transfer_reset(lab: Lab) -> None:
    lab.curl(40716, "https://updates.example.com/pause/24000", wait=False)
    time.sleep(2)
    run("ip", "netns", "exec", PROXY, "ss", "-K", "dst", "10.40.40.1")
    time.sleep(1)


@demo
def mtu_blackhole(lab: Lab) -> None:
    lab.access.fault = drop_larger(1300, from_near=True)
    _upload(lab, 40716, 6000, "25")


@demo
def mtu_blackhole_download(lab: Lab) -> None:
    lab.access.fault = drop_larger(1300, from_near=False)
    lab.curl(40716, "--max-time", "15", "https://www.example.com/bytes/12000")


@demo
def mtu_rst(lab: Lab) -> None:
    lab.access.fault = reset_larger(1300)
    _upload(lab, 40716, 6000, "10")


@demo
def plain_http(lab: Lab) -> None:
    lab.curl(40716, "http://www.example.com/hello")


@demo
def tour(lab: Lab) -> None:
    """An appliance's half minute: what works, what does not, side by side."""
    lab.curl(40716, "-I", CISCO)
    time.sleep(0.7)
    lab.internet.fault = dying_host(UPDATES, 5_000)
    lab.curl(40718, "https://updates.example.com/bytes/500000", "--max-time", "24", wait=False)
    time.sleep(0.5)
    lab.curl(40720, "-I", "https://blocked.example.com/")
    lab.access.fault = only(40722, drop_larger(1300, from_near=True))
    _upload(lab, 40722, 1500, "14", wait=False)
    time.sleep(0.8)
    lab.curl(40724, "-I", "https://reputation.example.net/")
    lab.curl(40726, "-I", "https://dead.example.com/")
    time.sleep(1.3)
    lab.curl(40728, "-I", CISCO, proxy=8888)
    lab.curl(40730, "--proxy-anyauth", "--proxy-user", "demo:not-a-secret", "-I", CISCO, proxy=3128)
    time.sleep(2.1)
    lab.curl(40732, "https://silent.example.com/", "--max-time", "14", wait=False)
    lab.curl(40734, "https://modern.example.com/bytes/1000")
    time.sleep(20)


def _upload(lab: Lab, port: int, size: int, limit: str, *, wait: bool = True) -> None:
    body = lab.directory / f"body{port}"
    body.write_bytes(bytes(size))
    lab.curl(
        port, "--max-time", limit, "-H", "Expect:", "--data-binary", f"@{body}", CISCO, wait=wait
    )


def make(lab: Lab, name: str) -> None:
    """Run one scenario under capture and write its file, without link-local noise."""
    raw = lab.directory / f"{name}.{'pcapng' if name == 'tour' else 'pcap'}"
    tracer = lab.capture(raw)
    try:
        SCENARIOS[name](lab)
    finally:
        lab.end_capture(tracer)
        lab.access.fault = lab.internet.fault = None
        nft(lab)
    lab.end_clients()
    target = DEMOS / raw.name
    target.unlink(missing_ok=True)
    if raw.suffix == ".pcapng":
        target.write_bytes(without_machine(raw.read_bytes()))
    else:
        target.write_bytes(raw.read_bytes())
    packets = len(run("tcpdump", "-n", "-q", "-r", str(target)).splitlines())
    _note_packets(name, packets)
    print(f"{target.name}: {packets} packets, {target.stat().st_size} bytes")


def without_machine(pcapng: bytes) -> bytes:
    """A pcapng file without the options that tell hardware, system and program."""
    out, at = b"", 0
    while at < len(pcapng):
        kind, length = struct.unpack_from("<II", pcapng, at)
        block = pcapng[at : at + length]
        if kind in _FIXED:
            start = _FIXED[kind]
            options = _kept_options(block[start:-4], _PRIVATE[kind])
            length = start + len(options) + 4
            size = struct.pack("<I", length)
            block = block[:4] + size + block[8:start] + options + size
        out += block
        at += struct.unpack_from("<I", pcapng, at + 4)[0]
    return out


_SECTION, _INTERFACE = 0x0A0D0D0A, 1
_FIXED = {_SECTION: 24, _INTERFACE: 16}
"""Where the options of a block begin."""
_PRIVATE = {_SECTION: {2, 3, 4}, _INTERFACE: {12, 15}}
"""shb_hardware, shb_os, shb_userappl; if_os, if_hardware."""


def _kept_options(options: bytes, private: set[int]) -> bytes:
    out, at = b"", 0
    while at + 4 <= len(options):
        code, length = struct.unpack_from("<HH", options, at)
        end = at + 4 + (length + 3) // 4 * 4
        if code not in private:
            out += options[at:end]
        at = end
    return out


def _note_packets(name: str, packets: int) -> None:
    index = DEMOS / "index.toml"
    pattern = rf'(name = "{name}"\n(?:\w+ = .*\n)*?packets = )\d+'
    index.write_text(re.sub(pattern, rf"\g<1>{packets}", index.read_text()))


def main(names: list[str]) -> int:
    """Make the named captures, all by default."""
    unknown = set(names) - set(SCENARIOS)
    if unknown:
        print(f"unknown: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    DEMOS.mkdir(exist_ok=True)
    for name in names or SCENARIOS:
        # A lab each: no scenario inherits another's connections, routes or ports.
        with Lab() as lab:
            try:
                make(lab, name)
            except (OSError, subprocess.CalledProcessError, RuntimeError) as error:
                log = (lab.directory / "errors.log").read_text()
                print(f"{name}: {error}\n{log[-1500:]}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
