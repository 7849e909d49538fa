from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.filtering import FilterError, compile_filter
from capture.filtering.completion import complete, quoted
from tests.capture.filtering.build import material


def offered(text: str, cursor: int | None = None) -> list[str]:
    at = len(text) if cursor is None else cursor
    return [item.text for item in complete(text, at, material())]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("ver", ["verdict"]), ("not (http.resp", ["http.response", "http.response.code"]),
        ("tcp and sever", ["severity"]), ("status == 403 or sn", ["sni"]),
        ("host", ["http.host", "http.proxy_connect_host"]), ("vredict", ["verdict"]),
        ("verdict ", ["==", "!="]), ("target con", ["contains"]), ("tls ", ["and", "or"]),
        ("status in", ["in {"]), ("tcp.flags.syn == ", ["1", "0"]), ("severity >= w", ["warning"]),
        ("verdict == ", ["acl_denied", "ok"]), ("verdict == bad_g", ["bad_gateway"]),
        ("http.response.code == ", ["200", "403"]), ("status in {403, ", ["200", "403"]),
        ("tls.alert_message.desc == unknown_c", ["unknown_ca"]),
        ('target == "too', ["tools.cisco.com", "tools.cisco.com:443"]),
        ("reason == ", ['"Connection established"', "Forbidden"]),
        ("ip.addr == ", ["10.10.10.1", "10.40.40.1"]), ("tcp.port == ", ["80"]),
        ("status == 403 ", ["and", "or"]), ("status in {403} ", ["and", "or"]),
        ("ended == ", ["client_fin"]),
        ("", ["alert", "alpn"]), ("http.request.method == conn", ["CONNECT"]),
    ],
)  # fmt: skip
def test_the_likeliest_comes_first(text: str, first: list[str]) -> None:
    assert offered(text)[: len(first)] == first


@pytest.mark.parametrize(
    "text", ["//zz", "zzz == ", "status == 403 tls x ", "a ; ", "tcp.analysis.flags == x"]
)
def test_nothing_to_offer(text: str) -> None:
    assert all(word in ("==", "and", "or") for word in offered(text))


def test_it_takes_the_place_of_the_word_at_the_cursor() -> None:
    text = "status == 403 and verd == ok"
    (first, *_) = complete(text, text.index("verd") + 4)
    assert (first.start, first.text) == (text.index("verd"), "verdict")
    assert first.help
    (name, *_) = complete('sni == "too', 11, material())
    assert (name.start, name.text) == (7, "tools.cisco.com")


def test_values_of_the_tunnel_that_is_looked_at_come_first() -> None:
    asked = material()
    found = [
        [item.text for item in complete("status == ", 10, asked, flow)][:2] for flow in asked.flows
    ]
    assert found == [["403", "200"], ["200", "403"]]


@given(st.text(max_size=40))
def test_a_quoted_value_is_that_value(text: str) -> None:
    compiled = compile_filter(f"target == {quoted(text)}")
    assert compiled.hints == ()


@given(st.text(alphabet="tls.http=!<>&|(){},\"' \\rin1no", max_size=30), st.integers(0, 30))
def test_never_fails_whatever_is_typed(text: str, cursor: int) -> None:
    for item in complete(text, min(cursor, len(text)), material()):
        assert 0 <= item.start <= cursor
        assert item.text


@pytest.mark.parametrize("text", ["ver", "not htt", "tcp.f"])
def test_a_completed_field_is_a_filter(text: str) -> None:
    for item in complete(text, len(text)):
        try:
            compile_filter(text[: item.start] + item.text)
        except FilterError:
            pytest.fail(item.text)
