"""Setting a server up: once, whoever else tries at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from server_stub.settings import Settings
from server_stub.setup import Initialised, initialise
from telemhq_agents.contract import routes
from telemhq_agents.errors import SettingsError, UsageError
from tests.server_stub.cast import Person

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.server_stub.conftest import LiveServer


def test_an_owner_starts_with_a_key_and_the_team_they_named(
    server: LiveServer, client: httpx.Client
) -> None:
    start = initialise(server.settings, " Ada@Example.com ", "Ada Lovelace", "Engines")

    ada = Person(start.email, start.api_key, client)
    me = ada.got(routes.ME)
    assert start.email == me["email"] == "ada@example.com"
    assert me["name"] == "Ada Lovelace"
    assert me["default_account"] == start.account_id
    assert [(one["kind"], one["name"], one["role"]) for one in me["accounts"]] == [
        ("personal", "Ada Lovelace", "owner"),
        ("team", start.account_name, "owner"),
    ]


def test_without_a_team_the_owner_has_their_personal_account(
    server: LiveServer, client: httpx.Client
) -> None:
    start = initialise(server.settings, "ada@example.com")

    me = Person(start.email, start.api_key, client).got(routes.ME)

    assert [(one["id"], one["kind"], one["name"]) for one in me["accounts"]] == [
        (start.account_id, "personal", "ada")
    ]
    assert start.account_name == "ada"


def test_a_server_is_set_up_once(database_url: str) -> None:
    settings = Settings(database_url=database_url)
    initialise(settings, "ada@example.com")

    with pytest.raises(SettingsError, match="set up already") as caught:
        initialise(settings, "eve@example.com")

    assert "telemhq key create" in caught.value.next_step
    assert users_in(settings) == ["ada@example.com"]


def users_in(settings: Settings) -> list[str]:
    engine = create_engine(settings.database_url)
    with engine.connect() as connection:
        found = list(connection.execute(text("SELECT email FROM users")).scalars())
    engine.dispose()
    return found


def test_of_several_who_set_it_up_at_the_same_moment_one_becomes_the_owner(
    database_url: str,
) -> None:
    settings = Settings(database_url=database_url)

    def attempt(number: int) -> Initialised | SettingsError:
        try:
            return initialise(settings, f"owner{number}@example.com", None, "Engines")
        except SettingsError as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(attempt, range(4)))

    winners = [one.email for one in outcomes if isinstance(one, Initialised)]
    assert len(winners) == 1
    assert users_in(settings) == winners


def test_a_fresh_path_gets_its_database(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'new' / 'telemhq.sqlite3'}")

    initialise(settings, "ada@example.com")

    assert users_in(settings) == ["ada@example.com"]


def test_a_wrong_address_or_name_leaves_no_database_behind(tmp_path: Path) -> None:
    path = tmp_path / "telemhq.sqlite3"
    settings = Settings(database_url=f"sqlite:///{path}")

    for email, name, team in (("nonsense", "Ada", "E"), ("a@b.c", " ", "E"), ("a@b.c", "A", "")):
        with pytest.raises(UsageError):
            initialise(settings, email, name, team)

    assert not path.exists()
