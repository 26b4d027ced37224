"""Summaries: who wants one, what it is made of, and that each is mailed once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Text, and_, case, cast, func, or_, select, tuple_

from server_stub.domain.channel import SUMMARY_KIND
from server_stub.domain.judging import Outcome
from server_stub.domain.membership import ACTIVE
from server_stub.domain.rules import read as read_rules
from server_stub.domain.summary_period import latest_period
from server_stub.store import channels, deliveries, dialect
from server_stub.store.exact import added_up
from server_stub.store.ids import first_of
from server_stub.store.series import fetched, is_run_of, value_columns
from server_stub.store.tables import buckets, memberships, runs, summaries, trackers, users
from telemhq_agents.contract.amounts import AMOUNT_FIELDS, Amounts
from telemhq_agents.contract.rules import Every, Summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

    from server_stub.domain.summary_period import Period

LOG = logging.getLogger("telemhq.server")
SUMMARY_EVENT = "summary"
MARK = '%"summary":{%'
"""What stands in the rules of a tracker with a summary: defaults are left out of them."""

AHEAD_MS = 5 * 60 * 1000
"""How long before its end a run may arrive, on a sender's clock that runs ahead."""

Place = tuple[int, int]
"""Account and tracker."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A tracker that wants summaries; nobody gets them whose membership ended (`email` is None)."""

    account_id: int
    tracker_id: int
    name: str
    owner_id: int
    email: str | None
    summary: Summary

    @property
    def place(self) -> Place:
        """Where it stands among all subscribers."""
        return (self.account_id, self.tracker_id)


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What a summary takes from a run; None where it told none. `verdicts` is JSON text."""

    id: int
    ended_ms: int
    provider: str
    cost_nano: int | None
    duration_ms: int | None
    total_tokens: int
    verdicts: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """Runs that are still kept, and how many of them failed, by their own word or by judgement."""

    kept: int
    failed: int


def begin(
    connection: Connection, account_id: int, tracker_id: int, summary: Summary, now_ms: int
) -> None:
    """Note that somebody wants summaries from now on: what was due before now is not sent."""
    if summary.every is not Every.NEVER:
        _claim(connection, (account_id, tracker_id), latest_period(summary, now_ms).key, now_ms)


def subscribers(
    connection: Connection, after: Place, limit: int
) -> tuple[list[Subscriber], Place | None]:
    """Return the next trackers that want summaries, and where to go on (None: nowhere).

    One whose rules cannot be read is logged and left out, and so is one that wants none any more.
    """
    asked = (
        select(
            trackers.c.account_id,
            trackers.c.id,
            trackers.c.name,
            trackers.c.owner_id,
            trackers.c.rules,
            users.c.email,
            memberships.c.state,
        )
        .join_from(trackers, users, users.c.id == trackers.c.owner_id, isouter=True)
        .join(
            memberships,
            and_(
                memberships.c.account_id == trackers.c.account_id,
                memberships.c.user_id == trackers.c.owner_id,
            ),
            isouter=True,
        )
        .where(
            tuple_(trackers.c.account_id, trackers.c.id) > tuple_(*after),
            trackers.c.rules.like(MARK),
            trackers.c.deleted_ms.is_(None),
        )
        .order_by(trackers.c.account_id, trackers.c.id)
        .limit(limit)
    )
    rows = connection.execute(asked).all()
    found = [_subscriber(row) for row in rows]
    ended = len(rows) < limit
    following = None if ended else (rows[-1].account_id, rows[-1].id)
    return [one for one in found if one is not None], following


def _subscriber(row: Row[*tuple[Any, ...]]) -> Subscriber | None:
    try:
        summary = read_rules(row.rules).summary
    except msgspec.MsgspecError:
        LOG.exception("the rules of tracker %d cannot be read: it gets no summary", row.id)
        return None
    if summary.every is Every.NEVER:
        # The hour or the time zone alone stands there.
        return None
    return Subscriber(
        account_id=row.account_id,
        tracker_id=row.id,
        name=row.name,
        owner_id=row.owner_id,
        email=row.email if row.state == ACTIVE else None,
        summary=summary,
    )


def is_done(connection: Connection, place: Place, key: str) -> bool:
    """Tell whether the summary of a period, or of a later day or week, was made before.

    Another hour or time zone may make an earlier one the latest again.
    """
    asked = select(summaries.c.period).where(
        summaries.c.account_id == place[0],
        summaries.c.tracker_id == place[1],
        summaries.c.period >= key,
        func.length(summaries.c.period) == len(key),
    )
    return connection.execute(asked).first() is not None


def book(
    connection: Connection,
    to: Subscriber,
    period: Period,
    content: Mapping[str, Any],
    now_ms: int,
) -> bool:
    """Mail a summary, unless that was done before: False then. Once, whatever happens after."""
    if not _claim(connection, to.place, period.key, now_ms):
        return False
    if to.email is None:
        return True
    mailbox = channels.mailbox(
        connection,
        to.account_id,
        to.tracker_id,
        kind=SUMMARY_KIND,
        address=to.email,
        now_ms=now_ms,
    )
    if mailbox.unsubscribed_ms is None:
        mail = deliveries.row(
            account_id=to.account_id,
            tracker_id=to.tracker_id,
            channel_id=mailbox.id,
            kind=SUMMARY_KIND,
            target=to.email,
            event=SUMMARY_EVENT,
            content=content,
            next_ms=now_ms,
            now_ms=now_ms,
        )
        deliveries.add(connection, [mail])
    return True


def sums_by_model(connection: Connection, place: Place, period: Period) -> dict[str, Amounts]:
    """Return what a tracker's runs of a period add up to, corrections included, by model."""
    in_period = (
        buckets.c.account_id == place[0],
        buckets.c.tracker_id == place[1],
        buckets.c.quarter_ms >= period.start_ms,
        buckets.c.quarter_ms < period.end_ms,
    )
    found = added_up(
        connection,
        [buckets.c[name] for name in AMOUNT_FIELDS],
        lambda added: select(buckets.c.model, *added).where(*in_period).group_by(buckets.c.model),
    )
    return {model: Amounts(*sums) for (model,), sums in found}


