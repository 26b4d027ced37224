"""Metrics for Prometheus: their keys, their figures, and that counters never fall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, select

from server_stub.domain.metric import Marks, chosen, raised, token_kinds
from server_stub.reports import metrics
from server_stub.reports.kept import Kept
from server_stub.reports.metrics import metrics_text
from server_stub.store import metrics_keys
from server_stub.store.tables import buckets, trackers
from server_stub.store.tables import metrics_keys as key_rows
from telemhq_agents.clock import now_ms, quarter
from telemhq_agents.contract import routes
from telemhq_agents.contract.amounts import Amounts
from tests.server_stub.cast import run_sql

if TYPE_CHECKING:
    import httpx

    from server_stub.store.engine import Store
    from tests.server_stub.cast import Cast, Person

DAY_MS = 86_400_000
Samples = dict[tuple[str, tuple[str, ...]], float]


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_fresh", Kept(0))
    monkeypatch.setattr(metrics, "_settled", Kept(0))


def samples(text: str) -> Samples:
    """Return every sample by its name and the values of its labels."""
    return {
        (one.name, tuple(one.labels.values())): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def made_key(person: Person, **query: object) -> str:
    made = person.did("POST", routes.METRICS_KEYS, {"name": "prometheus"}, **query)
    key: str = made["metrics_key"]
    return key


def scrape(cast: Cast, key: str, **headers: str) -> httpx.Response:
    sent = {"Authorization": f"Bearer {key}"} if key else {}
    return cast.nobody.http.get(routes.METRICS, headers=sent | headers)


def test_prometheus_is_told_of_trackers_runs_tokens_and_cost(cast: Cast) -> None:
    good = cast.member.new_tracker('say "hi"\\', account=cast.team)
    bad = cast.member.new_tracker("bad", account=cast.team)
    paused = cast.member.new_tracker("paused", account=cast.team)
    cast.member.did("PATCH", routes.TRACKER.format(tracker_id=paused["id"]), {"state": "paused"})
    payload = {
        "project": "billing",
        "input_tokens": 100,
        "cached_input_tokens": 60,
        "cache_write_tokens": 10,
        "output_tokens": 20,
        "reasoning_tokens": 5,
        "cost_usd": 0.5,
    }
    cast.member.http.post(good["ping_url"], json=payload)
    cast.member.http.post(good["ping_url"], json=payload)
    cast.member.http.post(bad["ping_url"], json={"status": "error", "cost_usd": 0.25})
    broken = cast.member.new_tracker("broken", account=cast.team)
    wanted = {"path": "items", "operator": "greater_than", "value": 0}
    path = routes.TRACKER_ASSERTIONS.format(tracker_id=broken["id"])
    cast.member.did("POST", path, wanted)
    cast.member.http.post(broken["ping_url"], json={"items": 0})

    answer = scrape(cast, made_key(cast.owner, account=cast.team))

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.text)
    first, second, third, judged = ((one["name"], one["id"]) for one in (good, bad, paused, broken))
    assert found["telemhq_tracker_up", first] == 1
    assert found["telemhq_tracker_up", second] == 0
    assert ("telemhq_tracker_up", third) not in found
    assert found["telemhq_runs_total", first] == 2
    assert found["telemhq_failures_total", first] == 0
    assert found["telemhq_failures_total", second] == 1
    assert found["telemhq_tracker_up", judged] == 0
    assert found["telemhq_failures_total", judged] == 0
    assert (
        "by status or exit code; those that only its rules made fail are not among" in answer.text
    )
    assert found["telemhq_runs_total", third] == 0
    assert 0 <= found["telemhq_tracker_last_ping_age_seconds", first] < 60
    assert found["telemhq_tracker_last_ping_timestamp_seconds", first] == pytest.approx(
        now_ms() / 1000, abs=60
    )
    assert ("telemhq_tracker_last_ping_age_seconds", third) not in found
    assert found["telemhq_cost_usd_total", ("billing",)] == 1.0
    assert found["telemhq_cost_usd_total", ("(none)",)] == 0.25
    kinds = {
        "input_uncached": 60,
        "input_cached": 120,
        "input_cache_write": 20,
        "output_text": 30,
        "output_reasoning": 10,
    }
    for kind, tokens in kinds.items():
        assert found["telemhq_tokens_total", (kind, "billing")] == tokens


def test_openmetrics_is_spoken_to_who_asks_for_it(cast: Cast) -> None:
    key = made_key(cast.owner, account=cast.team)

    answer = scrape(cast, key, Accept="application/openmetrics-text; version=1.0.0")

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_only_a_metrics_key_opens_the_metrics_and_it_opens_nothing_else(cast: Cast) -> None:
    key = made_key(cast.owner, account=cast.team)

    assert key.startswith("thqm_")
    assert scrape(cast, key).status_code == 200
    for other in ("", cast.owner.api_key, "thqm_" + "x" * 43):
        refused = scrape(cast, other)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    api = cast.nobody.http.get(routes.ME, headers={"Authorization": f"Bearer {key}"})
    assert api.status_code == 401


def test_a_revoked_key_opens_nothing_at_once(cast: Cast) -> None:
    key = made_key(cast.owner, account=cast.team)
    assert scrape(cast, key).status_code == 200
    (listed,) = cast.manager.got(routes.METRICS_KEYS, account=cast.team)

    cast.manager.did("DELETE", routes.METRICS_KEY.format(key_id=listed["id"]))

    assert scrape(cast, key).status_code == 401
    (after,) = cast.manager.got(routes.METRICS_KEYS, account=cast.team)
    assert (listed["name"], listed["revoked_at"]) == ("prometheus", None)
    assert key.startswith(listed["prefix"])
    assert len(listed["prefix"]) == 12
    assert after["revoked_at"] is not None
    cast.manager.did("DELETE", routes.METRICS_KEY.format(key_id=listed["id"]))
    assert cast.manager.got(routes.METRICS_KEYS, account=cast.team) == [after]


def test_a_metrics_key_shows_its_account_alone(cast: Cast) -> None:
    cast.member.new_tracker("mine")
    cast.outsider.new_tracker("theirs")

    found = samples(scrape(cast, made_key(cast.outsider)).text)

    assert {labels[0] for name, labels in found if name == "telemhq_tracker_up"} == {"theirs"}


def test_a_counter_does_not_fall_and_stays_until_its_sum_is_beyond(cast: Cast) -> None:
    tracker = cast.member.new_tracker(account=cast.team)
    key = made_key(cast.owner, account=cast.team)
    url, cost = tracker["ping_url"], ("telemhq_cost_usd_total", ("a",))
    born = {"Idempotency-Key": "fact:1"}
    body = {"project": "a", "cost_usd": 10, "model": "m"}
    cast.member.http.post(url, json=body, headers=born)
    first = samples(scrape(cast, key).text)[cost]

    correction = {"kind": "correction", "corrects": "fact:1", "revision": 1}
    cast.member.http.post(url, json={**correction, **body, "cost_usd": -4})
    second = samples(scrape(cast, key).text)[cost]
    cast.member.http.post(url, json=body)
    third = samples(scrape(cast, key).text)[cost]

    assert [first, second, third] == [10, 10, 16]
    # Another key begins with what is so now.
    assert samples(scrape(cast, made_key(cast.owner, account=cast.team)).text)[cost] == 16


def test_sums_of_every_age_are_counted_and_deleted_trackers_are_not(store: Store) -> None:
    now = 1_795_000_000_000
    account = {"account_id": 1, "member_id": 3, "model": "m", "source": ""}

    def fill(connection: Any) -> None:
        for number, gone in ((10, None), (11, 5)):
            connection.execute(
                insert(trackers).values(
                    id=number, account_id=1, owner_id=3, name="t", created_ms=1, deleted_ms=gone
                )
            )
        for days in (0, 1, 2, 3, 400):
            at_ms = quarter(now - days * DAY_MS)
            for number in (10, 11):
                row = {"quarter_ms": at_ms, "tracker_id": number, "project": "p", "runs": 1}
                connection.execute(insert(buckets).values(**account, **row, cost_nano=10**9))

    store.write(fill)
    key = store.write(lambda connection: metrics_keys.add(connection, 1, "k", "thqm_x", now))

    found = samples(metrics_text(store, key, "", now)[0].decode())

    assert found["telemhq_runs_total", ("t", "10")] == 5
    assert found["telemhq_cost_usd_total", ("p",)] == 10
    assert not [labels for name, labels in found if name == "telemhq_runs_total" and "11" in labels]


def test_there_are_so_many_series_and_no_more(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MOST_TRACKERS", 3)
    monkeypatch.setattr(metrics, "MOST_PROJECTS", 2)
    now = 1_795_000_000_000

    def fill(connection: Any, numbers: range) -> None:
        for number in numbers:
            place = {"account_id": 1, "tracker_id": number, "member_id": 3}
            connection.execute(
                insert(trackers).values(
                    id=number, account_id=1, owner_id=3, name=f"t{number}", created_ms=1
                )
            )
            connection.execute(
                insert(buckets).values(
                    **place,
                    quarter_ms=quarter(now),
                    project=f"p{number}",
                    model="",
                    source="",
                    runs=1,
                    cost_nano=number * 10**9,
                )
            )

    store.write(lambda connection: fill(connection, range(1, 6)))
    key = store.write(lambda connection: metrics_keys.add(connection, 1, "k", "thqm_x", now))

    first = samples(metrics_text(store, key, "", now)[0].decode())
    store.write(lambda connection: fill(connection, range(6, 8)))
    second = samples(metrics_text(store, key, "", now)[0].decode())

    def costs(found: Samples) -> dict[str, float]:
        return {of[0]: value for (name, of), value in found.items() if "cost" in name}

    assert costs(first) == {"p4": 4, "p5": 5, "(other)": 1 + 2 + 3}
    # The largest are others now, but what was told apart stays so.
    assert costs(second) == {"p4": 4, "p5": 5, "(other)": 1 + 2 + 3 + 6 + 7}
    runs = {of[0]: value for (name, of), value in second.items() if name == "telemhq_runs_total"}
    assert runs == {"t1": 1, "t2": 1, "t3": 1, "(other)": 4}


def test_scrapes_in_a_row_are_answered_from_one_look(
    sqlite_cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_fresh", Kept(60))
    tracker = sqlite_cast.member.new_tracker(account=sqlite_cast.team)
    key = made_key(sqlite_cast.owner, account=sqlite_cast.team)
    first = scrape(sqlite_cast, key).text

    sqlite_cast.member.http.post(tracker["ping_url"])

    assert scrape(sqlite_cast, key).text == first


def test_an_answer_that_was_kept_is_no_lower_than_what_another_process_told_since(
    sqlite_cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = sqlite_cast.member.new_tracker(account=sqlite_cast.team)
    key = made_key(sqlite_cast.owner, account=sqlite_cast.team)
    here: Kept[Any] = Kept(60)
    monkeypatch.setattr(metrics, "_fresh", here)
    scrape(sqlite_cast, key)
    sqlite_cast.member.http.post(tracker["ping_url"])
    monkeypatch.setattr(metrics, "_fresh", Kept(60))
    there = samples(scrape(sqlite_cast, key).text)

    monkeypatch.setattr(metrics, "_fresh", here)
    again = samples(scrape(sqlite_cast, key).text)

    runs = ("telemhq_runs_total", (tracker["name"], tracker["id"]))
    assert (there[runs], again[runs]) == (1, 1)


def test_the_highest_figures_are_remembered_by_key(cast: Cast) -> None:
    cast.member.http.post(cast.member.new_tracker(account=cast.team)["ping_url"])
    key = made_key(cast.owner, account=cast.team)
    scrape(cast, key)

    run_sql(cast.settings, "DELETE FROM buckets")

    runs = [
        v
        for (name, _), v in samples(scrape(cast, key).text).items()
        if name == "telemhq_runs_total"
    ]
    assert runs == [1]


def test_marks_are_raised_never_lowered(store: Store) -> None:
    key = store.write(lambda connection: metrics_keys.add(connection, 1, "k", "thqm_x", 1))

    def remembered(now: Marks) -> Marks:
        return store.write(lambda connection: metrics_keys.raise_marks(connection, key.id, now))

    told = [remembered({"runs": {"1": 5}}), remembered({"runs": {"1": 3, "2": 1}})]
    told.append(remembered({"cost": {"p": 2}}))

    assert told[-1] == {"runs": {"1": 5, "2": 1}, "cost": {"p": 2}}
    with store.read() as connection:
        assert metrics_keys.marks(connection, key.id) == told[-1]
        assert connection.execute(select(key_rows.c.digest)).scalar_one() != b"thqm_x"


@pytest.mark.parametrize(
    ("sizes", "known", "most", "expected"),
    [
        ({"a": 1, "b": 2, "c": 3}, {}, 2, {"b", "c"}),
        ({"a": 1, "b": 2, "c": 3}, {"a": 0, "(other)": 9}, 2, {"a", "c"}),
        ({}, {"gone": 5}, 2, {"gone"}),
        ({"a": 1, "b": 1}, {}, 1, {"a"}),
        ({"a": 1, "b": 1, "c": 1}, {"a": 0, "c": 0}, 1, {"a", "c"}),
    ],
)
def test_what_is_told_apart_stays_so(
    sizes: dict[str, int], known: dict[str, int], most: int, expected: set[str]
) -> None:
    assert chosen(sizes, known, most) == expected


def test_kinds_of_tokens_add_up_and_are_never_negative() -> None:
    kinds = token_kinds(
        Amounts(input_tokens=10, cached_input_tokens=4, output_tokens=3, reasoning_tokens=1)
    )

    assert sum(kinds.values()) == 13
    only_total = token_kinds(Amounts(input_tokens=10, output_tokens=3, total_tokens=500))
    assert (only_total["unspecified"], sum(only_total.values())) == (487, 500)
    assert min(token_kinds(Amounts(cached_input_tokens=5, reasoning_tokens=5)).values()) == 0
    assert raised({}, {"a": {"b": 1}}) == {"a": {"b": 1}}
