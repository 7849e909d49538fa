from __future__ import annotations

import pytest

from tests.capture.live_feed import Watch, only, rules, together
from tests.capture.tracking.building import HANDSHAKE

SILENT = "0 c S 0 0 mss=1460"
ASKED = (
    HANDSHAKE
    + """
21   c PA 1 1 x=CONNECT_a.example:443_HTTP/1.1~Host:_a.example:443~~
40   p A  1 54
"""
)
ESTABLISHED = "p PA 1 54 x=HTTP/1.1_200_Connection_established~~"
FORBIDDEN = "p PA 1 54 x=HTTP/1.1_403_Forbidden~Content-Length:_0~~"


@pytest.mark.parametrize(
    ("text", "before_ms", "after_ms", "verdict", "rule"),
    [
        (SILENT, 2_990, 3_000, "proxy_unreachable", "tcp-no-answer"),
        (ASKED, 5_020, 5_021, "connect_no_reply", "connect-hang"),
        (ASKED + f"60 {ESTABLISHED}", 3_059, 3_060, "ok", None),
    ],
    ids=["syn", "connect", "unspoken tunnel"],
)
def test_absence_is_judged_when_the_clock_passes_the_threshold(
    text: str, before_ms: float, after_ms: float, verdict: str, rule: str | None
) -> None:
    watch = Watch(together(text))
    assert only(watch.at(500)).findings == ()
    early = only(watch.at(before_ms))
    assert (early.verdict, rules(early)) == ("ok", [])
    late = only(watch.at(after_ms))
    assert (late.verdict, rules(late)) == (verdict, [rule] if rule else [])
