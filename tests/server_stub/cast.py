"""The people of the server's tests: one team, everybody's place in it, and somebody from outside.

Ada owns the team Engines. Mona manages it, Grace and Carl are members, Rita was one and is
revoked. Otto has a user but belongs to another team; nobody has no key at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import create_engine, text

from server_stub.domain.channel import Subscription, unsubscribe_token
from server_stub.settings import Settings
from server_stub.setup import initialise
from telemhq_agents.contract import routes

WHO = ("owner", "manager", "member", "colleague", "revoked", "outsider", "nobody")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an API key (nobody: without one)."""

    email: str
    api_key: str
    http: httpx.Client

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        params: Any = None,
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return self.http.request(method, path, json=body, params=params, headers=headers)

    def got(self, path: str, **params: object) -> Any:
        """Return what a GET answers; it must succeed."""
        answer = self.ask("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def did(
        self,
        method: str,
        path: str,
        body: object = None,
        **params: object,
    ) -> Any:
        """Return what a change answers; it must succeed."""
        answer = self.ask(method, path, body, params)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def new_tracker(self, name: str = "nightly", **params: object) -> Any:
        return self.did("POST", routes.TRACKERS, {"name": name}, **params)


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody, and the team's id."""

    owner: Person
    manager: Person
    member: Person
    colleague: Person
    revoked: Person
    outsider: Person
    nobody: Person
    team: str
    settings: Settings

    def everybody(self) -> dict[str, Person]:
        return {name: getattr(self, name) for name in WHO}


def run_sql(settings: Settings, statement: str, **values: object) -> None:
    """Do to the database what no route does (yet)."""
    engine = create_engine(settings.database_url)
    with engine.begin() as connection:
        connection.execute(text(statement), values)
    engine.dispose()


def unsubscribe_link(settings: Settings, channel_id: str) -> str:
    """Return the token of the link that stands in the mail of a channel."""
    engine = create_engine(settings.database_url)
    with engine.connect() as connection:
        asked = "SELECT account_id, tracker_id, id, secret FROM channels WHERE id = :id"
        row = connection.execute(text(asked), {"id": int(channel_id)}).one()
    engine.dispose()
    return unsubscribe_token(Subscription(*row))


def invited(host: Person, team: str, email: str, role: str = "member") -> str:
    """Invite somebody and return the token of the link."""
    path = routes.TEAM_INVITATIONS.format(team_id=team)
    link: str = host.did("POST", path, {"email": email, "role": role})["link"]
    return link.rsplit("/", 1)[1]


def joined(host: Person, team: str, email: str, role: str = "member") -> Person:
    """Invite somebody new and let them accept."""
    token = invited(host, team, email, role)
    path = routes.INVITATION_ACCEPT.format(invitation_token=token)
    answer = host.http.post(path)
    assert answer.status_code == 200, answer.text
    return Person(email, answer.json()["api_key"], host.http)


def gather(settings: Settings, http: httpx.Client) -> Cast:
    """Set the server up and bring everybody in, by the routes that people use."""
    start = initialise(settings, "ada@example.com", "Ada", "Engines")
    ada = Person("ada@example.com", start.api_key, http)
    team = start.account_id
    elsewhere = ada.did("POST", routes.TEAMS, {"name": "Elsewhere"})["id"]
    cast = Cast(
        owner=ada,
        manager=joined(ada, team, "mona@example.com", "manager"),
        member=joined(ada, team, "grace@example.com"),
        colleague=joined(ada, team, "carl@example.com"),
        revoked=joined(ada, team, "rita@example.com"),
        outsider=joined(ada, elsewhere, "otto@example.com", "manager"),
        nobody=Person("", "", http),
        team=team,
        settings=settings,
    )
    run_sql(
        settings,
        "UPDATE memberships SET state = 'revoked' WHERE account_id = :team AND user_id ="
        " (SELECT id FROM users WHERE email = 'rita@example.com')",
        team=int(team),
    )
    return cast