def told(connection: Connection, place: Place, period: Period) -> Told:
    """Return how many runs of a period are still kept, and how many of them failed."""
    failed = or_(runs.c.outcome == Outcome.FAILED.value, runs.c.failures > 0)
    asked = select(func.count(), func.sum(case((failed, 1), else_=0))).where(
        *_of_period(place, period)
    )
    kept, count = connection.execute(asked).one()
    return Told(kept, int(count or 0))


def payloads(
    connection: Connection, place: Place, period: Period, limit: int
) -> list[dict[str, Any]]:
    """Return payloads of the latest runs of a period, newest arrival first."""
    asked = select(cast(runs.c.payload, Text)).where(*_of_period(place, period))
    asked = asked.order_by(runs.c.id.desc()).limit(limit)
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    return [decode(row[0]) for row in fetched(connection, asked)]


def figures(
    connection: Connection, place: Place, period: Period, names: Sequence[str], limit: int
) -> tuple[list[RunFigures], list[list[Any]]]:
    """Return up to `limit` latest runs of a period, oldest first, and values of their payloads.

    These are, for each of `names`, what stands there in each run; None where nothing does.
    """
    known = (
        runs.c.id,
        runs.c.ended_ms,
        runs.c.provider,
        case((runs.c.has_cost, runs.c.cost_nano)),
        case((runs.c.has_duration, runs.c.duration_ms)),
        runs.c.total_tokens,
        runs.c.verdicts,
    )
    columns, read = value_columns(connection, names, len(known))
    asked = select(*known, *columns).where(*_of_period(place, period))
    rows = fetched(connection, asked.order_by(runs.c.id.desc()).limit(limit))
    rows.reverse()
    return [RunFigures(*row[: len(known)]) for row in rows], read(rows)


def _claim(connection: Connection, place: Place, key: str, now_ms: int) -> bool:
    row = {
        "account_id": place[0],
        "tracker_id": place[1],
        "period": key,
        "created_ms": now_ms,
    }
    claimed = dialect.insert(connection, summaries).values(row).on_conflict_do_nothing()
    return connection.execute(claimed.returning(summaries.c.period)).first() is not None


def _of_period(place: Place, period: Period) -> tuple[ColumnElement[bool], ...]:
    # Runs are kept in the order they arrived, which is hardly ever before they ended.
    return (
        *is_run_of(*place),
        runs.c.id >= first_of(period.start_ms - AHEAD_MS),
        runs.c.ended_ms >= period.start_ms,
        runs.c.ended_ms < period.end_ms,
    )
