"""Setting a fresh server up: its database, its owner and their first API key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from server_stub.domain.naming import clean_email, clean_name
from server_stub.store import joining
from server_stub.store.engine import Store
from server_stub.store.migrate import upgrade
from telemhq_agents.clock import now_ms
from telemhq_agents.errors import SettingsError

if TYPE_CHECKING:
    from server_stub.settings import Settings


@dataclass(frozen=True, slots=True)
class Initialised:
    """What the owner of a fresh server needs. `api_key` is nowhere else: show it once."""

    api_key: str
    email: str
    account_id: str
    account_name: str


def initialise(
    settings: Settings, email: str, name: str | None = None, account_name: str | None = None
) -> Initialised:
    """Create the database, its owner, the owner's accounts and their first API key.

    `name` is the front of the address where it is not given. With `account_name` the owner founds
    a team of that name, which becomes their default account; without it they have their personal
    one. Raises UsageError for a bad address or name, SettingsError where it was done before: of
    two at the same moment one wins.
    """
    address = clean_email(email)
    person = clean_name(address.partition("@")[0] if name is None else name)
    team = None if account_name is None else clean_name(account_name)
    upgrade(settings.database_url)
    store = Store(settings.database_url)
    store.start()
    try:
        made = store.write(
            lambda connection: joining.set_up(
                connection,
                email=address,
                name=person,
                team=team,
                plan=settings.default_plan,
                now_ms=now_ms(),
            )
        )
    finally:
        store.stop()
    if made is None:
        raise SettingsError(
            "this server is set up already: it has users",
            "Make another API key with one you have (`telemhq key create NAME`), join by invitation"
            " (telemhq team accept LINK), or name another database in TELEMHQ_DATABASE_URL.",
        )
    return Initialised(made.api_key, address, str(made.account_id), team or person)
