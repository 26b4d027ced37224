from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import delete, insert, select, update

from server_stub.domain.run import Arrival, RunFacts
from server_stub.store import past_runs, series
from server_stub.store.bulk_sqlite import _sqlite_facts, _sqlite_keys
from server_stub.store.engine import Store, reading_engine, writing_engine
from server_stub.store.ids import LOW_LIMIT, Ids, new_id
from server_stub.store.ingest import Booked, Refusal, book
from server_stub.store.tables import (
    buckets,
    idempotency_keys,
    runs,
    session_buckets,
    trackers,
    tracking_tokens,
)
from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts
from telemhq_agents.contract.ping import KIND_SKIP, KIND_START, Recorded
from tests.server_stub.blocking import wait_until_blocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

    from server_stub.store.ingest import Outcome

NOON = 1_763_640_000_000  # 2025-11-20T12:00:00Z
QUARTER_PAST = NOON + 15 * 60 * 1000


def arrival(
    key: str = "",
    *,
    token: str = "tok",  # noqa: S107 - made up
    at: int = NOON,
    ended: int | None = None,
    runs: int = 1,
    tokens: int = 10,
    **facts: Any,
) -> Arrival:
    amounts = Amounts(runs=runs, input_tokens=tokens, total_tokens=tokens, cost_nano=tokens * 100)
    ended_ms = at if ended is None else ended
    return Arrival(token, key, at, RunFacts(ended_ms, amounts, **facts))


def correction(corrects: str, revision: int, *, tokens: int, **more: Any) -> Arrival:
    return arrival(
        f"{corrects}.r{revision}",
        runs=0,
        tokens=tokens,
        kind="correction",
        corrects=corrects,
        revision=revision,
        **more,
    )


def ingest(store: Store, *arrivals: Arrival) -> list[Outcome]:
    futures = [store.writer.ingest(one) for one in arrivals]
    return [future.result(timeout=20) for future in futures]


def together(store: Store, *arrivals: Arrival) -> list[Outcome]:
    """Book all in one group commit."""
    from threading import Event

    release = Event()
    store.writer.submit(lambda _connection: release.wait(20))
    futures = [store.writer.ingest(one) for one in arrivals]
    release.set()
    return [future.result(timeout=20) for future in futures]


def sums(store: Store, table: Any, *names: str) -> Counter[tuple[Any, ...]]:
    """Input tokens by the named columns."""
    found: Counter[tuple[Any, ...]] = Counter()
    with store.read() as connection:
        for row in connection.execute(select(table)).mappings():
            found[tuple(row[name] for name in names)] += row["input_tokens"]
    return found


def rows(store: Store, table: Any) -> list[dict[str, Any]]:
    with store.read() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def booked(outcomes: Iterable[Outcome]) -> list[Booked]:
    return [outcome for outcome in outcomes if isinstance(outcome, Booked)]


