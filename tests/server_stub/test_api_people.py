"""Signing in, API keys, and what people may change of themselves and their accounts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest
from sqlalchemy import create_engine, text

from server_stub.settings import Settings
from server_stub.setup import initialise
from telemhq_agents.clock import from_iso, now_ms
from telemhq_agents.contract import routes
from tests.server_stub.cast import Person, run_sql
from tests.server_stub.conftest import running

if TYPE_CHECKING:
    from tests.server_stub.cast import Cast

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("header", "slug"),
    [
        ({}, "api-key-missing"),
        ({"Authorization": ""}, "api-key-missing"),
        ({"Authorization": "Basic YWRhOnNlY3JldA=="}, "api-key-missing"),
        ({"Authorization": "Bearer thq_wrong"}, "api-key-unknown"),
        ({"Authorization": "Bearer"}, "api-key-missing"),
        ({"Authorization": "Bearer ☂".encode()}, "api-key-unknown"),
    ],
)
def test_without_a_good_key_the_answer_says_how_to_send_one(
    sqlite_cast: Cast, header: dict[str, str], slug: str
) -> None:
    answer = sqlite_cast.nobody.http.get(routes.ME, headers=header)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["type"] == slug
    assert "telemhq login" in answer.json()["next"]


def test_a_key_tells_who_holds_it_and_every_account_that_is_open_to_them(cast: Cast) -> None:
    me = cast.manager.got(routes.ME)

    assert (me["email"], me["name"], me["default_account"]) == (
        "mona@example.com",
        "mona",
        cast.team,
    )
    assert [(one["kind"], one["name"], one["role"]) for one in me["accounts"]] == [
        ("personal", "mona", "owner"),
        ("team", "Engines", "manager"),
    ]
    assert [one["name"] for one in cast.revoked.got(routes.ME)["accounts"]] == ["rita"]


def test_a_new_key_is_shown_once_works_and_is_kept_only_as_a_digest(cast: Cast) -> None:
    made = cast.member.did("POST", routes.API_KEYS, {"name": " laptop "})
    second = Person("grace@example.com", made["api_key"], cast.member.http)

    listed = second.got(routes.API_KEYS)

    assert re.fullmatch(r"thq_[\w-]{43}", made["api_key"])
    assert [(one["name"], one["prefix"]) for one in listed] == [
        ("laptop", made["api_key"][:12]),
        ("first key", cast.member.api_key[:12]),
    ]
    assert made["api_key"] not in str(listed)
    engine = create_engine(cast.settings.database_url)
    with engine.connect() as connection:
        stored = connection.execute(text("SELECT * FROM api_keys")).all()
    engine.dispose()
    assert made["api_key"] not in str(stored)


def test_a_revoked_key_is_refused_at_once_and_stays_in_the_list(cast: Cast) -> None:
    made = cast.member.did("POST", routes.API_KEYS, {"name": "lost"})
    lost = Person("grace@example.com", made["api_key"], cast.member.http)
    assert lost.got(routes.ME)["email"] == "grace@example.com"

    cast.member.did("DELETE", f"{routes.API_KEYS}/{made['id']}")

    assert lost.ask("GET", routes.ME).status_code == 401
    newest = cast.member.got(routes.API_KEYS)[0]
    assert newest["name"] == "lost"
    assert abs(from_iso(newest["revoked_at"]) - now_ms()) < HOUR_MS
    assert cast.member.got(routes.ME)["email"] == "grace@example.com"


def test_nobody_revokes_anothers_key(cast: Cast) -> None:
    key = cast.member.got(routes.API_KEYS)[0]["id"]

    answers = [
        cast.owner.ask("DELETE", f"{routes.API_KEYS}/{name}").json() for name in (key, "x", "1")
    ]

    assert [answer["type"] for answer in answers] == ["api-key-not-found"] * 3
    assert cast.member.got(routes.API_KEYS)[0]["revoked_at"] is None


def test_the_last_use_of_a_key_is_noted_once_an_hour(cast: Cast) -> None:
    def last_use() -> int:
        # A change is written after the note that was queued before it.
        cast.member.did("PATCH", routes.ME, {"name": "Grace"})
        (key,) = cast.member.got(routes.API_KEYS)
        return from_iso(key["last_used_at"])

    def set_last_use(ms: int) -> None:
        run_sql(cast.settings, "UPDATE api_keys SET last_used_ms = :ms", ms=ms)

    assert abs(last_use() - now_ms()) < HOUR_MS
    recent = now_ms() - HOUR_MS // 2
    set_last_use(recent)
    assert last_use() == recent
    set_last_use(now_ms() - 2 * HOUR_MS)
    assert abs(last_use() - now_ms()) < HOUR_MS // 2


def test_people_rename_themselves_and_choose_the_account_they_act_in(cast: Cast) -> None:
    personal = cast.member.got(routes.ME)["accounts"][0]["id"]

    changed = cast.member.did(
        "PATCH", routes.ME, {"name": " Grace Hopper ", "default_account": personal}
    )

    assert changed["name"] == "Grace Hopper"
    assert changed["default_account"] == personal
    assert cast.member.new_tracker()["account"] == personal
    assert cast.member.new_tracker(account=cast.team)["account"] == cast.team


def test_whoever_was_revoked_is_told_how_to_go_on(cast: Cast) -> None:
    refused = cast.revoked.ask("GET", routes.TRACKERS)
    personal = cast.revoked.got(routes.ME)["accounts"][0]["id"]

    assert refused.status_code == 403
    assert refused.json()["type"] == "membership-revoked"
    assert "telemhq login --team" in refused.json()["next"]
    cast.revoked.did("PATCH", routes.ME, {"default_account": personal})
    assert cast.revoked.got(routes.TRACKERS) == []


def test_an_account_has_a_name_and_a_time_zone(cast: Cast) -> None:
    path = routes.ACCOUNT.format(account_id=cast.team)

    changed = cast.manager.did(
        "PATCH", path, {"name": "Difference Engines", "timezone": "Australia/Adelaide"}
    )

    assert changed["name"] == "Difference Engines"
    assert changed["timezone"] == "Australia/Adelaide"
    assert cast.member.got(routes.ME)["accounts"][1] == changed | {"role": "member"}


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", routes.ME, {"name": ""}, "name"),
        ("PATCH", routes.ME, {"name": 7}, "body.name"),
        ("PATCH", routes.ME, {"nickname": "G"}, "body.nickname"),
        ("PATCH", routes.ACCOUNT, {"timezone": "Mars/Olympus"}, "timezone"),
        ("PATCH", routes.ACCOUNT, {"name": "x" * 101}, "name"),
        ("POST", routes.API_KEYS, {}, "body.name"),
        ("POST", routes.API_KEYS, {"name": "two\nlines"}, "name"),
        ("POST", routes.TEAMS, {"name": "  "}, "name"),
        ("POST", routes.TRACKERS, {"name": ""}, "name"),
        ("POST", routes.TEAM_INVITATIONS, {"email": "nonsense"}, "email"),
        ("POST", routes.TEAM_INVITATIONS, {"email": "a@b.c", "role": "owner"}, "body.role"),
        ("PUT", f"{routes.API}/devices/lap%0Atop/trackers/codex", {"name": "x"}, "device_id"),
        ("PUT", f"{routes.API}/devices/laptop/trackers/%20", {"name": "x"}, "source"),
        ("PUT", f"{routes.API}/devices/laptop/trackers/codex", {"name": " "}, "name"),
    ],
)
def test_a_field_that_cannot_be_is_named(
    sqlite_cast: Cast, method: str, path: str, body: dict[str, object], field: str
) -> None:
    whole = path.format(account_id=sqlite_cast.team, team_id=sqlite_cast.team)

    answer = sqlite_cast.owner.ask(method, whole, body)

    assert answer.status_code == 422
    assert answer.json()["type"] == "invalid-fields"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert answer.json()["next"]


def test_links_and_ping_urls_begin_with_the_public_url_where_one_is_set(sqlite_url: str) -> None:
    public = Settings(database_url=sqlite_url, port=0, public_url="https://telemhq.example.com")
    start = initialise(public, "ada@example.com", None, "Engines")

    with running(public) as live, httpx.Client(base_url=live.url, trust_env=False) as http:
        ada = Person(start.email, start.api_key, http)
        tracker = ada.new_tracker()
        invitation = ada.did(
            "POST",
            routes.TEAM_INVITATIONS.format(team_id=start.account_id),
            {"email": "new@example.com"},
        )

    assert tracker["ping_url"].startswith("https://telemhq.example.com/ping/")
    assert invitation["link"].startswith("https://telemhq.example.com/invitations/")


def test_members_get_one_naming_key_for_each_account_and_it_stays(cast: Cast) -> None:
    team = routes.NAMING_KEY.format(account_id=cast.team)
    own = routes.NAMING_KEY.format(account_id=cast.manager.got(routes.ME)["accounts"][0]["id"])

    key = cast.member.got(team)["naming_key"]

    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", key)
    assert cast.owner.got(team)["naming_key"] == cast.member.got(team)["naming_key"] == key
    assert cast.manager.got(own)["naming_key"] != key
