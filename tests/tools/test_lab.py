"""The parts of the lab that need no root: faults of the wire, and what is cut from a file."""

from __future__ import annotations

import struct

from capture.demo import demo_path
from tools.make_demos import SCENARIOS, only, without_machine
from tools.wire import drop_all, drop_larger, dying_host, reset_larger

CLIENT, PROXY = bytes([10, 40, 40, 1]), bytes([10, 10, 10, 1])


def frame(payload: int, *, port: int = 40716) -> bytes:
    """Ethernet, IPv4, TCP from the client to the proxy's port 80."""
    tcp = struct.pack(">HHIIBBHHH", port, 80, 1000, 2000, 0x50, 0x18, 502, 0, 0) + bytes(payload)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 7, 0x4000, 64, 6, 0) + CLIENT + PROXY
    return b"\x02" * 6 + b"\x04" * 6 + b"\x08\x00" + ip + tcp


def sum16(data: bytes) -> int:
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_a_narrow_path_drops_by_ip_length_in_one_direction() -> None:
    fault = drop_larger(1300, from_near=True)
    assert fault(frame(1260), True) is None
    assert fault(frame(1261), True) == []
    assert fault(frame(1400), False) is None


def test_a_host_dies_once_it_has_said_enough() -> None:
    fault = dying_host("10.40.40.1", 200)
    other = dying_host("10.40.40.2", 0)
    assert fault(frame(100), False) is None
    assert fault(frame(100), False) is None
    assert fault(frame(100), False) == []
    assert fault(frame(0), True) == []
    assert other(frame(0), True) is None


def test_a_dead_path_drops_all() -> None:
    assert drop_all(frame(0), True) == []


def test_a_fault_can_be_kept_to_one_connection() -> None:
    fault = only(40722, drop_all)
    assert fault(frame(10, port=40722), True) == []
    assert fault(frame(10, port=40724), True) is None


def test_a_reset_comes_back_in_the_name_of_the_receiver() -> None:
    fault = reset_larger(1300)
    assert fault(frame(1000), True) is None
    answer = fault(frame(1400), True)
    assert answer is not None
    ((reset, onward),) = answer
    assert onward is False
    assert (reset[26:30], reset[30:34]) == (PROXY, CLIENT)
    source, target, seq, _, _, flags = struct.unpack(">HHIIBB", reset[34:48])
    assert (source, target, seq, flags) == (80, 40716, 2000, 4)
    assert sum16(reset[14:34]) == 0xFFFF
    segment = reset[34:]
    assert sum16(reset[26:34] + struct.pack(">HH", 6, len(segment)) + segment) == 0xFFFF


def block(kind: int, body: bytes) -> bytes:
    size = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + size + body + size


def option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def test_hardware_and_system_are_cut_from_a_pcapng_and_nothing_else() -> None:
    section = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
    interface = struct.pack("<HHI", 1, 0, 0)
    end = option(0, b"")
    name = option(2, b"eth0")
    packets = block(6, bytes(24)) + block(5, bytes(12))
    given = (
        block(0x0A0D0D0A, section + option(2, b"cpu") + option(3, b"system") + end)
        + block(1, interface + name + option(12, b"system") + end)
        + packets
    )
    kept = block(0x0A0D0D0A, section + end) + block(1, interface + name + end) + packets
    assert without_machine(given) == kept
    assert without_machine(kept) == kept


def test_the_tour_says_nothing_of_the_machine_it_was_made_on() -> None:
    data = demo_path().read_bytes()
    assert without_machine(data) == data


def test_every_demo_has_a_scenario() -> None:
    from capture.demo import list_demos

    assert {demo.name for demo in list_demos()} == set(SCENARIOS)
