"""Founding a team, inviting people into it, and accepting."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from server_stub.domain.invitation import Acceptance, Invitation
from server_stub.store import joining, teams
from server_stub.store.engine import Store, writing_engine
from telemhq_agents.clock import from_iso, now_ms
from telemhq_agents.contract import routes
from telemhq_agents.contract.resources import Role
from tests.server_stub.blocking import wait_until_blocked
from tests.server_stub.cast import Person, invited, joined, run_sql

if TYPE_CHECKING:
    import httpx
    from sqlalchemy import Connection

    from tests.server_stub.cast import Cast

DAY_MS = 86_400_000


def accept(person: Person, token: str, name: str | None = None) -> httpx.Response:
    path = routes.INVITATION_ACCEPT.format(invitation_token=token)
    return person.ask("POST", path, None if name is None else {"name": name})


def test_whoever_founds_a_team_owns_it_and_acts_in_it_from_then_on(cast: Cast) -> None:
    lone = joined(cast.owner, cast.team, "lone@example.com")
    personal = lone.got(routes.ME)["accounts"][0]["id"]
    lone.did("PATCH", routes.ME, {"default_account": personal})

    founded = lone.did("POST", routes.TEAMS, {"name": "Looms"})
    second = lone.did("POST", routes.TEAMS, {"name": "Second"})

    assert (founded["kind"], founded["name"], founded["role"]) == ("team", "Looms", "owner")
    assert lone.got(routes.ME)["default_account"] == founded["id"]
    assert [one["name"] for one in lone.got(routes.TEAMS)] == ["Engines", "Looms", "Second"]
    assert [one["email"] for one in lone.got(routes.TEAM_MEMBERS.format(team_id=second["id"]))] == [
        "lone@example.com"
    ]


def test_an_invitation_link_is_shown_once_and_tells_what_it_offers(cast: Cast) -> None:
    path = routes.TEAM_INVITATIONS.format(team_id=cast.team)

    made = cast.manager.did("POST", path, {"email": " New@Example.COM ", "role": "manager"})

    token = made["link"].rsplit("/", 1)[1]
    offered = cast.nobody.got(routes.INVITATION.format(invitation_token=token))
    assert made["link"] == f"{str(cast.nobody.http.base_url).rstrip('/')}/invitations/{token}"
    assert offered == made | {"link": ""}
    assert (offered["email"], offered["role"], offered["team_name"], offered["invited_by"]) == (
        "new@example.com",
        "manager",
        "Engines",
        "mona@example.com",
    )
    assert abs(from_iso(offered["expires_at"]) - now_ms() - 7 * DAY_MS) < DAY_MS
    assert cast.owner.got(path) == [offered]


def test_a_link_in_a_browser_tells_the_command_and_escapes_names(cast: Cast) -> None:
    account = routes.ACCOUNT.format(account_id=cast.team)
    cast.owner.did("PATCH", account, {"name": "<script>R&D"})
    token = invited(cast.owner, cast.team, "new@example.com")

    page = cast.nobody.ask("GET", routes.INVITATION_PAGE.format(invitation_token=token))

    assert page.headers["content-type"].startswith("text/html")
    assert f"telemhq team accept {cast.nobody.http.base_url}" in page.text
    assert "&lt;script&gt;R&amp;D" in page.text
    assert "<script>" not in page.text


def test_somebody_new_gets_a_user_an_account_of_their_own_and_one_key(cast: Cast) -> None:
    token = invited(cast.owner, cast.team, "new@example.com", "manager")

    answer = accept(cast.nobody, token, " Newton ")

    welcome = answer.json()
    new = Person("new@example.com", welcome["api_key"], cast.nobody.http)
    me = new.got(routes.ME)
    assert (welcome["email"], welcome["account"]["name"], welcome["account"]["role"]) == (
        "new@example.com",
        "Engines",
        "manager",
    )
    assert me["name"] == "Newton"
    assert me["default_account"] == cast.team
    assert [(one["kind"], one["role"]) for one in me["accounts"]] == [
        ("personal", "owner"),
        ("team", "manager"),
    ]
    assert cast.owner.got(routes.TEAM_INVITATIONS.format(team_id=cast.team)) == []


def test_somebody_with_a_user_joins_by_their_key_and_gets_no_other(cast: Cast) -> None:
    token = invited(cast.owner, cast.team, "otto@example.com")

    refused = accept(cast.nobody, token)
    answer = accept(cast.outsider, token)

    assert refused.status_code == 401
    assert refused.json()["type"] == "log-in-first"
    assert "telemhq login" in refused.json()["next"]
    assert answer.json()["api_key"] is None
    assert answer.json()["account"]["id"] == cast.team
    elsewhere = cast.outsider.got(routes.ME)["default_account"]
    assert elsewhere != cast.team


def test_an_invitation_works_for_its_address_once_and_for_seven_days(cast: Cast) -> None:
    token = invited(cast.owner, cast.team, "new@example.com")
    late = invited(cast.owner, cast.team, "late@example.com")
    run_sql(
        cast.settings,
        "UPDATE invitations SET expires_ms = :ms WHERE email = 'late@example.com'",
        ms=now_ms(),
    )

    anothers = accept(cast.outsider, token)
    first, second = accept(cast.nobody, token), accept(cast.nobody, token)
    expired = accept(cast.nobody, late)
    unknown = accept(cast.nobody, "no-such-token")

    answers = [anothers, first, second, expired, unknown]
    assert [one.status_code for one in answers] == [403, 200, 409, 410, 404]
    assert [one.json().get("type") for one in answers] == [
        "invitation-for-another-address",
        None,
        "invitation-used",
        "invitation-expired",
        "invitation-not-found",
    ]
    assert [one["email"] for one in cast.owner.got(members(cast))].count("new@example.com") == 1
    assert cast.owner.got(routes.TEAM_INVITATIONS.format(team_id=cast.team)) == []


def members(cast: Cast) -> str:
    return routes.TEAM_MEMBERS.format(team_id=cast.team)


def test_of_many_who_accept_at_the_same_moment_one_gets_in(cast: Cast) -> None:
    token = invited(cast.owner, cast.team, "new@example.com")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: accept(cast.nobody, token), range(8)))

    assert sorted(one.status_code for one in answers) == [200] + [409] * 7
    assert [one["email"] for one in cast.owner.got(members(cast))].count("new@example.com") == 1


def test_two_servers_on_one_database_let_one_guest_in(database_url: str) -> None:
    stores = [Store(database_url), Store(database_url)]
    for store in stores:
        store.start()
    made = stores[0].write(
        lambda connection: joining.set_up(
            connection, email="ada@example.com", name="Ada", team="Engines", now_ms=1
        )
    )
    assert made is not None

    def enter(store: Store, invitation: Invitation) -> bool:
        try:
            welcome = store.write(
                lambda connection: joining.accept(connection, invitation, None, "New", 2)
            )
        except joining.TakenError:
            return False
        return welcome.outcome is Acceptance.NEW_USER and welcome.api_key is not None

    with ThreadPoolExecutor(4) as pool:
        for number in range(10):
            email = f"new{number}@example.com"
            invitation = Invitation(
                number + 1, made.account_id, "Engines", email, Role.MEMBER, "", 1000, None
            )
            stores[0].write(partial(invite, invitation, made.user_id))
            assert sorted(pool.map(enter, stores * 2, [invitation] * 4)) == [False] * 3 + [True]
    for store in stores:
        store.stop()


def invite(invitation: Invitation, invited_by: int, connection: Connection) -> None:
    token = f"token {invitation.id}"
    teams.invite(connection, invitation, token, link="", invited_by=invited_by, now_ms=1)


def test_a_second_invitation_ends_the_first(cast: Cast) -> None:
    first = invited(cast.owner, cast.team, "new@example.com")
    second = invited(cast.owner, cast.team, "new@example.com", "manager")

    assert accept(cast.nobody, first).status_code == 410
    assert accept(cast.nobody, second).json()["account"]["role"] == "manager"


def test_of_links_that_servers_make_for_one_address_at_the_same_moment_one_works(
    postgres_url: str,
) -> None:
    engine = writing_engine(postgres_url)
    with engine.begin() as connection:
        made = joining.set_up(
            connection, email="ada@example.com", name="Ada", team="Engines", now_ms=1
        )
    assert made is not None
    first, second = (
        Invitation(
            number, made.account_id, "Engines", "new@example.com", Role.MEMBER, "", 1000, None
        )
        for number in (1, 2)
    )

    def follow() -> None:
        with engine.begin() as connection:
            invite(second, made.user_id, connection)

    follower = threading.Thread(target=follow)
    with engine.begin() as connection:
        invite(first, made.user_id, connection)
        follower.start()
        wait_until_blocked(engine, follower)
    follower.join()

    with engine.connect() as connection:
        still_open = teams.open_invitations(connection, made.account_id, now_ms=1)
    engine.dispose()
    assert [one.id for one in still_open] == [2]


def test_members_cannot_be_invited_again_revoked_ones_neither(cast: Cast) -> None:
    path = routes.TEAM_INVITATIONS.format(team_id=cast.team)

    answers = [
        cast.owner.ask("POST", path, {"email": email})
        for email in ("grace@example.com", "GRACE@example.com", "rita@example.com")
    ]

    assert [one.status_code for one in answers] == [409, 409, 409]
    assert answers[0].json()["type"] == "already-member"


def test_an_invitation_from_before_does_not_bring_a_revoked_member_back(cast: Cast) -> None:
    token = invited(cast.owner, cast.team, "otto@example.com")
    rival = invited(cast.owner, cast.team, "second@example.com")
    assert accept(cast.outsider, token).status_code == 200
    run_sql(
        cast.settings, "UPDATE invitations SET email = 'otto@example.com' WHERE accepted_ms IS NULL"
    )
    run_sql(
        cast.settings,
        "UPDATE memberships SET state = 'revoked' WHERE account_id = :team AND role = 'member'",
        team=int(cast.team),
    )

    answer = accept(cast.outsider, rival)

    assert (answer.status_code, answer.json()["type"]) == (409, "already-member")
    assert cast.outsider.ask("GET", members(cast)).status_code == 403


def test_a_personal_account_takes_nobody_else(cast: Cast) -> None:
    personal = cast.member.got(routes.ME)["accounts"][0]["id"]

    answer = cast.member.ask(
        "POST", routes.TEAM_INVITATIONS.format(team_id=personal), {"email": "new@example.com"}
    )

    assert (answer.status_code, answer.json()["type"]) == (409, "personal-account")
    assert "telemhq team create" in answer.json()["next"]


def test_members_are_listed_in_the_order_they_came_revoked_ones_too(cast: Cast) -> None:
    found = cast.member.got(members(cast))

    assert [(one["email"], one["role"], one["state"]) for one in found] == [
        ("ada@example.com", "owner", "active"),
        ("mona@example.com", "manager", "active"),
        ("grace@example.com", "member", "active"),
        ("carl@example.com", "member", "active"),
        ("rita@example.com", "member", "revoked"),
    ]
