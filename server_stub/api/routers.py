"""Every router of the JSON edge, in the order of the OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.api import (
    api_keys,
    assertions,
    badges,
    channels,
    deliveries,
    fields,
    invitations,
    mail,
    me,
    metrics,
    plan,
    public,
    rules,
    schedules,
    series,
    sessions,
    status_pages,
    summaries,
    team_usage,
    teams,
    tracker_file,
    trackers,
    unsubscribe,
    usage,
)

if TYPE_CHECKING:
    from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = (
    me.router,
    api_keys.router,
    trackers.router,
    rules.router,
    assertions.router,
    schedules.router,
    tracker_file.router,
    channels.router,
    deliveries.router,
    mail.router,
    unsubscribe.router,
    fields.router,
    series.router,
    summaries.router,
    status_pages.router,
    badges.router,
    public.router,
    metrics.router,
    teams.router,
    team_usage.router,
    invitations.router,
    usage.router,
    sessions.router,
    plan.router,
)
