"""Summaries, as they are mailed, whenever somebody wants to read one."""

# Annotations are read at run time by FastAPI: no `from __future__ import annotations` here.

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from server_stub.api.caller import CurrentStore
from server_stub.api.documented import refusing
from server_stub.api.trackers import SeenTracker
from server_stub.domain.rules import read as read_rules
from server_stub.domain.summary_period import latest_period
from server_stub.reports.summary import summary_figures, summary_letter
from server_stub.reports.summary_facts import summary_facts
from server_stub.store.summaries import Subscriber
from telemhq_agents.clock import now_ms, to_iso
from telemhq_agents.contract import routes
from telemhq_agents.contract.rules import Every
from telemhq_agents.contract.series import TrackerSummary

router = APIRouter(tags=["summaries"])


@router.get(routes.TRACKER_SUMMARY, responses=refusing(401, 403, 404))
def show_summary(
    tracker: SeenTracker,
    store: CurrentStore,
    every: Annotated[
        Literal["daily", "weekly"] | None,
        Query(
            description="The latest whole day or week; else as the tracker's rules say, or a day."
        ),
    ] = None,
) -> TrackerSummary:
    """Show the latest summary of a tracker, whether or not it is mailed: the figures are today's."""
    summary = read_rules(tracker.rules).summary
    if every is not None:
        summary = replace(summary, every=Every(every))
    period = latest_period(summary, now_ms())
    to = Subscriber(
        tracker.account_id, tracker.id, tracker.name, tracker.owner_id, tracker.owner_email, summary
    )
    facts = summary_facts(store, to, period)
    letter = summary_letter(facts)
    return TrackerSummary(
        tracker=str(tracker.id),
        every=period.every,
        period=period.key,
        since=to_iso(period.start_ms),
        until=to_iso(period.end_ms),
        timezone=summary.timezone,
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        figures=summary_figures(facts),
    )
