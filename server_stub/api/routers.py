"""Every router of the JSON edge, in the order of the OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.api import api_keys, invitations, me, teams, trackers, usage

if TYPE_CHECKING:
    from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = (
    me.router,
    api_keys.router,
    trackers.router,
    teams.router,
    invitations.router,
    usage.router,
)
