"""Secrets of known shapes go, everything else stays: figures above all."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from telemhq_agents.secrets import masked

KEY = "MIIEowIBAAKCAQEA7bq\nq3+JxYzZkqPp0/aVvB==\n"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("key sk-abcdefghijklmnop1234 used", "key [masked] used"),
        ("sk-proj-abc_DEF-0123456789abcdef", "[masked]"),
        ("sk-ant-api03-Xy_z0123456789abcdef.", "[masked]."),
        ("sk_live_51H8abcdefghijk", "[masked]"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "[masked]"),
        ("gho_0123456789abcdefghijABCDEFGHIJ012345", "[masked]"),
        ("github_pat_11ABCDEFG0aBcDeFgHiJkL_mnop", "[masked]"),
        ("glpat-abcdefghij0123456789", "[masked]"),
        ("id AKIAIOSFODNN7EXAMPLE;", "id [masked];"),
        ("AIzaSyA-0123456789abcdefghijklmnopqrstu", "[masked]"),
        ("xoxb-1234567890-abcdefghijkl", "[masked]"),
        ("xoxp-1234567890-abcdefghijkl", "[masked]"),
        ("xoxa-1234567890-abcdefghijkl", "[masked]"),
        ("npm_0123456789abcdefghijABCDEFGHIJ012345", "[masked]"),
        ("hf_abcdefghijklmnopqrstuv", "[masked]"),
        ("thq_ZGVtbyBrZXkgZm9yIHRlc3Rz", "[masked]"),
        ("gsk_0123456789abcdefghijABCDEFGHIJ", "[masked]"),
        ("xai-0123456789abcdefghijABCDEFGHIJ", "[masked]"),
        ("SG.0123456789abcdefghij.ABCDEFGHIJ", "[masked]"),
        (f"got {JWT} back", "got [masked] back"),
        (f'{{"said": "one\\n{JWT}\\tghp_0123456789abcdefghij"}}', '{"said": "one\\n[masked]\\t[masked]"}'),
        ("\x1b[31mghp_0123456789abcdefghij\x1b[0m", "\x1b[31m[masked]\x1b[0m"),
        ("Authorization: Bearer abc.def-0123", "Authorization: [masked]"),
        ("authorization: Basic dXNlcjpwYXNz\nnext", "authorization: [masked]\nnext"),
        ("Set-Cookie: sid=31d4d96e407aad42; Path=/", "Set-Cookie: [masked]"),
        ("curl -H 'x: bearer abcdef012345'", "curl -H 'x: bearer [masked]'"),
        ("password=hunter2 user=ann", "password=[masked] user=ann"),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=[masked] psql"),
        ("export AWS_SECRET_ACCESS_KEY=wJalrXUt/K7MD", "export AWS_SECRET_ACCESS_KEY=[masked]"),
        ('{"password": "two words", "n": 1}', '{"password": [masked], "n": 1}'),
        ('{"password": "a\\\\\\"b c", "n": 1}', '{"password": [masked], "n": 1}'),
        ('{\\"api_key\\": \\"abc\\", 1}', '{\\"api_key\\": [masked], 1}'),
        ("api-key: 'abc'", "api-key: [masked]"),
        ("APIKEY = abc,def", "APIKEY = [masked]"),
        ("token: 'cut off before its end\nnext", "token: [masked]\nnext"),
        ("/cb?access_token=abc&state=7", "/cb?access_token=[masked]&state=7"),
        ("mysql --password hunter2 -u ann", "mysql --password [masked] -u ann"),
        ("run --api-key=abc --fast", "run --api-key=[masked] --fast"),
        ("git clone https://ann:pw@host/x", "git clone https://[masked]@host/x"),
        ("postgresql://u:p@ss@db:5432/x", "postgresql://[masked]@db:5432/x"),
        ("https://ghtoken@host/x", "https://[masked]@host/x"),
        ("https://t.example/ping/AbC-123_xyzXYZ", "https://t.example/ping/[masked]"),
        ("https://t.example/invitations/AbC-123_xyz", "https://t.example/invitations/[masked]"),
        ("https://hooks.slack.com/services/T0/B0/abc", "https://hooks.slack.com/services/[masked]"),
        (f"a\n-----BEGIN RSA PRIVATE KEY-----\n{KEY}-----END RSA PRIVATE KEY-----\nb", "a\n[masked]\nb"),
        (f"-----BEGIN PRIVATE KEY-----\n{KEY}", "[masked]"),
        (f"it said\n{KEY}-----END PRIVATE KEY-----\nb", "it said\n[masked]\nb"),
        (
            f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{KEY}-----END PGP PRIVATE KEY BLOCK-----",
            "[masked]",
        ),
    ],
)  # fmt: skip
def test_a_secret_of_a_known_shape_is_masked(text: str, safe: str) -> None:
    assert masked(text) == safe


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{"input_tokens": 1200, "total_tokens": 1300, "model": "gpt-5"}',
        "input_tokens=9 output_tokens=8 max_tokens: 7",
        "task-scheduler-for-the-night-shift disk-usage-of-every-volume",
        "Traceback (most recent call last): KeyError: 'items'",
        "see https://example.com/a@b and mail ann@example.com",
        "the author: Ann; the keynote: 5; a monkey = 3",
        "bypass the compass: north",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "2026-01-31T08:00:00.123Z sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "Ünïcode — ping /ping/short",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert masked(text) == text


PIECES = st.sampled_from(
    [
        "sk-",
        "password",
        "=",
        ": ",
        '"',
        "'",
        "\\",
        "\n",
        " ",
        "a",
        "://",
        "@",
        "eyJ",
        ".",
        "ghp_",
        "-",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "bearer ",
        "token",
        "Cookie:",
        "/ping/",
        "abcdefgh12345678",
    ]
)


@example('{"password":"abc","n":1}')
@example('--token "abc"def')
@given(st.lists(PIECES, max_size=30).map("".join))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    assert masked(masked(text)) == masked(text)


@given(st.lists(PIECES, max_size=12).map("".join), st.lists(PIECES, max_size=12).map("".join))
def test_a_secret_is_found_wherever_it_stands_in_a_line_of_its_own(before: str, after: str) -> None:
    secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345"

    assert secret not in masked(f"{before}\n{secret}\n{after}")


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "a-",
        "a ",
        "password",
        "://a",
        "://",
        "eyJaaaaaaaa.",
        "-----BEGIN PRIVATE KEY-----",
        "Ab0=\n",
        "--token ",
        "sk-",
        "token=",
        '\\"',
        "-----END PRIVATE KEY-----\n",
        "cookie",
        "a.b:",
    ],
)
def test_no_text_makes_it_slow(unit: str) -> None:
    text = unit * (320_000 // len(unit))
    began = time.process_time()

    masked(text)

    # In proportion to the text it takes a tenth of a second; with its square, minutes.
    assert time.process_time() - began < 10
