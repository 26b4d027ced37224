"""Booking, merging, reporting, and the file itself."""

from __future__ import annotations

import itertools
import json
import sqlite3
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, cast

import pytest
from msgspec.structs import replace

from telemhq_agents.destined import Destined
from telemhq_agents.errors import DamagedError, SettingsError, UsageError
from telemhq_agents.ledger.records import Batch, Booked, Cursor, DeviceFacts, OutboxState
from telemhq_agents.ledger.schema import MIGRATIONS
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.privacy import ProjectNamer
from telemhq_agents.usage import Source, TurnStatus
from tests.telemhq_agents.history import BORN, QUARTER, FlatPrices, ended, fact, place, turn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from telemhq_agents.collecting import LedgerPort, Namer
    from telemhq_agents.ledger.records import OutboxRow
    from telemhq_agents.pricing import Prices
    from telemhq_agents.usage import Turn, UsageFact

DEVICE = DeviceFacts("d", "s")
FLAT = cast("Prices", FlatPrices())
CURSOR = Cursor(
    Source.CODEX, "thread/1", "/logs/a.jsonl", 7, 100, 99, "abc", 80, {"turn": None, "n": [1]}
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger.open(path, prices=FLAT, now_ms=lambda: BORN) as ledger:
        yield ledger


def only(ledger: Ledger, *groups: str) -> dict[tuple[str, ...], tuple[int, int, int]]:
    """Return runs, responses and total tokens by group."""
    rows = ledger.usage(groups).rows
    return {
        row.keys: (row.amounts.runs, row.amounts.responses, row.amounts.total_tokens)
        for row in rows
    }


# Booking


def test_a_fact_that_was_booked_before_adds_nothing(ledger: Ledger) -> None:
    batch = Batch([fact("a"), fact("b")], [ended()], [CURSOR])

    assert ledger.book(batch) == Booked(new_facts=2)
    assert ledger.book(batch) == Booked()
    assert only(ledger) == {(): (1, 2, 220)}


def test_facts_turns_and_cursors_are_booked_together_or_not_at_all(ledger: Ledger) -> None:
    broken = replace(CURSOR, state={"not json": object()})

    with pytest.raises(TypeError):
        ledger.book(Batch([fact("a")], [ended()], [broken]))

    assert only(ledger) == {}
    assert ledger.cursors(Source.CODEX) == {}


def test_cursors_come_back_as_they_were_by_source(ledger: Ledger) -> None:
    ledger.book(Batch(cursors=[CURSOR]))
    ledger.book(Batch(cursors=[replace(CURSOR, offset=90)]))

    assert ledger.cursors(Source.CODEX) == {"thread/1": replace(CURSOR, offset=90)}
    assert ledger.cursors(Source.CLAUDE) == {}


GROWN = fact("a", input_tokens=100, output_tokens=40, at_ms=BORN + 5)
FIRST = fact("a", input_tokens=120, output_tokens=1, at_ms=BORN, model="haiku", session_id="s0")


@pytest.mark.parametrize("order", list(itertools.permutations([GROWN, FIRST, GROWN])))
def test_a_fact_seen_again_keeps_its_largest_counters_and_its_earliest_place(
    ledger: Ledger, order: tuple[UsageFact, ...]
) -> None:
    for seen in order:
        ledger.book(Batch([seen]))

    (row,) = ledger.usage(["session", "model", "hour"]).rows
    assert row.keys == ("s0", "haiku", "2026-11-20T08:00+00:00")
    assert (row.amounts.input_tokens, row.amounts.output_tokens, row.amounts.responses) == (
        120,
        40,
        1,
    )


def test_precedence_goes_before_time(ledger: Ledger) -> None:
    ledger.book(
        Batch(
            [
                fact("a", precedence=1, at_ms=BORN),
                fact("a", precedence=0, at_ms=BORN + 9, model="haiku"),
            ]
        )
    )

    (row,) = ledger.usage(["model"]).rows
    assert row.keys == ("haiku",)


def test_between_equals_the_sighting_booked_first_stays(ledger: Ledger) -> None:
    ledger.book(Batch([fact("a", place=place("shop")), fact("a", place=place("blog"))]))
    ledger.book(Batch([fact("a", place=place("till"))]))

    assert list(only(ledger, "project")) == [("shop",)]


ENDS: list[Turn] = [
    turn(started_ms=BORN + 3),
    ended(at_ms=BORN + 50, status=TurnStatus.ERROR),
    turn(started_ms=BORN, ended_ms=BORN + 20, duration_ms=20, status=TurnStatus.INTERRUPTED),
]


@pytest.mark.parametrize("order", list(itertools.permutations(ENDS)))
def test_a_turn_seen_again_keeps_its_latest_end_and_running_never_overwrites_one(
    ledger: Ledger, order: tuple[Turn, ...]
) -> None:
    for seen in order:
        ledger.book(Batch(turns=[seen]))

    total = ledger.usage([]).total
    assert (total.runs, total.failures, total.duration_ms) == (1, 1, 60_000)


def test_a_turn_counts_once_in_its_first_bucket(ledger: Ledger) -> None:
    later = [fact("b", at_ms=BORN + QUARTER), fact("c", at_ms=BORN + 1, model="haiku")]
    ledger.book(Batch([fact("a"), *later], [ended()]))

    assert only(ledger, "hour", "model") == {
        ("2026-11-20T08:00+00:00", "opus"): (1, 2, 220),
        ("2026-11-20T08:00+00:00", "haiku"): (0, 1, 110),
    }


def test_a_response_without_a_turn_is_usage_and_no_run(ledger: Ledger) -> None:
    ledger.book(Batch([fact("a", turn="nobody's")]))

    assert only(ledger) == {(): (0, 1, 110)}


class Rising(FlatPrices):
    """A price table that was replaced by a dearer one."""

    def cost(self, *_arguments: object) -> tuple[int, str]:
        return 10**9, "2027-01-01"


def test_a_price_is_frozen_until_the_tokens_change(path: Path) -> None:
    with Ledger.open(path, prices=FLAT) as ledger:
        ledger.book(Batch([fact("a"), fact("b", model="unknown")]))
    with Ledger.open(path, prices=cast("Prices", Rising())) as ledger:
        ledger.book(Batch([fact("a", session_id="moved", precedence=-1)]))
        assert ledger.usage([]).total.cost_nano == 220
        assert ledger.usage([]).total.unpriced_tokens == 110

        ledger.book(Batch([fact("a", output_tokens=11)]))
        assert ledger.usage([]).total.cost_nano == 10**9


# Reports


def test_days_and_hours_are_those_of_the_time_zone(ledger: Ledger) -> None:
    """Adelaide is 10:30 ahead in summer, Kolkata 5:30: 20:29:59 UTC is still the day before."""
    midnight = BORN + (10 * 60 + 30) * 60_000  # 18:30 UTC
    ledger.book(Batch([fact("a", at_ms=midnight - 1), fact("b", at_ms=midnight)]))

    def keys(zone: str, group: str) -> list[tuple[str, ...]]:
        return [row.keys for row in ledger.usage([group], timezone=zone).rows]

    assert keys("Asia/Kolkata", "day") == [("2026-11-20",), ("2026-11-21",)]
    assert keys("Asia/Kolkata", "hour") == [
        ("2026-11-20T23:00+05:30",),
        ("2026-11-21T00:00+05:30",),
    ]
    assert keys("Australia/Adelaide", "hour") == [
        ("2026-11-21T04:00+10:30",),
        ("2026-11-21T05:00+10:30",),
    ]
    assert keys("UTC", "day") == [("2026-11-20",)]


def test_the_hour_that_comes_twice_in_autumn_is_two_hours(ledger: Ledger) -> None:
    first = 1_792_889_100_000  # 2026-10-25T00:45Z, 02:45 in Berlin before the clocks go back
    ledger.book(Batch([fact("a", at_ms=first), fact("b", at_ms=first + 3_600_000)]))

    rows = ledger.usage(["hour"], timezone="Europe/Berlin").rows

    assert [row.keys[0] for row in rows] == ["2026-10-25T02:00+01:00", "2026-10-25T02:00+02:00"]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/Los_Angeles"])
@pytest.mark.parametrize("group", ["day", "hour"])
def test_a_time_that_no_calendar_holds_is_its_first_or_last_day(
    ledger: Ledger, zone: str, group: str
) -> None:
    far = [-(10**17), -62_135_596_800_001, -62_135_596_800_000, 253_402_300_799_000, 10**17]
    ledger.book(Batch([fact(f"f{at}", turn=f"t{at}", at_ms=at) for at in far]))

    rows = ledger.usage([group], timezone=zone).rows

    assert sum(row.amounts.responses for row in rows) == 5
    assert {row.keys[0][:10] for row in rows} <= {"0001-01-01", "9999-12-31"}


def test_a_report_is_cut_at_quarter_hours_and_by_source(ledger: Ledger) -> None:
    codex = replace(fact("c", at_ms=BORN + QUARTER), source=Source.CODEX)
    ledger.book(Batch([fact("a"), fact("b", at_ms=BORN + QUARTER), codex]))

    def responses(
        since: int | None = None, until: int | None = None, source: Source | None = None
    ) -> int:
        return ledger.usage([], since_ms=since, until_ms=until, source=source).total.responses

    assert responses() == 3
    assert responses(since=BORN + QUARTER) == responses(since=BORN + QUARTER + 1) == 2
    assert responses(until=BORN + QUARTER) == 1
    assert responses(source=Source.CODEX) == 1


def test_every_group_of_this_machine_has_its_key(ledger: Ledger) -> None:
    ledger.book(Batch([fact("a")], [ended()]))
    groups = ["day", "hour", "model", "project", "member", "session", "thread", "source"]

    (row,) = ledger.usage(groups, member="ada").rows

    assert row.keys == (
        "2026-11-20",
        "2026-11-20T08:00+00:00",
        "opus",
        "shop",
        "ada",
        "s1",
        "th1",
        "claude",
    )


@pytest.mark.parametrize(
    ("groups", "zone"),
    [
        (["tracker"], "UTC"),
        (["day; DROP TABLE facts"], "UTC"),
        (["day"], "Mars/Olympus"),
        (["day"], "../x"),
    ],
)
def test_what_cannot_be_asked_is_said(ledger: Ledger, groups: list[str], zone: str) -> None:
    with pytest.raises(UsageError):
        ledger.usage(groups, timezone=zone)


def test_an_empty_ledger_has_no_rows_and_a_total_of_nothing(ledger: Ledger) -> None:
    report = ledger.usage(["day"])

    assert report.rows == ()
    assert not report.total


# The file


def test_only_its_owner_may_read_it(ledger: Ledger, path: Path) -> None:
    ledger.book(Batch([fact("a")]))

    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_newer_programs_ledger_is_left_alone(path: Path) -> None:
    Ledger.open(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    with pytest.raises(SettingsError, match="newer telemhq") as caught:
        Ledger.open(path)

    assert "Upgrade" in caught.value.next_step


@pytest.mark.parametrize(
    "content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_ledger_is_named_with_the_way_out(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)

    with pytest.raises(DamagedError) as caught:
        Ledger.open(path)

    assert str(path) in caught.value.message
    assert "telemhq ledger verify --repair" in caught.value.next_step


def test_damage_inside_is_found_when_it_is_read(path: Path) -> None:
    with Ledger.open(path, prices=FLAT) as ledger:
        ledger.book(Batch([fact(f"f{number}") for number in range(2000)]))
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xa5" * (len(whole) - 8192))

    with pytest.raises(DamagedError, match="damaged"), Ledger.open(path, prices=FLAT) as ledger:
        ledger.book(Batch([fact("f1", output_tokens=9)]))


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(DamagedError, match="cannot be opened"):
        Ledger.open(tmp_path / "file" / "ledger.sqlite3")


def test_two_processes_that_make_the_ledger_at_once_make_one(path: Path) -> None:
    path.parent.mkdir()
    barrier = threading.Barrier(8)
    failures: list[Exception] = []

    def open_it() -> None:
        try:
            barrier.wait()
            Ledger.open(path, prices=FLAT).close()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test tells it
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with Ledger.open(path, prices=FLAT) as ledger:
        assert ledger.book(Batch([fact("a")])).new_facts == 1


HOLDER = """
import sys
from pathlib import Path
from telemhq_agents.ledger.store import Ledger
with Ledger.open(Path(sys.argv[1])) as ledger, ledger.booking(0) as ours:
    print(ours, flush=True)
    sys.stdin.read()
"""


def test_one_process_books_at_a_time_and_its_death_frees_the_lock(
    ledger: Ledger, path: Path
) -> None:
    script = f"import sys; sys.path[:] = {sys.path!r}\n{HOLDER}"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        with ledger.booking(0.05) as ours:
            assert not ours
        holder.kill()
        holder.wait()
        with ledger.booking(1) as ours:
            assert ours


# The outbox


def imported(ledger: Ledger, *keys: str) -> list[OutboxRow]:
    for key in keys:
        ledger.enqueue("home", key, b"{}", BORN)
    return ledger.outbox()


def test_a_ping_from_the_spool_is_taken_in_once_even_after_its_answer(ledger: Ledger) -> None:
    (row,) = imported(ledger, "a", "a")
    ledger.delivered(row)

    assert not ledger.enqueue("home", "a", b"{}", BORN)
    assert ledger.enqueue("work", "a", b"{}", BORN)
    assert [one.destination for one in ledger.outbox()] == ["work"]


def test_the_memory_of_answered_pings_lasts_ninety_days(ledger: Ledger) -> None:
    day = 24 * 3600 * 1000
    (row,) = imported(ledger, "a")
    ledger.delivered(row)

    ledger.queue_due(BORN + 90 * day, device=DEVICE)
    assert not ledger.enqueue("home", "a", b"{}", BORN)
    ledger.queue_due(BORN + 90 * day + 1, device=DEVICE)
    assert ledger.enqueue("home", "a", b"{}", BORN)


def test_a_ledger_and_a_namer_are_what_collectors_ask_for(ledger: Ledger) -> None:
    port: LedgerPort = ledger
    namer: Namer = ProjectNamer()

    port.book(Batch([fact("a", place=namer.place("/gone/till"))]))

    assert list(only(ledger, "project")) == [("till",)]


def test_what_waits_for_a_person_is_counted_and_can_be_sent_again(ledger: Ledger) -> None:
    first, second, _ = imported(ledger, "a", "b", "c")
    ledger.park(first, "422: no")
    ledger.uncertain(second, "no answer")

    counts = ledger.counts()
    assert (counts.pending, counts.parked, counts.uncertain) == (1, 1, 1)
    assert [row.key for row in ledger.take(BORN, 10)] == ["c"]
    assert ledger.unpark("work") == 0
    assert ledger.unpark("home") == 1
    assert [row.key for row in ledger.take(BORN, 10)] == ["a", "c"]
    assert ledger.unpark(states=[OutboxState.UNCERTAIN]) == 1
    ledger.forget(second)
    assert [row.key for row in ledger.outbox()] == ["a", "c"]


def test_rows_that_wait_longest_come_first_and_excluded_ones_not_at_all(ledger: Ledger) -> None:
    first, *_ = imported(ledger, "a", "b")
    ledger.enqueue("work", "w", b"{}", BORN)
    ledger.retry(first, BORN + 5, "500")

    assert [row.key for row in ledger.take(BORN + 5, 10)] == ["b", "w", "a"]
    assert [row.key for row in ledger.take(BORN + 4, 10, {"work"})] == ["b"]
    assert [row.attempts for row in ledger.take(BORN + 5, 10)] == [0, 0, 1]
    assert ledger.next_due_ms() == 0


def test_a_ping_that_is_being_sent_is_marked_until_its_outcome(ledger: Ledger) -> None:
    (row,) = imported(ledger, "a")
    ledger.begin_sending(row)
    assert [one.sending for one in ledger.outbox()] == [True]

    ledger.retry(row, 0, "503")
    assert [one.sending for one in ledger.outbox()] == [False]


def test_a_paused_destination_is_left_in_peace_until_its_time(ledger: Ledger) -> None:
    imported(ledger, "a")
    ledger.pause("home", BORN + 100, "down")
    ledger.pause("home", BORN + 300, "down")

    assert ledger.take(BORN + 299, 10) == []
    assert ledger.next_due_ms() == BORN + 300
    assert ledger.failures_in_a_row("home") == 2
    (row,) = ledger.take(BORN + 300, 10)
    ledger.delivered(row)
    assert ledger.failures_in_a_row("home") == 0
    assert ledger.next_due_ms() is None


def sent_to(*steps: tuple[str, int]) -> tuple[Destined, ...]:
    return tuple(Destined(*one) for one in steps)


def test_the_destination_of_a_source_is_the_one_set_last(ledger: Ledger) -> None:
    assert ledger.destination(Source.CODEX) == ""
    ledger.follow(Source.CODEX, sent_to(("home", BORN), ("work", BORN)))
    assert ledger.destination(Source.CODEX) == "work"
    assert ledger.destination(Source.CLAUDE) == ""

    ledger.follow(Source.CODEX, sent_to(("home", BORN), ("work", BORN), ("", BORN)))
    assert ledger.destination(Source.CODEX) == ""


def test_what_happens_between_logout_and_login_is_not_sent(ledger: Ledger) -> None:
    ledger.follow(Source.CLAUDE, sent_to(("home", BORN), ("", BORN + 1000), ("home", BORN + 2000)))
    times = [BORN - 1, BORN, BORN + 999, BORN + 1000, BORN + 1999, BORN + 2000]
    ledger.book(Batch([fact(f"f{at}", turn=f"t{at}", at_ms=at) for at in times]))

    ledger.queue_due(BORN + 100 * QUARTER, device=DEVICE)

    told = {json.loads(row.body)["turn_id"] for row in ledger.outbox()}
    assert told == {f"t{at}" for at in (BORN, BORN + 999, BORN + 2000)}


def test_work_goes_to_the_server_in_whose_time_it_was_done(ledger: Ledger) -> None:
    moment = BORN + 60_000
    ledger.follow(Source.CLAUDE, sent_to(("home", 0), ("work", moment)))
    before, after = (fact("a", at_ms=moment - 1), fact("b", turn="t2", at_ms=moment))
    ledger.book(Batch([before, after], [ended(), ended("t2")]))

    ledger.queue_due(moment, device=DEVICE)

    told = {row.destination: json.loads(row.body)["turn_id"] for row in ledger.outbox()}
    assert told == {"home": "t1", "work": "t2"}


def test_a_turn_at_work_at_the_first_login_is_told_once_it_is_settled(path: Path) -> None:
    with Ledger.open(path, prices=FLAT, now_ms=lambda: BORN + 10_000) as ledger:
        ledger.learn("home", corrections=True)
        ledger.book(Batch([fact("f1", at_ms=BORN + 9_000)], [turn()]))
        ledger.book(Batch([fact("f2", turn="t2", session_id="s2")], [ended("t2", session_id="s2")]))

        ledger.follow(Source.CLAUDE, sent_to(("home", 0)))

        assert ledger.queue_due(BORN + 20_000, device=DEVICE) == 1
        assert ledger.queue_due(BORN + 128_999, device=DEVICE) == 0
        assert ledger.queue_due(BORN + 129_000, device=DEVICE) == 1


def test_where_nobody_was_ever_told_anything_nothing_waits_to_be_told(ledger: Ledger) -> None:
    def waiting() -> int:
        with ledger.lent() as connection:
            return int(connection.execute("SELECT count(*) FROM open_spans").fetchone()[0])

    ledger.book(Batch([fact("f1")], [turn()]))
    ledger.book(Batch([fact("f2")], [ended()]))
    assert waiting() == 0

    ledger.follow(Source.CODEX, sent_to(("home", BORN)))
    ledger.book(Batch([fact("f3")], [turn("t2")]))
    assert waiting() == 2


# A clock that was ahead


def test_a_turn_that_was_read_by_a_clock_that_was_ahead_waits_two_minutes_from_now(
    path: Path,
) -> None:
    year = 365 * 24 * 3600 * 1000
    with Ledger.open(path, prices=FLAT, now_ms=lambda: BORN + year) as ledger:
        ledger.follow(Source.CLAUDE, sent_to(("home", 0)))
        ledger.learn("home", corrections=True)
        ledger.book(Batch([fact("a")], [turn()]))

    with Ledger.open(path, prices=FLAT, now_ms=lambda: BORN) as ledger:
        assert ledger.queue_due(BORN, device=DEVICE) == 0
        assert ledger.queue_due(BORN + 119_999, device=DEVICE) == 0
        assert ledger.queue_due(BORN + 120_000, device=DEVICE) == 1


def test_a_wait_that_a_clock_that_was_ahead_set_is_no_longer_than_five_minutes(
    ledger: Ledger,
) -> None:
    ahead = BORN + 365 * 24 * 3600 * 1000
    (row,) = imported(ledger, "a")
    ledger.retry(row, ahead, "503")
    ledger.pause("home", ahead, "down")

    ledger.queue_due(BORN, device=DEVICE)

    assert ledger.next_due_ms() == BORN + 300_000
    assert len(ledger.take(BORN + 300_000, 10)) == 1


def test_a_server_may_ask_to_wait_for_a_day(ledger: Ledger) -> None:
    day = 24 * 3600 * 1000
    (row,) = imported(ledger, "a")
    ledger.retry(row, BORN + day, "429")

    ledger.queue_due(BORN, device=DEVICE)

    assert ledger.next_due_ms() == BORN + day


def test_a_wrong_window_is_refused(ledger: Ledger) -> None:
    with pytest.raises(SettingsError):
        ledger.set_coalescing(Source.CODEX, [(0, 7 * 60_000)])
    with pytest.raises(SettingsError):
        ledger.set_coalescing(Source.CODEX, [(1, 5 * 60_000)])


def test_a_long_queue_is_made_in_portions(ledger: Ledger) -> None:
    ledger.follow(Source.CLAUDE, sent_to(("home", 0)))
    ledger.book(Batch([fact(f"f{number}", turn=f"t{number}") for number in range(1200)]))
    later = BORN + QUARTER

    ledger.learn("home", corrections=True)
    portions = [ledger.queue_due(later, device=DEVICE, limit=1) for _ in range(4)]

    assert portions == [500, 500, 200, 0]


def test_after_a_failure_inside_a_transaction_nothing_of_it_remains(ledger: Ledger) -> None:
    def fail() -> None:
        with ledger.transaction():
            ledger.enqueue("home", "a", b"{}", BORN)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert ledger.outbox() == []
