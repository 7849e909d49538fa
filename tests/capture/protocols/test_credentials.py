from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.protocols.credentials import challenges_of, credentials_of, safe_challenge
from capture.protocols.events import Challenge, Credentials


def ntlm(kind: int, wrap: bytes = b"") -> str:
    message = wrap + b"NTLMSSP\x00" + kind.to_bytes(4, "little") + bytes(24)
    return base64.b64encode(message).decode()


@pytest.mark.parametrize(
    ("value", "credentials"),
    [
        ("Basic am9lOnB3", Credentials("basic")),
        ("bAsIc am9lOnB3", Credentials("basic")),
        ('Digest username="joe", response="1"', Credentials("digest")),
        ("NTLM " + ntlm(1), Credentials("ntlm", 1)),
        ("NTLM " + ntlm(3), Credentials("ntlm", 3)),
        ("Negotiate " + ntlm(1, b"`\x40\x06\x06+\x06\x01"), Credentials("negotiate", 1)),
        ("Negotiate YIIabc", Credentials("negotiate")),
        ("NTLM", Credentials("ntlm")),
        ("NTLM ====", Credentials("ntlm")),
        ("NTLM é", Credentials("ntlm")),
        ("am9lOnB3", Credentials("unknown")),
        ("joe:pw x", Credentials("unknown")),
        ("", Credentials("unknown")),
    ],
)
def test_credentials(value: str, credentials: Credentials) -> None:
    assert credentials_of(value) == credentials


@pytest.mark.parametrize(
    ("fields", "challenges"),
    [
        (['Basic realm="LabProxy"'], [Challenge("basic", "LabProxy")]),
        (["Basic realm=LabProxy"], [Challenge("basic", "LabProxy")]),
        (['Basic realm = "a"'], [Challenge("basic", "a")]),
        (["NTLM"], [Challenge("ntlm")]),
        (["Negotiate, NTLM, Basic realm=x"],
         [Challenge("negotiate"), Challenge("ntlm"), Challenge("basic", "x")]),
        (["Negotiate", "NTLM"], [Challenge("negotiate"), Challenge("ntlm")]),
        (['Digest realm="a, b", qop="auth,auth-int", stale=TRUE, Basic realm="c"'],
         [Challenge("digest", "a, b", stale=True), Challenge("basic", "c")]),
        (['Basic realm="say \\"hi\\", x"'], [Challenge("basic", 'say "hi", x')]),
        (["NTLM " + ntlm(2)], [Challenge("ntlm", ntlm_type=2)]),
        (['Digest stale="true", realm="x"'], [Challenge("digest", "x", stale=True)]),
        (["Digest stale=false"], [Challenge("digest")]),
        (['Basic realm="never closed'], [Challenge("basic", "never closed")]),
        ([""], []),
        ([",,"], []),
        (['realm="x"'], []),
    ],
)  # fmt: skip
def test_challenges(fields: list[str], challenges: list[Challenge]) -> None:
    assert list(challenges_of(fields)) == challenges


def test_a_challenge_is_shown_without_its_tokens() -> None:
    token = ntlm(2)
    assert safe_challenge(f'NTLM {token}, Basic realm="x"') == 'ntlm ***, basic realm="x"'


def test_challenges_are_bounded() -> None:
    assert len(challenges_of([", ".join(["Basic"] * 1000)] * 3)) == 16


@given(st.text(max_size=200))
def test_garbage_never_raises(value: str) -> None:
    credentials_of(value)
    for challenge in challenges_of([value, f"Basic {value}", f'Basic realm="{value}']):
        assert challenge.realm.isprintable()
