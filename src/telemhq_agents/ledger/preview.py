"""What would be sent of a real turn, at every privacy level: the bodies that would go out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from telemhq_agents.errors import TelemhqError, UsageError
from telemhq_agents.ledger import activities, body, due
from telemhq_agents.ledger.queueing import Span, known_of_ready, make_ready
from telemhq_agents.ledger.records import Known, Parcel
from telemhq_agents.privacy import hashed_project, is_private
from telemhq_agents.settings import Privacy

if TYPE_CHECKING:
    from telemhq_agents.ledger.records import DeviceFacts
    from telemhq_agents.ledger.store import Ledger

_LATEST = (
    "SELECT source, session_id, thread_id, span FROM buckets "
    "WHERE responses > 0 AND substr(session_id, 1, length(:session)) = :session "
    "ORDER BY last_ms DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Preview:
    """One ping of a turn: what is known here, its key, and its body by level.

    `is_kept` where the work is private and nothing of it is sent. `pings` is how many the turn has.
    """

    parcel: Parcel
    known: Known
    key: str
    is_kept: bool
    pings: int
    bodies: Mapping[Privacy, bytes]


def latest(
    ledger: Ledger, session: str, device: DeviceFacts, naming_key: Callable[[str], str]
) -> Preview:
    """Return the preview of the latest turn that used something, of one session where its id, or how that begins, is given.

    `naming_key` tells under which key names of a source's projects are hashed. Raises TelemhqError where nothing was read yet, UsageError where a session is not known.
    """
    with ledger.lent() as connection:
        row = connection.execute(_LATEST, {"session": session}).fetchone()
        if row is None:
            raise _nothing(session)
        make_ready(connection, [Span(*row)])
        found = known_of_ready(connection)
        parcel = max(found, key=lambda one: found[one].amounts.total_tokens)
        known = replace(found[parcel], activities=activities.of_parcel(connection, parcel))
    name_key = naming_key(parcel.source)
    return Preview(
        parcel,
        known,
        due.base_key(parcel),
        is_private(parcel.project) or device.keeps(known.cwd),
        len(found),
        {level: _body(level, parcel, known, device, name_key) for level in Privacy},
    )


def _nothing(session: str) -> TelemhqError:
    if session:
        return UsageError(
            f"No usage of a session {session!r} is known here.",
            "telemhq usage --local --by session",
        )
    return TelemhqError("No usage was read on this machine yet.", "telemhq usage --local")


def _body(
    level: Privacy, parcel: Parcel, known: Known, device: DeviceFacts, name_key: str
) -> bytes:
    named = _named(level, parcel.project, name_key)
    telling = due.first_telling(known, due.base_key(parcel), "", named)
    return b"{}" if telling is None else body.compose(telling, parcel, known, device)


def _named(level: Privacy, project: str, name_key: str) -> str:
    match level:
        case Privacy.METADATA | Privacy.CONTENT_REDACTED:
            return ""
        case Privacy.HASHED:
            return hashed_project(name_key, project)
        case _:
            assert_never(level)
