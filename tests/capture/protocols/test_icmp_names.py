from __future__ import annotations

from capture.protocols.icmp_names import icmp_name


def test_the_two_versions_number_their_errors_differently() -> None:
    assert icmp_name(4, 3, 4) == "fragmentation needed"
    assert icmp_name(6, 2, 0) == "packet too big"
    assert icmp_name(4, 3, 13) == icmp_name(6, 1, 1) == "communication administratively prohibited"


def test_an_error_without_a_name() -> None:
    assert icmp_name(4, 3, 77) == icmp_name(6, 3, 4) == ""
