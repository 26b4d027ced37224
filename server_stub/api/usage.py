"""The usage report over HTTP: the same shape as every terminal table, `telemhq.usage/1`."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from collections.abc import Sequence
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from server_stub.api import refusals
from server_stub.api.caller import AccountChoice, Acting, CurrentAccount, CurrentStore
from server_stub.api.documented import refusing
from server_stub.api.texts import FilterTexts, Groups, Moment
from server_stub.domain.membership import Action
from server_stub.domain.usage_question import UsageQuestion, read_groups
from server_stub.domain.usage_window import find_zone, read_window
from server_stub.reports.usage import usage_report
from server_stub.store import accounts, trackers
from server_stub.store.engine import Store
from telemhq_agents.contract import routes
from telemhq_agents.contract.usage_report import GROUPS, SCHEMA, as_json

router = APIRouter(tags=["usage"])


class Figures(BaseModel):
    """Sums; tokens as OpenTelemetry counts them, money in USD."""

    runs: int
    responses: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    total_tokens: int
    cost_usd: float
    unpriced_tokens: int
    failures: int


class UsageTable(BaseModel):
    """One row for each group, its keys (text) beside its figures; and the sum of all of them."""

    shape: Literal["telemhq.usage/1"] = Field(alias="schema")
    group_by: list[str]
    rows: list[dict[str, str | int | float]]
    total: Figures


class UsageFilters(BaseModel):
    """Whose usage, when, and of what. A filter given more than once lets each of its values pass."""

    model_config = ConfigDict(extra="forbid")

    account: AccountChoice = None
    scope: Literal["mine", "team"] = Field(
        "mine", description="Your own usage, or the whole account's (managers and owners)."
    )
    since: Moment | None = Field(
        None,
        description="A date in `timezone`, from its first moment; or an RFC 3339 time with offset,"
        " moved back to the quarter-hour.",
    )
    until: Moment | None = Field(
        None,
        description="A date in `timezone`, counted to its end; or an RFC 3339 time with offset,"
        " exclusive, moved forward to the quarter-hour.",
    )
    timezone: str | None = Field(
        None, description="IANA name for dates, days and hours; else the account's."
    )
    source: FilterTexts = Field([], description="Only these sources, such as codex or claude.")
    member: FilterTexts = Field([], description="Only these members, by e-mail; `me` is you.")
    project: FilterTexts = Field([], description="Only these projects; empty text is 'none'.")
    model: FilterTexts = Field([], description="Only these models; empty text is 'none'.")
    tracker: FilterTexts = Field([], description="Only these trackers, by id or name.")


class UsageQuery(UsageFilters):
    """What to report, and by what it is broken down."""

    group_by: list[Groups] = Field([], description=f"Repeated or with commas: {', '.join(GROUPS)}.")


@router.get(
    routes.USAGE,
    responses=refusing(401, 403, 404) | {200: {"model": UsageTable, "description": SCHEMA}},
)
def report_usage(
    acting: CurrentAccount, store: CurrentStore, query: Annotated[UsageQuery, Query()]
) -> Response:
    """Report runs, tokens, cost and failures by day, week, month, hour, model, project, member and so on.

    Days are exact in every time zone, since 2012: they are whole numbers of UTC quarter-hours.
    Unnamed projects, models and sources are empty text.
    """
    question, zone = question_of(acting, store, query, query.group_by)
    body = as_json(usage_report(store, question, zone))
    return Response(msgspec.json.encode(body), media_type="application/json")


def question_of(
    acting: Acting, store: Store, query: UsageFilters, group_by: Sequence[str] = ()
) -> tuple[UsageQuestion, ZoneInfo]:
    """Return what a query asks of the sums, and in whose days. Raises the problem that it has."""
    everybody = query.scope == "team"
    acting.require(Action.SEE_TEAM_USAGE if everybody else Action.SEE_OWN_USAGE)
    with refusals.naming("timezone"):
        zone = find_zone(query.timezone or acting.membership.timezone)
    with refusals.naming("group_by"):
        groups = read_groups(group_by)
    with refusals.naming("since/until"):
        window = read_window(query.since, query.until, zone)
    question = UsageQuestion(
        account_id=acting.account_id,
        group_by=groups,
        window=window,
        member_ids=_members(store, acting, query.member, everybody=everybody),
        tracker_ids=_trackers(store, acting, query.tracker, everybody=everybody),
        projects=tuple(query.project),
        models=tuple(query.model),
        sources=tuple(query.source),
    )
    return question, zone


def _members(store: Store, acting: Acting, asked: list[str], *, everybody: bool) -> tuple[int, ...]:
    """Return whom a report is about; none of them means everybody."""
    me = acting.caller
    wanted = {me.email if name == "me" else name.strip().lower() for name in asked}
    if not everybody:
        if wanted - {me.email}:
            raise refusals.only_mine()
        return (me.user_id,)
    with store.read() as connection:
        known = accounts.member_ids(connection, acting.account_id, wanted)
        unknown = sorted(wanted - known.keys())
        if unknown:
            everyone = accounts.emails(connection, acting.account_id).values()
            raise refusals.member_unknown(unknown[0], everyone)
    return tuple(known.values())


def _trackers(
    store: Store, acting: Acting, asked: list[str], *, everybody: bool
) -> tuple[int, ...]:
    """Return which trackers a report is about; none of them means all.

    Where it is about the caller alone, another member's tracker is as unknown as one that is not.
    """
    owner_id = None if everybody else acting.caller.user_id
    found: list[int] = []
    for name in asked:
        with store.read() as connection:
            ids = trackers.ids_named(connection, acting.account_id, name, owner_id)
            if not ids:
                seen = trackers.of_account(connection, acting.account_id, owner_id)
                names = [one.name for one in seen]
                raise refusals.tracker_unknown(name, names, everybody=everybody)
        found.extend(ids)
    return tuple(found)
