"""All flows told as data: each with the verdict and the rules that it must bring."""

from __future__ import annotations

from tests.capture.judging.failing_flows import AUTH, LANGUAGE, REACHING, REQUESTS, STATUS
from tests.capture.judging.failing_tunnels import MTU, TLS, TRANSFER
from tests.capture.judging.healthy_flows import HEALTHY as PLAIN
from tests.capture.judging.hinted_flows import HINTED, MUTE

HEALTHY = (*PLAIN, *HINTED)
FAILING = (*REACHING, *LANGUAGE, *REQUESTS, *AUTH, *STATUS, *TLS, *MUTE, *MTU, *TRANSFER)
ALL = (*HEALTHY, *FAILING)

__all__ = ["ALL", "FAILING", "HEALTHY"]
