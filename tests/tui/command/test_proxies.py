from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.command.proxies import BadProxy, from_environment, from_iprep_conf, parse_proxy, unique


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.10.10.1", ("10.10.10.1", None)),
        ("10.10.10.1:80", ("10.10.10.1", 80)),
        ("10.10.10.1:", ("10.10.10.1", None)),
        ("proxy.Example.com:3128", ("proxy.example.com", 3128)),
        ("proxy", ("proxy", None)),
        ("fd10:10::1", ("fd10:10::1", None)),
        ("FD10:0010:0::1", ("fd10:10::1", None)),
        ("[fd10:10::1]", ("fd10:10::1", None)),
        ("[fd10:10::1]:3128", ("fd10:10::1", 3128)),
        ("http://10.10.10.1:8080/", ("10.10.10.1", 8080)),
        ("http://user:p@ss:w0rd@10.10.10.1:8080/path?x#y", ("10.10.10.1", 8080)),
        ("http://proxy", ("proxy", None)),
        ("https://proxy", ("proxy", 443)),
        ("http://[fd10:10::1]:3128", ("fd10:10::1", 3128)),
        (" 10.10.10.1:80 ", ("10.10.10.1", 80)),
    ],
)
def test_every_usual_spelling(text: str, expected: tuple[str, int | None]) -> None:
    assert parse_proxy(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "http://", ":80", "10.10.10.1:0x50", "p:65536", "p:0", "p:-1", "[fd10::1", "[p]:80",
     "a b", "p:80:90", "\x00", "p:８０", "p\x1b[2J", "[fd10::1]80"],
)  # fmt: skip
def test_what_is_no_proxy_is_refused(text: str) -> None:
    with pytest.raises(BadProxy):
        parse_proxy(text)


@given(st.text(max_size=50))
def test_anything_is_a_proxy_or_a_one_line_error_without_it(text: str) -> None:
    port: int | None = None
    try:
        said, port = parse_proxy(text)
    except BadProxy as error:
        said = str(error)
    assert said.isprintable()
    assert port is None or 0 < port < 65_536


def test_an_error_does_not_quote_a_password() -> None:
    with pytest.raises(BadProxy) as caught:
        parse_proxy("http://user:hunter2@proxy:notaport")
    assert "hunter2" not in str(caught.value)


def test_the_environment_is_a_hint_only() -> None:
    environ = {
        "http_proxy": "http://u:p@10.0.0.1:3128",
        "https_proxy": "10.0.0.1:3128",
        "HTTPS_PROXY": "not a proxy",
        "HTTP_PROXY": "socks5://10.0.0.9:1080",
    }
    assert unique(from_environment(environ)) == (("10.0.0.1", 3128),)
    assert from_environment({}) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("iprep_proxy { PROXY_HOST 10.10.10.1; PROXY_PORT 80; }", ("10.10.10.1", 80)),
        (
            "iprep_proxy\r\n{\r\n\tPROXY_HOST 10.10.10.1;\r\n\tPROXY_PORT 8080;\r\n}\r\n",
            ("10.10.10.1", 8080),
        ),
        (
            '# PROXY_HOST 1.1.1.1;\niprep_proxy {\n PROXY_PORT "3128";\n PROXY_HOST "proxy.corp";\n'
            " PROXY_USER me;\n PROXY_PASSWD a#b PROXYX;\n}",
            ("proxy.corp", 3128),
        ),
        ("iprep_proxy { PROXY_HOST fd10::1; }", ("fd10::1", None)),
    ],
)
def test_the_appliance_configuration(
    tmp_path: Path, content: str, expected: tuple[str, int | None]
) -> None:
    path = tmp_path / "iprep_proxy.conf"
    path.write_bytes(content.encode())
    assert from_iprep_conf(str(path)) == expected


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\xff" * 50, b"iprep_proxy { PROXY_PORT 80; }", b"PROXY_HOST a; PROXY_PORT x;"],
)
def test_a_configuration_without_a_proxy_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "iprep_proxy.conf"
    path.write_bytes(content)
    with pytest.raises(BadProxy):
        from_iprep_conf(str(path))


def test_an_absent_configuration_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadProxy, match="No such file"):
        from_iprep_conf(str(tmp_path / "absent"))
