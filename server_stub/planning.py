"""What the people who run a server do with plans, beside the server: see them and give them."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from server_stub.domain.plan import PLANS, parse_plan
from server_stub.store import plans
from server_stub.store.engine import Store, database_url
from server_stub.store.migrate import upgrade
from telemhq_agents.errors import SettingsError, UsageError
from telemhq_agents.nearest import missed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server_stub.settings import Settings
    from server_stub.store.plans import PlannedAccount

EVERYBODY = "everybody"
"""Stands for all accounts that there are."""

TO_SEE_THEM = "telemhq server plan list"


def accounts_with_plans(settings: Settings) -> list[PlannedAccount]:
    """Return every account with its plan, teams first."""
    with _open(settings) as store, store.read() as connection:
        return plans.all_accounts(connection)


def give_plan(settings: Settings, account: str, plan: str) -> list[PlannedAccount]:
    """Give a plan to the account called so, or to everybody; return who has it now.

    An account is called by its id, a team by its name, a personal account by its owner's address.
    Raises UsageError where nobody, or more than one, is called so, or where there is no such plan.
    """
    try:
        name = parse_plan(plan)
    except ValueError as error:
        said = missed(f"There is no plan {plan!r}: {error}", plan, PLANS)
        raise UsageError(said, TO_SEE_THEM) from error
    with _open(settings) as store:
        if account == EVERYBODY:
            store.write(lambda connection: plans.put_everybody_on(connection, name))
            with store.read() as connection:
                return plans.all_accounts(connection)
        meant = _one_called(store, account)
        store.write(lambda connection: plans.put_on(connection, [meant.id], name))
        return [_one_called(store, str(meant.id))]


def _one_called(store: Store, account: str) -> PlannedAccount:
    with store.read() as connection:
        found = plans.accounts_called(connection, account)
    if not found:
        with store.read() as connection:
            known = [
                text for one in plans.all_accounts(connection) for text in (one.name, one.owner)
            ]
        raise UsageError(missed(f"There is no account {account!r}", account, known), TO_SEE_THEM)
    if len(found) > 1:
        ids = ", ".join(str(one.id) for one in found)
        raise UsageError(f"{len(found)} accounts are called {account!r}.", f"name an id: {ids}")
    return found[0]


def _require_there(address: str) -> None:
    """Refuse the name of an SQLite file that is not there: opening it would make it."""
    url = database_url(address)
    if url.drivername == "sqlite" and not Path(url.database or "").is_file():
        raise SettingsError(
            f"there is no database {url.database}",
            "name the server's with --database, or make one: telemhq server init --email EMAIL",
        )


@contextmanager
def _open(settings: Settings) -> Iterator[Store]:
    _require_there(settings.database_url)
    upgrade(settings.database_url)
    store = Store(settings.database_url)
    store.start()
    try:
        yield store
    finally:
        store.stop()
