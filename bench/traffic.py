"""Made-up traffic for speed tests: tunnels through one HTTP proxy, as columns.

Deterministic for a seed. A tunnel's few telling packets are Python tuples, its downloads
numpy arrays; both become ``Rows``. The mix: nine of ten tunnels work, the others fail in the
usual ways (no answer, refused, 407, 502, silence, TLS alert, reset).
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
CLIENT, PROXY = 0, 1
MSS: Final = 1400
SEGMENTS_A_RECORD: Final = 11
"""Full segments that one TLS record fills: 15,395 bytes and its header (limit 16,640)."""
NOISE: Final = -1
"""Template number of payload that is noise from its first byte on."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

HOSTS = [f"host{i:03d}.example.{'com' if i % 3 else 'org'}" for i in range(500)]


class Rows(NamedTuple):
    """Packets as columns, all of one length."""

    time: Floats
    """Seconds since the start of the capture."""
    flow: Ints
    sender: Ints
    flags: Ints
    seq: Ints
    ack: Ints
    length: Ints
    """Payload bytes."""
    template: Ints
    """Index into ``TEMPLATES`` of the payload's first bytes, or ``NOISE``."""
    window: Ints

    def take(self, index: NDArray[np.intp] | slice) -> Rows:
        """The rows at ``index``."""
        return Rows._make(column[index] for column in self)


TEMPLATES: list[bytes] = []


def _template(head: bytes, noise: int = 0) -> tuple[int, int]:
    """Register a payload: fixed bytes, then noise. Returns its number and length."""
    TEMPLATES.append(head)
    return len(TEMPLATES) - 1, len(head) + noise


def _record(kind: int, length: int) -> bytes:
    return struct.pack(">BHH", kind, 0x0303, length)


