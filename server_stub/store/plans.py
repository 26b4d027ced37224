"""What accounts may do, and how much of it they have used: every question about plans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from server_stub.domain.membership import ACTIVE, PERSONAL
from server_stub.domain.naming import read_id
from server_stub.domain.plan import Plan, month_of, plan_of, times_members
from server_stub.domain.problem import ProblemError
from server_stub.store.tables import accounts, memberships, ping_counts, trackers, users
from telemhq_agents.contract.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection


@dataclass(frozen=True, slots=True)
class Use:
    """How much of its plan an account uses. `pings`: since `month_ms`, where they are counted."""

    plan: Plan
    members: int
    trackers: int
    pings: int
    month_ms: int

    @property
    def most_trackers(self) -> int | None:
        """How many trackers the account may have, None for any number."""
        return times_members(self.plan.trackers, self.plan, self.members)

    @property
    def most_pings(self) -> int | None:
        """How many pings the account may send in a month, None for any number."""
        return times_members(self.plan.pings_per_month, self.plan, self.members)


@dataclass(frozen=True, slots=True)
class PlannedAccount:
    """An account as the people who run the server see it; `owner` is an e-mail address."""

    id: int
    kind: str
    name: str
    owner: str
    plan: str


def use_of(connection: Connection, account_id: int, now_ms: int) -> Use:
    """Return what an account may do and what it has used."""
    month_ms = month_of(now_ms)
    counted = select(ping_counts.c.pings).where(
        ping_counts.c.account_id == account_id, ping_counts.c.month_ms == month_ms
    )
    return Use(
        plan=_plan(connection, account_id),
        members=_members(connection, account_id),
        trackers=_trackers(connection, account_id),
        pings=connection.execute(counted).scalar_one_or_none() or 0,
        month_ms=month_ms,
    )


def require_room(connection: Connection, account_id: int) -> None:
    """Let the transaction that made trackers go on, unless they are more than the plan allows.

    Of two that make the last one at the same moment, the second waits for the first. Raises
    ProblemError (402).
    """
    plan = _plan(connection, account_id, locked=True)
    if plan.trackers is None:
        return
    members = _members(connection, account_id)
    most = times_members(plan.trackers, plan, members)
    if most is not None and _trackers(connection, account_id) > most:
        raise _no_room(plan, most)


def check_room(connection: Connection, account_id: int, more: int) -> None:
    """Raise what `require_room` would raise of `more` trackers than there are; makes none."""
    plan = _plan(connection, account_id)
    most = times_members(plan.trackers, plan, _members(connection, account_id))
    if most is not None and more > 0 and _trackers(connection, account_id) + more > most:
        raise _no_room(plan, most)


def put_on(connection: Connection, account_ids: Collection[int], plan: str) -> None:
    """Give accounts a plan (by its name): it holds for the next ping."""
    connection.execute(update(accounts).where(accounts.c.id.in_(account_ids)).values(plan=plan))


def put_everybody_on(connection: Connection, plan: str) -> int:
    """Give every account a plan (by its name); return how many there are."""
    return connection.execute(update(accounts).values(plan=plan)).rowcount


def all_accounts(connection: Connection) -> list[PlannedAccount]:
    """Return every account, teams first, by name."""
    return _accounts(connection)


def accounts_called(connection: Connection, name: str) -> list[PlannedAccount]:
    """Return the accounts with this id, the teams of this name, or the owner's personal one."""
    meant: ColumnElement[bool] = (accounts.c.kind != PERSONAL) & (accounts.c.name == name)
    meant |= (accounts.c.kind == PERSONAL) & (users.c.email == name.strip().lower())
    number = read_id(name)
    if number is not None:
        meant |= accounts.c.id == number
    return _accounts(connection, meant)


def _accounts(connection: Connection, *conditions: ColumnElement[bool]) -> list[PlannedAccount]:
    asked = (
        select(accounts.c.id, accounts.c.kind, accounts.c.name, users.c.email, accounts.c.plan)
        .join_from(
            accounts,
            memberships,
            (memberships.c.account_id == accounts.c.id) & (memberships.c.role == "owner"),
        )
        .join(users, users.c.id == memberships.c.user_id)
        .where(*conditions)
        .order_by(accounts.c.kind.desc(), accounts.c.name, accounts.c.id)
    )
    found = {row.id: PlannedAccount(*row) for row in connection.execute(asked)}
    return list(found.values())


def _plan(connection: Connection, account_id: int, *, locked: bool = False) -> Plan:
    asked = select(accounts.c.plan).where(accounts.c.id == account_id)
    if locked:
        asked = asked.with_for_update(key_share=True)
    return plan_of(connection.execute(asked).scalar_one_or_none() or "")


def _members(connection: Connection, account_id: int) -> int:
    asked = select(func.count()).where(
        memberships.c.account_id == account_id, memberships.c.state == ACTIVE
    )
    return int(connection.execute(asked).scalar_one())


def _trackers(connection: Connection, account_id: int) -> int:
    asked = select(func.count()).where(
        trackers.c.account_id == account_id, trackers.c.deleted_ms.is_(None)
    )
    return int(connection.execute(asked).scalar_one())


def _no_room(plan: Plan, most: int) -> ProblemError:
    each = " per active member" if plan.per_member else ""
    return ProblemError(
        Problem(
            type="tracker-limit-reached",
            title=f"This account has the {most} trackers that its plan allows",
            status=402,
            detail=f"the plan {plan.name} has {plan.trackers} trackers{each}; nothing was made",
            next="delete one you no longer need (`telemhq tracker delete NAME`), or ask the people"
            " who run this server for a larger plan",
        )
    )
