"""The rules in their order: earlier ones are more specific and lead when severities tie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from capture.judging import (
    auth,
    body,
    caveats,
    connect,
    hints,
    language,
    mtu,
    reach,
    status,
    tls,
    transfer,
)
from capture.judging.hit import Hit
from capture.judging.scene import Scene


class Rule(NamedTuple):
    """A check and the stages of a flow (``Scene.stage``) in which it makes sense."""

    stages: str
    """Names of stages, separated by blanks."""
    check: Callable[[Scene], Hit | None]


RULES: Final[tuple[Rule, ...]] = (
    # reaching the proxy
    Rule("syn", reach.icmp_answer),
    Rule("syn", reach.challenged),
    Rule("syn", reach.refused),
    Rule("syn", reach.no_answer),
    Rule("open", reach.half_open),
    Rule("open", reach.closed_at_once),
    Rule("asked tunnel", reach.rejected_midway),
    # size-dependent loss explains most of what follows
    Rule("asked answered tunnel outer", mtu.black_hole),
    Rule("tunnel", mtu.reset_by_size),
    # wrong language
    Rule("asked answered", language.tls_to_http),
    Rule("asked", language.tls_unanswered),
    Rule("asked answered", language.socks),
    Rule("asked answered", language.other_language),
    Rule("asked", language.http_to_tls),
    Rule("asked", language.http_to_socks),
    # requests and replies
    Rule("asked answered", connect.half_reply),
    Rule("asked", connect.wrong_first_reply),
    Rule("asked", connect.no_reply),
    Rule("answered", auth.demanded),
    Rule("answered", status.error_reply),
    Rule("answered", status.redirected),
    Rule("tunnel", connect.reply_lost),
    Rule("tunnel", connect.body_in_2xx),
    # TLS in the tunnel (or with the proxy itself)
    Rule("tunnel outer", tls.alerted),
    Rule("tunnel outer", tls.left_after_handshake),
    Rule("tunnel", tls.not_tls),
    Rule("tunnel", tls.no_server_flight),
    Rule("tunnel", tls.half_server_flight),
    # the transfer
    Rule("tunnel", transfer.path_dead),
    Rule("tunnel", transfer.window_shut),
    Rule("tunnel", transfer.closed_early),
    Rule("tunnel", transfer.reset_in_transfer),
    Rule("tunnel", transfer.stalled),
    Rule("answered", body.body_cut),
    # worth a word, but no failure
    Rule("tunnel answered", mtu.obeyed),
    Rule("outer", language.tls_with_proxy),
    Rule("tunnel", tls.inspected),
    Rule("tunnel", hints.early_data),
    Rule("tunnel", hints.half_close),
    Rule("tunnel", hints.window_limited),
    Rule("open asked answered tunnel outer midway", hints.fragmented),
    Rule("tunnel", transfer.cancelled),
    Rule("tunnel", transfer.idle_close),
    Rule("tunnel answered", transfer.heavy_loss),
    Rule("asked answered tunnel", auth.ntlm_for_kerberos),
    Rule("answered tunnel", status.https_without_connect),
    Rule("open asked answered tunnel", reach.slow_handshake),
    Rule("tunnel", connect.slow_reply),
    Rule("asked answered tunnel outer midway open", caveats.one_way),
    Rule("answered tunnel midway asked", caveats.mid_stream),
    Rule("asked tunnel answered", caveats.gap),
)

BY_STAGE: Final[dict[str, tuple[Callable[[Scene], Hit | None], ...]]] = {
    stage: tuple(rule.check for rule in RULES if stage in rule.stages.split())
    for stage in ("syn", "open", "asked", "answered", "tunnel", "outer", "midway")
}
