"""Live capture for real: in network namespaces, as root."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from capture.frames import UnreadableInput
from capture.live import libpcap
from capture.live.settings import CaptureSettings, StopWhen
from capture.live.source import LAG_NS, LiveSource
from capture.sources import open_source
from tests.capture.live.namespaces import Wire, inside, ip, needs_root, tcp_frame
from tests.patience import GIVE_UP_S, until
from tests.rights import may_go_first

pytestmark = needs_root


class Watcher:
    """Reads a live source in a thread, as the engine does."""

    def __init__(self, source: LiveSource) -> None:
        self.source = source
        self.frames: list[bytes] = []
        self.linktypes: list[int] = []
        self.interfaces: list[int] = []
        self.times: list[int] = []
        self.wirelens: list[int] = []
        self.numbers: list[int] = []
        self.positions: list[int] = []
        self.empty = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for block in self.source.blocks():
            self.empty += not len(block)
            for row in range(len(block)):
                start, length = int(block.offset[row]), int(block.caplen[row])
                self.frames.append(bytes(block.data[start : start + length]))
            self.linktypes += block.linktype.tolist()
            self.interfaces += block.interface.tolist()
            self.times += block.time_ns.tolist()
            self.wirelens += block.wirelen.tolist()
            self.positions += block.position.tolist()
            self.numbers += range(block.first_number, block.first_number + len(block))

    def until(self, condition: Callable[[], bool]) -> None:
        until(condition, lambda: f"{len(self.frames)} frames: {self.source.capturing()}")

    def finish(self) -> None:
        self.source.stop()
        self.ended()

    def ended(self) -> None:
        self._thread.join(GIVE_UP_S)
        assert not self._thread.is_alive()


@contextmanager
def watching(wire: Wire, settings: CaptureSettings) -> Iterator[Watcher]:
    with inside(wire.here):
        source = LiveSource(settings)
        try:
            watcher = Watcher(source)
            yield watcher
            watcher.finish()
        finally:
            source.close()
            source.store.close()


def test_every_frame_is_seen_once_whole_and_in_order(wire: Wire) -> None:
    sent = [tcp_frame(number, payload=number % 1400) for number in range(3000)]
    with watching(wire, CaptureSettings(("in",))) as watcher:
        before = time.time_ns()
        wire.send(sent)
        watcher.until(lambda: len(watcher.frames) >= len(sent))
        watcher.finish()
        assert watcher.frames == sent
        assert watcher.wirelens == [len(frame) for frame in sent]
        assert watcher.numbers == list(range(1, 3001))
        assert set(watcher.linktypes) == {1}
        assert watcher.times == sorted(watcher.times)
        assert before < watcher.times[0] <= watcher.times[-1] < time.time_ns()
        assert (watcher.source.info.lost_kernel, watcher.source.info.lost_queue) == (0, 0)
        frame = watcher.source.store.frame(watcher.positions[1234], len(sent[1234]))
        assert frame == sent[1234]


def test_silence_gives_empty_blocks_and_a_clock(wire: Wire) -> None:
    before = time.time_ns()
    with watching(wire, CaptureSettings(("in",))) as watcher:
        watcher.until(lambda: watcher.empty >= 3)
        clock = watcher.source.info.clock_ns
        assert clock is not None
        assert before - LAG_NS < clock < time.time_ns()
        watcher.until(lambda: (watcher.source.info.clock_ns or 0) > clock)


def test_what_is_not_for_us_is_seen_in_promiscuous_mode_only(wire: Wire) -> None:
    foreign = b"\x02\x00\x00\x00\x00\x99" + tcp_frame(1)[6:]
    with watching(wire, CaptureSettings(("in",))) as watcher:
        flags = _flags(wire, "in")
        wire.send([foreign])
        watcher.until(lambda: watcher.frames == [foreign])
    with watching(wire, CaptureSettings(("in",), promiscuous=False)):
        assert _flags(wire, "in") == 0
    assert flags == 1


def _flags(wire: Wire, link: str) -> int:
    """How many want the interface promiscuous."""
    import subprocess

    command = ["ip", "-n", wire.here, "-d", "link", "show", link]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(said.split("promiscuity ")[1].split()[0])


def test_loopback_counts_each_packet_once(wire: Wire) -> None:
    for interface in ("lo", "any"):
        with watching(wire, CaptureSettings((interface,))) as watcher:
            _send_datagrams(5)
            watcher.until(lambda: len(watcher.frames) >= 5)
            watcher.finish()
            assert [frame[-1] for frame in watcher.frames] == [0, 1, 2, 3, 4]


def _send_datagrams(count: int) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        for number in range(count):
            sender.sendto(bytes([number]), receiver.getsockname())


def test_vlan_tags_are_as_on_the_wire(wire: Wire) -> None:
    plain = tcp_frame(7)
    tagged = plain[:12] + b"\x81\x00\x60\x05" + plain[12:]
    double = plain[:12] + b"\x88\xa8\x00\x07\x81\x00\x00\x05" + plain[12:]
    with watching(wire, CaptureSettings(("in",))) as watcher:
        wire.send([plain, tagged, double])
        watcher.until(lambda: len(watcher.frames) >= 3)
        assert watcher.frames == [plain, tagged, double]
        assert watcher.wirelens == [len(plain), len(tagged), len(double)]


def test_any_has_cooked_frames_that_name_their_interface(wire: Wire) -> None:
    plain = tcp_frame(7)
    tagged = plain[:12] + b"\x81\x00\x60\x05" + plain[12:]
    with watching(wire, CaptureSettings(("any",))) as watcher:
        index = socket.if_nametoindex("in")
        wire.send([plain, tagged])
        watcher.until(lambda: len(watcher.frames) >= 2)
        cooked = b"\x00\x00" + index.to_bytes(4, "big") + b"\x00\x01"
        for frame, protocol, rest in (
            (watcher.frames[0], b"\x08\x00", plain[14:]),
            (watcher.frames[1], b"\x81\x00", b"\x60\x05\x08\x00" + plain[14:]),
        ):
            assert frame[:8] == protocol + cooked[:6]
            assert frame[8:10] == b"\x00\x01"  # ARPHRD_ETHER
            assert frame[12:18] == plain[6:12]
            assert frame[20:] == rest
        assert set(watcher.linktypes) == {276}


@pytest.mark.parametrize("with_libpcap", [True, False])
@pytest.mark.parametrize("interface", ["in", "any"])
def test_filter_lets_through_exactly_what_it_says(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, interface: str, with_libpcap: bool
) -> None:
    if with_libpcap and not libpcap.available():
        pytest.skip("libpcap is not installed")
    if not with_libpcap:
        monkeypatch.setattr(libpcap, "available", lambda: False)
    sent = [tcp_frame(number, port=3128 if number % 3 else 80) for number in range(300)]
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            wire.send([tcp_frame(999, port=80)])

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        with watching(wire, CaptureSettings((interface,), filter="tcp port 3128")) as watcher:
            wire.send(sent)
            watcher.until(lambda: len(watcher.frames) >= 200)
            watcher.finish()
            expected = [frame[14:] for number, frame in enumerate(sent) if number % 3]
            assert [frame[-len(expected[0]) :] for frame in watcher.frames] == expected
    finally:
        stop.set()
        flooding.join()


@pytest.mark.skipif(not libpcap.available(), reason="libpcap is not installed")
def test_filter_on_vlan_tags(wire: Wire) -> None:
    plain = tcp_frame(7)
    tagged = plain[:12] + b"\x81\x00\x00\x05" + plain[12:]
    with watching(wire, CaptureSettings(("in",), filter="vlan 5 and port 3128")) as watcher:
        wire.send([plain, tagged])
        watcher.until(lambda: bool(watcher.frames))
        watcher.finish()
        assert watcher.frames == [tagged]


@pytest.mark.parametrize("filter_", ["", "port 3128"])
def test_snaplen_cuts_frames_and_keeps_their_lengths(wire: Wire, filter_: str) -> None:
    sent = [tcp_frame(1, payload=1000), tcp_frame(2, payload=10)]
    with watching(wire, CaptureSettings(("in",), filter=filter_, snaplen=96)) as watcher:
        wire.send(sent)
        watcher.until(lambda: len(watcher.frames) >= 2)
        assert watcher.frames == [sent[0][:96], sent[1]]
        assert watcher.wirelens == [len(sent[0]), len(sent[1])]


def test_ends_after_so_many_packets(wire: Wire) -> None:
    settings = CaptureSettings(("in",), stop=StopWhen(packets=7))
    with watching(wire, settings) as watcher:
        wire.send([tcp_frame(number) for number in range(50)])
        watcher.ended()
        assert watcher.frames == [tcp_frame(number) for number in range(7)]


def test_ends_after_some_time(wire: Wire) -> None:
    with watching(wire, CaptureSettings(("in",), stop=StopWhen(duration_s=0.3))) as watcher:
        watcher.ended()


def test_stopping_gives_what_had_come(wire: Wire) -> None:
    sent = [tcp_frame(number) for number in range(100)]
    with watching(wire, CaptureSettings(("in",))) as watcher:
        wire.send(sent)
        watcher.finish()
        assert watcher.frames == sent


def test_what_nobody_reads_any_more_is_in_the_file(wire: Wire, tmp_path: Path) -> None:
    sent = [tcp_frame(number) for number in range(500)]
    path = tmp_path / "kept.pcapng"
    with inside(wire.here):
        source = LiveSource(CaptureSettings(("in",), write=str(path)))
        blocks = source.blocks()
        wire.send(sent)
        first = next(block for block in blocks if len(block))
        source.close()
        source.store.close()
    kept = open_source(str(path))
    assert sum(map(len, kept.blocks())) == len(sent) >= len(first)
    assert kept.info.lost_kernel == 0


def test_several_interfaces_are_in_the_order_of_time(wire: Wire) -> None:
    with watching(wire, CaptureSettings(("in", "lo"))) as watcher:
        for number in range(20):
            wire.send([tcp_frame(number)])
            _send_datagrams(1)
        watcher.until(lambda: len(watcher.frames) >= 40)
        watcher.finish()
        assert watcher.interfaces == [0, 1] * 20
        assert watcher.times == sorted(watcher.times)
        assert [one.name for one in watcher.source.info.interfaces] == ["in", "lo"]


@pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="needs /dev/net/tun")
def test_raw_ip_devices(wire: Wire) -> None:
    ip("-n", wire.here, "tuntap", "add", "raw0", "mode", "tun")
    ip("-n", wire.here, "link", "set", "raw0", "up")
    with watching(wire, CaptureSettings(("raw0",), filter="udp port 9")) as watcher:
        assert watcher.source.info.interfaces[0].linktype == 101


@pytest.fixture
def without_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    from capture.live import ring_socket

    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    monkeypatch.setattr(ring_socket, "RingSocket", refuse)


@pytest.mark.usefixtures("without_ring")
def test_without_a_ring_every_frame_is_seen_once_all_the_same(wire: Wire) -> None:
    plain = [tcp_frame(number, payload=number) for number in range(1000)]
    tagged = plain[7][:12] + b"\x81\x00\x60\x05" + plain[7][12:]
    with watching(wire, CaptureSettings(("in",), filter="port 3128", snaplen=500)) as watcher:
        before = time.time_ns()
        wire.send([tcp_frame(1, port=80), *plain, tagged])
        watcher.until(lambda: len(watcher.frames) >= 1001)
        watcher.finish()
        assert watcher.frames == [frame[:500] for frame in [*plain, tagged]]
        assert watcher.wirelens == [len(frame) for frame in [*plain, tagged]]
        assert watcher.times == sorted(watcher.times)
        assert before < watcher.times[0] <= watcher.times[-1] < time.time_ns()
    with watching(wire, CaptureSettings(("lo",))) as watcher:
        _send_datagrams(5)
        watcher.until(lambda: len(watcher.frames) >= 5)
        watcher.finish()
        assert [frame[-1] for frame in watcher.frames] == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("without_ring")
def test_all_interfaces_at_once_need_a_ring(wire: Wire) -> None:
    with inside(wire.here), pytest.raises(UnreadableInput, match="takes a packet ring"):
        LiveSource(CaptureSettings(("any",)))


def test_more_than_the_kernel_buffers_is_counted(wire: Wire) -> None:
    with inside(wire.here):
        source = LiveSource(CaptureSettings(("in",), buffer_mib=2))
        try:
            sniffer = source._sniffers[0]
            with sniffer._lock:  # it cannot drain meanwhile
                wire.send([tcp_frame(number, payload=1400) for number in range(4000)])
            watcher = Watcher(source)
            watcher.until(lambda: bool(source.info.lost_kernel))
            watcher.finish()
            assert len(watcher.frames) + (source.info.lost_kernel or 0) == 4000
        finally:
            source.close()
            source.store.close()


def test_interface_that_goes_down_and_comes_back(wire: Wire) -> None:
    with watching(wire, CaptureSettings(("in",))) as watcher:
        ip("-n", wire.here, "link", "set", "in", "down")
        watcher.until(lambda: watcher.source.capturing().trouble == "in is down")
        ip("-n", wire.here, "link", "set", "in", "up")
        watcher.until(lambda: watcher.source.capturing().trouble == "")
        wire.send([tcp_frame(1)])
        watcher.until(lambda: watcher.frames == [tcp_frame(1)])


def test_interface_that_is_removed_and_made_anew(wire: Wire) -> None:
    with watching(wire, CaptureSettings(("in",), filter="port 3128")) as watcher:
        ip("-n", wire.here, "link", "del", "in")
        watcher.until(lambda: watcher.source.capturing().trouble == "in is gone")
        wire.join()
        watcher.until(lambda: watcher.source.capturing().trouble == "")
        wire.send([tcp_frame(1, port=80), tcp_frame(2)])
        watcher.until(lambda: watcher.frames == [tcp_frame(2)])


def test_death_of_the_sniffer_is_told_and_ends_the_capture(wire: Wire) -> None:
    with watching(wire, CaptureSettings(("in",))) as watcher:

        def fail(crates: object) -> bool:
            raise OSError(5, "Input/output error")

        watcher.source._sniffers[0].listener.drain = fail  # type: ignore[method-assign]
        wire.send([tcp_frame(1)])
        watcher.ended()
        trouble = "capturing on in ended: input/output error"
        assert watcher.source.capturing().trouble == trouble
        assert [one.message for one in watcher.source.info.warnings] == [trouble]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (CaptureSettings(("nosuch",)), "there is no interface nosuch"),
        (CaptureSettings(("in-and-much-more-than-15",)), "there is no interface in-and-much"),
        (CaptureSettings(("in\udcff",)), "there is no interface in"),
        (CaptureSettings(("in\x1b[2J",)), "there is no interface in·[2J"),
        (CaptureSettings(("in",), filter="port x\ny"), "capture filter `port x·y` on in"),
        (CaptureSettings(("in",), write="/nosuch/dir/x.pcapng"), "/nosuch/dir/x.pcapng: no such"),
        (CaptureSettings(("in",), user="nosuchuser"), "-Z nosuchuser: there is no such user"),
    ],
)
def test_misuse_is_one_line(wire: Wire, settings: CaptureSettings, why: str) -> None:
    threads = threading.active_count()
    descriptors = len(os.listdir("/proc/self/fd"))
    with inside(wire.here), pytest.raises(UnreadableInput) as refused:
        LiveSource(settings)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)
    assert threading.active_count() == threads
    del refused
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1


@pytest.mark.skipif(not may_go_first(), reason="needs the right to raise a priority")
def test_the_sniffer_goes_first_where_that_is_allowed(wire: Wire) -> None:
    usual = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    with watching(wire, CaptureSettings(("in",))) as watcher:
        thread = watcher.source._sniffers[0]._async.thread
        assert os.getpriority(os.PRIO_PROCESS, thread.native_id) == -10
        assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == usual


def test_nothing_is_left_behind(wire: Wire) -> None:
    threads = threading.active_count()
    with watching(wire, CaptureSettings(("in", "lo", "any"))):
        assert threading.active_count() == threads + 4
    assert threading.active_count() == threads
