"""Numeric fields of a tracker's payloads, found by themselves; each user pins and hides their own."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from server_stub.api import refusals
from server_stub.api.caller import CurrentCaller, CurrentStore
from server_stub.api.documented import BODY, refusing
from server_stub.api.trackers import SeenTracker
from server_stub.domain.dot_path import LONGEST_PATH, parsed
from server_stub.domain.rule_error import RuleError
from server_stub.reports.fields import LOOKED_AT, tracker_fields
from server_stub.store import field_choices
from server_stub.store.field_choices import MOST_CHOICES
from telemhq_agents.contract import routes
from telemhq_agents.contract.series import FieldChoice, TrackerFields
from telemhq_agents.errors import UsageError

router = APIRouter(tags=["charts"])

MOST_LOOKED_AT = 1000
ONE_FIELD = routes.TRACKER_FIELD.replace("{field}", "{field:path}")
"""A field's name may hold a slash."""


async def field_path(
    field: Annotated[
        str,
        Path(min_length=1, max_length=LONGEST_PATH, description="A dot path: `usage.cost_usd`."),
    ],
) -> str:
    """Read the dot path of a field."""
    checked_path(field)
    return field


FieldPath = Annotated[str, Depends(field_path)]


def checked_path(field: str) -> None:
    """Raise the problem that says why a text is no dot path, where it is none."""
    try:
        parsed(field)
    except RuleError as error:
        how = UsageError(error.message, "Give a dot path such as usage.cost_usd.")
        raise refusals.invalid("field", how) from error
    if "\x00" in field:
        raise refusals.invalid("field", UsageError("a field's name holds no NUL", "Leave it out."))


@router.get(routes.TRACKER_FIELDS, responses=refusing(401, 403, 404))
def list_fields(
    tracker: SeenTracker,
    caller: CurrentCaller,
    store: CurrentStore,
    runs: Annotated[
        int, Query(ge=1, le=MOST_LOOKED_AT, description="How many of the latest to look at.")
    ] = LOOKED_AT,
) -> TrackerFields:
    """List the numeric fields of a tracker's latest runs, nested ones by dot path.

    Those that you pinned are there also where no run has them.
    """
    return tracker_fields(store, tracker.account_id, tracker.id, caller.user_id, runs)


@router.put(ONE_FIELD, status_code=204, responses=refusing(*BODY, 401, 403, 404, 409))
def choose_field(
    tracker: SeenTracker,
    caller: CurrentCaller,
    store: CurrentStore,
    field: FieldPath,
    body: FieldChoice,
) -> None:
    """Pin a field, so that it is always charted, or hide it; for yourself, until you change it."""
    whose = (tracker.account_id, caller.user_id, tracker.id)
    if not store.write(
        lambda connection: field_choices.choose(connection, whose, field, body.choice)
    ):
        raise refusals.too_many_choices(MOST_CHOICES)


@router.delete(ONE_FIELD, status_code=204, responses=refusing(401, 403, 404))
def forget_choice(
    tracker: SeenTracker, caller: CurrentCaller, store: CurrentStore, field: FieldPath
) -> None:
    """Chart a field as it is recommended again."""
    whose = (tracker.account_id, caller.user_id, tracker.id)
    store.write(lambda connection: field_choices.forget(connection, whose, field))
