"""How many pings an account may still send this month, counted with the pings themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace
from sqlalchemy import bindparam, func, select, update

from server_stub.domain.membership import ACTIVE
from server_stub.domain.plan import PLANS, month_of, times_members
from server_stub.store import dialect
from server_stub.store.tables import memberships, ping_counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from server_stub.domain.plan import Plan
    from server_stub.store.bulk import Bulk
    from server_stub.store.entries import Entry
    from server_stub.store.lookups import KeyId

Month = tuple[int, int]
"""Account, start of the UTC month in milliseconds."""


LIMITED = frozenset(name for name, plan in PLANS.items() if plan.pings_per_month is not None)
"""The plans with a quota."""


class Quota(msgspec.Struct, frozen=True):
    """What an account may send in the UTC month that began at `month_ms`, and what it has sent."""

    limit: int
    used: int
    month_ms: int
    plan: str = ""


class Counting:
    """The quotas that a batch draws on. Accounts without one cost a look at their plan."""

    def __init__(self, connection: Connection, statements: Bulk, entries: Sequence[Entry]) -> None:
        limited = [entry for entry in entries if entry.target.plan in LIMITED]
        self._quotas = _locked(connection, {_month(entry): _plan(entry) for entry in limited})
        self._before = dict(self._quotas)
        self._refused = self._count(statements, limited) if limited else set()

    @property
    def refuses(self) -> bool:
        """Whether anything came after its account's quota was used up."""
        return bool(self._refused)

    def is_refused(self, entry: Entry) -> bool:
        """Tell whether an entry came after its account's quota was used up."""
        return entry.run_id in self._refused

    def of(self, entry: Entry) -> Quota | None:
        """Return the quota that an entry drew on, None where its plan has none."""
        return self._quotas.get(_month(entry)) if self._quotas else None

    def write(self, connection: Connection) -> None:
        """Write what was used."""
        values = [
            {"account": account_id, "month": month_ms, "used": quota.used}
            for (account_id, month_ms), quota in self._quotas.items()
            if quota != self._before[account_id, month_ms]
        ]
        if values:
            columns = ping_counts.c
            counted = update(ping_counts).where(
                columns.account_id == bindparam("account"), columns.month_ms == bindparam("month")
            )
            connection.execute(counted.values(pings=bindparam("used")), values)

    def _count(self, statements: Bulk, limited: Sequence[Entry]) -> set[int]:
        """Count what is new, in order of arrival; return the run ids of what is too much.

        A key that is known is answered as before, whatever the quota; a correction is free.
        """
        known = _known(statements, limited)
        refused: set[int] = set()
        for entry in limited:
            if entry.is_correction or entry.key_id in known:
                continue
            month = _month(entry)
            quota = self._quotas[month]
            if quota.used >= quota.limit:
                refused.add(entry.run_id)
                continue
            self._quotas[month] = replace(quota, used=quota.used + 1)
            if entry.key_id is not None:
                known.add(entry.key_id)
        return refused


def _plan(entry: Entry) -> Plan:
    return PLANS[entry.target.plan]


def _month(entry: Entry) -> Month:
    return (entry.account_id, month_of(entry.arrival.received_ms))


def _known(statements: Bulk, entries: Iterable[Entry]) -> set[KeyId]:
    asked = sorted({entry.key_id for entry in entries if entry.key_id is not None})
    found = statements.find_keys(asked) if asked else []
    return {(row[0], row[1], bytes(row[2])) for row in found}


def _locked(connection: Connection, plans: dict[Month, Plan]) -> dict[Month, Quota]:
    """Return the quotas of months, kept from other processes until the transaction ends."""
    quotas = {}
    for month, plan in sorted(plans.items(), key=lambda item: item[0]):
        account_id, month_ms = month
        members = _members(connection, account_id) if plan.per_member else 1
        limit = times_members(plan.pings_per_month, plan, members) or 0
        used = _pings(connection, account_id, month_ms)
        quotas[month] = Quota(limit, used, month_ms, plan.name)
    return quotas


def _members(connection: Connection, account_id: int) -> int:
    active = select(func.count()).where(
        memberships.c.account_id == account_id, memberships.c.state == ACTIVE
    )
    return int(connection.execute(active).scalar_one())


def _pings(connection: Connection, account_id: int, month_ms: int) -> int:
    row = {"account_id": account_id, "month_ms": month_ms, "pings": 0}
    locking = (
        dialect.insert(connection, ping_counts)
        .values(row)
        .on_conflict_do_update(
            index_elements=["account_id", "month_ms"], set_={"pings": ping_counts.c.pings}
        )
        .returning(ping_counts.c.pings)
    )
    return int(connection.execute(locking).scalar_one())
