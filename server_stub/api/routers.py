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
    me,
    metrics,
    plan,
    public,
    rules,
    schedules,
    series,
    status_pages,
    summaries,
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
    unsubscribe.router,
    fields.router,
    series.router,
    summaries.router,
    status_pages.router,
    badges.router,
    public.router,
    metrics.router,
    teams.router,
    invitations.router,
    usage.router,
    plan.router,
)