def _client_hello(host: str) -> bytes:
    name = host.encode()
    extensions = (
        struct.pack(">HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name  # server_name
        + bytes.fromhex("0010000e000c02683208687474702f312e31")  # ALPN h2, http/1.1
        + bytes.fromhex("002b00050403040303")  # supported_versions 1.3, 1.2
        + struct.pack(">HH", 21, 300) + bytes(300)  # padding
    )  # fmt: skip
    body = b"\x03\x03" + bytes(range(32)) + b"\x20" + bytes(32)
    body += b"\x00\x08" + bytes.fromhex("13011302c02bc02f") + b"\x01\x00"
    body += struct.pack(">H", len(extensions)) + extensions
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack(">H", len(message)) + message


def _server_flight() -> bytes:
    extensions = bytes.fromhex("002b000203040033002400" + "1d0020") + bytes(32)
    body = b"\x03\x03" + bytes(32) + b"\x20" + bytes(32) + b"\x13\x01\x00"
    body += struct.pack(">H", len(extensions)) + extensions
    message = b"\x02" + len(body).to_bytes(3, "big") + body
    return _record(22, len(message)) + message + _record(20, 1) + b"\x01" + _record(23, 1164)


def _reply(status: str, *headers: str) -> tuple[int, int]:
    return _template("\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode())


_CONNECT = [
    _template(
        f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\nUser-Agent: curl/8.9.1\r\n"
        "Proxy-Connection: Keep-Alive\r\n\r\n".encode()
    )
    for host in HOSTS
]
_CLIENT_HELLO = [_template(_client_hello(host)) for host in HOSTS]
_ESTABLISHED = _reply("200 Connection established")
_NO_BODY = ("Content-Length: 0", "Connection: close")
_CHALLENGE = 'Proxy-Authenticate: Basic realm="p"'
_AUTH = _reply("407 Proxy Authentication Required", _CHALLENGE, *_NO_BODY)
_BAD_GATEWAY = _reply("502 Bad Gateway", *_NO_BODY)
_SERVER_FLIGHT = _template(_server_flight(), noise=1164)
_FINISHED = _template(_record(20, 1) + b"\x01" + _record(23, 53), noise=53)
_REQUEST = _template(_record(23, 300), noise=300)
_RESPONSE = _template(_record(23, 700), noise=700)
_UNKNOWN_CA = _template(_record(21, 2) + b"\x02\x30")
_CLOSE_NOTIFY = _template(_record(23, 19), noise=19)
_DATA = [_template(_record(23, MSS * n - 5))[0] for n in range(1, SEGMENTS_A_RECORD + 1)]
"""First segment of a record that fills n segments, at n - 1."""

_Row = tuple[float, int, int, int, int, int, int, int, int]


class _Tunnel:
    """One connection from a client to the proxy; appends what both sides send."""

    def __init__(self, flow: int, start: float, dice: random.Random) -> None:
        self.flow, self.time, self.dice = flow, start, dice
        self.seq = [dice.randrange(1 << 32), dice.randrange(1 << 32)]
        self.rtt = dice.uniform(0.0005, 0.06)
        self.rows: list[_Row] = []
        self.bulk: list[Rows] = []

    def send(
        self,
        sender: int,
        flags: int,
        payload: tuple[int, int] = (NOISE, 0),
        *,
        after: float | None = None,
        window: int = 502,
        again: bool = False,
    ) -> None:
        """One packet, half a round trip after the last unless ``after`` says else."""
        self.time += self.rtt * self.dice.uniform(0.3, 0.7) if after is None else after
        seq = self.seq[sender]
        ack = self.seq[1 - sender] if flags & ACK else 0
        template, length = payload
        row = (self.time, self.flow, sender, flags, seq, ack, length, template, window)
        self.rows.append(row)
        if not again:
            self.seq[sender] = (seq + length + bool(flags & (SYN | FIN))) & 0xFFFFFFFF

    def handshake(self) -> None:
        self.send(CLIENT, SYN, window=64240)
        self.send(PROXY, SYN | ACK, window=65160)
        self.send(CLIENT, ACK, after=1e-5)

    def connect(self, answer: tuple[int, int] | None) -> None:
        self.send(CLIENT, PSH | ACK, _CONNECT[self.flow % len(HOSTS)], after=5e-5)
        self.send(PROXY, ACK)
        if answer:
            self.send(PROXY, PSH | ACK, answer, after=self.dice.expovariate(20))
            self.send(CLIENT, ACK, after=1e-5)

    def client_hello(self) -> None:
        self.send(CLIENT, PSH | ACK, _CLIENT_HELLO[self.flow % len(HOSTS)], after=3e-4)

    def tls(self) -> None:
        self.client_hello()
        self.send(PROXY, PSH | ACK, _SERVER_FLIGHT)
        self.send(CLIENT, PSH | ACK, _FINISHED, after=1e-3)

    def exchange(self) -> None:
        self.send(CLIENT, PSH | ACK, _REQUEST, after=self.dice.expovariate(5))
        self.send(PROXY, PSH | ACK, _RESPONSE)

    def close(self, *, notify: bool = False) -> None:
        if notify:
            self.send(CLIENT, PSH | ACK, _CLOSE_NOTIFY)
        self.send(CLIENT, FIN | ACK, after=1e-4)
        if notify:
            self.send(PROXY, PSH | ACK, _CLOSE_NOTIFY)
        self.send(PROXY, FIN | ACK)
        self.send(CLIENT, ACK, after=1e-5)

    def download(self, packets: int) -> None:
        """About ``packets`` packets: full segments from the proxy, an ACK each one or two."""
        dice, every = self.dice, self.dice.choice((1, 1, 2))
        count = max(1, packets * every // (every + 1))
        segment = np.arange(count)
        if count > 30 and dice.random() < 0.15:  # one segment comes twice
            at = dice.randrange(5, count - 10)
            segment = np.insert(segment, at + 6, at)
        order = np.arange(len(segment))
        gap = dice.uniform(2e-5, 4e-4)
        time = self.time + gap * (order + 1) + self.rtt * (order // 10)
        seq = (self.seq[PROXY] + MSS * segment) & 0xFFFFFFFF
        first = segment - segment % SEGMENTS_A_RECORD
        fills = np.minimum(count - first, SEGMENTS_A_RECORD)
        template = np.where(segment == first, np.array(_DATA)[fills - 1], NOISE)
        self._extend(PROXY, time, seq, self.seq[CLIENT], MSS, template, 502)
        last = np.minimum(order[every - 1 :: every], len(order) - 1)
        reached = np.maximum.accumulate(segment)[last] + 1
        window = np.full(len(last), 1500)
        if len(last) > 10 and dice.random() < 0.05:  # the reader stops for a moment
            at = dice.randrange(2, len(last) - 5)
            window[at : at + 3] = 0
        ack = (self.seq[PROXY] + MSS * reached) & 0xFFFFFFFF
        self._extend(CLIENT, time[last] + 1e-5, self.seq[CLIENT], ack, 0, NOISE, window)
        self.seq[PROXY] = (self.seq[PROXY] + MSS * count) & 0xFFFFFFFF
        self.time = float(time[-1]) + 1e-5

    def _extend(
        self,
        sender: int,
        time: Floats,
        seq: Ints | int,
        ack: Ints | int,
        length: int,
        template: Ints | int,
        window: Ints | int,
    ) -> None:
        columns = (self.flow, sender, ACK, seq, ack, length, template, window)
        full = (np.broadcast_to(np.asarray(c, np.int64), time.shape) for c in columns)
        self.bulk.append(Rows(time, *full))


def _play(tunnel: _Tunnel, mean: float) -> None:
    """Let a tunnel live one of the usual lives; ``mean`` packets on average."""
    fate = tunnel.dice.random()
    if fate < 0.03:  # nobody answers the SYN
        for wait in (0, 1, 2, 4, 8):
            tunnel.send(CLIENT, SYN, after=wait, window=64240, again=True)
    elif fate < 0.05:  # refused
        tunnel.send(CLIENT, SYN, window=64240)
        tunnel.send(PROXY, RST | ACK, window=0)
    elif fate < 0.11:
        tunnel.handshake()
        tunnel.connect(_AUTH if fate < 0.08 else _BAD_GATEWAY)
        tunnel.close()
    elif fate < 0.13:  # CONNECT is never answered
        tunnel.handshake()
        tunnel.connect(None)
        tunnel.time += 30
        tunnel.close()
    elif fate < 0.15:  # the client rejects the certificate
        tunnel.handshake()
        tunnel.connect(_ESTABLISHED)
        tunnel.client_hello()
        tunnel.send(PROXY, PSH | ACK, _SERVER_FLIGHT)
        tunnel.send(CLIENT, PSH | ACK, _UNKNOWN_CA)
        tunnel.close()
    elif fate < 0.17:  # reset after the ClientHello
        tunnel.handshake()
        tunnel.connect(_ESTABLISHED)
        tunnel.client_hello()
        tunnel.send(PROXY, RST | ACK, window=0)
    else:
        _work(tunnel, mean)


def _work(tunnel: _Tunnel, mean: float) -> None:
    tunnel.handshake()
    tunnel.connect(_ESTABLISHED)
    tunnel.tls()
    tunnel.exchange()
    dice = tunnel.dice
    if mean > 30:
        tunnel.download(int(min(dice.expovariate(1 / (mean * 1.10)), mean * 12)) + 2)
    else:
        while len(tunnel.rows) < mean and dice.random() < 0.73:
            tunnel.exchange()
    if dice.random() < 0.04:
        tunnel.send(PROXY, RST | ACK, window=0)
    else:
        tunnel.close(notify=True)


def _joined(parts: list[Rows]) -> Rows:
    return Rows._make(np.concatenate(column) for column in zip(*parts, strict=True))


def _gather(tunnels: list[_Tunnel]) -> Rows:
    rows = [row for tunnel in tunnels for row in tunnel.rows]
    columns = zip(*rows, strict=True)
    small = [np.array(c, np.float64 if i == 0 else np.int64) for i, c in enumerate(columns)]
    parts = [Rows._make(small), *(rows for tunnel in tunnels for rows in tunnel.bulk)]
    return _joined(parts)


def slices(packets: int, tunnels: int, seconds: float, seed: int) -> Iterator[Rows]:
    """Yield exactly ``packets`` rows in order of time, in slices of bounded size.

    Tunnels begin evenly over ``seconds``. A slice holds the rows before its end; what its
    tunnels still send later is carried into the next, so time never runs backwards. The
    fates vary, so more tunnels than asked may be needed to fill ``packets``.
    """
    dice = random.Random(seed)
    mean = packets / tunnels
    a_slice = max(1, round(tunnels * min(1.0, 500_000 / packets)))
    rate = tunnels / seconds
    carried: Rows | None = None
    flow = 0
    while packets:
        end = (flow + a_slice) / rate
        batch = []
        for _ in range(a_slice):
            tunnel = _Tunnel(flow, dice.uniform(flow // a_slice * a_slice / rate, end), dice)
            _play(tunnel, mean)
            batch.append(tunnel)
            flow += 1
        rows = _gather(batch)
        if carried:
            rows = _joined([carried, rows])
        rows = rows.take(np.argsort(rows.time, kind="stable"))
        cut = int(np.searchsorted(rows.time, end))
        yield rows.take(slice(0, min(cut, packets)))
        packets -= min(cut, packets)
        carried = rows.take(slice(cut, None))
