"""Badges: a tracker's name and state as a small picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server_stub.reports.pages import rendered
from server_stub.reports.status_page import STATE_WORDS
from server_stub.store import public
from telemhq_agents.contract.resources import TrackerState

if TYPE_CHECKING:
    from server_stub.store.engine import Store
    from server_stub.store.public import Standing

LONGEST_LABEL = 40
_COLOURS = {
    TrackerState.NEW: "#757575",
    TrackerState.ACTIVE: "#2e7d32",
    TrackerState.LATE: "#b26a00",
    TrackerState.FAILING: "#c62828",
    TrackerState.PAUSED: "#757575",
}
_LETTER = 6.6
_WIDE_LETTER = 11.0
"""Pixels that a letter takes on average; beyond Latin, Greek and Cyrillic they are wider."""

_NARROW_BEFORE = "\u0530"
_SIDES = 12


def badge_svg(store: Store, token: str) -> str | None:
    """Return the picture behind a badge's address; None where there is none (any more)."""
    with store.read() as connection:
        badge = public.badge_at(connection, token)
        if badge is None:
            return None
        standing = public.standings(connection, badge.account_id, [badge.tracker_id])
    found = standing.get(badge.tracker_id)
    return None if found is None else picture(found)


def picture(standing: Standing) -> str:
    """Draw a badge; the text is fitted into its box whatever font there is."""
    name, state = standing.name, STATE_WORDS[standing.state]
    label = name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"
    left, right = _width(label), _width(state)
    return rendered(
        "badge.svg",
        label=label,
        state=state,
        colour=_COLOURS[standing.state],
        left=left,
        right=right,
        width=left + right,
    )


def _width(text: str) -> int:
    letters = (_LETTER if letter < _NARROW_BEFORE else _WIDE_LETTER for letter in text)
    return round(sum(letters)) + _SIDES
