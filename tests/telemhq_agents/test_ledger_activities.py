"""What hooks told of turns, what sessions said of themselves, and facts that come packed."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from telemhq_agents.background import Kind
from telemhq_agents.destined import Destined
from telemhq_agents.ledger.packing import Packed, pack
from telemhq_agents.ledger.records import Batch, Booked, DeviceFacts
from telemhq_agents.ledger.schema import MIGRATIONS
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.own_prices import OwnPrice, set_own
from telemhq_agents.usage import Activity, ActivityKind, SessionTotal, Source, TurnStatus
from tests.telemhq_agents.history import BORN, QUARTER, FlatPrices, ended, fact, place, turn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from telemhq_agents.pricing import Prices

FLAT = cast("Prices", FlatPrices())
TURN = ended().key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger.open(path, prices=FLAT, now_ms=lambda: BORN) as ledger:
        yield ledger


def tool(name: str, ms: int, kind: ActivityKind = ActivityKind.TOOL) -> Activity:
    return Activity(TURN, kind, name, 1, ms)


def sent(ledger: Ledger, now_ms: int) -> dict[str, object]:
    """Return the one ping that is due."""
    assert ledger.queue_due(now_ms, device=DeviceFacts("d", "s")) == 1
    (row,) = ledger.outbox()
    body: dict[str, object] = json.loads(row.body)
    return body


def test_what_a_hook_told_adds_up_and_is_heard_once(ledger: Ledger) -> None:
    told = {"toolu_1": [tool("Bash", 90)], "toolu_2": [tool("Bash", 10)]}

    ledger.book(Batch(activities=told))
    ledger.book(Batch(activities=told | {"toolu_3": [tool("Read", 5)]}))

    assert ledger.activities([TURN]) == [
        Activity(TURN, ActivityKind.TOOL, "Bash", 2, 100),
        Activity(TURN, ActivityKind.TOOL, "Read", 1, 5),
    ]


def test_a_turns_ping_tells_what_the_agent_did(ledger: Ledger) -> None:
    ledger.follow(ended().source, (Destined("home", 0),))
    told = {
        "1": [tool("Bash", 90)],
        "2": [tool("Bash", 10, ActivityKind.TOOL_FAILURE)],
        "3": [tool("Read", 7)],
        "4": [Activity(TURN, ActivityKind.PERMISSION, "Bash", 1, 4000)],
        "5": [Activity(TURN, ActivityKind.FAILURE, "rate_limit")],
        "6": [Activity("another turn", ActivityKind.TOOL, "Grep", 50, 50)],
    }
    failed = ended(status=TurnStatus.ERROR)
    ledger.book(Batch([fact("a")], [failed], activities=told))

    body = sent(ledger, BORN + QUARTER)

    names = ("tool_calls", "tool_failures", "tool_ms", "permission_waits", "permission_wait_ms")
    assert [body[name] for name in names] == [3, 1, 107, 1, 4000]
    assert body["tools"] == {"Bash": 2, "Read": 1}
    assert body["error"] == "rate_limit"
    assert "prompts" not in body


def test_a_ping_names_the_most_used_tools_and_stays_within_the_smallest_plan(
    ledger: Ledger,
) -> None:
    ledger.follow(ended().source, (Destined("home", 0),))
    told = {
        f"{number}": [Activity(TURN, ActivityKind.TOOL, f"mcp__{number:060}", number + 1)]
        for number in range(40)
    }
    ledger.book(Batch([fact("a")], [ended()], activities=told))

    body = sent(ledger, BORN + QUARTER)

    assert body["tool_calls"] == 40 * 41 // 2
    assert len(json.dumps(body)) <= 1100  # 1,024 bytes, and json's spaces
    tools = cast("dict[str, int]", body.get("tools", {}))
    assert sorted(tools.values(), reverse=True) == list(range(40, 40 - len(tools), -1))


def test_turns_of_which_hooks_told_are_counted_beside_all_that_ended(ledger: Ledger) -> None:
    running = turn("t9", started_ms=BORN)
    ledger.book(Batch(turns=[ended("t1"), ended("t2"), running]))
    ledger.book(Batch(activities={"1": [Activity(ended("t1").key, ActivityKind.PROMPT)]}))

    assert ledger.announced_turns(ended().source, 0) == (2, 1)
    assert ledger.announced_turns(ended().source, BORN + 10 * QUARTER) == (0, 0)


def test_the_latest_word_of_a_session_holds(ledger: Ledger) -> None:
    first = SessionTotal(
        Source.CLAUDE, "s", "opus", place("shop"), BORN, is_complete=True, input_tokens=9
    )
    later = msgspec.structs.replace(first, at_ms=BORN + 5, input_tokens=12, is_complete=False)

    ledger.book(Batch(totals=[later]))
    ledger.book(Batch(totals=[first]))

    assert ledger.session_totals(0, BORN + QUARTER) == [later]
    assert ledger.session_totals(BORN + QUARTER, BORN + 2 * QUARTER) == []


def test_packed_facts_are_booked_like_others(ledger: Ledger, tmp_path: Path) -> None:
    facts = [fact(str(n), model=f"m{n % 3}", at_ms=BORN + n) for n in range(50)]
    packed = pack([*facts, fact("7", output_tokens=900)], FLAT)
    handed_over = msgspec.msgpack.decode(msgspec.msgpack.encode(packed), type=Packed)

    with Ledger.open(tmp_path / "other" / "l", prices=FLAT, now_ms=lambda: BORN) as other:
        other.book(Batch([*facts, fact("7", output_tokens=900)], [ended()]))
        booked = ledger.book(Batch(turns=[ended()], packed=[handed_over]))

        groups = ("session", "model", "project", "hour")
        assert ledger.usage(groups) == other.usage(groups)
    assert booked == Booked(new_facts=50)
    assert ledger.usage(()).total.cost_nano == 2 * ledger.usage(()).total.total_tokens


def test_a_fact_keeps_the_price_it_was_booked_at_while_its_figures_stay(ledger: Ledger) -> None:
    class Dearer(FlatPrices):
        def cost(
            self, provider: str, model: str, at_ms: int, *tokens: int
        ) -> tuple[int, str] | None:
            found = super().cost(provider, model, at_ms, *tokens)
            return found and (found[0] * 10, found[1])

    dearer = cast("Prices", Dearer())
    ledger.book(Batch([fact("a"), fact("b")]))
    before = ledger.usage(()).total.cost_nano

    again = pack([fact("a"), fact("b", session_id="s0", precedence=-1)], dearer)
    assert ledger.book(Batch(packed=[again])) == Booked(changed_facts=1)

    assert ledger.usage(()).total.cost_nano == before


def test_an_open_ledger_heeds_a_price_that_is_set(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEMHQ_HOME", str(tmp_path))
    with Ledger.open(path) as ledger:
        ledger.book(Batch([fact("a", model="in-house")]))
        set_own(tmp_path / "prices.toml", OwnPrice("in-house", "", "", {"input": 1, "output": 1}))
        ledger.book(Batch([fact("b", model="in-house")]))

        total = ledger.usage(()).total

    assert (total.unpriced_tokens, total.cost_nano) == (110, 110_000)


def test_a_ledger_of_the_second_version_keeps_its_facts(path: Path) -> None:
    path.parent.mkdir()
    old = sqlite3.connect(path)
    for step in MIGRATIONS[:2]:
        for statement in step:
            old.execute(statement)
    old.execute("PRAGMA user_version = 2")
    old.execute("INSERT INTO places VALUES (1, '/home/dev/shop', 'shop', 'shop')")
    rows = [(f"f{n}", f"t{n // 4}", BORN + n) for n in range(12)]
    old.executemany(
        "INSERT INTO facts VALUES (?, 'codex', 's', 's', ?, 'openai', 'gpt', 1, ?, 0, -1, "
        "10, 0, 0, 0, 5, 0, 30, 0, '2026-01-01', '', 0, 0, 2)",
        rows,
    )
    old.commit()
    old.close()

    with Ledger.open(path, prices=FLAT, now_ms=lambda: BORN) as ledger:
        grown = fact("f3", turn="t0", output_tokens=50, at_ms=BORN + 3)
        assert ledger.book(Batch([grown])) == Booked(changed_facts=1)
        # The first turn's buckets were made anew, out of its four facts.
        assert ledger.usage(("model",)).total.responses == 4


def test_what_a_session_used_beside_its_facts_is_told_apart(ledger: Ledger) -> None:
    facts = [fact("a", model="opus", input_tokens=100, output_tokens=10, session_id="s")]
    total = SessionTotal(
        Source.CLAUDE, "s", "opus", place("shop"), BORN, is_complete=True,
        input_tokens=150, output_tokens=30,
    )  # fmt: skip
    title = msgspec.structs.replace(total, model="haiku", input_tokens=7, output_tokens=1)
    ledger.book(Batch(facts, totals=[total, title]))

    found = ledger.background(("model", "day"))

    rows = {
        row.keys: (row.amounts.input_tokens, row.amounts.output_tokens, row.amounts.cost_nano)
        for row in found[Kind.BACKGROUND].rows
    }
    assert rows == {("opus", "2026-11-20"): (50, 20, 140), ("haiku", "2026-11-20"): (7, 1, 16)}
    assert found[Kind.UNEXPLAINED].rows == ()
    assert ledger.usage(()).total.total_tokens == 110


def test_a_rest_beside_a_lower_bound_is_unexplained(ledger: Ledger) -> None:
    facts = [fact("a", model="opus", output_tokens=1, session_id="s", estimate="lower bound")]
    total = SessionTotal(
        Source.CLAUDE, "s", "opus", place("shop"), BORN, is_complete=True,
        input_tokens=100, output_tokens=25,
    )  # fmt: skip
    ledger.book(Batch(facts, totals=[total]))

    found = ledger.background((), source=Source.CLAUDE)

    assert found[Kind.UNEXPLAINED].total.output_tokens == 24
    assert not found[Kind.BACKGROUND].rows
    assert not ledger.background((), source=Source.CODEX)[Kind.UNEXPLAINED].rows


def test_a_failed_turns_ping_tells_the_kind_of_failure_that_its_log_tells(ledger: Ledger) -> None:
    ledger.follow(ended().source, (Destined("home", 0),))
    failed = ended(status=TurnStatus.ERROR, failure="overloaded")
    ledger.book(Batch([fact("a")], [failed]))
    ledger.book(Batch(turns=[ended(status=TurnStatus.ERROR, precedence=4)]))

    assert sent(ledger, BORN + QUARTER)["error"] == "overloaded"


def test_a_turn_that_succeeded_in_the_end_tells_of_no_error(ledger: Ledger) -> None:
    ledger.follow(ended().source, (Destined("home", 0),))
    told = {"1": [Activity(TURN, ActivityKind.FAILURE, "overloaded")]}
    ledger.book(Batch([fact("a")], [ended()], activities=told))

    body = sent(ledger, BORN + QUARTER)

    assert body["status"] == "success"
    assert "error" not in body