def test_every_figure_and_every_word_lands_in_its_own_column(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok", account=3, tracker=30, owner=300)
    amounts = Amounts(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
    words = ("provider", "model", "project", "status", "source", "session_id", "thread_id")
    facts = RunFacts(
        ended_ms=QUARTER_PAST + 1,
        amounts=amounts,
        payload='{"a":{"b":[1,"é"]}}',
        clamped=True,
        tool_tokens=99,
        has_cost=True,
        has_duration=True,
        provider="the provider",
        model="the model",
        project="the project",
        status="the status",
        source="the source",
        session_id="the session_id",
        thread_id="the thread_id",
    )

    (outcome,) = ingest(store, Arrival("tok", "fact:k", QUARTER_PAST + 5, facts))

    assert isinstance(outcome, Booked)
    (run,) = rows(store, runs)
    figures = dict(zip(AMOUNT_FIELDS, range(1, 13), strict=True))
    payload = run.pop("payload")
    assert payload in ('{"a":{"b":[1,"é"]}}', {"a": {"b": [1, "é"]}})
    assert len(run.pop("fact_digest")) == 16
    place = {"account_id": 3, "tracker_id": 30, "member_id": 300}
    assert run == {
        **place,
        **{word: f"the {word}" for word in words},
        **figures,
        "id": outcome.run_id,
        "kind": "run",
        "revision": 0,
        "received_ms": QUARTER_PAST + 5,
        "ended_ms": QUARTER_PAST + 1,
        "clamped": True,
        "tool_tokens": 99,
        "has_cost": True,
        "has_duration": True,
        "outcome": "failed",
        "verdicts": None,
    }
    groups = {name: f"the {name}" for name in ("project", "model", "source")}
    assert rows(store, buckets) == [{**place, **groups, **figures, "quarter_ms": QUARTER_PAST}]
    ids = {name: f"the {name}" for name in ("session_id", "thread_id")}
    assert rows(store, session_buckets) == [
        {**place, **groups, **ids, **figures, "quarter_ms": QUARTER_PAST}
    ]


@pytest.mark.parametrize(
    "word",
    [
        '"quoted"',
        "back\\slash\\",
        "{a,b}",
        "NULL",
        "None",
        "new\nline\ttab",
        "it's; DROP TABLE runs --",
        "%s ? :x",
        "日本 é 🙂",
        "one\x1ftwo",
        " ",
    ],
)
def test_words_are_stored_letter_by_letter(
    word: str, store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")

    together(store, arrival(project=word, status=word, payload=json.dumps({word: word})), arrival())

    (run, _) = sorted(rows(store, runs), key=lambda row: -len(row["project"]))
    payload = run["payload"]
    assert (run["project"], run["status"]) == (word, word)
    assert (json.loads(payload) if isinstance(payload, str) else payload) == {word: word}
    assert sums(store, buckets, "project") == {(word,): 10, ("",): 10}
    assert rows(store, trackers)[0]["last_status"] in {word, "success"}


def test_a_bucket_adds_up_within_a_batch_and_across_batches(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")

    together(store, *(arrival(tokens=tokens) for tokens in (1, 2, 3)))
    ingest(store, arrival(tokens=4), arrival(tokens=5, at=QUARTER_PAST))

    assert sums(store, buckets, "quarter_ms") == {(NOON,): 10, (QUARTER_PAST,): 5}
    assert sums(store, session_buckets, "quarter_ms") == {(NOON,): 10, (QUARTER_PAST,): 5}
    assert [row["runs"] for row in rows(store, buckets)] == [4, 1]


def test_a_key_is_booked_once_within_a_batch(store: Store, add_tracker: Callable[..., str]) -> None:
    add_tracker("tok")

    first, second, other, third = booked(
        together(
            store,
            arrival("k", at=NOON),
            arrival("k", at=NOON + 1),
            arrival("other"),
            arrival("k", at=NOON + 2),
        )
    )

    assert [one.duplicate for one in (first, second, other, third)] == [False, True, False, True]
    assert {first.run_id, second.run_id, third.run_id} == {first.run_id}
    assert {second.received_ms, third.received_ms} == {NOON}
    assert sums(store, buckets) == {(): 20}


def test_a_key_is_booked_once_across_batches(store: Store, add_tracker: Callable[..., str]) -> None:
    add_tracker("tok")
    (first,) = booked(ingest(store, arrival("k", at=NOON)))

    (again, fresh) = booked(together(store, arrival("k", at=NOON + 9), arrival("new")))

    assert (again.run_id, again.received_ms, again.duplicate) == (first.run_id, NOON, True)
    assert not fresh.duplicate
    assert len(rows(store, runs)) == 2
    assert len(rows(store, idempotency_keys)) == 2


def test_without_a_key_two_pings_are_two_runs(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")

    together(store, arrival(), arrival())

    assert len(rows(store, runs)) == 2
    assert rows(store, idempotency_keys) == []


def test_an_ordinary_key_counts_per_tracker_and_a_collector_fact_per_account(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("laptop", tracker=10)
    add_tracker("desktop", tracker=11)
    add_tracker("stranger", account=2, tracker=20)

    outcomes = booked(
        ingest(
            store,
            *(
                arrival(key, token=token)
                for key in ("k", "fact:k")
                for token in ("laptop", "desktop", "stranger")
            ),
        )
    )

    assert [one.duplicate for one in outcomes] == [False, False, False, False, True, False]


def test_the_same_key_from_many_threads_is_booked_once(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")

    with ThreadPoolExecutor(16) as pool:
        outcomes = booked(pool.map(lambda _: ingest(store, arrival("fact:k"))[0], range(200)))

    assert sum(not one.duplicate for one in outcomes) == 1
    assert len({one.run_id for one in outcomes}) == 1
    assert sums(store, buckets) == {(): 10}


def test_an_unknown_a_rotated_and_a_deleted_token_book_nothing(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("rotated", tracker=10)
    add_tracker("deleted", tracker=11)
    add_tracker("tok", tracker=12)
    store.write(
        lambda connection: (
            connection.execute(
                update(tracking_tokens)
                .where(tracking_tokens.c.token == "rotated")
                .values(revoked_ms=5)
            ),
            connection.execute(update(trackers).where(trackers.c.id == 11).values(deleted_ms=5)),
        )
    )

    outcomes = together(
        store, *(arrival("k", token=token) for token in ("nobody", "rotated", "tok", "deleted"))
    )

    assert outcomes[:2] == [Refusal.UNKNOWN, Refusal.GONE]
    assert isinstance(outcomes[2], Booked)
    assert outcomes[3] == Refusal.GONE
    assert len(rows(store, runs)) == 1


def test_a_run_keeps_its_tracker_alive_and_a_correction_does_not(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    ingest(store, correction("fact:k", 1, tokens=1, at=NOON))
    untouched = rows(store, trackers)[0]
    together(store, arrival(at=NOON + 7, status="warm"), arrival(at=NOON + 3, status="cold"))
    touched = rows(store, trackers)[0]
    ingest(store, arrival(at=NOON + 1, status="late news"))
    after = rows(store, trackers)[0]

    assert (untouched["state"], untouched["last_run_ms"]) == ("new", None)
    for tracker in (touched, after):
        shown = (tracker["state"], tracker["last_run_ms"], tracker["last_status"])
        assert shown == ("active", NOON + 7, "warm")


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        (RunFacts(NOON, Amounts(runs=1)), "success"),
        (RunFacts(NOON, Amounts(runs=1, failures=1)), "error"),
        (RunFacts(NOON, Amounts(runs=1), status="warm"), "warm"),
    ],
)
def test_a_tracker_shows_the_status_of_its_latest_run(
    facts: RunFacts, shown: str, store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")

    ingest(store, Arrival("tok", "", NOON, facts))

    assert rows(store, trackers)[0]["last_status"] == shown


def test_a_correction_touches_its_own_bucket_and_counts_no_run(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    ingest(store, arrival("fact:k", tokens=10, model="old", at=NOON))

    ingest(
        store,
        correction("fact:k", 1, tokens=-10, model="old", at=QUARTER_PAST, ended=NOON),
        correction("fact:k", 2, tokens=10, model="new", at=QUARTER_PAST, ended=NOON),
    )

    assert sums(store, buckets, "quarter_ms", "model") == {(NOON, "old"): 0, (NOON, "new"): 10}
    assert sum(row["runs"] for row in rows(store, buckets)) == 1


def test_a_correction_is_booked_on_the_member_of_the_run_it_corrects(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("hers", tracker=10, owner=100)
    add_tracker("his", tracker=11, owner=101)
    ingest(store, arrival("fact:k", token="hers", tokens=10))

    ingest(
        store,
        correction("fact:k", 1, tokens=5, token="his"),
        correction("fact:unheard", 1, tokens=3, token="his"),
    )

    expected = {(10, 100): 15, (11, 101): 3}
    assert sums(store, buckets, "tracker_id", "member_id") == expected
    assert sums(store, runs, "tracker_id", "member_id") == expected


def test_a_correction_finds_the_run_it_corrects_in_its_own_batch(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("hers", tracker=10, owner=100)
    add_tracker("his", tracker=11, owner=101)

    together(
        store,
        correction("fact:k", 1, tokens=5, token="his"),
        arrival("fact:k", token="hers", tokens=10),
    )

    assert sums(store, buckets, "member_id") == {(100,): 15}


def test_a_correction_never_reaches_into_another_account(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("ours", account=1, tracker=10, owner=100)
    add_tracker("theirs", account=2, tracker=20, owner=200)
    ingest(store, arrival("fact:k", token="ours", tokens=10))

    ingest(store, correction("fact:k", 1, tokens=-10, token="theirs"))

    assert sums(store, buckets, "account_id") == {(1,): 10, (2,): -10}


def test_a_repeated_collector_fact_is_told_what_the_server_holds(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    ingest(store, arrival("fact:k", tokens=10, project="shop"))
    ingest(store, correction("fact:k", 1, tokens=5), correction("fact:k", 2, tokens=-3))

    fact, taken = booked(
        ingest(store, arrival("fact:k", tokens=99), correction("fact:k", 2, tokens=77))
    )

    held = Recorded(
        revision=2,
        runs=1,
        failures=0,
        responses=0,
        input_tokens=12,
        cached_input_tokens=0,
        cache_write_tokens=0,
        output_tokens=0,
        reasoning_tokens=0,
        total_tokens=12,
        cost_usd=0.0000012,
        unpriced_tokens=0,
        duration_ms=0,
        project="shop",
    )
    assert (fact.duplicate, fact.recorded) == (True, held)
    assert (taken.duplicate, taken.recorded) == (True, held)


def test_what_is_told_includes_the_rest_of_its_own_batch(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")

    _, _, repeated = booked(
        together(
            store,
            arrival("fact:k", tokens=10),
            correction("fact:k", 1, tokens=5),
            arrival("fact:k", tokens=10),
        )
    )

    assert repeated.recorded is not None
    assert (repeated.recorded.revision, repeated.recorded.input_tokens) == (1, 15)


def test_a_repeated_ordinary_key_is_told_nothing_of_sums(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    ingest(store, arrival("k"))

    (again,) = booked(ingest(store, arrival("k")))

    assert again.duplicate
    assert again.recorded is None


def test_a_key_outlives_its_run(store: Store, add_tracker: Callable[..., str]) -> None:
    add_tracker("tok")
    (first,) = booked(ingest(store, arrival("fact:k")))
    store.write(lambda connection: connection.execute(delete(runs)))

    (again,) = booked(ingest(store, arrival("fact:k")))

    assert (again.run_id, again.duplicate, again.recorded) == (first.run_id, True, None)
    assert sums(store, buckets) == {(): 10}


def test_a_start_that_arrives_after_its_end_does_not_hide_it(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")
    ingest(store, arrival(at=NOON, status="success"))

    ingest(store, Arrival("tok", "", NOON + 1, RunFacts(NOON, Amounts(), kind=KIND_START)))

    assert rows(store, trackers)[0]["last_status"] == "success"


@pytest.mark.parametrize("kind", [KIND_START, KIND_SKIP])
def test_what_is_no_run_is_kept_and_counted_nowhere(
    store: Store, add_tracker: Callable[..., str], kind: str
) -> None:
    add_tracker("tok")

    ingest(store, Arrival("tok", "", NOON, RunFacts(NOON, Amounts(), kind=kind)))

    assert rows(store, trackers)[0]["last_run_ms"] is None
    assert [row["kind"] for row in rows(store, runs)] == [kind]
    assert rows(store, buckets) == []


BEFORE = NOON - 15 * 60 * 1000
HERS, HIS, STRANGERS = (1, 10, 100), (1, 11, 101), (2, 20, 200)
HISTORY_TRUTH = {
    (*HERS, NOON, "api", "large"): (1, 1000),
    (*HERS, BEFORE, "api", "small"): (1, 20),
    (*HIS, NOON, "api", "large"): (1, 0),
    (*HIS, NOON, "api", "small"): (1, 43),
    (*HIS, NOON, "web", "small"): (0, 2),
    (*HIS, BEFORE, "web", "large"): (1, 7),
    (*STRANGERS, NOON, "api", "large"): (0, 4),
}
"""Runs and input tokens of `history`, added up by hand."""

SESSION_TRUTH = {
    (*HERS, "", "small"): 20,
    (*HERS, "s1", "large"): 1005,
    (*HERS, "s2", "large"): -15,
    (*HERS, "", "large"): 10,
    (*HIS, "", "large"): 7,
    (*HIS, "", "small"): 45,
    (*STRANGERS, "", "large"): 4,
}


def history() -> list[Arrival]:
    """Runs of two members, all sent twice, many corrected, often by way of another's tracker."""
    large: dict[str, Any] = {"project": "api", "model": "large"}
    small: dict[str, Any] = {"project": "api", "model": "small"}
    pings = [
        arrival("fact:a", token="hers", tokens=1000, session_id="s1", **large),
        arrival("fact:b", token="hers", tokens=20, ended=NOON - 1, **small),
        arrival("k1", token="his", tokens=30, **small),
        arrival("fact:c", token="his", tokens=10, **large),
        arrival("fact:d", token="his", tokens=7, project="web", model="large", ended=NOON - 900),
        arrival("fact:e", token="hers", tokens=10, runs=0, **large),
        correction("fact:a", 1, tokens=5, token="hers", session_id="s1", **large),
        correction("fact:a", 2, tokens=-15, token="his", session_id="s2", **large),
        correction("fact:c", 1, tokens=-10, token="hers", **large),
        correction("fact:c", 2, tokens=10, token="her other", **small),
        correction("fact:unheard", 1, tokens=3, token="his", **small),
        correction("fact:a.r1", 1, tokens=2, token="his", project="web", model="small"),
        correction("fact:a", 1, tokens=4, token="stranger's", **large),
    ]
    return pings + [replace(one, received_ms=one.received_ms + 1) for one in pings]


def forget_runs(connection: Connection) -> None:
    for table in (runs, idempotency_keys, buckets, session_buckets):
        connection.execute(delete(table))


def figures(
    store: Store, table: Any, keys: tuple[str, ...], *names: str
) -> dict[tuple[Any, ...], Any]:
    """Every row of a table: its figures by its keys."""
    found = rows(store, table)
    told = {tuple(row[key] for key in keys): tuple(row[name] for name in names) for row in found}
    assert len(told) == len(found)
    return told


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shuffled=st.permutations(history()),
    sizes=st.lists(st.integers(2, 9), min_size=13, max_size=13),
)
def test_any_order_of_arrival_gives_the_same_runs_and_the_same_buckets(
    store: Store, stage: None, shuffled: list[Arrival], sizes: list[int]
) -> None:
    place = ("account_id", "tracker_id", "member_id")
    store.write(forget_runs)

    for size in sizes:
        together(store, *shuffled[:size])
        del shuffled[:size]

    keys = (*place, "quarter_ms", "project", "model")
    assert figures(store, buckets, keys, "runs", "input_tokens") == HISTORY_TRUTH
    assert sums(store, session_buckets, *place, "session_id", "model") == Counter(SESSION_TRUTH)
    assert sums(store, runs, *place) == Counter({HERS: 1020, HIS: 52, STRANGERS: 4})
    placed = Counter((row["account_id"], row["tracker_id"]) for row in rows(store, runs))
    assert placed == {(1, 10): 5, (1, 11): 7, (2, 20): 1}
    asked = Counter((row["account_id"], row["tracker_id"]) for row in rows(store, idempotency_keys))
    # Keys of corrections stand on no tracker.
    assert asked == {(1, 10): 3, (1, 11): 3, (1, 0): 6, (2, 0): 1}
    for table in (buckets, session_buckets):
        assert all(any(row[name] for name in AMOUNT_FIELDS) for row in rows(store, table))


@pytest.fixture
def stage(add_tracker: Callable[..., str]) -> None:
    """The trackers of `history`."""
    add_tracker("hers", tracker=10, owner=100)
    add_tracker("her other", tracker=12, owner=100)
    add_tracker("his", tracker=11, owner=101)
    add_tracker("stranger's", account=2, tracker=20, owner=200)


@pytest.mark.parametrize("whole", [True, False], ids=["one batch", "one by one"])
def test_a_correction_that_came_first_goes_to_the_run_it_corrects(
    *, whole: bool, store: Store, stage: None
) -> None:
    words: dict[str, Any] = {"project": "p", "session_id": "s", "thread_id": "t", "source": "codex"}
    pings = [
        correction("fact:k", 1, tokens=-40, token="his", ended=QUARTER_PAST, **words),
        arrival("fact:k", tokens=100, token="hers", **words),
    ]

    (together if whole else ingest)(store, *pings)

    keys = ("tracker_id", "member_id", "quarter_ms", "project", "source")
    expected = {
        (10, 100, NOON, "p", "codex"): (100,),
        (10, 100, QUARTER_PAST, "p", "codex"): (-40,),
    }
    assert figures(store, buckets, keys, "input_tokens") == expected
    assert figures(store, session_buckets, keys, "input_tokens") == expected
    assert sums(store, runs, "tracker_id", "member_id") == Counter({(10, 100): 60})
    (again,) = booked(ingest(store, pings[0]))
    assert again.duplicate
    assert again.recorded is not None
    assert (again.recorded.input_tokens, again.recorded.revision) == (60, 1)


@pytest.mark.parametrize("correction_first", [True, False])
def test_a_correction_and_its_run_find_each_other_between_two_processes(
    *, correction_first: bool, postgres_url: str
) -> None:
    run = arrival("fact:k", tokens=100, token="hers")
    correcting = correction("fact:k", 1, tokens=-40, token="his")
    first, second = (correcting, run) if correction_first else (run, correcting)
    engine = writing_engine(postgres_url)
    with engine.begin() as connection:
        two_trackers(connection)

    def follow() -> None:
        with engine.begin() as connection:
            book(connection, [second])

    follower = threading.Thread(target=follow)
    with engine.begin() as connection:
        book(connection, [first])
        follower.start()
        wait_until_blocked(engine, follower)
    follower.join()

    with engine.connect() as connection:
        for table in (runs, buckets, session_buckets):
            found = connection.execute(select(table.c.member_id, table.c.input_tokens)).all()
            assert {row.member_id for row in found} == {100}
            assert sum(row.input_tokens for row in found) == 60
        assert len(connection.execute(select(idempotency_keys)).all()) == 2
    engine.dispose()


def two_trackers(connection: Connection) -> None:
    for token, number in (("hers", 0), ("his", 1)):
        place = {"account_id": 1, "created_ms": 1}
        tracker = {"id": 10 + number, "owner_id": 100 + number, "name": token}
        connection.execute(insert(trackers).values(tracker | place))
        connection.execute(
            insert(tracking_tokens).values(token=token, tracker_id=10 + number, **place)
        )


def test_a_batch_larger_than_any_statement_is_booked_whole(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok")

    outcomes = together(
        store, *(arrival(f"k{number}", project=f"p{number}") for number in range(777))
    )

    assert not any(one.duplicate for one in booked(outcomes))
    assert len(rows(store, runs)) == 777
    assert len(rows(store, buckets)) == 777
    assert sums(store, session_buckets) == {(): 7770}


def test_ids_grow_whatever_the_clock_does() -> None:
    ids = Ids()

    made = [ids.new(at) for at in (NOON, NOON, NOON - 60_000, NOON, NOON + 1, NOON + 1)]

    assert made == sorted(set(made))
    assert all(0 < one < 2**63 for one in made)


def test_an_id_tells_when_it_was_born() -> None:
    earlier, later = Ids().new(NOON), Ids().new(NOON + 1)

    assert earlier // LOW_LIMIT + 1 == later // LOW_LIMIT


def test_ids_made_by_many_threads_are_all_different() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new_id(), range(5000)))

    assert len(set(made)) == 5000


def test_no_look_up_reads_a_whole_table(sqlite_url: str) -> None:
    fact, key = (1, b"d"), (1, 0, b"d")
    plans: list[str] = []
    engine = reading_engine(sqlite_url)
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        asked = [(_sqlite_facts(2), [*fact, *fact]), (_sqlite_keys(2), [*key, *key])]
        for statement, parameters in asked:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans += [row[3] for row in cursor.fetchall()]
    engine.dispose()

    tables = [plan for plan in plans if "runs" in plan or "known" in plan]
    assert len(tables) == 2
    assert all(plan.startswith("SEARCH") for plan in tables)
    assert "ix_runs_fact (account_id=? AND fact_digest=?)" in tables[0]


def test_numbers_of_a_payload_come_back_as_they_were_written(
    store: Store, add_tracker: Callable[..., str]
) -> None:
    add_tracker("tok", tracker=10)
    payload = '{"zero":-0.0,"large":1e16,"exact":12345678901234567890123,"long":0.10}'
    ingest(store, arrival(payload=payload))

    with store.read() as connection:
        (run,) = past_runs.latest(connection, 1, 10, 1)
        charted = series.charted(connection, 1, 10, names=["zero", "large"], limit=10, project=None)

    assert repr(run.payload) == repr(json.loads(payload))
    assert repr(charted.values) == "[[-0.0], [1e+16]]"
