"""What plans allow: the last that is allowed, the first that is refused, and what is left."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import insert, select

from server_stub.domain.plan import PLANS, month_of, next_month, parse_plan, payload_limit, plan_of
from server_stub.domain.problem import ProblemError
from server_stub.domain.tracker import TrackerDraft
from server_stub.settings import Settings
from server_stub.setup import initialise
from server_stub.store import plans, trackers
from server_stub.store.engine import Store
from server_stub.store.tables import accounts, memberships
from telemhq_agents.clock import from_iso
from telemhq_agents.contract import routes
from tests.server_stub.cast import Person, run_sql

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from tests.server_stub.cast import Cast
    from tests.server_stub.conftest import LiveServer

NOW = from_iso("2026-11-20T12:00:00Z")
FREE_TRACKERS, TEAM_TRACKERS = 5, 50


def put_on(cast: Cast, plan: str) -> None:
    run_sql(cast.settings, "UPDATE accounts SET plan = :plan", plan=plan)


def made(person: Person, name: str, team: str) -> httpx.Response:
    return person.ask("POST", routes.TRACKERS, {"name": name}, {"account": team})


def plan_shown(person: Person, account: str) -> Any:
    return person.got(routes.PLAN.format(account_id=account))


# The published table of plans: trackers, pings a month, days, payload, charted runs, webhooks.
@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("free", (5, 1_000, 7, 1024, None, False, False, False)),
        ("pro", (50, 100_000, None, 2048, 100_000, True, True, False)),
        ("team", (50, 100_000, None, 2048, 100_000, True, True, True)),
        ("unlimited", (None, None, None, None, None, True, True, False)),
    ],
)
def test_the_plans_are_those_that_are_published(name: str, limits: tuple[object, ...]) -> None:
    plan = PLANS[name]

    assert limits == (
        plan.trackers,
        plan.pings_per_month,
        plan.history_days,
        plan.payload_bytes,
        plan.charted_runs,
        plan.webhooks,
        plan.archives,
        plan.per_member,
    )
    assert plan.name == name


def test_a_plan_that_nobody_knows_any_more_limits_nothing() -> None:
    assert plan_of("platinum") is PLANS["unlimited"]


@pytest.mark.parametrize(("given", "read"), [("free", "free"), (" Pro ", "pro")])
def test_a_plan_is_known_by_its_name(given: str, read: str) -> None:
    assert parse_plan(given) == read


def test_an_unknown_plan_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="name one of free, pro, team, unlimited"):
        parse_plan("platinum")


def test_the_smaller_of_servers_and_plans_payload_limit_counts() -> None:
    found = [payload_limit(PLANS[name], 1500) for name in ("free", "pro", "unlimited")]

    assert found == [1024, 1500, 1500]


@pytest.mark.parametrize(
    ("moment", "month", "after"),
    [
        ("2026-11-01T00:00:00.000Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("2026-12-31T23:59:59.999Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("2028-02-29T12:00:00.000Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
    ],
)
def test_months_are_of_utc(moment: str, month: str, after: str) -> None:
    begun = month_of(from_iso(moment))

    assert (begun, next_month(begun)) == (from_iso(month), from_iso(after))


def test_the_last_tracker_of_a_plan_is_made_and_the_next_refused(cast: Cast) -> None:
    put_on(cast, "free")

    answers = [made(cast.member, f"t{n}", cast.team) for n in range(FREE_TRACKERS + 1)]

    assert [answer.status_code for answer in answers] == [201] * FREE_TRACKERS + [402]
    problem = answers[-1].json()
    assert problem["type"] == "tracker-limit-reached"
    assert "the plan free has 5 trackers" in problem["detail"]
    assert "telemhq tracker delete" in problem["next"]
    assert len(cast.owner.got(routes.TRACKERS, account=cast.team)) == FREE_TRACKERS


def test_a_deleted_tracker_leaves_room_for_another(cast: Cast) -> None:
    put_on(cast, "free")
    ids = [made(cast.member, f"t{n}", cast.team).json()["id"] for n in range(FREE_TRACKERS)]

    cast.member.did("DELETE", routes.TRACKER.format(tracker_id=ids[0]))

    assert made(cast.member, "again", cast.team).status_code == 201


def test_a_devices_tracker_counts_and_is_found_again_where_nothing_more_is_allowed(
    cast: Cast,
) -> None:
    put_on(cast, "free")

    def of_device(device: str) -> int:
        path = routes.DEVICE_TRACKER.format(device_id=device, source="codex")
        return cast.member.ask("PUT", path, {"name": device}, {"account": cast.team}).status_code

    statuses = [of_device(f"laptop {n}") for n in range(FREE_TRACKERS + 1)]

    assert statuses == [201] * FREE_TRACKERS + [402]
    assert of_device("laptop 0") == 200


def test_a_file_with_more_trackers_than_the_plan_allows_changes_nothing(cast: Cast) -> None:
    put_on(cast, "free")
    made(cast.member, "t0", cast.team)

    def applied(count: int, *, prune: bool = False) -> int:
        body = {"trackers": [{"name": f"n{n}"} for n in range(count)]}
        params = {"account": cast.team, "prune": prune}
        return cast.member.ask("PUT", routes.TRACKER_FILE, body, params).status_code

    assert applied(FREE_TRACKERS) == 402
    assert [one["name"] for one in cast.member.got(routes.TRACKERS, account=cast.team)] == ["t0"]
    # What it prunes makes room for what it adds.
    assert applied(FREE_TRACKERS, prune=True) == 200


def test_a_teams_plan_grows_with_its_active_members(cast: Cast) -> None:
    put_on(cast, "team")

    shown = plan_shown(cast.member, cast.team)

    # Ada, Mona, Grace and Carl; Rita is revoked.
    assert shown["members"] == 4
    assert shown["trackers"] == {"limit": 4 * 50, "used": 0, "left": 4 * 50}
    assert shown["pings"]["limit"] == 4 * 100_000


def test_what_is_left_is_shown(cast: Cast) -> None:
    put_on(cast, "free")
    made(cast.member, "t0", cast.team)
    tracker = made(cast.member, "t1", cast.team).json()
    for _ in range(3):
        assert cast.member.http.post(tracker["ping_url"]).status_code == 200

    shown = plan_shown(cast.member, cast.team)

    assert shown["plan"] == "free"
    assert shown["trackers"] == {"limit": 5, "used": 2, "left": 3}
    assert shown["pings"] == {"limit": 1_000, "used": 3, "left": 997}
    assert (shown["payload_bytes"], shown["history_days"]) == (1024, 7)
    assert (shown["webhooks"], shown["archives"], shown["charted_runs"]) == (False, False, None)
    assert shown["month_ends_at"].endswith("-01T00:00:00.000Z")


def test_without_limits_there_is_nothing_left_to_count(cast: Cast) -> None:
    shown = plan_shown(cast.member, cast.team)

    assert shown["plan"] == "unlimited"
    assert shown["trackers"] == {"limit": None, "used": 0, "left": None}
    assert shown["pings"] == {"limit": None, "used": None, "left": None}
    assert shown["payload_bytes"] == 65536


def test_on_a_smaller_plan_everything_stays_and_nothing_comes(cast: Cast) -> None:
    ids = [made(cast.member, f"t{n}", cast.team).json()["id"] for n in range(FREE_TRACKERS + 2)]

    put_on(cast, "free")

    assert plan_shown(cast.member, cast.team)["trackers"] == {"limit": 5, "used": 7, "left": 0}
    assert cast.member.did("PATCH", routes.TRACKER.format(tracker_id=ids[0]), {"name": "renamed"})
    assert made(cast.member, "more", cast.team).status_code == 402


def test_new_accounts_have_the_servers_default_plan(
    database_url: str,
    run_server: Callable[[Settings], AbstractContextManager[LiveServer]],
    no_certificates: ssl.SSLContext,
) -> None:
    settings = Settings(database_url=database_url, port=0, default_plan="pro")
    with (
        run_server(settings) as live,
        httpx.Client(
            base_url=live.url, verify=no_certificates, trust_env=False, timeout=60
        ) as http,
    ):
        start = initialise(settings, "ada@example.com")
        ada = Person("ada@example.com", start.api_key, http)
        team = ada.did("POST", routes.TEAMS, {"name": "Engines"})["id"]
        path = routes.TEAM_INVITATIONS.format(team_id=team)
        link = ada.did("POST", path, {"email": "mona@example.com"})["link"]
        accept = routes.INVITATION_ACCEPT.format(invitation_token=link.rsplit("/", 1)[1])
        mona = Person("mona@example.com", http.post(accept).json()["api_key"], http)

        found = {
            account["id"]: plan_shown(mona, account["id"])["plan"]
            for account in mona.got(routes.ME)["accounts"]
        }
        assert plan_shown(ada, start.account_id)["plan"] == "pro"

    assert len(found) == 2
    assert set(found.values()) == {"pro"}


def with_account(store: Store, plan: str) -> None:
    def write(connection: Connection) -> None:
        connection.execute(
            insert(accounts).values(id=1, kind="team", name="E", created_ms=1, plan=plan)
        )
        connection.execute(
            insert(memberships).values(account_id=1, user_id=9, role="owner", joined_ms=1)
        )

    store.write(write)


def test_of_several_processes_that_make_the_last_tracker_one_does(
    postgres_url: str,
) -> None:
    stores = [Store(postgres_url) for _ in range(3)]
    for store in stores:
        store.start()
    with_account(stores[0], "free")
    together = threading.Barrier(len(stores))
    outcomes: list[object] = []

    def make(store: Store) -> None:
        for turn in range(4):
            draft, token = TrackerDraft(1, 9, f"t{turn}"), f"{id(store)}{turn}"
            together.wait()
            try:
                store.write(partial(trackers.create, draft=draft, token=token, now_ms=NOW))
                outcomes.append("made")
            except ProblemError as error:
                outcomes.append(error.problem.status)

    threads = [threading.Thread(target=make, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with stores[0].read() as connection:
        use = plans.use_of(connection, 1, NOW)
    for store in stores:
        store.stop()

    assert use.trackers == FREE_TRACKERS
    assert sorted(map(str, outcomes)) == ["402"] * 7 + ["made"] * 5


def test_accounts_are_found_by_id_by_a_teams_name_and_by_their_owners_address(
    cast: Cast,
) -> None:
    store = Store(cast.settings.database_url)
    store.start()

    def found(name: str) -> list[tuple[str, str]]:
        with store.read() as connection:
            called = plans.accounts_called(connection, name)
        return [(one.kind, one.owner) for one in called]

    assert found(cast.team) == [("team", "ada@example.com")]
    assert found("Engines") == [("team", "ada@example.com")]
    assert found("Grace@example.com") == [("personal", "grace@example.com")]
    assert found("nobody") == []
    store.stop()


def test_a_plan_is_given_to_one_account_or_to_all(cast: Cast) -> None:
    store = Store(cast.settings.database_url)
    store.start()

    def held() -> set[tuple[str, str]]:
        with store.read() as connection:
            return {(one.name, one.plan) for one in plans.all_accounts(connection)}

    store.write(lambda connection: plans.put_on(connection, [int(cast.team)], "free"))
    one = {plan for name, plan in held() if name == "Engines"}
    others = {plan for name, plan in held() if name != "Engines"}
    store.write(lambda connection: plans.put_everybody_on(connection, "team"))

    assert (one, others) == ({"free"}, {"unlimited"})
    assert {plan for _, plan in held()} == {"team"}
    with store.read() as connection:
        assert len(connection.execute(select(accounts.c.id)).all()) == len(held())
    store.stop()
