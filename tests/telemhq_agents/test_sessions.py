"""Sessions out of the ledger: which there are, what each used, and how it came out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemhq_agents.contract.amounts import Amounts
from telemhq_agents.contract.sessions import Outcome, Session, as_json
from telemhq_agents.ledger import session_list
from telemhq_agents.ledger.records import Batch
from telemhq_agents.ledger.session_list import Asked
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.sessions import QUIET_MS, covered_ms, shortened
from telemhq_agents.usage import Activity, ActivityKind, Source, TurnStatus
from tests.telemhq_agents.history import BORN, QUARTER, FlatPrices, ended, fact, place, turn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemhq_agents.contract.sessions import SessionPage, SessionTurn
    from telemhq_agents.pricing import Prices

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
PRICES = cast("Prices", FlatPrices())


def opened(folder: Path) -> Ledger:
    return Ledger.open(folder / "ledger.sqlite3", prices=PRICES, now_ms=lambda: BORN)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with opened(tmp_path) as ledger:
        yield ledger


def page(ledger: Ledger, limit: int | None = None, now_ms: int = BORN, **asked: Any) -> SessionPage:
    with ledger.lent() as connection:
        return session_list.page(connection, Asked(**asked), limit=limit, now_ms=now_ms)


def only(ledger: Ledger, now_ms: int = BORN) -> Session:
    (found,) = page(ledger, now_ms=now_ms).sessions
    return found


def turns(ledger: Ledger, session: str = "s1") -> list[SessionTurn]:
    with ledger.lent() as connection:
        return session_list.turns(connection, ("claude", session), Asked(), now_ms=BORN)


def named(ledger: Ledger, prefix: str) -> list[str]:
    with ledger.lent() as connection:
        return [session for _, session in session_list.named(connection, prefix)]


def test_a_session_tells_when_where_with_what_and_how_much(ledger: Ledger) -> None:
    ledger.book(
        Batch(
            [
                fact("a", at_ms=BORN + MINUTE),
                fact("b", at_ms=BORN + 2 * MINUTE, model="haiku", input_tokens=900),
                fact("c", turn="t2", at_ms=BORN + 61 * MINUTE, place=place("blog")),
            ],
            [
                ended(at_ms=BORN + 3 * MINUTE),
                ended("t2", started_ms=BORN + 60 * MINUTE, at_ms=BORN + 62 * MINUTE),
            ],
        )
    )

    one = only(ledger)

    assert (one.session, one.source, one.threads) == ("s1", "claude", 1)
    assert (one.began_at, one.ended_at) == ("2026-11-20T08:00:00.000Z", "2026-11-20T09:02:00.000Z")
    assert one.active_ms == 5 * MINUTE
    assert (one.runs, one.responses, one.total_tokens) == (2, 3, 1130)
    assert one.cost_usd == 2260 / 10**9
    assert (one.models, one.projects) == (["haiku", "opus"], ["shop", "blog"])
    assert (one.outcome, one.failure, one.exact_to_ms) == (Outcome.OK, "", 1)


LAST: list[tuple[dict[str, Any], Outcome, str]] = [
    ({"status": TurnStatus.SUCCESS}, Outcome.OK, ""),
    ({"status": TurnStatus.ERROR, "failure": "rate_limit"}, Outcome.FAILED, "rate_limit"),
    ({"status": TurnStatus.INTERRUPTED}, Outcome.INTERRUPTED, ""),
    ({"status": TurnStatus.RUNNING, "at_ms": None}, Outcome.RUNNING, ""),
]


@pytest.mark.parametrize(("last", "outcome", "failure"), LAST)
def test_a_session_came_out_as_its_last_turn_did(
    ledger: Ledger, last: dict[str, Any], outcome: Outcome, failure: str
) -> None:
    at = BORN + QUARTER
    first = ended(status=TurnStatus.ERROR, failure="overloaded")
    ledger.book(
        Batch(
            [fact("a"), fact("b", turn="t2", at_ms=at)],
            [first, ended("t2", started_ms=at, **{"at_ms": at + MINUTE, **last})],
        )
    )

    one = only(ledger, now_ms=at + MINUTE)

    assert (one.outcome, one.failure) == (outcome, failure)


def test_what_is_silent_for_half_an_hour_runs_no_more(ledger: Ledger) -> None:
    ledger.book(Batch([fact("a", at_ms=BORN)], [turn()]))

    assert only(ledger, now_ms=BORN + QUIET_MS).outcome is Outcome.RUNNING
    assert only(ledger, now_ms=BORN + QUIET_MS + 1).outcome is Outcome.UNFINISHED


def test_a_turn_without_any_usage_is_part_of_its_session(ledger: Ledger) -> None:
    ledger.book(Batch([], [ended(status=TurnStatus.ERROR)]))

    one = only(ledger)

    assert (one.runs, one.failures, one.total_tokens, one.models) == (1, 1, 0, [])


def test_the_session_that_was_active_last_comes_first(ledger: Ledger) -> None:
    facts = [
        fact("a", turn="t1", session_id="old", at_ms=BORN),
        fact("b", turn="t2", session_id="new", at_ms=BORN + DAY),
        fact("c", turn="t3", session_id="taken up again", at_ms=BORN - DAY),
        fact("d", turn="t4", session_id="taken up again", at_ms=BORN + 2 * DAY),
    ]
    ledger.book(Batch(facts))

    found = page(ledger, limit=2)

    assert [one.session for one in found.sessions] == ["taken up again", "new"]
    assert (found.count, found.total.total_tokens) == (3, 440)


def test_equal_ids_of_two_agents_are_two_sessions(ledger: Ledger) -> None:
    codex = fact("b", turn="t2")
    codex = type(codex)(**{**_fields(codex), "source": Source.CODEX})
    ledger.book(Batch([fact("a"), codex]))

    found = page(ledger)

    assert found.count == 2
    assert {(one.source, one.total_tokens) for one in found.sessions} == {
        ("claude", 110),
        ("codex", 110),
    }


def _fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


@pytest.mark.parametrize(
    ("asked", "tokens"),
    [
        ({"models": ("haiku",)}, 1010),
        ({"projects": ("shop",)}, 1120),
        ({"projects": ("shop", "blog")}, 1230),
        ({"sources": ("codex",)}, 0),
        ({"since_ms": BORN + DAY}, 110),
        ({"until_ms": BORN + DAY}, 1120),
    ],
)
def test_filters_narrow_what_of_a_session_counts(
    ledger: Ledger, asked: dict[str, Any], tokens: int
) -> None:
    ledger.book(
        Batch(
            [
                fact("a"),
                fact("b", turn="t2", model="haiku", input_tokens=1000),
                fact("c", turn="t3", at_ms=BORN + DAY, place=place("blog")),
            ]
        )
    )

    found = page(ledger, **asked)

    assert found.total.total_tokens == tokens
    assert sum(one.total_tokens for one in found.sessions) == tokens


def test_a_beginning_of_an_id_is_enough_and_a_whole_one_means_itself(ledger: Ledger) -> None:
    names = {"01ab": "01ab", "01abcd": "01abcd", "02ff": "agent-7"}
    facts = [fact(key, turn=key, session_id=key, thread_id=thread) for key, thread in names.items()]
    ledger.book(Batch(facts))

    assert named(ledger, "01") == ["01ab", "01abcd"]
    assert named(ledger, "01ab") == ["01ab"]
    assert named(ledger, "01abc") == ["01abcd"]
    assert named(ledger, "agent") == ["02ff"]
    assert named(ledger, "01AB") == named(ledger, "0_") == named(ledger, "%") == []


def test_turns_come_in_order_with_their_tools_and_their_threads(ledger: Ledger) -> None:
    heard = {
        "1": [Activity("t1", ActivityKind.TOOL, "Bash", 3), Activity("t1", ActivityKind.PROMPT)],
        "2": [Activity("t1", ActivityKind.TOOL_FAILURE, "Bash", 1)],
        "3": [Activity("t1", ActivityKind.TOOL, "Edit", 2)],
    }
    ledger.book(
        Batch(
            [
                fact("a", thread_id="s1"),
                fact("b", thread_id="agent-1", model="haiku", at_ms=BORN + 10),
                fact("c", turn="t2", thread_id="s1", at_ms=BORN - 5 * MINUTE),
            ],
            [ended(thread_id="s1", agent_version="2.1.328")],
            activities=heard,
        )
    )

    found = turns(ledger)

    assert [(one.thread, one.models, one.runs) for one in found] == [
        ("", ["opus"], 0),
        ("", ["opus"], 1),
        ("agent-1", ["haiku"], 0),
    ]
    assert [one.tools for one in found] == [{}, {"Bash": 4, "Edit": 2}, {}]
    assert found[1].agent_version == "2.1.328"
    assert only(ledger).threads == 2


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["s1", "s2", ""]),
            st.sampled_from(["th1", "th2"]),
            st.sampled_from(["t1", "t2", "t3"]),
            st.sampled_from(["opus", "haiku", "unknown"]),
            st.sampled_from(["shop", "blog"]),
            st.integers(0, 3 * DAY // QUARTER),
            st.integers(0, 10**6),
        ),
        max_size=12,
    ),
    st.sets(st.sampled_from(["t1", "t2", "t3"])),
    st.tuples(*(st.none() | st.integers(0, 3 * DAY // QUARTER) for _ in range(2))),
    st.sets(st.sampled_from(["opus", "haiku", "unknown"])),
)
@settings(max_examples=60, deadline=None)
def test_sessions_and_their_turns_add_up_to_the_report(
    seen: list[tuple[Any, ...]], over: set[str], window: tuple[int | None, ...], models: set[str]
) -> None:
    facts = [
        fact(
            str(number),
            session_id=session,
            thread_id=thread,
            turn=f"{name}{session}",
            model=model,
            place=place(project),
            at_ms=BORN + at * QUARTER,
            input_tokens=tokens,
        )
        for number, (session, thread, name, model, project, at, tokens) in enumerate(seen)
    ]
    since, until = (None if end is None else BORN + end * QUARTER for end in window)
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as ledger:
        ledger.book(Batch(facts, [ended(f"{name}s1", session_id="s1") for name in over]))
        chosen = tuple(sorted(models))
        report = ledger.usage([], since_ms=since, until_ms=until, models=chosen)
        asked = Asked(since, until, models=chosen)
        with ledger.lent() as connection:
            found = session_list.page(connection, asked, limit=None, now_ms=BORN)
            every = [
                one
                for told in found.sessions
                for one in session_list.turns(
                    connection, (told.source, told.session), asked, now_ms=BORN
                )
            ]

    assert found.total.amounts() == report.total
    assert found.count == len(found.sessions)
    listed = sum((one.amounts() for one in found.sessions), found.outside.amounts())
    assert listed == report.total
    assert sum((one.amounts() for one in every), found.outside.amounts()) == report.total


def test_what_happens_side_by_side_takes_its_time_once() -> None:
    assert covered_ms([]) == 0
    assert covered_ms([(0, 10), (5, 8), (20, 30), (30, 31), (25, 26)]) == 21
    assert covered_ms([(5, 3)]) == 0


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["abcdef123456"], ["abcdef12"]),
        (["abcdef123456", "abcdef129999"], ["abcdef123", "abcdef129"]),
        (["abcdef12", "abcdef12-more"], ["abcdef12", "abcdef12-"]),
        (["a", "b", "b"], ["a", "b"]),
        ([], []),
    ],
)
def test_ids_are_shortened_to_what_tells_them_apart(ids: list[str], expected: list[str]) -> None:
    found = shortened(ids)

    assert list(found.values()) == expected
    for whole, short in found.items():
        assert [one for one in found if one.startswith(short)][:1] == [whole] or short == whole


def test_a_record_by_name_begins_with_what_it_is_and_ends_with_its_sums() -> None:
    names = list(as_json(Session(session="s", runs=2)))

    assert names[0] == "session"
    assert names[-1] == "cost_usd"
    assert Session(runs=2, cost_usd=0.5).amounts() == Amounts(runs=2, cost_nano=500_000_000)
