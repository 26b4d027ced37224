"""What users chose of fields, to chart them or not: every question about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from server_stub.store import dialect
from server_stub.store.tables import field_choices
from telemhq_agents.contract.series import Choice

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

MOST_CHOICES = 200
"""Of one user for one tracker."""


def of_user(
    connection: Connection, account_id: int, user_id: int, tracker_id: int
) -> dict[str, Choice]:
    """Return a user's choices for a tracker, by field."""
    asked = select(field_choices.c.field, field_choices.c.choice)
    found = connection.execute(asked.where(*_whose(account_id, user_id, tracker_id)))
    return {row.field: Choice(row.choice) for row in found}


def choose(
    connection: Connection,
    whose: tuple[int, int, int],
    field: str,
    choice: Choice,
) -> bool:
    """Store a choice of `whose` (account, user, tracker); False where there are too many already."""
    count = connection.execute(
        select(func.count()).where(*_whose(*whose), field_choices.c.field != field)
    ).scalar_one()
    if count >= MOST_CHOICES:
        return False
    account_id, user_id, tracker_id = whose
    chosen = dialect.insert(connection, field_choices).values(
        account_id=account_id,
        user_id=user_id,
        tracker_id=tracker_id,
        field=field,
        choice=choice.value,
    )
    key = ["account_id", "user_id", "tracker_id", "field"]
    connection.execute(
        chosen.on_conflict_do_update(index_elements=key, set_={"choice": choice.value})
    )
    return True


def forget(connection: Connection, whose: tuple[int, int, int], field: str) -> None:
    """Take a choice back; one that is not there is no mistake."""
    connection.execute(delete(field_choices).where(*_whose(*whose), field_choices.c.field == field))


def _whose(account_id: int, user_id: int, tracker_id: int) -> tuple[ColumnElement[bool], ...]:
    return (
        field_choices.c.account_id == account_id,
        field_choices.c.user_id == user_id,
        field_choices.c.tracker_id == tracker_id,
    )
