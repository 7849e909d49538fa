from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.filtering import FilterError, compile_filter
from capture.filtering.bare import condition_with
from capture.filtering.completion import complete


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("403", "status == 403"),
        ("8443", "tcp.port == 8443"),
        ("99", "tcp.port == 99"),
        ("0", ""),
        ("70000", ""),
        ("123456789", ""),
        ("10.1.2.3", "ip.addr == 10.1.2.3"),
        ("fe80::1", "ipv6.addr == fe80::1"),
        ("acl_denied", "verdict == acl_denied"),
        ("cisco", "target contains cisco"),
        ("tools.cisco.com:443", "target contains tools.cisco.com:443"),
        ("x", ""),
        ("..", ""),
        ("/etc", ""),
    ],
)
def test_what_a_value_means(word: str, meant: str) -> None:
    assert condition_with(word) == meant


@given(st.text(max_size=30) | st.from_regex(r"[0-9A-Za-z.:_-]{1,20}", fullmatch=True))
def test_what_is_offered_is_a_filter(word: str) -> None:
    meant = condition_with(word)
    if meant:
        compile_filter(meant)


def test_it_is_told_and_completed() -> None:
    with pytest.raises(FilterError, match="there is no field '403'; did you mean status == 403"):
        compile_filter("sni and 403")
    with pytest.raises(FilterError, match=r"there is no field '403'$"):
        compile_filter("403 == 7")
    assert [item.text for item in complete("sni and cisco", 13)] == ["target contains cisco"]
    assert complete("sni and cisco", 13)[0].start == 8
