from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.filtering import FilterError, compile_filter
from capture.filtering.kinds import OPERATORS, Kind
from capture.filtering.registry import FIELDS, find_field


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("htp.response.code == 403", "htp.response.code", "did you mean http.response.code"),
        ("verdit == ok", "verdit", "did you mean verdict"),
        ("response.code == 1", "response.code", "http.response.code"),
        ("zzzzzz", "zzzzzz", "there is no field 'zzzzzz'"),
        ("tcp.port == abc", "abc", "not a number"),
        ('tcp.port contains "4"', "contains", "is a number"),
        ("ip.addr == 300.1.1.1", "300.1.1.1", "not an address"),
        ("ip.addr == fd00::1", "fd00::1", "compare ipv6.addr"),
        ("ipv6.src == 10.0.0.1", "10.0.0.1", "compare ip.src"),
        ("ip.addr > 10.0.0.1", ">", "does not fit"),
        ("ip.addr in {10.0.0.1..fd00::2}", "fd00::2", "IPv6"),
        ("tcp.analysis.retransmission == 1", "==", "there or not"),
        ("tcp.flags.syn == 7", "7", "1 or 0"),
        ("tcp.flags.syn > 0", ">", "true or false"),
        ("severity == bad", "bad", "info, warning, problem"),
        ("rtt > 5parsecs", "5parsecs", "no unit"),
        ("status == 5ms", "5ms", "no unit"),
        ("bytes > 1xb", "1xb", "kb"),
        ('start > "yesterday"', '"yesterday"', "no time"),
        ('target matches "("', '"("', "the pattern is wrong: a group is not closed"),
        ("verdict & 1", "1", "does not fit"),
        ("tcp.flags & 1.5", "1.5", "whole number"),
        ("client in {10.0.0.1..10.0.0.9}", "10.0.0.1..10.0.0.9", "does not fit"),
        ("tls.alert_message.desc == unknown_cb", "unknown_cb", "did you mean unknown_ca"),
        ("tcp.port == " + "9" * 60, "9" * 60, "digits"),
    ],
)
def test_errors_point_at_the_word(text: str, place: str, words: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(text)
    assert words in str(caught.value)
    assert text[caught.value.start : caught.value.end] == place


def test_the_error_in_one_line() -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter("status == x\x1b[31m")
    said = caught.value.pointed("status == x\x1b[31m")
    assert said.endswith("is not a number (at character 11)")
    assert "\x1b" not in said
    with pytest.raises(FilterError) as caught:
        compile_filter("status ==")
    assert caught.value.pointed("status ==") == "a value is missing here (at the end)"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("tcp.flags.syn", "tcp.flags.syn == 1"),
        ("tcp.port and verdict == ok", "compare it"),
        ("verdict == acl_denyed", "did you mean acl_denied?"),
        ('http.request.method == "CONECT"', "did you mean CONNECT?"),
    ],
)
def test_what_may_not_be_meant_is_hinted_at(text: str, hint: str) -> None:
    hints = compile_filter(text).hints
    assert len(hints) == 1
    assert hint in hints[0]


@pytest.mark.parametrize(
    "text",
    [
        "tcp.flags.syn == 1", "http.host", "sni", "ip.addr == 10.0.0.0/8", "tls",
        'verdict == "ok"', "status in {400..499, 502}", "duration > 1.5min",
        'start >= "2025-03-14 11:30:12.5Z"', "TCP.PORT == 0x1bb", "ssl.handshake.type == 1",
        "tls.handshake.type == client_hello", "http.response.code & 0x100",
    ],
)  # fmt: skip
def test_nothing_to_remark(text: str) -> None:
    assert compile_filter(text).hints == ()


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("verdict == ok", False), ("http.response.code == 403 and not tls.handshake", False),
        ("tcp.len > 0", True), ("not tcp.analysis.flags", True), ("tls", True),
        ("ip.addr == 10.0.0.1", False), ("ip.src == 10.0.0.1 and tcp.dstport == 80", True),
        ("verdict == ok or tcp.len > 0", True),
    ],
)  # fmt: skip
def test_knows_whether_it_needs_the_packets(text: str, needed: bool) -> None:
    assert compile_filter(text).needs_packets is needed


def test_every_field_is_complete() -> None:
    for name, field in FIELDS.items():
        assert name == field.name == name.lower()
        assert field.help
        assert find_field(name.upper()) is field
        assert (field.kind is Kind.PRESENCE) == (not OPERATORS[field.kind])


def test_the_fields_that_documents_name_are_there() -> None:
    for name in (
        "ip.addr", "ip.src", "ip.dst", "ipv6.addr", "tcp.port", "tcp.stream", "tcp.flags.syn",
        "tcp.flags.ack", "tcp.flags.fin", "tcp.flags.reset", "tcp.len", "tcp.window_size",
        "frame.number", "frame.len", "frame.time_relative", "http.response.code",
        "http.request.method", "http.request.uri", "http.host", "http.user_agent",
        "http.proxy_connect_host", "http.proxy_connect_port", "tls.handshake.type",
        "tls.handshake.extensions_server_name", "tls.handshake.version",
        "tls.alert_message.desc", "tcp.analysis.flags", "tcp.analysis.retransmission",
        "icmp.type", "icmp.code", "icmp.mtu", "verdict", "rule", "severity", "target",
        "client", "proxy", "status", "sni", "duration", "rtt", "bytes", "retransmissions",
        "ended", "issue", "tcp", "http", "tls", "icmp",
    ):  # fmt: skip
        assert find_field(name), name


WORDS = st.sampled_from(
    [*FIELDS, "==", "!=", ">", "in", "{", "}", "..", "1", "10.0.0.1", '"x"', "and", "not", "(",
     ")", "matches", "contains", "&", "5ms", "fd00::1", "warning", "2025-01-01"]
)  # fmt: skip


def refused(text: str) -> FilterError | None:
    try:
        compile_filter(text)
    except FilterError as error:
        return error
    return None


@given(st.lists(WORDS, max_size=8).map(" ".join))
def test_any_row_of_words_is_a_filter_or_a_plain_error(text: str) -> None:
    error = refused(text)
    if error is not None:
        assert 0 <= error.start < error.end
        assert "\n" not in str(error)
