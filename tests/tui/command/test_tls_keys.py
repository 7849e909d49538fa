from __future__ import annotations

from pathlib import Path

import pytest

from capture.decrypt import keys as keys_module
from capture.decrypt.keys import TlsKeys
from tests.capture.decrypt.build import CAPTURE, KEYS
from tui.command import tls_keys
from tui.command.tls_keys import BadKeyLog, chosen_keylog


def test_a_log_that_was_named() -> None:
    assert chosen_keylog(str(KEYS)) == str(KEYS)


@pytest.mark.parametrize("path", ["", "/nonexistent/keys", "/", "a\0b"])
def test_one_that_is_none_is_refused_in_a_line(path: str) -> None:
    with pytest.raises(BadKeyLog) as caught:
        chosen_keylog(path)
    assert "\n" not in str(caught.value)


def test_a_client_may_be_yet_to_start(tmp_path: Path) -> None:
    path = str(tmp_path / "keys")
    assert chosen_keylog(path, may_come=True) == path
    log = TlsKeys(path, list)
    assert not log()
    Path(path).write_bytes(KEYS.read_bytes())
    assert log()


def test_the_environment_counts_if_there_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen_keylog(None) == ""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "none"))
    assert chosen_keylog(None) == ""
    monkeypatch.setenv("SSLKEYLOGFILE", str(KEYS))
    assert chosen_keylog(None) == str(KEYS)


def test_without_the_package_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_keys, "can_decrypt", lambda: False)
    monkeypatch.setattr(keys_module, "can_decrypt", lambda: False)
    with pytest.raises(BadKeyLog, match=r"cryptography.*tunnelscope\[decrypt\]"):
        chosen_keylog(str(KEYS))
    monkeypatch.setenv("SSLKEYLOGFILE", str(KEYS))
    assert chosen_keylog(None) == ""
    assert TlsKeys(str(KEYS), list)() is None


def test_keys_that_a_capture_carries() -> None:
    carried: list[bytes] = []
    keys = TlsKeys("", lambda: carried)
    assert keys() is None
    lines = KEYS.read_bytes().splitlines(keepends=True)
    carried.append(b"".join(lines[:2]))
    log = keys()
    assert log is not None
    assert len(log) == 1
    carried.append(b"".join(lines[2:]))
    assert keys() is log
    assert len(log) > 20


async def test_the_screen_shows_what_is_inside() -> None:
    from capture.options import AnalysisOptions
    from tests.tui.user import using
    from tui.application import TunnelscopeApp
    from tui.feeds import FileFeed
    from tui.sessions import Setup, open_bridge

    options = AnalysisOptions(tls_keylog=str(KEYS))
    bridge = open_bridge(FileFeed(str(CAPTURE)), Setup(options, None, 0.05))
    async with using(TunnelscopeApp(bridge, title="keys")) as user:
        await user.until(lambda: "16 tunnels" in user.text())
        await user.press("end", "up")
        await user.until(lambda: "302 Found  (decrypted)" in user.text())
        assert "contents of the tunnel: encrypted" not in user.text()
        await user.press("r")
        await user.until(lambda: "302 Found" in user.text() and user.app.screen is not user.screen)
        assert "hunter" not in user.text()
    bridge.stop()
