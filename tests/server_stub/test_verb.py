from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_stub.domain.verb import VERBS, pair_key, run_id, with_verb

UUID = "0189ABCD-1234-4def-8123-456789abcdef"


def test_the_verbs_are_those_of_healthchecks_and_no_other() -> None:
    assert {word for word in VERBS if not word.isdigit()} == {"start", "fail", "log"}
    assert {int(word) for word in VERBS if word.isdigit()} == set(range(256))
    assert not {"00", "007", "256", "-1", "Start", "success"} & VERBS.keys()


@pytest.mark.parametrize(
    ("word", "payload", "said"),
    [
        ("0", {}, {"exit_code": 0, "status": "success"}),
        ("0", {"status": "ok"}, {"exit_code": 0, "status": "ok"}),
        ("0", {"status": "error"}, {"exit_code": 0, "status": "error"}),
        ("0", {"exit_code": 7}, {"exit_code": 0, "status": "success"}),
        ("3", {}, {"exit_code": 3, "status": "error"}),
        ("255", {"status": "success"}, {"exit_code": 255, "status": "error"}),
        ("3", {"status": "Timeout"}, {"exit_code": 3, "status": "Timeout"}),
        ("fail", {}, {"status": "error"}),
        ("fail", {"status": "success", "a": 1}, {"status": "error", "a": 1}),
        ("fail", {"status": ["odd"]}, {"status": "error"}),
        ("fail", {"status": "failed"}, {"status": "failed"}),
        ("start", {"status": "ok"}, {"status": "ok"}),
        ("log", {}, {}),
    ],
)
def test_the_path_wins_over_the_body(
    word: str, payload: dict[str, Any], said: dict[str, Any]
) -> None:
    assert with_verb(payload, VERBS[word]) == said


@pytest.mark.parametrize(
    ("told", "rid"),
    [
        (None, ""),
        ("", ""),
        (5, ""),
        ("nightly-7", "nightly-7"),
        ("Nightly", "Nightly"),
        (UUID, UUID.lower()),
        ("é 漢", "é 漢"),
        ("a\0b\n", "a\ufffdb\ufffd"),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_rid_is_made_usable_the_same_way_at_both_ends(told: object, rid: str) -> None:
    assert run_id(told) == rid


@given(st.text())
def test_any_rid_is_usable(told: str) -> None:
    rid = run_id(told)

    assert len(rid) <= 200
    assert run_id(rid) == rid
    rid.encode()


@pytest.mark.parametrize(
    ("start", "end"),
    [
        # (rid, run_key) of the start, (rid, Idempotency-Key) of the end
        (("r", ""), ("r", "")),
        (("", "k"), ("", "k")),
        (("r", "k"), ("r", "k")),
        (("", ""), ("", "")),
    ],
)
def test_a_start_and_its_end_have_one_key(start: tuple[str, str], end: tuple[str, str]) -> None:
    begun = pair_key("start", {"run_key": start[1]}, "k.start", start[0])

    assert begun == pair_key("run", {}, end[1], end[0])


def test_other_kinds_pair_with_nothing_by_themselves() -> None:
    assert pair_key("log", {"run_key": "k"}, "k", "") == ""
    assert pair_key("start", {"run_key": 7}, "", "") == ""
