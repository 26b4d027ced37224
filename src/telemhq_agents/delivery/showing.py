"""What commands ask about status pages, badges, metrics keys and summaries.

Every function raises RefusedError (with the server's problem) and UnreachableError, the latter also
where the server has no such routes.
"""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING

from telemhq_agents.contract import routes
from telemhq_agents.contract.public import (
    Badge,
    MetricsKey,
    NewMetricsKey,
    ShownTracker,
    StatusPage,
)
from telemhq_agents.contract.series import TrackerSummary
from telemhq_agents.delivery.client import path_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.rules import Every
    from telemhq_agents.delivery.client import ApiClient

PAGES = "status pages"
BADGES = "badges"
METRICS = "metrics keys"
SUMMARIES = "summaries"


def status_pages(api: ApiClient) -> list[StatusPage]:
    """List the account's status pages."""
    return api.ask("GET", routes.STATUS_PAGES, list[StatusPage], account=True, needs=PAGES)


def create_status_page(api: ApiClient, title: str, shown: Sequence[ShownTracker]) -> StatusPage:
    """Show trackers of the account to whoever knows the page's address."""
    draft = {"title": title, "trackers": list(shown)}
    return api.ask("POST", routes.STATUS_PAGES, StatusPage, draft, account=True, needs=PAGES)


def remove_status_page(api: ApiClient, page_id: str) -> None:
    """Take a status page down, for ever."""
    path = path_of(routes.STATUS_PAGE, page_id=page_id)
    api.ask("DELETE", path, NoneType, needs=PAGES)


def give_badge(api: ApiClient, tracker_id: str) -> Badge:
    """Return a tracker's badge, made where there was none."""
    return api.ask("PUT", path_of(routes.TRACKER_BADGE, tracker_id=tracker_id), Badge, needs=BADGES)


def take_badge(api: ApiClient, tracker_id: str) -> None:
    """Take a tracker's badge away, for ever."""
    path = path_of(routes.TRACKER_BADGE, tracker_id=tracker_id)
    api.ask("DELETE", path, NoneType, needs=BADGES)


def metrics_keys(api: ApiClient) -> list[MetricsKey]:
    """List the account's metrics keys, without their secrets."""
    return api.ask("GET", routes.METRICS_KEYS, list[MetricsKey], account=True, needs=METRICS)


def create_metrics_key(api: ApiClient, name: str) -> NewMetricsKey:
    """Make a metrics key; only this answer holds it."""
    draft = {"name": name}
    return api.ask("POST", routes.METRICS_KEYS, NewMetricsKey, draft, account=True, needs=METRICS)


def revoke_metrics_key(api: ApiClient, key_id: str) -> None:
    """Revoke a metrics key, at once."""
    api.ask("DELETE", path_of(routes.METRICS_KEY, key_id=key_id), NoneType, needs=METRICS)


def summary(api: ApiClient, tracker_id: str, every: Every | None) -> TrackerSummary:
    """Return a tracker's latest summary: of a day or a week, or as its rules say."""
    path = path_of(routes.TRACKER_SUMMARY, tracker_id=tracker_id)
    query = {} if every is None else {"every": every.value}
    return api.ask("GET", path, TrackerSummary, query=query, needs=SUMMARIES)
