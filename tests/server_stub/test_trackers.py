"""Trackers, their tracking tokens, their runs, and the one that a device has for a source."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from server_stub.domain.credentials import new_token
from server_stub.domain.tracker import TrackerDraft
from server_stub.store import joining, trackers
from server_stub.store.engine import Store
from server_stub.store.tables import trackers as stored_trackers
from server_stub.store.tables import tracking_tokens
from telemhq_agents.contract import routes
from tests.server_stub.cast import run_sql

if TYPE_CHECKING:
    from server_stub.domain.tracker import Tracker
    from tests.server_stub.cast import Cast


def path_of(tracker: dict[str, str]) -> str:
    return routes.TRACKER.format(tracker_id=tracker["id"])


def test_a_new_tracker_belongs_to_whoever_made_it_and_takes_runs(cast: Cast) -> None:
    made = cast.member.new_tracker(" nightly import ")

    answer = cast.nobody.http.post(made["ping_url"], json={"status": "error", "model": "m"})

    assert made["name"] == "nightly import"
    assert (made["owner"], made["account"], made["state"]) == (
        "grace@example.com",
        cast.team,
        "new",
    )
    assert made["ping_url"].startswith(str(cast.nobody.http.base_url).rstrip("/") + "/ping/")
    assert answer.status_code == 200, answer.text
    shown = cast.member.got(path_of(made))
    assert (shown["state"], shown["last_status"], shown["runs"]) == ("failing", "error", 1)
    assert shown["last_run_at"] == answer.json()["received_at"]


def test_members_list_their_own_trackers_and_managers_everybodys(cast: Cast) -> None:
    for person in (cast.owner, cast.member, cast.colleague):
        person.new_tracker(f"of {person.email}")
    elsewhere = cast.outsider.new_tracker("of otto")

    assert [one["owner"] for one in cast.member.got(routes.TRACKERS)] == ["grace@example.com"]
    assert [one["owner"] for one in cast.manager.got(routes.TRACKERS)] == [
        "ada@example.com",
        "carl@example.com",
        "grace@example.com",
    ]
    assert cast.outsider.got(routes.TRACKERS) == [elsewhere]


def test_a_tracker_is_renamed_paused_and_resumed(cast: Cast) -> None:
    fresh, used = cast.member.new_tracker("fresh"), cast.member.new_tracker("used")
    cast.nobody.http.post(used["ping_url"])

    def states(**change: str) -> list[str]:
        found = [cast.member.did("PATCH", path_of(one), change) for one in (fresh, used)]
        return [one["state"] for one in found]

    assert states(state="paused") == ["paused", "paused"]
    assert states(name="same for both") == ["paused", "paused"]
    assert cast.nobody.http.post(used["ping_url"]).status_code == 200
    assert cast.member.got(path_of(used))["state"] == "paused"
    assert states(state="active") == ["new", "active"]
    assert states(state="active") == ["new", "active"]
    assert [one["name"] for one in cast.member.got(routes.TRACKERS)] == ["same for both"] * 2


def test_rotation_revokes_the_tracking_token_before_at_once(cast: Cast) -> None:
    made = cast.member.new_tracker()
    rotated = cast.member.did("POST", routes.TRACKER_ROTATE.format(tracker_id=made["id"]))

    assert rotated["ping_url"] != made["ping_url"]
    assert cast.nobody.http.post(made["ping_url"]).status_code == 410
    assert cast.nobody.http.post(rotated["ping_url"]).status_code == 200
    assert cast.member.got(path_of(made))["ping_url"] == rotated["ping_url"]


def test_a_deleted_tracker_is_gone_but_its_sums_stay(cast: Cast) -> None:
    made = cast.member.new_tracker("short-lived")
    cast.nobody.http.post(made["ping_url"], json={"input_tokens": 5})

    cast.member.did("DELETE", path_of(made))

    assert cast.nobody.http.post(made["ping_url"]).status_code == 410
    assert cast.member.ask("GET", path_of(made)).status_code == 404
    assert cast.member.ask("DELETE", path_of(made)).status_code == 404
    assert cast.member.got(routes.TRACKERS) == []
    report = cast.member.got(routes.USAGE, group_by="tracker")
    assert [(row["tracker"], row["input_tokens"]) for row in report["rows"]] == [("short-lived", 5)]


def test_whoever_was_revoked_adds_no_more_data(cast: Cast) -> None:
    made = cast.member.new_tracker()
    run_sql(
        cast.settings,
        "UPDATE memberships SET state = 'revoked' WHERE account_id = :team AND role = 'member'",
        team=int(cast.team),
    )

    answer = cast.nobody.http.post(made["ping_url"])

    assert answer.status_code == 403
    assert cast.owner.got(routes.USAGE, scope="team")["total"]["runs"] == 0


def test_runs_come_newest_first_page_by_page_none_twice_none_missing(cast: Cast) -> None:
    made = cast.member.new_tracker()
    for number in range(7):
        cast.nobody.http.post(made["ping_url"], json={"items_processed": number})
    path = routes.TRACKER_RUNS.format(tracker_id=made["id"])

    def numbers(page: dict[str, list[dict[str, dict[str, int]]]]) -> list[int]:
        return [run["payload"]["items_processed"] for run in page["runs"]]

    first = cast.member.got(path, limit=3)
    cast.nobody.http.post(made["ping_url"], json={"items_processed": 99})
    second = cast.member.got(path, limit=3, cursor=first["next_cursor"])
    third = cast.member.got(path, limit=3, cursor=second["next_cursor"])

    assert [numbers(page) for page in (first, second, third)] == [[6, 5, 4], [3, 2, 1], [0]]
    assert third["next_cursor"] is None
    assert numbers(cast.member.got(path)) == [99, 6, 5, 4, 3, 2, 1, 0]
    assert cast.member.got(path, limit=8)["next_cursor"] is None


def test_a_run_is_shown_as_it_was_sent(cast: Cast) -> None:
    made = cast.member.new_tracker()
    sent = {
        "provider": "openai",
        "model": "gpt-5",
        "project": "billing-api",
        "status": "error",
        "source": "codex",
        "session_id": "s1",
        "thread_id": "t1",
        "input_tokens": 1200,
        "cached_input_tokens": 1000,
        "output_tokens": 300,
        "reasoning_tokens": 250,
        "cost_usd": 0.0125,
        "latency_ms": 1500,
        "ended_at": "2026-03-01T10:07:00Z",
        "nested": {"umbrella": "☂", "list": [1, 2.5, None]},
    }
    cast.nobody.http.post(made["ping_url"], json=sent)
    cast.nobody.http.post(made["ping_url"])

    bare, run = cast.member.got(routes.TRACKER_RUNS.format(tracker_id=made["id"]))["runs"]

    assert run["payload"] == sent
    shown = {name: run[name] for name in sent.keys() & run.keys()}
    assert shown == {name: sent[name] for name in shown} | {"ended_at": "2026-03-01T10:07:00.000Z"}
    assert len(shown) == 13
    assert (run["total_tokens"], run["duration_ms"], run["failed"]) == (1500, 1500, True)
    assert (run["kind"], bare["kind"]) == ("run", "run")
    assert (bare["cost_usd"], bare["duration_ms"], bare["failed"]) == (None, None, False)
    assert bare["payload"] == {}


def test_a_page_that_cannot_be_is_refused(cast: Cast) -> None:
    path = routes.TRACKER_RUNS.format(tracker_id=cast.member.new_tracker()["id"])

    for params in ({"limit": 0}, {"limit": 1001}, {"cursor": "next"}, {"limit": "many"}):
        assert cast.member.ask("GET", path, params=params).status_code == 422


def test_a_device_gets_one_tracker_for_a_source_however_often_it_asks(cast: Cast) -> None:
    path = routes.DEVICE_TRACKER.format(device_id="d-1", source="codex")

    first = cast.member.ask("PUT", path, {"name": "Codex on laptop"})
    again = cast.member.ask("PUT", path, {"name": "Codex on Grace's laptop"})
    others = cast.colleague.ask("PUT", path, {"name": "Codex on laptop"})
    claude = cast.member.ask("PUT", path.replace("codex", "claude"), {"name": "Claude Code"})

    assert [one.status_code for one in (first, again, others, claude)] == [201, 200, 201, 201]
    assert again.json() == first.json()
    assert (first.json()["device_id"], first.json()["source"]) == ("d-1", "codex")
    assert len({one.json()["id"] for one in (first, others, claude)}) == 3


def test_a_device_whose_tracker_was_deleted_gets_another_one(cast: Cast) -> None:
    path = routes.DEVICE_TRACKER.format(device_id="d-1", source="codex")
    first = cast.member.did("PUT", path, {"name": "Codex"})
    cast.member.did("DELETE", path_of(first))

    second = cast.member.ask("PUT", path, {"name": "Codex"})

    assert second.status_code == 201
    assert second.json()["id"] != first["id"]


def test_devices_that_ask_at_the_same_moment_get_the_same_tracker(cast: Cast) -> None:
    path = routes.DEVICE_TRACKER.format(device_id="d-1", source="codex")
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: cast.member.ask("PUT", path, {"name": "Codex"}), range(16))
        )

    assert {one.json()["id"] for one in answers} == {answers[0].json()["id"]}
    assert sorted(one.status_code for one in answers) == [200] * 15 + [201]


def test_two_servers_on_one_database_make_one_tracker_for_a_device(database_url: str) -> None:
    stores = [Store(database_url), Store(database_url)]
    for store in stores:
        store.start()
    made = stores[0].write(
        lambda connection: joining.set_up(
            connection, email="ada@example.com", name="Ada", team=None, now_ms=1
        )
    )
    assert made is not None

    def create(store: Store, source: str) -> tuple[int, bool]:
        draft = TrackerDraft(made.account_id, made.user_id, "Codex", "d-1", source)
        tracker, new = store.write(
            lambda connection: trackers.get_or_create(connection, draft, new_token(), 2)
        )
        return tracker.id, new

    with ThreadPoolExecutor(4) as pool:
        for number in range(10):
            answers = list(pool.map(create, stores * 2, [f"s{number}"] * 4))
            assert len({tracker_id for tracker_id, _ in answers}) == 1
            assert sorted(new for _, new in answers) == [False, False, False, True]
    for store in stores:
        store.stop()


def test_of_tokens_that_servers_rotate_at_the_same_moment_one_is_in_force(
    database_url: str,
) -> None:
    stores = [Store(database_url), Store(database_url)]
    for store in stores:
        store.start()
    made = stores[0].write(
        lambda connection: joining.set_up(
            connection, email="ada@example.com", name="Ada", team=None, now_ms=1
        )
    )
    assert made is not None

    def rotate(store: Store, tracker: Tracker) -> None:
        store.write(lambda connection: trackers.rotate(connection, tracker, new_token(), 2))

    with ThreadPoolExecutor(4) as pool:
        for number in range(20):
            draft = TrackerDraft(made.account_id, made.user_id, "Codex", "d-1", f"s{number}")
            tracker, _ = stores[0].write(
                partial(trackers.get_or_create, draft=draft, token=new_token(), now_ms=1)
            )
            list(pool.map(rotate, stores * 2, [tracker] * 4))

    with stores[0].read() as connection:
        live = connection.execute(
            select(tracking_tokens.c.tracker_id).where(tracking_tokens.c.revoked_ms.is_(None))
        ).all()
        listed = trackers.of_account(connection, made.account_id)
    assert len(live) == len(set(live)) == len(listed) == 20
    for store in stores:
        store.stop()


def test_a_tracker_is_found_by_an_id_of_any_length(store: Store) -> None:
    of_2031 = 1_000_000_000_000_000_001
    largest = 2**63 - 1
    rows = [
        {"account_id": 1, "id": number, "owner_id": 1, "name": "x", "created_ms": 1}
        for number in (7, of_2031, largest)
    ]
    store.write(lambda connection: connection.execute(insert(stored_trackers), rows))

    with store.read() as connection:
        found = [
            trackers.ids_named(connection, 1, str(number))
            for number in (7, of_2031, largest, largest + 1, 10**400)
        ]

    assert found == [(7,), (of_2031,), (largest,), (), ()]
