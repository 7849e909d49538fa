from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.demo import demo_path, list_demos
from tests.capture.replay.recordings import differences, record
from tests.capture.tracking.building import DATA

SMALL = sorted(
    [demo.path for demo in list_demos() if demo.packets <= 60],
    key=lambda path: path.name,
)
TELLING = [
    DATA / name
    for name in (
        "05a_basic_407_then_ok.pcap", "06d_proxy_admin_prohibited_icmp.pcap",
        "01f_success_ipv6_proxy.pcap", "01l_success_any_sll2.pcap", "01m_success_pcapng.pcapng",
        "03y_on_proxy_no_route.pcap", "03z_on_proxy_server_refuses.pcap",
        "04z_on_proxy_server_dead.pcap", "08z_on_proxy_server_silent.pcap",
        "11e_mtu_rst_upload.pcap", "12c2_mitmproxy_untrusted_tls12.pcap", "02a_squid_acl_deny.txt",
    )
]  # fmt: skip
TOUR = demo_path()


@pytest.mark.parametrize("path", [*SMALL, *TELLING], ids=lambda path: path.stem)
def test_every_moment_is_what_a_capture_cut_off_there_says(path: Path) -> None:
    recording = record(path)
    for number in range(0, recording.packets + 1, 1 + recording.packets // 30):
        assert not differences(recording, number)


@pytest.mark.parametrize(
    ("path", "packets"), [(TOUR, 20), (TELLING[0], 1), (TELLING[1], 3), (TELLING[2], 5)]
)
def test_checkpoints_close_together_change_nothing(path: Path, packets: int) -> None:
    recording = record(path, packets)
    order = list(range(0, recording.packets + 1, 1 + recording.packets // 20))
    random.Random(packets).shuffle(order)
    for number in order:
        assert not differences(recording, number)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=4), st.sampled_from([5, 40, 1000]))
def test_any_way_back_and_forth_leads_to_the_same_state(shares: list[float], packets: int) -> None:
    recording = record(TOUR, packets)
    for share in shares:
        assert not differences(recording, round(share * recording.packets))
