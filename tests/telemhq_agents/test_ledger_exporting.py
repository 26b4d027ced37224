"""An export holds everything that the logs may not tell again, and an import brings it back once."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemhq_agents.errors import UsageError
from telemhq_agents.ledger.exporting import export
from telemhq_agents.ledger.importing import Imported, import_lines
from telemhq_agents.ledger.records import Batch, DeviceFacts
from telemhq_agents.ledger.store import Ledger
from telemhq_agents.usage import Activity, ActivityKind, SessionTotal, Source
from tests.telemhq_agents.history import BORN, FlatPrices, by_hour, ended, fact, ledger_sums, place
from tests.telemhq_agents.model_server import ModelServer
from tests.telemhq_agents.test_ledger_sums import MINUTE, Machine, _do, _facts, _turns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from telemhq_agents.pricing import Prices

DEVICE = DeviceFacts("laptop", "salt")
PRICES = cast("Prices", FlatPrices())


class DearPrices(FlatPrices):
    """A thousand nano-USD a token: a table that came later."""

    def cost(self, *_: object) -> tuple[int, str]:
        return 1_000_000, "2027-01-01"


def opened(path: Path, prices: object = PRICES) -> Ledger:
    return Ledger.open(path, prices=cast("Prices", prices), now_ms=lambda: BORN)


def lines_of(ledger: Ledger, device: str = DEVICE.device_id) -> list[bytes]:
    return list(export(ledger, device, BORN))


def take_in(ledger: Ledger, lines: Sequence[bytes], device: str = DEVICE.device_id) -> Imported:
    return import_lines(ledger, "old.jsonl", lines, device)


def told(lines: Sequence[bytes], *kinds: str) -> list[dict[str, Any]]:
    documents = [json.loads(line) for line in lines]
    return sorted(
        (one for one in documents if not kinds or one["line"] in kinds),
        key=lambda one: json.dumps(one, sort_keys=True),
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with opened(tmp_path / "ledger.sqlite3") as ledger:
        yield ledger


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Ledger]:
    with opened(tmp_path / "other" / "ledger.sqlite3", DearPrices()) as ledger:
        yield ledger


def filled(ledger: Ledger) -> None:
    """Book a bit of everything, tell some of it, and leave some on its way."""
    total = SessionTotal(Source.CLAUDE, "s1", "opus", place("shop"), BORN, True, 700)  # noqa: FBT003 - a field
    heard = {"spool/1": [Activity("t1", ActivityKind.TOOL, "Bash", 3, 250)]}
    batch = Batch(
        [fact("a"), fact("b", model="unknown"), fact("c", turn="t2", estimate="no record")],
        [ended(), ended("t2", at_ms=BORN + 30 * MINUTE)],
        totals=[total],
        activities=heard,
    )
    ledger.book(batch)
    ledger.learn("home", corrections=True)
    machine_history(ledger)
    ledger.queue_due(BORN + 60 * MINUTE, device=DEVICE)
    for row in ledger.take(BORN + 60 * MINUTE, 1):
        ledger.delivered(row)
    ledger.enqueue("https://server/ping/x", "wrapper-1", b'{"status":"ok"}', BORN)
    ledger.enqueue("https://server/ping/x", "wrapper-2", b"\xff\x00 any bytes", BORN)
    ledger.delivered(next(row for row in ledger.outbox() if row.key == "wrapper-2"))


def machine_history(ledger: Ledger) -> None:
    from telemhq_agents.destined import Destined

    ledger.follow(Source.CLAUDE, (Destined("home", 0),))


def test_an_export_begins_with_its_version_and_device_and_ends_with_its_length(
    ledger: Ledger,
) -> None:
    filled(ledger)

    found = [json.loads(line) for line in lines_of(ledger)]

    assert found[0] == {
        "line": "ledger",
        "version": 1,
        "device": "laptop",
        "made": "2026-11-20T08:00:00.000Z",
    }
    assert found[-1] == {"line": "end", "lines": len(found) - 1}
    kinds = {"fact", "turn", "activity", "total", "told", "outbox", "heard", "answered", "ability"}
    assert {one["line"] for one in found[1:-1]} == kinds


def test_what_was_exported_is_the_same_in_another_ledger(ledger: Ledger, other: Ledger) -> None:
    filled(ledger)

    done = take_in(other, lines_of(ledger))

    assert told(lines_of(other)) == told(lines_of(ledger))
    assert (done.new_facts, done.turns, done.is_own) == (3, 2, True)
    assert ledger_sums(other) == ledger_sums(ledger)
    assert all(row.sending for row in other.outbox())


def test_costs_stay_frozen_whatever_is_charged_by_now(ledger: Ledger, other: Ledger) -> None:
    filled(ledger)

    take_in(other, lines_of(ledger))

    total = other.usage([]).total
    assert (total.cost_nano, total.unpriced_tokens) == (440, 110)  # two nano-USD a token
    (first, *_) = told(lines_of(other), "fact")
    assert first["price_date"] in {"2026-01-01", ""}


def test_an_import_that_is_repeated_adds_nothing(ledger: Ledger, other: Ledger) -> None:
    filled(ledger)
    lines = lines_of(ledger)
    take_in(other, lines)
    before = lines_of(other)

    done = take_in(other, lines)

    assert lines_of(other) == before
    assert (done.new_facts, done.changed_facts, done.told, done.pings) == (0, 0, 0, 0)
    assert take_in(ledger, lines).pings == 0


def test_a_fact_that_grew_since_the_export_stays_grown(ledger: Ledger) -> None:
    ledger.book(Batch([fact("a", output_tokens=10)], [ended()]))
    lines = lines_of(ledger)
    ledger.book(Batch([fact("a", output_tokens=99)]))

    take_in(ledger, lines)

    assert ledger.usage([]).total.output_tokens == 99


def test_a_sighting_that_won_its_place_wins_it_again(ledger: Ledger, other: Ledger) -> None:
    early = fact("a", at_ms=BORN, precedence=5, turn="copy", place=place("copy"))
    won = fact("a", at_ms=BORN + MINUTE, turn="t1")
    ledger.book(Batch([early, won], [ended("t1", started_ms=BORN + MINUTE), ended("t1")]))

    take_in(other, lines_of(ledger))

    between = fact("a", at_ms=BORN + MINUTE // 2, turn="between")
    ledger.book(Batch([between]))
    other.book(Batch([between]))
    assert told(lines_of(other), "turn") == told(lines_of(ledger), "turn")
    assert {one["turn_key"] for one in told(lines_of(other), "fact")} == {"between"}


def test_a_turn_that_won_its_place_wins_it_again(ledger: Ledger, other: Ledger) -> None:
    copy = ended(started_ms=BORN, precedence=5, place=place("copy"))
    won = ended(started_ms=BORN + MINUTE, place=place("won"))
    ledger.book(Batch(turns=[copy, won]))

    take_in(other, lines_of(ledger))

    assert told(lines_of(other)) == told(lines_of(ledger))
    between = ended(started_ms=BORN + MINUTE // 2, place=place("between"))
    ledger.book(Batch(turns=[between]))
    other.book(Batch(turns=[between]))
    assert told(lines_of(other)) == told(lines_of(ledger))
    assert [one["project"] for one in told(lines_of(other), "turn")] == ["between"]


def test_what_was_about_to_be_taken_back_is_taken_back_after_an_import(
    ledger: Ledger, other: Ledger
) -> None:
    ledger.book(Batch([fact("a")]))
    ledger.learn("home", corrections=True)
    machine_history(ledger)
    assert ledger.queue_due(BORN + 60 * MINUTE, device=DEVICE) == 1
    for row in ledger.outbox():
        ledger.delivered(row)
    ledger.book(Batch([fact("a", turn="t2", precedence=-1)]))

    take_in(other, lines_of(ledger))
    machine_history(other)
    other.queue_due(BORN + 60 * MINUTE, device=DEVICE)

    bodies = [json.loads(row.body) for row in other.outbox()]
    assert -100 in [body.get("input_tokens") for body in bodies if body.get("kind") == "correction"]


def test_a_parcel_that_was_told_under_another_key_is_not_told_a_second_time(
    ledger: Ledger,
) -> None:
    filled(ledger)
    lines = lines_of(ledger)
    before = told(lines, "told")
    renamed = [line.replace(b'"key":"fact:', b'"key":"fact:another-') for line in lines]

    done = take_in(ledger, renamed)

    assert done.told == 0
    assert told(lines_of(ledger), "told") == before


def test_an_export_of_another_machine_brings_what_was_used_and_nothing_of_what_was_told(
    ledger: Ledger, other: Ledger
) -> None:
    filled(ledger)

    done = take_in(other, lines_of(ledger), device="desk")

    assert not done.is_own
    assert ledger_sums(other) == ledger_sums(ledger)
    assert told(lines_of(other), "told", "outbox", "answered", "ability") == []
    assert len(told(lines_of(other), "activity", "heard", "total")) == 3


def test_what_was_delivered_since_an_export_is_not_sent_again(ledger: Ledger) -> None:
    filled(ledger)
    lines = lines_of(ledger)
    assert ledger.counts().pending > 1
    for row in ledger.outbox():
        ledger.delivered(row)

    done = take_in(ledger, lines)

    assert (done.pings, ledger.counts().pending) == (0, 0)


# Exports that are not right


def changed(lines: list[bytes], at: int, **fields: object) -> list[bytes]:
    document = json.loads(lines[at]) | fields
    return [*lines[:at], json.dumps(document).encode() + b"\n", *lines[at + 1 :]]


def test_an_export_of_another_version_is_refused(ledger: Ledger, other: Ledger) -> None:
    filled(ledger)

    with pytest.raises(UsageError) as caught:
        take_in(other, changed(lines_of(ledger), 0, version=2))

    assert "version 2" in caught.value.message
    assert "version 1" in caught.value.message
    assert "Nothing was changed" in caught.value.next_step
    assert lines_of(other)[1:] == [b'{"line":"end","lines":1}\n']


@pytest.mark.parametrize(
    ("at", "fields", "said"),
    [
        (1, {"input_tokens": -1}, "input_tokens"),
        (1, {"input_tokens": "7"}, "input_tokens"),
        (1, {"input_tokens": 2**50}, "input_tokens"),
        (1, {"cost_nano": 1.5}, "cost_nano"),
        (1, {"source": "cursor"}, "cursor"),
        (1, {"key": ""}, "key"),
        (1, {"more": 1}, "more"),
        (2, {"line": "fakt"}, "fakt"),
        (3, {"line": "ledger", "version": 1}, "line 4"),
        (4, {"status": "great"}, "great"),
        (4, {"at_ms": 2**70}, "line 5"),
    ],
)
def test_a_line_that_is_wrong_is_named_by_its_number_and_nothing_is_taken(
    ledger: Ledger, other: Ledger, at: int, fields: dict[str, object], said: str
) -> None:
    filled(ledger)

    with pytest.raises(UsageError) as caught:
        take_in(other, changed(lines_of(ledger), at, **fields))

    assert f"old.jsonl, line {at + 1}: " in caught.value.message
    assert said in caught.value.message
    assert lines_of(other)[1:] == [b'{"line":"end","lines":1}\n']


@pytest.mark.parametrize("kept", [0, 1, 2, -2, -1])
def test_an_export_that_was_cut_off_is_refused(ledger: Ledger, other: Ledger, kept: int) -> None:
    filled(ledger)
    lines = lines_of(ledger)

    with pytest.raises(UsageError, match=r"not whole"):
        take_in(other, lines[:kept])

    assert lines_of(other)[1:] == [b'{"line":"end","lines":1}\n']


@pytest.mark.parametrize("text", [b"\n", b"not json\n", b"[]\n", b"\xff\xfe\n", b'{"a": 1}\n'])
def test_a_file_that_is_something_else_is_refused(other: Ledger, text: bytes) -> None:
    with pytest.raises(UsageError, match=r"something\.txt"):
        import_lines(other, "something.txt", [text], "laptop")


def test_an_export_with_a_line_missing_or_twice_is_refused(ledger: Ledger, other: Ledger) -> None:
    filled(ledger)
    lines = lines_of(ledger)

    for wrong in ([*lines[:3], *lines[4:]], [*lines[:3], lines[3], *lines[3:]], [*lines, *lines]):
        with pytest.raises(UsageError):
            take_in(other, wrong)

    assert lines_of(other)[1:] == [b'{"line":"end","lines":1}\n']


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    place_=st.tuples(st.integers(0, 19), st.integers(0, 400), st.integers(0, 40)),
    noise=st.binary(max_size=40),
)
def test_noise_in_an_export_is_refused_or_harmless_and_never_half_taken(
    ledger: Ledger, other: Ledger, place_: tuple[int, int, int], noise: bytes
) -> None:
    at, start, length = place_
    if not ledger.usage([]).total:
        filled(ledger)
    lines = lines_of(ledger)
    at %= len(lines)
    lines[at] = lines[at][:start] + noise + lines[at][start + length :]
    before = lines_of(other)

    try:
        take_in(other, b"".join(lines).splitlines(keepends=True))
    except UsageError:
        assert lines_of(other) == before


def test_every_table_is_exported_or_can_be_made_again(ledger: Ledger) -> None:
    """A new table belongs into one of these: into the export, where no log tells it again."""
    exported = {
        *("places", "origins", "facts", "turns", "activities", "heard", "session_totals"),
        *("told", "outbox", "answered", "abilities"),
    }
    made_again = {
        "buckets",  # the sums of facts and turns
        "open_spans",  # what a booking opens
        "cursors",  # logs are read again, which adds nothing
        "pauses",  # the next attempt finds out
        "destinations",  # kept beside the credentials
        "coalescing",  # same
    }
    with ledger.lent() as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {name for (name,) in rows if not name.startswith("sqlite_")}

    assert tables == exported | made_again


# The law, with a ledger that is lost and made again out of an export and of what the logs still have

DEEDS = st.one_of(
    st.tuples(st.just("read"), st.lists(st.one_of(_facts(), _turns()), min_size=1, max_size=4)),
    st.tuples(st.just("wait"), st.integers(0, 30)),
    st.tuples(st.just("hour"), st.randoms(use_true_random=False)),
    st.tuples(st.just("queue"), st.none()),
    st.tuples(st.just("send"), st.randoms(use_true_random=False)),
)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(before=st.lists(DEEDS, max_size=8), after=st.lists(DEEDS, max_size=6))
def test_the_server_sums_the_truth_though_ledger_and_old_logs_are_lost(
    before: list[tuple[str, object]], after: list[tuple[str, object]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = ModelServer()
        machine = Machine(server, Path(folder))
        for deed, value in before:
            _do(machine, deed, value)
        lines = lines_of(machine.ledger)
        later = []
        for deed, value in after:
            _do(machine, deed, value)
            later += cast("list[Any]", value) if deed == "read" else []
        machine.settle()

        machine.truth, truth = machine.truth.empty(), machine.truth
        machine.lose_ledger()
        take_in(machine.ledger, lines)
        machine.read(*later)
        machine.settle()

        assert ledger_sums(machine.ledger) == by_hour(truth.sums())
        assert server.sums() == truth.sums()
        machine.ledger.close()
