"""The numeric fields of a tracker, as its latest runs show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.domain.numeric_field import found_fields
from server_stub.store import field_choices, series
from telemhq_agents.clock import to_iso
from telemhq_agents.contract.series import NumericField, TrackerFields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server_stub.domain.numeric_field import Found
    from server_stub.store.engine import Store

LOOKED_AT = 100
"""Runs. What none of them has is charted only where somebody pinned it."""


def tracker_fields(
    store: Store, account_id: int, tracker_id: int, user_id: int, limit: int = LOOKED_AT
) -> TrackerFields:
    """Return the numeric fields of the latest runs, with what one user chose of them."""
    with store.read() as connection:
        latest = series.payloads(connection, account_id, tracker_id, limit)
        choices = field_choices.of_user(connection, account_id, user_id, tracker_id)
    found = found_fields([payload for _, payload in latest], choices)
    ended = [ended_ms for ended_ms, _ in latest]
    return TrackerFields(len(latest), [_shown(field, ended) for field in found])


def _shown(field: Found, ended_ms: Sequence[int]) -> NumericField:
    return NumericField(
        field=field.path,
        kind=field.meaning.kind,
        unit=field.meaning.unit,
        runs=field.runs,
        last=field.last,
        last_at=None if field.place is None else to_iso(ended_ms[field.place]),
        recommended=field.meaning.recommended,
        choice=field.choice,
        charted=field.charted,
    )
