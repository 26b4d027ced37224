"""Status pages and metrics keys as tables. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemhq_cli.render.table import Column, Table
from telemhq_cli.render.words import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from telemhq_agents.contract.public import MetricsKey, StatusPage


def status_pages(found: Sequence[StatusPage]) -> Table:
    """Return status pages as a table."""
    titles = [page.title for page in found]
    columns = (
        Column("title", "Title"),
        Column("id", "Id", is_detail=len(set(titles)) == len(titles), copied=True),
        Column("trackers", "Shows", spare=1),
        Column("url", "Address", copied=True),
        Column("created_at", "Created", moment, is_detail=True, copied=True),
    )
    rows = [(page.title, page.id, labels(page), page.url, page.created_at) for page in found]
    empty = "No status pages. Next: telemhq status-page create TITLE TRACKER"
    return Table(columns, rows, empty=empty)


def labels(page: StatusPage) -> str:
    """Name what a page shows."""
    return ", ".join(one.label for one in page.trackers) or "nothing"


def metrics_keys(found: Sequence[MetricsKey]) -> Table:
    """Return metrics keys as a table, without their secrets."""
    any_revoked = any(key.revoked_at for key in found)
    columns = (
        Column("name", "Name"),
        Column("id", "Id", copied=True),
        Column("prefix", "Begins with"),
        Column("created_at", "Created", moment, spare=1, copied=True),
        Column("revoked_at", "Revoked", moment, is_detail=not any_revoked, copied=True),
    )
    rows = [(key.name, key.id, key.prefix, key.created_at, key.revoked_at) for key in found]
    return Table(columns, rows, empty="No metrics keys. Next: telemhq metrics-key create NAME")
